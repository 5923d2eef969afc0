"""Checkpoints on disk: the weights in ``<name>/weights.safetensors``, their description in ``<name>/checkpoint.json``.

A checkpoint is saved atomically and never replaces another. An exported checkpoint is one safetensors file with the JSON in
its metadata; reading it executes no code from the file.
"""

import contextlib
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import safetensors

from tertium import file_names, safe_files
from tertium.storage import safetensors_files
from tertium.storage.checkpoint_format import (
    ABOUT,
    METADATA,
    WEIGHTS,
    Checkpoint,
    CheckpointError,
    must_be_importable,
    must_be_plain,
    read,
    read_exported,
    to_json,
)


class Checkpoints:
    """The checkpoints in a folder.

    Args:
        folder: created when the first checkpoint is saved.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def list(self) -> list[Checkpoint]:
        """Return all checkpoints, sorted by name. Unreadable ones are skipped."""
        return [found for about in sorted(self.folder.glob(f"*/{ABOUT}")) if (found := read(about)) is not None]

    def get(self, name: str) -> Checkpoint:
        """Return the checkpoint with a name.

        Raises:
            CheckpointError: unknown_checkpoint.
        """
        found = read(self.folder / name / ABOUT) if file_names.is_plain(name) else None
        if found is None:
            raise CheckpointError(
                "unknown_checkpoint", f"There is no checkpoint '{name[:80]}'.", field="checkpoint", value=name,
                remedy="List them with checkpoints, or learn one.",
            )  # fmt: skip
        return found

    def resolve(self, name: str, created: str | None) -> Checkpoint:
        """Return the checkpoint that had a name when a request was accepted; it may have been renamed since.

        Args:
            created: its creation time; None if unknown.

        Raises:
            CheckpointError: unknown_checkpoint if it was deleted, even if another has its name now.
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
        """Return the checkpoint that a training job saved after ``steps`` steps, under any name.

        Returns None if there is none.
        """
        return next((one for one in self.list() if (one.job, one.steps) == (job, steps)), None)

    def is_free(self, name: str) -> bool:
        """Return whether no checkpoint has this name."""
        return not (self.folder / name).exists()

    def save(self, checkpoint: Checkpoint, weights: bytes) -> Checkpoint:
        """Save a checkpoint under its name or, if that is taken, as name-2, name-3 … Sets its ``created`` and ``folder``.

        Args:
            weights: the content of a safetensors file.

        Returns:
            The checkpoint as saved.

        Raises:
            CheckpointError: out_of_range for an invalid name.
            TertiumError: disk_full or path_refused.
        """
        must_be_plain(checkpoint.name)
        return self._place(replace(checkpoint, created=_now()), weights, _numbered(checkpoint.name))

    def weights(self, checkpoint: Checkpoint, *, fingerprint: str) -> Path:
        """Return the path of a checkpoint's weights, for the model with this fingerprint.

        Raises:
            CheckpointError: conflict if the checkpoint is of another base model; unknown_checkpoint if its weights are
                damaged or missing.
        """
        if checkpoint.fingerprint != fingerprint:
            raise CheckpointError(
                "conflict", f"The checkpoint '{checkpoint.name}' was learned on another model, {checkpoint.model} ({checkpoint.fingerprint[:8]}); "
                f"the one that is loaded is {fingerprint[:8]}.", field="reference", value=checkpoint.name,
                remedy=f"Start the daemon with --model {checkpoint.model} as it was then, or learn the reference on this one.",
            )  # fmt: skip
        path = checkpoint.folder / WEIGHTS
        try:
            safetensors_files.metadata(path)
        except (OSError, safetensors.SafetensorError) as error:
            raise _damaged(checkpoint.name, error) from error
        return path

    def rename(self, name: str, to: str) -> Checkpoint:
        """Rename a checkpoint.

        Raises:
            CheckpointError: unknown_checkpoint; conflict if the new name is taken; out_of_range if it is invalid.
        """
        found = self.get(name)
        must_be_plain(to)
        self._must_be_free(to)
        with safe_files.disk_errors(self.folder / to):
            os.rename(found.folder, self.folder / to)
        return self.get(to)

    def delete(self, name: str) -> Checkpoint:
        """Delete a checkpoint permanently and return its description.

        Raises:
            CheckpointError: unknown_checkpoint.
        """
        found = self.get(name)
        gone = self._hidden(name)
        with safe_files.disk_errors(found.folder):
            os.rename(found.folder, gone)  # atomic, even if the removal is interrupted
            shutil.rmtree(gone)
        return found

    def export(self, name: str, path: Path) -> Path:
        """Write a checkpoint to a new file that ends in ``.safetensors``; returns its path.

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
        about = {METADATA: json.dumps(to_json(found))}
        part = safe_files.part_of(path)
        try:
            safetensors_files.metadata(found.folder / WEIGHTS)
            with safe_files.disk_errors(path), open(found.folder / WEIGHTS, "rb") as source, open(part, "xb") as target:
                safetensors_files.copy_with_metadata(source, target, about)
                target.flush()
                os.fsync(target.fileno())
            safe_files.publish(part, path)
        except FileExistsError as error:
            raise CheckpointError(
                "conflict", f"'{path}' exists already.", field="path", value=str(path), remedy="Choose another name."
            ) from error
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise _damaged(name, error) from error
        finally:
            part.unlink(missing_ok=True)
        return path

    def import_file(self, source: safe_files.OpenFile, *, name: str | None = None) -> Checkpoint:
        """Import an exported checkpoint under its own name or another; a number is appended to a taken name.

        The file is copied before it is checked, so that it cannot change after the check. What cannot be a checkpoint, or has no room, is not copied.

        Raises:
            CheckpointError: bad_message if the file is not an exported checkpoint, or has weights that are not finite;
                out_of_range for an invalid name, or a file that is too large; disk_full.
            TertiumError: disk_full or path_refused.
        """
        with self._part("import") as part:
            copy = part / WEIGHTS
            size = must_be_importable(source.file, source.path, free=shutil.disk_usage(part).free)
            with safe_files.disk_errors(copy), open(copy, "xb") as file:
                safetensors_files.copy(source.file, file, size)
                file.flush()
                os.fsync(file.fileno())
            checkpoint = read_exported(copy, source.path)
            named = replace(checkpoint, name=name or checkpoint.name, job=None)
            must_be_plain(named.name)
            return self._publish(part, replace(named, created=_now()), _numbered(named.name))

    def clean(self) -> None:
        """Remove the remains of crashed writers and interrupted removals; what other processes are writing stays."""
        safe_files.clean(self.folder)

    @contextlib.contextmanager
    def _part(self, name: str) -> Iterator[Path]:
        """Yield a temporary folder beside the checkpoints, to be filled and published.

        If it is not published, it is removed.
        """
        part = self._hidden(name)
        with safe_files.disk_errors(part):
            part.mkdir(parents=True)
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _place(self, checkpoint: Checkpoint, data: bytes, names: Iterable[str]) -> Checkpoint:
        with self._part(checkpoint.name) as part:
            safe_files.write_whole(part / WEIGHTS, data)
            return self._publish(part, checkpoint, names)

    def _publish(self, part: Path, checkpoint: Checkpoint, names: Iterable[str]) -> Checkpoint:
        """Rename a folder of weights to the first of ``names`` that is free, and return the checkpoint."""
        for name in names:
            if not self.is_free(name):
                continue
            (part / ABOUT).unlink(missing_ok=True)
            safe_files.write_whole(part / ABOUT, json.dumps(to_json(replace(checkpoint, name=name)), indent=2).encode())
            try:
                os.rename(part, self.folder / name)
            except OSError:
                if self.is_free(name):
                    raise
                continue  # another process took the name
            return self.get(name)
        raise AssertionError("the sequence of names is infinite")

    def _hidden(self, name: str) -> Path:
        return safe_files.part_of(self.folder / name)

    def _must_be_free(self, name: str) -> None:
        if not self.is_free(name):
            raise CheckpointError(
                "conflict", f"There is a checkpoint '{name}' already.", field="name", value=name,
                remedy="Choose another name, or delete that one first.",
            )  # fmt: skip


def _numbered(name: str) -> Iterator[str]:
    return itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _damaged(name: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        "unknown_checkpoint", f"The weights of the checkpoint '{name}' cannot be read: {error}.", field="reference", value=name,
        remedy="Delete it and learn it again.",
    )  # fmt: skip
