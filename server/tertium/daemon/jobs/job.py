"""A job: one accepted request that takes time."""

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
    """One accepted request that takes time.

    Args:
        request: the client's request id, as JSON text, so that 7 and "7" differ.
        fingerprint: digest of what was asked; the same request id with another fingerprint is another request.
        spec: everything that was chosen.
        slot: latest wins among queued jobs of one slot.
        priority: lower goes first.
        ready_by: when the client needs it, seconds since the epoch.
        notes: what acceptance has to say, told with the result.
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
    told: float = field(default=0.0, repr=False)

    @property
    def command(self) -> str:
        """The command that asked for it."""
        return self.spec.command

    def row(self) -> dict[str, Any]:
        """The job as a row of the journal."""
        own = {name: getattr(self, name) for name in COLUMNS if name != "fields"}
        return own | {"fields": self.spec.model_dump(exclude={"command"})}

    @classmethod
    def restored(cls, row: Mapping[str, Any]) -> "Job":
        """The job in a row of the journal.

        Raises:
            ValueError: its fields are not those of its command.
        """
        kept = {name: value for name, value in row.items() if name not in ("command", "fields")}
        return cls(spec=job_spec.parse(row["command"], row["fields"]), **kept)
