"""A checkpoint and its JSON, as it lies beside the weights and, exported, in the metadata of the safetensors file."""

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors

from tertium import __version__, file_names
from tertium.errors import TertiumError
from tertium.file_names import LONGEST_BYTES
from tertium.storage import safetensors_files

ABOUT, WEIGHTS, METADATA = "checkpoint.json", "weights.safetensors", "tertium_checkpoint"
METHODS = ("lora", "full")
SCHEMA = 1
LONGEST_TEXT = 4096
GREATEST = 2**31 - 1


class CheckpointError(TertiumError):
    """A checkpoint is unknown, damaged, of another model, or cannot have the name that it was to get."""


@dataclass(frozen=True)
class Checkpoint:
    """A learned reference.

    Args:
        name: of its folder.
        prompt: what the reference answers to.
        reference: SHA-256 of the reference's samples, the id of its sound.
        model: name of the base model.
        fingerprint: SHA-256 of the base model's weights.
        method: lora or full.
        rank: of a LoRA; 0 for full weights.
        steps: taken.
        seconds: length of what was learned at a time.
        settings: everything that it was learned with.
        losses: of each step.
        created: ISO 8601, UTC.
        job: that learned it here; None where that is not known.
        folder: where it lies.
    """

    name: str
    prompt: str
    reference: str
    model: str
    fingerprint: str
    method: str
    rank: int
    steps: int
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    created: str = ""
    job: str | None = None
    folder: Path = Path()

    @property
    def bytes(self) -> int:
        """Of its weights on disk; 0 if they are gone."""
        with contextlib.suppress(OSError):
            return (self.folder / WEIGHTS).stat().st_size
        return 0

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other that was ever there, whatever each was called: its birth, its base and its reference."""
        return self.created, self.fingerprint + self.reference


def to_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint as it is written, but for its folder."""
    about = asdict(checkpoint)
    del about["folder"]
    return {"tertium": __version__, "schema": SCHEMA, **about}


def read(about: Path) -> Checkpoint | None:
    """The checkpoint that a ``checkpoint.json`` describes, under the name of its folder; None if it describes none."""
    try:
        return replace(from_json(json.loads(about.read_text(encoding="utf-8")), about.parent), name=about.parent.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def from_json(said: Mapping[str, Any], folder: Path) -> Checkpoint:
    """A checkpoint of what its JSON says.

    Raises:
        KeyError, TypeError, ValueError: the JSON is of something else.
    """
    kinds = {"name": str, "prompt": str, "reference": str, "model": str, "fingerprint": str, "method": str, "rank": int,
             "steps": int, "seconds": (int, float), "settings": dict, "created": str}  # fmt: skip
    values = {name: said[name] for name in kinds}
    job = said.get("job")
    losses = tuple(map(float, said.get("losses", ())))
    wrong = [name for name, kind in kinds.items() if not isinstance(values[name], kind)]
    if wrong or said.get("schema") != SCHEMA or not isinstance(job, str | None):
        raise ValueError(f"not a checkpoint of schema {SCHEMA}: {', '.join(wrong)}")
    texts = [value for value in (*values.values(), job) if isinstance(value, str)]
    sound = (
        values["method"] in METHODS
        and (values["rank"] > 0) == (values["method"] == "lora")
        and 0 < values["steps"] <= GREATEST and 0 <= values["rank"] <= GREATEST
        and values["seconds"] > 0 and all(map(math.isfinite, (values["seconds"], *losses)))
        and values["prompt"].strip() and max(map(len, texts)) <= LONGEST_TEXT
    )  # fmt: skip
    if not sound:
        raise ValueError("a checkpoint that cannot be, or could not be told of")
    return Checkpoint(**values, losses=losses, job=job, folder=folder)


def judged(copy: Path, source: Path) -> Checkpoint:
    """The checkpoint in our copy of a file that was exported, without a folder.

    Raises:
        CheckpointError: bad_message; it speaks of ``source``.
    """
    try:
        checkpoint = from_json(json.loads(safetensors_files.metadata(copy)[METADATA]), Path())
        _must_hold(copy, checkpoint)
        damaged = safetensors_files.not_finite(copy)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            "bad_message", f"'{source.name}' is no checkpoint that was exported by Tertium.", field="path", value=str(source),
            remedy="Export one with: tertium checkpoints export NAME FILE.",
        ) from error  # fmt: skip
    if damaged is not None:
        raise CheckpointError(
            "bad_message", f"The weights in '{source.name}' are not all numbers: {damaged[:80]} is damaged.", field="path", value=str(source),
            remedy="Export it again from where it was learned, or learn the reference anew.",
        )  # fmt: skip
    return checkpoint


def _must_hold(path: Path, checkpoint: Checkpoint) -> None:
    """See whether a file holds the kind of weights that its JSON speaks of.

    Raises:
        ValueError, OSError, SafetensorError: it does not.
    """
    shapes = safetensors_files.shapes(path)
    ranks = {
        shape[0 if name.endswith(".lora_A") else -1]
        for name, shape in shapes.items()
        if name.endswith((".lora_A", ".lora_B"))
    }
    if not shapes or ranks != ({checkpoint.rank} if checkpoint.method == "lora" else set()):
        raise ValueError(f"the weights are not those of {checkpoint.method} of rank {checkpoint.rank}")


def must_be_plain(name: str) -> None:
    """Refuse what cannot be the name of a checkpoint. Raises CheckpointError: out_of_range."""
    if not file_names.is_plain(name) or len(name.encode("utf-8", "replace")) > LONGEST_BYTES:
        raise CheckpointError(
            "out_of_range", f"{name!r} cannot be the name of a checkpoint.", field="name", value=name,
            remedy="Choose a shorter name, or a plainer one, without a folder.",
        )  # fmt: skip
