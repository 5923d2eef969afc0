"""The job: an accepted request that the worker carries out."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tertium import job_spec
from tertium.daemon.jobs.journal import COLUMNS
from tertium.job_spec import JobSpec

TERMINAL = frozenset({"done", "failed", "cancelled"})


@dataclass(eq=False)
class Job:
    """An accepted request that the worker carries out.

    Args:
        request: the client's request id, as JSON text, so that 7 and "7" differ.
        fingerprint: digest of the request's content; the same request id with another fingerprint is another request.
        spec: all parameters, with defaults and random choices resolved.
        slot: among queued jobs of one slot only the newest stays.
        priority: lower runs first.
        ready_by: when the client needs the result, in seconds since the epoch.
        notes: notes from acceptance, returned with the result.
        attempts: how often the job was started, resumptions after a pause not counted.
        lost_at: the fraction that it had reached when its worker last died.
        cancelling: the reason, once a running job has been asked to stop.
        progress_sent: when its last progress event was sent, on the monotonic clock.
    """

    request: str
    fingerprint: str
    spec: JobSpec
    slot: str | None = None
    priority: int = 0
    ready_by: float | None = None
    notes: list[str] = field(default_factory=list)
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: str = "queued"
    stage: str | None = "queued"
    fraction: float = 0.0
    seconds_left: float | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    reason: str | None = None
    created: float = field(default_factory=time.time)
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    lost_at: float = 0.0
    cancelling: str | None = None
    takes: list[dict[str, Any]] = field(default_factory=list)
    loss: float | None = None
    progress_sent: float = field(default=0.0, repr=False)
    due: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        # From here on by the monotonic clock: the other one may jump.
        self.due = None if self.ready_by is None else time.monotonic() + self.ready_by - time.time()

    @property
    def command(self) -> str:
        """The command of its request."""
        return self.spec.command

    def row(self) -> dict[str, Any]:
        """Return the job as a row of the journal."""
        own = {name: getattr(self, name) for name in COLUMNS if name != "fields"}
        return own | {"fields": self.spec.model_dump(exclude={"command"})}

    @classmethod
    def restored(cls, row: Mapping[str, Any]) -> "Job":
        """Create the job in a row of the journal.

        Raises:
            ValueError: its fields are not those of its command.
        """
        attributes = {name: value for name, value in row.items() if name not in ("command", "fields")}
        return cls(spec=job_spec.parse(row["command"], row["fields"]), **attributes)
