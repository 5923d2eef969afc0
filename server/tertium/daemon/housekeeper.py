"""The housekeeper: keeps the library within its budget."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tertium.daemon import log
from tertium.daemon.jobs.job import TERMINAL, Job
from tertium.daemon.jobs.journal import Journal
from tertium.daemon.jobs.queue import JobQueue
from tertium.errors import TertiumError
from tertium.storage import retention
from tertium.storage.home import Home
from tertium.storage.library import Library
from tertium.storage.retention import GIGABYTE, Needed
from tertium_protocol.messages.replies import CleanReply

LOOK_SECONDS = 10.0
PASS_SECONDS = 60.0
"""Least number of seconds between two removals."""


@dataclass(frozen=True)
class Cleaned:
    """What a removal did, or would do: the number of files of sound and of bytes removed, the bytes held then, and the budget (0: none)."""

    sounds: int
    bytes: int
    held: int
    budget: int

    @property
    def reply(self) -> CleanReply:
        """The protocol's reply to ``clean``."""
        sizes = {"freed": self.bytes, "held": self.held, "budget": self.budget}
        in_gigabytes = {name: size / GIGABYTE for name, size in sizes.items()}
        return CleanReply(sounds=self.sounds, message=exceeded(self), **in_gigabytes)


class Housekeeper:
    """Removes what nobody keeps when the library grows beyond its budget; see :mod:`tertium.storage.retention`.

    Args:
        budget: GB; 0 to remove nothing, None for the default.

    Attributes:
        held: bytes of the library, as of a few seconds ago.
        budget: bytes; 0 for no limit.
        message: what the user should know, or None.
    """

    def __init__(self, library: Library, jobs: JobQueue, home: Path, budget: float | None):
        self._library, self._jobs = library, jobs
        self._lock = asyncio.Lock()
        self._removed_at = -PASS_SECONDS
        self._seen = 0  # bytes after the last removal
        self._problem: str | None = None
        self.held = library.catalogue.bytes()
        self.budget = budget_bytes(home, self.held, budget)
        self.message: str | None = None

    async def run(self) -> None:
        """Look after the library until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def clean(self) -> Cleaned:
        """Remove what exceeds the budget, now."""
        async with self._lock:
            needed = needs(self._present_jobs())
            cleaned = await asyncio.to_thread(remove, self._library, self.budget, needed)
            self.held = self._seen = cleaned.held
            self._removed_at = time.monotonic()
        self._tell(cleaned)
        return cleaned

    async def preview(self) -> Cleaned:
        """Return what :meth:`clean` would do."""
        return await asyncio.to_thread(preview, self._library, self.budget, needs(self._present_jobs()))

    def job_that_needs(self, sound: str) -> Job | None:
        """Return the waiting or running job that needs a sound."""
        return next((job for job in self._present_jobs() if sound in job.spec.sounds), None)

    def _present_jobs(self) -> list[Job]:
        running = self._jobs.running
        return [*([running] if running else []), *self._jobs.waiting]

    async def _look(self) -> None:
        self.held = await asyncio.to_thread(self._library.catalogue.bytes)
        self._tell_problem()
        exceeded = self.budget and self.held > self.budget
        if not exceeded:
            self.message = None
        elif time.monotonic() - self._removed_at >= PASS_SECONDS and (self.held > self._seen or self.message):
            await self.clean()

    def _tell(self, cleaned: Cleaned) -> None:
        """Log a removal, and once that the budget is exceeded though nothing more may be removed."""
        facts = {"held": cleaned.held, "budget": cleaned.budget}
        if cleaned.sounds:
            log.event("sounds removed", sounds=cleaned.sounds, bytes=cleaned.bytes, **facts)
        before, self.message = self.message, exceeded(cleaned)
        if self.message and not before:
            log.event("library above its budget", level=logging.WARNING, reason=self.message, **facts)

    def _tell_problem(self) -> None:
        """Log that the index cannot be used, or can be used again."""
        before, self._problem = self._problem, self._library.catalogue.problem
        if self._problem and not before:
            log.event("library index not used", level=logging.WARNING, reason=self._problem)
        elif before and not self._problem:
            log.event("library index used again")


def exceeded(cleaned: Cleaned) -> str | None:
    """Return the sentence that the library exceeds its budget; None if it does not."""
    if not cleaned.budget or cleaned.held <= cleaned.budget:
        return None
    held, budget = (f"{size / GIGABYTE:.3g} GB" for size in (cleaned.held, cleaned.budget))
    return f"The library holds {held}, more than its budget of {budget}, and the rest is kept, needed or was used within a day."


def budget_bytes(home: Path, held: int, budget: float | None) -> int:
    """Return the budget in bytes.

    Args:
        held: bytes that the library holds.
        budget: GB, or None for the default.
    """
    return retention.default_budget(home, held) if budget is None else int(budget * GIGABYTE)


def needs(jobs: Iterable[Job]) -> Needed:
    """Return what jobs need of the library."""
    listed = list(jobs)
    return Needed(frozenset().union(*(job.spec.sounds for job in listed)), frozenset(job.id for job in listed))


def preview(library: Library, budget: int, needed: Needed) -> Cleaned:
    """Return what :func:`remove` would do."""
    entries = retention.plan(library.catalogue, budget=budget, needed=needed)
    size = sum(entry.bytes for entry in entries)
    return Cleaned(len(entries), size, library.catalogue.bytes() - size, budget)


def remove(library: Library, budget: int, needed: Needed) -> Cleaned:
    """Remove what exceeds the budget."""
    planned = retention.plan(library.catalogue, budget=budget, needed=needed)
    removed = retention.remove(library.catalogue, planned)
    return Cleaned(len(removed), sum(entry.bytes for entry in removed), library.catalogue.bytes(), budget)


@contextlib.contextmanager
def alone(folder: Path):
    """Yield the library and what waiting jobs need of it, in a home that no daemon serves; none can start meanwhile.

    Raises:
        TertiumError: path_refused if there is no home, busy if a daemon has started.
    """
    if not folder.is_dir():
        raise TertiumError(
            "path_refused", f"There is no daemon's folder at '{folder}'.", field="home", value=str(folder),
            remedy="Name it with --home.",
        )  # fmt: skip
    home = Home(folder)
    home.open()
    try:
        journal = Journal(home.journal)
        jobs = [Job.restored(row) for row in journal.open(check=Job.restored) if row["state"] not in TERMINAL]
        journal.close()
        library = Library(folder)
        library.reconcile()
        yield library, needs(jobs)
    finally:
        home.close()
