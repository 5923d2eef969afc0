"""The tasks of a helper process, one function each."""

import functools
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tertium.audio import files
from tertium.audio.files import Span
from tertium.audio.warp import Excerpt
from tertium.helper_messages import AddFile, AddSamples, ExportCheckpoint, ImportCheckpoint, Part, ReadSound
from tertium.safe_files import OpenFile, disk_errors
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Library

BLOCK = 1 << 18
"""Frames of a sound that are interleaved at a time."""


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


def read_sound(task: ReadSound, file: BinaryIO) -> dict[str, int]:
    """Write a sound's samples to the file; return its channels, frames and sample rate."""
    sound = files.load(task.path, max_seconds=float("inf"), field="sound")
    channels, frames = sound.samples.shape
    with disk_errors(Path(tempfile.gettempdir())), os.fdopen(os.dup(file.fileno()), "wb") as target:
        for first in range(0, frames, BLOCK):
            target.write(np.ascontiguousarray(sound.samples[:, first : first + BLOCK].T, "<f4"))
    return {"channels": channels, "frames": frames, "sample_rate": sound.sample_rate}


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
    "read_sound": read_sound,
    "import_checkpoint": import_checkpoint,
    "export_checkpoint": export_checkpoint,
}
