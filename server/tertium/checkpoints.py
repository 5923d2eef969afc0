"""Learned references on disk: ``<name>/weights.safetensors`` and, beside it, ``<name>/checkpoint.json`` that says what they are.

A checkpoint appears whole or not at all, and never in another's place. Exported, it is one safetensors file that carries its JSON in its
metadata; reading one runs nothing that is in it.
"""

import contextlib
import itertools
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import safetensors

from tertium import __version__, files, weight_files
from tertium.errors import TertiumError

ABOUT, WEIGHTS, METADATA = "checkpoint.json", "weights.safetensors", "tertium_checkpoint"
METHODS = ("lora", "full")
SCHEMA = 1
LONGEST_NAME = 100
LONGEST_STEM = 180
"""Bytes of a new name in UTF-8: file systems take 255, and what marks an unfinished one comes to it."""
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


class Checkpoints:
    """The checkpoints in a folder.

    Args:
        folder: where they lie; made when the first is saved.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def list(self) -> list[Checkpoint]:
        """All of them, by name. What cannot be read is passed over."""
        return [found for about in sorted(self.folder.glob(f"*/{ABOUT}")) if (found := _read(about)) is not None]

    def get(self, name: str) -> Checkpoint:
        """The one of a name.

        Raises:
            CheckpointError: unknown_checkpoint.
        """
        found = _read(self.folder / name / ABOUT) if _is_plain(name) else None
        if found is None:
            raise CheckpointError(
                "unknown_checkpoint", f"There is no checkpoint '{name[:80]}'.", field="checkpoint", value=name,
                remedy="List them with checkpoints, or learn one.",
            )  # fmt: skip
        return found

    def same(self, name: str, created: str | None) -> Checkpoint:
        """The one that had a name when a request was accepted, whatever it is called now.

        Args:
            created: its birth; None where it is not known.

        Raises:
            CheckpointError: unknown_checkpoint if it is gone, even if another has its name.
        """
        if created is None:
            return self.get(name)
        found = next((one for one in self.list() if one.created == created), None)
        if found is None:
            raise CheckpointError(
                "unknown_checkpoint", f"The checkpoint '{name}' was deleted after the request was accepted.", field="reference",
                value=name, remedy="Send the request again with another reference.",
            )  # fmt: skip
        return found

    def learned_by(self, job: str, steps: int) -> Checkpoint | None:
        """What a job kept after so many steps, whatever it is called now, if it did and it is still here."""
        return next((one for one in self.list() if (one.job, one.steps) == (job, steps)), None)

    def is_free(self, name: str) -> bool:
        """Whether no checkpoint has a name."""
        return not (self.folder / name).exists()

    def save(self, checkpoint: Checkpoint, weights: bytes) -> Checkpoint:
        """Keep a checkpoint under its name, or as name-2, name-3 … where that is taken. Its ``created`` and ``folder`` are set here.

        Args:
            weights: the content of a safetensors file.

        Raises:
            CheckpointError: out_of_range for a name that cannot be a folder's.
            TertiumError: disk_full or path_refused.
        """
        must_be_plain(checkpoint.name)
        checkpoint = replace(checkpoint, created=datetime.now(UTC).isoformat(timespec="microseconds"))
        names = itertools.chain([checkpoint.name], (f"{checkpoint.name}-{number}" for number in itertools.count(2)))
        return self._place(checkpoint, weights, names)

    def weights(self, checkpoint: Checkpoint, *, fingerprint: str) -> Path:
        """The safetensors file of what a checkpoint learned, for the model with this fingerprint.

        Raises:
            CheckpointError: conflict if it is of another base model; unknown_checkpoint if its weights are damaged or gone.
        """
        if checkpoint.fingerprint != fingerprint:
            raise CheckpointError(
                "conflict", f"The checkpoint '{checkpoint.name}' was learned on another model, {checkpoint.model} ({checkpoint.fingerprint[:8]}); "
                f"the one that is loaded is {fingerprint[:8]}.", field="reference", value=checkpoint.name,
                remedy=f"Start the daemon with --model {checkpoint.model} as it was then, or learn the reference on this one.",
            )  # fmt: skip
        path = checkpoint.folder / WEIGHTS
        try:
            weight_files.metadata(path)
        except (OSError, safetensors.SafetensorError) as error:
            raise _damaged(checkpoint.name, error) from error
        return path

    def rename(self, name: str, to: str) -> Checkpoint:
        """Give a checkpoint another name.

        Raises:
            CheckpointError: unknown_checkpoint; conflict if the new name is taken; out_of_range if it cannot be a folder's.
        """
        found = self.get(name)
        must_be_plain(to)
        self._must_be_free(to)
        with files.disk_errors(self.folder / to):
            os.rename(found.folder, self.folder / to)
        return self.get(to)

    def delete(self, name: str) -> Checkpoint:
        """Remove a checkpoint for good; returns what it was.

        Raises:
            CheckpointError: unknown_checkpoint.
        """
        found = self.get(name)
        gone = self._hidden(name)
        with files.disk_errors(found.folder):
            os.rename(found.folder, gone)  # at once, whatever happens to the removal
            shutil.rmtree(gone)
        return found

    def export(self, name: str, path: Path) -> Path:
        """Write a checkpoint as one file, which must not exist and must end in ``.safetensors``.

        Raises:
            CheckpointError: unknown_checkpoint; out_of_range for another suffix; conflict if the file exists.
            TertiumError: disk_full or path_refused.
        """
        found = self.get(name)
        if path.suffix != ".safetensors":
            raise CheckpointError(
                "out_of_range", f"'{path.name}' does not end in .safetensors.", field="path", value=str(path),
                remedy="Give a name that ends in .safetensors.",
            )  # fmt: skip
        try:
            weight_files.metadata(found.folder / WEIGHTS)
            data = weight_files.with_metadata(
                (found.folder / WEIGHTS).read_bytes(), {METADATA: json.dumps(_told(found))}
            )
        except (OSError, safetensors.SafetensorError) as error:
            raise _damaged(name, error) from error
        try:
            files.write_whole(path, data)
        except FileExistsError as error:
            raise CheckpointError(
                "conflict", f"'{path}' exists already.", field="path", value=str(path), remedy="Choose another name."
            ) from error
        return path

    def import_file(self, path: Path, *, name: str | None = None) -> Checkpoint:
        """Take in an exported checkpoint, under its own name or another; a taken name gets a number.

        Raises:
            CheckpointError: bad_message if the file is no exported checkpoint, or has weights that are no numbers; out_of_range for a name that cannot be a folder's.
            TertiumError: disk_full or path_refused.
        """
        try:
            checkpoint = _made(json.loads(weight_files.metadata(path)[METADATA]), Path())
            _must_hold(path, checkpoint)
            damaged = weight_files.not_finite(path)
            data = path.read_bytes()
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise CheckpointError(
                "bad_message", f"'{path.name}' is no checkpoint that was exported by Tertium.", field="path", value=str(path),
                remedy="Export one with: tertium checkpoints export NAME FILE.",
            ) from error  # fmt: skip
        if damaged is not None:
            raise CheckpointError(
                "bad_message", f"The weights in '{path.name}' are not all numbers: {damaged[:80]} is damaged.", field="path", value=str(path),
                remedy="Export it again from where it was learned, or learn the reference anew.",
            )  # fmt: skip
        return self.save(replace(checkpoint, name=name or checkpoint.name, job=None), data)

    def clean(self) -> None:
        """Remove what crashed writers and interrupted removals left."""
        for part in self.folder.glob(f".*{files.PART}"):
            shutil.rmtree(part, ignore_errors=True)

    def _place(self, checkpoint: Checkpoint, data: bytes, names: Iterable[str]) -> Checkpoint:
        part = self._hidden(checkpoint.name)
        with files.disk_errors(part):
            part.mkdir(parents=True)
        try:
            files.write_whole(part / WEIGHTS, data)
            for name in names:
                if not self.is_free(name):
                    continue
                (part / ABOUT).unlink(missing_ok=True)
                files.write_whole(part / ABOUT, json.dumps(_told(replace(checkpoint, name=name)), indent=2).encode())
                try:
                    os.rename(part, self.folder / name)
                except OSError:
                    if self.is_free(name):
                        raise
                    continue  # taken in the same moment
                return self.get(name)
            raise AssertionError("there is always another name")
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _hidden(self, name: str) -> Path:
        return self.folder / f".{name}.{os.getpid()}.{os.urandom(4).hex()}{files.PART}"

    def _must_be_free(self, name: str) -> None:
        if not self.is_free(name):
            raise CheckpointError(
                "conflict", f"There is a checkpoint '{name}' already.", field="name", value=name,
                remedy="Choose another name, or delete that one first.",
            )  # fmt: skip


def _told(checkpoint: Checkpoint) -> dict[str, Any]:
    about = asdict(checkpoint)
    del about["folder"]
    return {"tertium": __version__, "schema": SCHEMA, **about}


def _read(about: Path) -> Checkpoint | None:
    """What a folder says that it is, or None; its name is that of the folder."""
    try:
        return replace(_made(json.loads(about.read_text(encoding="utf-8")), about.parent), name=about.parent.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _made(said: Mapping[str, Any], folder: Path) -> Checkpoint:
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


def _must_hold(path: Path, checkpoint: Checkpoint) -> None:
    """See whether a file holds the kind of weights that its JSON speaks of.

    Raises:
        ValueError, OSError, SafetensorError: it does not.
    """
    shapes = weight_files.shapes(path)
    ranks = {
        shape[0 if name.endswith(".lora_A") else -1]
        for name, shape in shapes.items()
        if name.endswith((".lora_A", ".lora_B"))
    }
    if not shapes or ranks != ({checkpoint.rank} if checkpoint.method == "lora" else set()):
        raise ValueError(f"the weights are not those of {checkpoint.method} of rank {checkpoint.rank}")


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name[0] not in ". " and not re.search(r'[/\\:*?"<>|\x00-\x1f]', name)


def must_be_plain(name: str) -> None:
    """Refuse what cannot be the name of a checkpoint. Raises CheckpointError: out_of_range."""
    if not _is_plain(name) or len(name.encode("utf-8", "replace")) > LONGEST_STEM:
        raise CheckpointError(
            "out_of_range", f"{name!r} cannot be the name of a checkpoint.", field="name", value=name,
            remedy="Choose a shorter name, or a plainer one, without a folder.",
        )  # fmt: skip


def _damaged(name: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        "unknown_checkpoint", f"The weights of the checkpoint '{name}' cannot be read: {error}.", field="reference", value=name,
        remedy="Delete it and learn it again.",
    )  # fmt: skip
