"""The messages between the daemon and its helper processes: a task as one JSON object, with an open file beside it, and an answer.

Both are sent as eight bytes of length (little endian) and the text; the descriptor of the file travels with the first byte of a task.
"""

import struct
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, TypeAdapter

LENGTH = struct.Struct("<Q")
LONGEST_TASK = 1 << 16


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def frame(self) -> bytes:
        """The message as it is sent."""
        text = self.model_dump_json().encode()
        return LENGTH.pack(len(text)) + text


class Part(_Message):
    """A part of a sound, and the length that it is given; see :class:`tertium.audio.warp.Excerpt`.

    Attributes:
        end: None for the end of the sound.
        seconds: None for as long as it is.
    """

    start: float = 0.0
    end: float | None = None
    seconds: float | None = None
    markers: tuple[tuple[float, float], ...] = ()


class AddFile(_Message):
    """Decode the file and add it to the library; see :meth:`tertium.storage.library.Library.add_file`."""

    task: Literal["add_file"] = "add_file"
    home: str
    path: str
    field: str
    max_seconds: float
    name: str | None = None
    part: Part = Part()


class AddSamples(_Message):
    """Add samples, little-endian float32 in the file, channel by channel; see :meth:`tertium.storage.library.Library.add_samples`."""

    task: Literal["add_samples"] = "add_samples"
    home: str
    channels: int
    sample_rate: int
    name: str | None = None
    origin: dict[str, Any]
    part: Part = Part()


class ReadSound(_Message):
    """Decode a file of the library and write its samples to the open file: little-endian float32, interleaved."""

    task: Literal["read_sound"] = "read_sound"
    path: str


class ImportCheckpoint(_Message):
    """Import the file; see :meth:`tertium.storage.checkpoints.Checkpoints.import_file`."""

    task: Literal["import_checkpoint"] = "import_checkpoint"
    folder: str
    path: str
    name: str | None = None


class ExportCheckpoint(_Message):
    """Write a checkpoint to a new file; see :meth:`tertium.storage.checkpoints.Checkpoints.export`."""

    task: Literal["export_checkpoint"] = "export_checkpoint"
    folder: str
    name: str
    path: str


class Answer(_Message):
    """What came of a task.

    Attributes:
        result: as JSON; None on an error.
        error: the fields of a :class:`tertium.errors.TertiumError`.
        failed: the reason why the task could not be done at all, for a person to read.
    """

    result: Any = None
    error: dict[str, Any] | None = None
    failed: str | None = None


Task = Annotated[AddFile | AddSamples | ReadSound | ImportCheckpoint | ExportCheckpoint, Discriminator("task")]
_TASKS: TypeAdapter[Task] = TypeAdapter(Task)


def parse_task(text: bytes) -> Task:
    """Parse a task. Raises ValueError."""
    return _TASKS.validate_json(text)
