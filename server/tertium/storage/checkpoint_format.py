"""A checkpoint and its JSON format, used beside the weights and, in exported checkpoints, in the metadata of the
safetensors file.
"""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

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
LARGEST_CHECKPOINT = 16 << 30
"""Bytes: three times all weights of the largest supported model in float32 (Stable Audio Open 1.0, 4.9 GB)."""
SPARED = 256 << 20
"""Bytes of disk space that an import leaves free."""


class CheckpointError(TertiumError):
    """A checkpoint is unknown, damaged or of another model, or a name for one is invalid or taken."""


@dataclass(frozen=True)
class Checkpoint:
    """A learned reference.

    Args:
        name: of its folder.
        prompt: under which the reference was learned.
        reference: SHA-256 of the reference's samples, the id of its sound.
        model: name of the base model.
        fingerprint: SHA-256 of the base model's weights.
        method: lora or full.
        rank: of a LoRA; 0 for full weights.
        steps: of training.
        seconds: length of the excerpts that it was trained on.
        settings: all settings of the training.
        losses: of each step.
        created: creation time, ISO 8601, UTC.
        job: id of the training job; None if unknown, as for imported checkpoints.
        folder: that contains its files.
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
        """Size of the weights on disk; 0 if they are missing."""
        with contextlib.suppress(OSError):
            return (self.folder / WEIGHTS).stat().st_size
        return 0

    @property
    def key(self) -> tuple[str, str]:
        """A unique identity that does not depend on the name: creation time, base model and reference."""
        return self.created, self.fingerprint + self.reference


def to_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint's JSON, without its folder."""
    about = asdict(checkpoint)
    del about["folder"]
    return {"tertium": __version__, "schema": SCHEMA, **about}


def read(about: Path) -> Checkpoint | None:
    """Return the checkpoint that a ``checkpoint.json`` describes, named after its folder; None if the file is invalid."""
    try:
        return replace(from_json(json.loads(about.read_text(encoding="utf-8")), about.parent), name=about.parent.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def from_json(content: Mapping[str, Any], folder: Path) -> Checkpoint:
    """Return the checkpoint that the JSON ``content`` describes.

    Raises:
        KeyError, TypeError, ValueError: the JSON is not a valid checkpoint.
    """
    kinds = {"name": str, "prompt": str, "reference": str, "model": str, "fingerprint": str, "method": str, "rank": int,
             "steps": int, "seconds": (int, float), "settings": dict, "created": str}  # fmt: skip
    values = {name: content[name] for name in kinds}
    job = content.get("job")
    losses = tuple(map(float, content.get("losses", ())))
    wrong = [name for name, kind in kinds.items() if not isinstance(values[name], kind)]
    if wrong or content.get("schema") != SCHEMA or not isinstance(job, str | None):
        raise ValueError(f"not a checkpoint of schema {SCHEMA}: {', '.join(wrong)}")
    texts = [value for value in (*values.values(), job) if isinstance(value, str)]
    valid = (
        values["method"] in METHODS
        and (values["rank"] > 0) == (values["method"] == "lora")
        and 0 < values["steps"] <= GREATEST and 0 <= values["rank"] <= GREATEST
        and values["seconds"] > 0 and all(map(math.isfinite, (values["seconds"], *losses)))
        and all(text.encode("utf-8") is not None for text in texts)  # half a surrogate pair raises a ValueError
        and values["prompt"].strip() and max(map(len, texts)) <= LONGEST_TEXT
    )  # fmt: skip
    if not valid:
        raise ValueError("a value is out of range")
    return Checkpoint(**values, losses=losses, job=job, folder=folder)


def read_exported(copy: Path, source: Path) -> Checkpoint:
    """Return the checkpoint in a private copy of an exported file; its ``folder`` is not set.

    Raises:
        CheckpointError: bad_message, naming ``source``.
    """
    try:
        checkpoint = from_json(json.loads(safetensors_files.metadata(copy)[METADATA]), Path())
        _must_hold(copy, checkpoint)
        damaged = safetensors_files.not_finite(copy)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise _not_exported(source) from error
    if damaged is not None:
        raise CheckpointError(
            "bad_message", f"The weights in '{source.name}' are not all finite: {damaged[:80]} is damaged.", field="path", value=str(source),
            remedy="Export it again from where it was learned, or learn the reference again.",
        )  # fmt: skip
    return checkpoint


def must_be_importable(file: BinaryIO, source: Path, *, free: int) -> int:
    """Return the size of a file in bytes if it may be an exported checkpoint for which there is room; before any of it is copied.

    Args:
        file: open, at its beginning, where it is left.
        free: bytes of free disk space where it will be copied to.

    Raises:
        CheckpointError: bad_message if it does not begin as a safetensors file; out_of_range if it is larger than any checkpoint; disk_full.
    """
    size = os.fstat(file.fileno()).st_size
    if not safetensors_files.begins_as_one(file, size):
        raise _not_exported(source)
    shown = f"'{source.name}' has {size / 1e9:.2f} GB"
    if size > LARGEST_CHECKPOINT:
        raise CheckpointError(
            "out_of_range", f"{shown}; a checkpoint has at most {LARGEST_CHECKPOINT / 1e9:.1f} GB.", field="path", value=str(source),
            remedy="Check the path. A model is not imported but named with serve --model.",
        )  # fmt: skip
    if size + SPARED > free:
        raise CheckpointError(
            "disk_full", f"{shown}, but only {free / 1e9:.2f} GB are free where it would be copied to.", field="path", value=str(source),
            remedy="Make room on the disk of the daemon's folder and send the request again.",
        )  # fmt: skip
    return size


def _not_exported(source: Path) -> CheckpointError:
    return CheckpointError(
        "bad_message", f"'{source.name}' is not a checkpoint exported by Tertium.", field="path", value=str(source),
        remedy="Export one with: tertium checkpoints export NAME FILE.",
    )  # fmt: skip


def _must_hold(path: Path, checkpoint: Checkpoint) -> None:
    """Check that a file holds weights of the method and the rank in its JSON.

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
    """Refuse an invalid name for a checkpoint. Raises CheckpointError: out_of_range."""
    if not file_names.is_plain(name) or len(name.encode("utf-8", "replace")) > LONGEST_BYTES:
        raise CheckpointError(
            "out_of_range", f"{name!r} cannot be the name of a checkpoint.", field="name", value=name,
            remedy="Choose a shorter name, or a plainer one, without a folder.",
        )  # fmt: skip
