"""TrainingStates under way, written down so that they outlast their process: one safetensors file for each job, whole or not at all.

A file holds everything that a learner needs to go on to the last bit, and what a checkpoint of it would say. Reading one runs nothing that is in it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save, save_file

from tertium import __version__, safe_files
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.safetensors_files import checksum

METADATA, SCHEMA = "tertium_learning", 1
PREFIX, SUFFIX = "learning-", ".safetensors"


class Unfit(Exception):
    """What is written down of a learning cannot be gone on with. The text says why, as the end of a sentence."""


@dataclass(frozen=True)
class TrainingState:
    """A learning between two steps.

    Args:
        facts: what JSON holds: the learner's ``settings``, ``step``, ``losses`` and ``seconds``; once written down, also what :meth:`TrainingStates.write` was told.
        tensors: by name. What a checkpoint would keep is named ``average/…``, or where there are none of these ``weights/…``.
    """

    facts: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]

    def checkpoint(self) -> tuple[Checkpoint, bytes]:
        """The checkpoint that was learned by then, and its weights, as the content of a safetensors file.

        Raises:
            Unfit: the facts are of something else.
        """
        shown = ("name", "prompt", "reference", "model", "fingerprint", "method", "rank", "seconds")
        try:
            about = {name: self.facts[name] for name in shown}
            taken = {"steps": self.facts["step"], "losses": tuple(self.facts["losses"])}
            checkpoint = Checkpoint(**about, **taken, settings=dict(self.facts["chosen"]))
        except (KeyError, TypeError) as error:
            raise Unfit(f"it lacks {error}") from error
        averaged = any(name.startswith("average/") for name in self.tensors)
        folder = "average/" if averaged else "weights/"
        kept = {name.removeprefix(folder): one for name, one in self.tensors.items() if name.startswith(folder)}
        return checkpoint, save(kept)


class TrainingStates:
    """What is written down of learnings, in a folder.

    Args:
        folder: where; made when the first is written.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def jobs(self) -> list[str]:
        """The jobs of which something is written down."""
        found = self._folder.glob(f"{PREFIX}*{SUFFIX}")
        return sorted(path.name.removeprefix(PREFIX).removesuffix(SUFFIX) for path in found)

    def write(self, job: str, state: TrainingState, **about: Any) -> None:
        """Write a state down, in place of the job's last one; it is on the disk when this returns.

        Args:
            about: further facts, which JSON can hold.

        Raises:
            OSError, SafetensorError: it could not be written; the last one is still there.
        """
        path = self._path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {**state.facts, **about, "tertium": __version__, "schema": SCHEMA, "checksum": checksum(state.tensors)}
        with safe_files.replacing(path) as part:
            save_file(dict(state.tensors), part, {METADATA: json.dumps(facts)})

    def read(self, job: str) -> TrainingState | None:
        """The last state of a job; None where nothing is written down.

        Raises:
            Unfit: it is damaged, or written in another way than this version writes it.
        """
        path = self._path(job)
        if not path.exists():
            return None
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                facts = json.loads((file.metadata() or {})[METADATA])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            whole = facts["checksum"] == checksum(tensors)
            schema, facts["tertium"] = facts["schema"], str(facts["tertium"])
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise Unfit("the file is damaged") from error
        if schema != SCHEMA:
            raise Unfit(f"version {facts['tertium']} wrote it, and this is {__version__}")
        if not whole:
            raise Unfit("the file is damaged")
        return TrainingState(facts, tensors)

    def remove(self, job: str) -> None:
        """Forget a job, if anything is written down of it."""
        self._path(job).unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what crashed writers left."""
        safe_files.clean(self._folder)

    def _path(self, job: str) -> Path:
        return self._folder / f"{PREFIX}{job}{SUFFIX}"
