"""The tasks of a helper process, one function each."""

import functools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tertium.audio.files import Span
from tertium.audio.warp import Excerpt
from tertium.helper_messages import AddFile, AddSamples, ExportCheckpoint, ImportCheckpoint, Part
from tertium.safe_files import OpenFile
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Library


def add_file(task: AddFile, file: BinaryIO) -> dict[str, Any]:
    """Add a file to the library; return the sound's fields."""
    sound = _library(task.home).add_file(
        file,
        Path(task.path),
        max_seconds=task.max_seconds,
        name=task.name,
        field=task.field,
        excerpt=_excerpt(task.part),
    )
    return asdict(sound)


def add_samples(task: AddSamples, file: BinaryIO) -> dict[str, Any]:
    """Add samples to the library; return the sound's fields."""
    samples = np.frombuffer(file.read(), "<f4").reshape(task.channels, -1)
    sound = _library(task.home).add_samples(
        samples, task.sample_rate, name=task.name, origin=task.origin, excerpt=_excerpt(task.part)
    )
    return asdict(sound)


def import_checkpoint(task: ImportCheckpoint, file: BinaryIO) -> str:
    """Import a checkpoint; return the name that it got."""
    return Checkpoints(Path(task.folder)).import_file(OpenFile(file, Path(task.path)), name=task.name).name


def export_checkpoint(task: ExportCheckpoint, file: None) -> str:
    """Export a checkpoint; return its path."""
    return str(Checkpoints(Path(task.folder)).export(task.name, Path(task.path)))


@functools.cache
def _library(home: str) -> Library:
    return Library(home)


def _excerpt(part: Part) -> Excerpt:
    return Excerpt(Span(part.start, part.end), part.seconds, part.markers)


TASKS: dict[str, Callable[[Any, Any], Any]] = {
    "add_file": add_file,
    "add_samples": add_samples,
    "import_checkpoint": import_checkpoint,
    "export_checkpoint": export_checkpoint,
}
