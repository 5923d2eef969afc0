"""Messages between the daemon's supervisor and its worker process: JSON lines, one model for each kind.

The daemon sends a :data:`Command` (``do``), the worker a :data:`Report` (``say``).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, TypeAdapter

from tertium.cost_model import CostModel
from tertium.job_spec import JobSpec

HEARTBEAT_SECONDS = 1.0


class _Message(BaseModel):
    # A loss may be NaN here; the protocol's messages, which allow no NaN, refuse it later.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def line(self) -> bytes:
        """Return the encoded message with its line feed."""
        return self.model_dump_json().encode() + b"\n"


class Problem(_Message):
    """An error as the protocol describes it.

    Attributes:
        value: the value given in ``field``; anything that JSON can hold.
    """

    code: str
    message: str
    field: str | None = None
    value: Any = None
    remedy: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of the protocol's ``failed``, without those that are None."""
        return self.model_dump(exclude_none=True)


class Load(_Message):
    """The first command: load a model.

    Attributes:
        engine: name of the engine's module.
        home: the daemon's folder.
        write_every: seconds of training between two saved training states.
        trajectory_disk: MiB of reference phases that may be stored on disk.
        training_jobs: ids of the training jobs that have not ended, whose training states are preserved.
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
    """Run a job.

    Attributes:
        notes: notes from its acceptance, to be included in the result.
    """

    do: Literal["run"] = "run"
    job: str
    spec: JobSpec
    notes: tuple[str, ...] = ()


class Cancel(_Message):
    """Stop a running job permanently."""

    do: Literal["cancel"] = "cancel"
    job: str


class Pause(_Message):
    """Pause a running training job so that another job can go first."""

    do: Literal["pause"] = "pause"
    job: str


class Forget(_Message):
    """Discard the training state of a job that has ended; save a checkpoint first if it took any step."""

    do: Literal["forget"] = "forget"
    job: str


class Waits(_Message):
    """Loading the model waits for something, such as a download.

    Attributes:
        what: a line of text that describes it.
    """

    say: Literal["waits"] = "waits"
    what: str


class Models(_Message):
    """The models that can be loaded by name."""

    say: Literal["models"] = "models"
    models: tuple[dict[str, Any], ...]


class Ready(_Message):
    """The model is loaded and has passed its self-test.

    Attributes:
        model: facts about the model.
        costs: None if they could not be measured.
    """

    say: Literal["ready"] = "ready"
    model: dict[str, Any]
    costs: CostModel | None = None


class Unavailable(_Message):
    """The model cannot be loaded, or does not compute."""

    say: Literal["unavailable"] = "unavailable"
    error: Problem


class Progress(_Message):
    """The progress of a job."""

    say: Literal["progress"] = "progress"
    job: str
    stage: str
    fraction: float
    seconds_left: float | None = None
    loss: float | None = None


class Take(_Message):
    """A take of a morph has been stored in the library.

    Attributes:
        take: the fields of the protocol's ``take``.
    """

    say: Literal["take"] = "take"
    job: str
    take: dict[str, Any]


class Paused(_Message):
    """A training job was paused; it resumes when it is run again."""

    say: Literal["paused"] = "paused"
    job: str


class Done(_Message):
    """A job is done.

    Attributes:
        result: the fields of the protocol's ``done``.
        costs: the cost model, corrected by this job's time.
    """

    say: Literal["done"] = "done"
    job: str
    result: dict[str, Any]
    costs: CostModel | None = None


class Cancelled(_Message):
    """A job was cancelled.

    Attributes:
        notes: what remains of it, such as a checkpoint.
    """

    say: Literal["cancelled"] = "cancelled"
    job: str
    notes: tuple[str, ...] = ()


class Failed(_Message):
    """A job failed; the worker continues."""

    say: Literal["failed"] = "failed"
    job: str
    error: Problem


class DeviceLost(_Message):
    """The device failed during a job; the process ends after this report."""

    say: Literal["device_lost"] = "device_lost"
    job: str
    error: Problem
    reason: str


class Heartbeat(_Message):
    """A sign of life, sent every :data:`HEARTBEAT_SECONDS` whatever else the worker does."""

    say: Literal["heartbeat"] = "heartbeat"


class Trouble(_Message):
    """An error for the log.

    Attributes:
        text: a traceback.
    """

    say: Literal["trouble"] = "trouble"
    text: str


Command = Annotated[Load | Run | Cancel | Pause | Forget, Discriminator("do")]
Report = Annotated[
    Waits
    | Models
    | Ready
    | Unavailable
    | Progress
    | Take
    | Paused
    | Done
    | Cancelled
    | Failed
    | DeviceLost
    | Heartbeat
    | Trouble,
    Discriminator("say"),
]
_COMMANDS: TypeAdapter[Command] = TypeAdapter(Command)
_REPORTS: TypeAdapter[Report] = TypeAdapter(Report)


def parse_command(line: str | bytes) -> Command:
    """Parse a line sent by the daemon. Raises ValueError."""
    return _COMMANDS.validate_json(line)


def parse_report(line: str | bytes) -> Report:
    """Parse a line sent by the worker. Raises ValueError."""
    return _REPORTS.validate_json(line)
