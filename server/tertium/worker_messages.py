"""The messages between the supervisor in the daemon and its worker process: JSON lines, one model for each kind.

The daemon sends a :data:`Command` (``do``), the worker a :data:`Report` (``say``).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, TypeAdapter

from tertium.cost_model import CostModel
from tertium.job_spec import JobSpec


class _Message(BaseModel):
    # The protocol's own rule is that no number is NaN; a loss may be one until it is refused there.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def line(self) -> bytes:
        """The message as it is sent, with its end of line."""
        return self.model_dump_json().encode() + b"\n"


class Problem(_Message):
    """An error as the protocol describes it.

    Attributes:
        value: what was given in ``field``; anything that JSON can hold.
    """

    code: str
    message: str
    field: str | None = None
    value: Any = None
    remedy: str | None = None

    def told(self) -> dict[str, Any]:
        """The fields of the protocol's ``failed``, without those that are absent."""
        return self.model_dump(exclude_none=True)


class Load(_Message):
    """The first command: load a model.

    Attributes:
        engine: name of the module that computes.
        home: the daemon's folder.
        write_every: seconds of training between two states that are saved.
        trajectory_disk: MiB of reference phases that may be kept on disk.
        training_jobs: ids of those that have not ended, whose saved states stay.
    """

    do: Literal["load"] = "load"
    engine: str
    home: str
    model: str
    device: str = "auto"
    precision: str = "auto"
    write_every: float = 10.0
    trajectory_disk: int = 0
    training_jobs: tuple[str, ...] = ()


class Run(_Message):
    """Do a job.

    Attributes:
        notes: what was said of it when it was accepted.
    """

    do: Literal["run"] = "run"
    job: str
    spec: JobSpec
    notes: tuple[str, ...] = ()


class Cancel(_Message):
    """Stop a running job for good."""

    do: Literal["cancel"] = "cancel"
    job: str


class Pause(_Message):
    """Interrupt a running training job so that another job can go first."""

    do: Literal["pause"] = "pause"
    job: str


class Forget(_Message):
    """Discard the training state of a job that has ended, keeping a checkpoint if it took any step."""

    do: Literal["forget"] = "forget"
    job: str


class Waits(_Message):
    """Loading waits for something.

    Attributes:
        what: a line of text.
    """

    say: Literal["waits"] = "waits"
    what: str


class Models(_Message):
    """The models known by name."""

    say: Literal["models"] = "models"
    models: tuple[dict[str, Any], ...]


class Ready(_Message):
    """The model is loaded and computes.

    Attributes:
        model: facts about it.
        costs: None if they could not be measured.
    """

    say: Literal["ready"] = "ready"
    model: dict[str, Any]
    costs: CostModel | None = None


class Unavailable(_Message):
    """The model cannot be had."""

    say: Literal["unavailable"] = "unavailable"
    error: Problem


class Progress(_Message):
    """How far a job is."""

    say: Literal["progress"] = "progress"
    job: str
    stage: str
    fraction: float
    seconds_left: float | None = None
    loss: float | None = None


class Take(_Message):
    """One take of a morph is in the library.

    Attributes:
        take: the fields of the protocol's ``take``.
    """

    say: Literal["take"] = "take"
    job: str
    take: dict[str, Any]


class Paused(_Message):
    """A training job was interrupted; it goes on when it is run again."""

    say: Literal["paused"] = "paused"
    job: str


class Done(_Message):
    """A job has its result.

    Attributes:
        result: the fields of the protocol's ``done``.
        costs: as corrected by this job.
    """

    say: Literal["done"] = "done"
    job: str
    result: dict[str, Any]
    costs: CostModel | None = None


class Cancelled(_Message):
    """A job was stopped.

    Attributes:
        notes: what is left of it.
    """

    say: Literal["cancelled"] = "cancelled"
    job: str
    notes: tuple[str, ...] = ()


class Failed(_Message):
    """A job went wrong; the worker lives on."""

    say: Literal["failed"] = "failed"
    job: str
    error: Problem


class DeviceLost(_Message):
    """The device failed under a job; the process ends after this."""

    say: Literal["device_lost"] = "device_lost"
    job: str
    error: Problem
    reason: str


class Trouble(_Message):
    """Something for the log.

    Attributes:
        text: a traceback.
    """

    say: Literal["trouble"] = "trouble"
    text: str


Command = Annotated[Load | Run | Cancel | Pause | Forget, Discriminator("do")]
Report = Annotated[
    Waits | Models | Ready | Unavailable | Progress | Take | Paused | Done | Cancelled | Failed | DeviceLost | Trouble,
    Discriminator("say"),
]
_COMMANDS: TypeAdapter[Command] = TypeAdapter(Command)
_REPORTS: TypeAdapter[Report] = TypeAdapter(Report)


def parse_command(line: str | bytes) -> Command:
    """A line that the daemon sent. Raises ValueError."""
    return _COMMANDS.validate_json(line)


def parse_report(line: str | bytes) -> Report:
    """A line that the worker sent. Raises ValueError."""
    return _REPORTS.validate_json(line)
