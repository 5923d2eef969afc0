"""Training states on disk, so that training jobs survive their process: one safetensors file for each job, written
atomically.

A file holds everything that a learner needs to continue bit-exactly, and the fields of a checkpoint. Reading it executes no
code from the file.
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


class UnusableState(Exception):
    """A saved training state cannot be resumed. The text gives the reason, as a clause for a longer sentence."""


@dataclass(frozen=True)
class TrainingState:
    """The state of a training job between two steps.

    Args:
        facts: the part stored as JSON: the learner's ``settings``, ``step``, ``losses`` and ``seconds``; in a saved state also
            the facts given to :meth:`TrainingStates.write`.
        tensors: by name. Those for a checkpoint are named ``average/…`` or, without a running average, ``weights/…``.
    """

    facts: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]

    def checkpoint(self) -> tuple[Checkpoint, bytes]:
        """Return the checkpoint of this state, and its weights as the content of a safetensors file.

        Raises:
            UnusableState: a fact is missing or invalid.
        """
        shown = ("name", "prompt", "reference", "model", "fingerprint", "method", "rank", "seconds")
        try:
            about = {name: self.facts[name] for name in shown}
            progress = {"steps": self.facts["step"], "losses": tuple(self.facts["losses"])}
            checkpoint = Checkpoint(**about, **progress, settings=dict(self.facts["chosen"]))
        except (KeyError, TypeError) as error:
            raise UnusableState(f"it lacks {error}") from error
        averaged = any(name.startswith("average/") for name in self.tensors)
        folder = "average/" if averaged else "weights/"
        weights = {name.removeprefix(folder): one for name, one in self.tensors.items() if name.startswith(folder)}
        return checkpoint, save(weights)


class TrainingStates:
    """The saved training states in a folder.

    Args:
        folder: created when the first state is written.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def jobs(self) -> list[str]:
        """Return the ids of the jobs that have a saved state."""
        found = self._folder.glob(f"{PREFIX}*{SUFFIX}")
        return sorted(path.name.removeprefix(PREFIX).removesuffix(SUFFIX) for path in found)

    def write(self, job: str, state: TrainingState, **about: Any) -> None:
        """Save a state, replacing the job's previous one; it is synced to the disk when this returns.

        Args:
            about: further facts, which JSON can hold.

        Raises:
            OSError, SafetensorError: it could not be written; the previous one is preserved.
        """
        path = self._path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {**state.facts, **about, "tertium": __version__, "schema": SCHEMA, "checksum": checksum(state.tensors)}
        with safe_files.replacing(path) as part:
            save_file(dict(state.tensors), part, {METADATA: json.dumps(facts)})

    def read(self, job: str) -> TrainingState | None:
        """Return the saved state of a job; None if there is none.

        Raises:
            UnusableState: it is damaged, or of another schema.
        """
        path = self._path(job)
        if not path.exists():
            return None
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                facts = json.loads((file.metadata() or {})[METADATA])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            intact = facts["checksum"] == checksum(tensors)
            schema, facts["tertium"] = facts["schema"], str(facts["tertium"])
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise UnusableState("the file is damaged") from error
        if schema != SCHEMA:
            raise UnusableState(f"version {facts['tertium']} wrote it, and this is {__version__}")
        if not intact:
            raise UnusableState("the file is damaged")
        return TrainingState(facts, tensors)

    def remove(self, job: str) -> None:
        """Remove the saved state of a job, if there is one."""
        self._path(job).unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove the remains of crashed writers."""
        safe_files.clean(self._folder)

    def _path(self, job: str) -> Path:
        return self._folder / f"{PREFIX}{job}{SUFFIX}"
