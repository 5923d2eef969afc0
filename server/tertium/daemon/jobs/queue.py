"""The job queue: the states of jobs and their order. A job is accepted once and ends exactly once.

queued → running → done, failed or cancelled. A queued job may be cancelled too, and a running job is queued again if the worker or the
daemon ends before the job does.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from tertium.daemon import log
from tertium.daemon.jobs import scheduling
from tertium.daemon.jobs.job import TERMINAL, Job
from tertium.daemon.jobs.journal import MOST_FINISHED, Journal
from tertium.errors import TertiumError

PROGRESS_INTERVAL = 0.05
"""Least number of seconds between two progress events of a job: at most twenty per second."""

Listener = Callable[[Job, str], None]


class JobQueue:
    """All known jobs, and the queue of those that wait.

    Args:
        journal: stores the jobs; already open.
        limit: how many may wait.
    """

    def __init__(self, journal: Journal, *, limit: int):
        self._journal = journal
        self._limit = limit
        self._jobs: dict[str, Job] = {}
        self._by_request: dict[str, Job] = {}
        self._queue: list[Job] = []
        self._arrived = asyncio.Event()
        self._claims: dict[str, tuple[asyncio.Lock, int]] = {}
        self._listeners: list[Listener] = []
        self._stop_running: Callable[[Job], None] = lambda job: None
        self._unwritten: dict[str, dict[str, Any]] = {}
        self._failing = False
        self._release_room: Callable[[], bool] = lambda: False
        self.running: Job | None = None
        self.counts = {"done": 0, "failed": 0, "cancelled": 0}

    def on_event(self, listener: Listener) -> None:
        """Call ``listener(job, event)`` on accepted, progress, take, done, failed and cancelled."""
        self._listeners.append(listener)

    def on_cancel(self, stop: Callable[[Job], None]) -> None:
        """Call ``stop(job)`` when a running job is to stop."""
        self._stop_running = stop

    def on_full_disk(self, release: Callable[[], bool]) -> None:
        """Call ``release()`` when the end of a job finds no room on the disk; it returns whether it made some."""
        self._release_room = release

    def restore(self, rows: list[dict[str, Any]]) -> int:
        """Restore the jobs in the journal. Those that were queued or running are queued again; return how many."""
        for row in rows:
            job = Job.restored(row)
            if job.state not in TERMINAL:
                job.state, job.stage, job.started = "queued", "queued", None
                self._enqueue(job)
            elif job.state == "done":
                job.fraction = 1.0
            self._remember(job)
        return len(self._queue)

    @contextlib.asynccontextmanager
    async def claim(self, request: str) -> AsyncIterator[None]:
        """Claim a request id, so that a repeated request waits until the first is accepted or refused."""
        lock, users = self._claims.get(request, (asyncio.Lock(), 0))
        self._claims[request] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._claims.pop(request)
            if users > 1:
                self._claims[request] = (lock, users - 1)

    def known(self, request: str, fingerprint: str) -> Job | None:
        """Return the job of a request id, if there is one.

        The id of a job that has ended may be used for another request: only an identical request counts as a repetition.

        Raises:
            TertiumError: conflict if the id belongs to another request whose job has not ended.
        """
        job = self._by_request.get(request)
        if job is None or job.fingerprint == fingerprint:
            return job
        if job.state in TERMINAL:
            return None
        raise TertiumError(
            "conflict", "This request id belongs to another request, which has not ended.", field="id", value=request,
            remedy="Give each new request an id of its own.",
        )  # fmt: skip

    async def accept(self, job: Job) -> None:
        """Journal a new job, then queue it. Queued jobs of its slot are cancelled.

        Raises:
            TertiumError: the job was not accepted: busy if the queue is full, disk_full or internal if the job cannot be journalled.
        """
        if len(self._queue) >= self._limit and not self._in_slot(job.slot):
            raise TertiumError(
                "busy", f"{len(self._queue)} jobs are waiting already.", remedy="Wait for some to finish, or cancel them.",
            )  # fmt: skip
        await self._journal.insert(job.row())
        self._remember(job)
        older = self._in_slot(job.slot)
        self._queue = [one for one in self._queue if one not in older]
        self._enqueue(job)
        log.event("job accepted", job=job.id, command=job.command, request=job.request, slot=job.slot)
        self._emit(job, "accepted")
        for one in older:
            await self._end(one, "cancelled", reason=f"Superseded by job {job.id} in slot {job.slot}.")

    async def arrival(self) -> None:
        """Wait until a job is queued."""
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()

    async def start(self) -> Job:
        """Mark the next job as running and return it. There must be one: see :meth:`arrival`."""
        job = self._queue.pop(0)
        job.state, job.stage, job.started = "running", "starting", time.time()
        job.attempts += 1
        self.running = job
        await self._write(job, state="running", started=job.started)
        return job

    async def give_back(self, job: Job) -> None:
        """Put a running job back at the head of the queue, because the daemon stops or the worker died."""
        if job.state != "running":
            return
        job.state, job.stage, job.seconds_left = "queued", "queued", None
        self.running = None
        self._queue.insert(0, job)
        self._arrived.set()
        await self._write(job, state="queued")

    async def pause(self, job: Job) -> None:
        """Put a preempted job back into the queue, ahead of jobs of its own priority, and send its progress (stage ``paused``)."""
        if job.cancelling:
            await self._end(job, "cancelled", reason=job.cancelling)
            return
        job.stage, job.seconds_left = "paused", None
        self._emit(job, "progress")
        job.state, job.attempts = "queued", job.attempts - 1
        self.running = None
        self._queue.insert(scheduling.place(self._queue, job, before_equals=True), job)
        self._arrived.set()
        await self._write(job, state="queued")

    def progress(
        self, job: Job, stage: str, fraction: float, seconds_left: float | None, *, loss: float | None = None
    ) -> None:
        """Record the progress of a running job. The fraction never decreases; clients are sent at most twenty events per second."""
        if job.state != "running":
            return
        job.stage, job.seconds_left, job.loss = stage, seconds_left, loss
        job.fraction = max(job.fraction, min(fraction, 1.0))
        now = time.monotonic()
        if now - job.progress_sent >= PROGRESS_INTERVAL:
            job.progress_sent = now
            self._emit(job, "progress")

    def take(self, job: Job, take: dict[str, Any]) -> None:
        """Record a take of a running morph and send it to clients. A take that a restarted worker repeats is sent again."""
        if job.state != "running":
            return
        job.takes = [*(one for one in job.takes if one["index"] != take["index"]), take]
        self._emit(job, "take")

    async def done(self, job: Job, result: dict[str, Any]) -> None:
        """End a job with its result."""
        await self._end(job, "done", result=result)

    async def failed(self, job: Job, error: dict[str, Any]) -> None:
        """End a job with its error: code, message, and field, value, remedy."""
        await self._end(job, "failed", error=error)

    async def cancelled(self, job: Job, reason: str) -> None:
        """End a job as cancelled."""
        await self._end(job, "cancelled", reason=reason)

    async def cancel(self, job: Job, reason: str) -> None:
        """Cancel a job: at once if queued, within one step if running. A job that has ended is left unchanged."""
        if job.state == "queued":
            await self._end(job, "cancelled", reason=reason)
        elif job.state == "running" and job.cancelling is None:
            job.cancelling = reason
            self._stop_running(job)

    def get(self, job: str) -> Job:
        """Return a job by its id.

        Raises:
            TertiumError: unknown_job.
        """
        found = self._jobs.get(job)
        if found is None:
            raise TertiumError(
                "unknown_job", f"There is no job '{job}'.", field="job", value=job,
                remedy="Give the id from the accepted event; jobs lists all known jobs.",
            )  # fmt: skip
        return found

    def all(self, state: str | None = None) -> list[Job]:
        """Return the jobs in a state, or all jobs, newest first."""
        return [job for job in reversed(self._jobs.values()) if state in (None, job.state)]

    @property
    def waiting(self) -> tuple[Job, ...]:
        """The queued jobs, the next one first."""
        return tuple(self._queue)

    def _in_slot(self, slot: str | None) -> list[Job]:
        return [job for job in self._queue if slot is not None and job.slot == slot]

    def _enqueue(self, job: Job) -> None:
        self._queue.insert(scheduling.place(self._queue, job), job)
        self._arrived.set()

    def _remember(self, job: Job) -> None:
        self._jobs[job.id] = self._by_request[job.request] = job
        while len(self._jobs) > 2 * MOST_FINISHED:
            oldest = next((one for one in self._jobs.values() if one.state in TERMINAL), None)
            if oldest is None:
                return
            del self._jobs[oldest.id]
            if self._by_request[oldest.request] is oldest:
                del self._by_request[oldest.request]

    async def _end(self, job: Job, state: str, **outcome: Any) -> None:
        if job.state in TERMINAL:
            return
        if job.state == "queued" and job in self._queue:
            self._queue.remove(job)
        if self.running is job:
            self.running = None
        job.state, job.finished, job.seconds_left = state, time.time(), None
        job.stage = state
        job.fraction = 1.0 if state == "done" else job.fraction
        for name, value in outcome.items():
            setattr(job, name, value)
        self.counts[state] += 1
        await self._write(job, state=state, stage=state, finished=job.finished, **outcome)
        self._log_end(job)
        self._emit(job, state)

    async def _write(self, job: Job, **columns: Any) -> None:
        """Write columns of a job to the journal; those that cannot be written are kept until they can."""
        self._unwritten.setdefault(job.id, {}).update(columns)
        await self.flush()

    async def flush(self) -> bool:
        """Write what could not be written so far. Return whether all of it is on the disk."""
        for job in list(self._unwritten):
            # Looked up anew: while this waited for the job before, another call may have written this one, and its state may have changed since.
            columns = dict(self._unwritten.get(job, {}))
            if not columns:
                continue
            try:
                await self._journal.update(job, **columns)
            except TertiumError as error:
                if error.code == "disk_full" and self._release_room():
                    log.event("reserved room given up", level=logging.WARNING, reason=error.message)
                    return await self.flush()
                # The job goes on; what is not written by the next start is done again.
                if not self._failing:
                    log.event("journal not written", level=logging.ERROR, job=job, reason=error.message)
                self._failing = True
                return False
            if self._unwritten.get(job) == columns:
                del self._unwritten[job]
        if self._failing:
            log.event("journal written again")
        self._failing = False
        return True

    def _log_end(self, job: Job) -> None:
        seconds = None if job.started is None else job.finished - job.started
        why = job.reason or (job.error or {}).get("message")
        level = logging.WARNING if job.state == "failed" else logging.INFO
        path = (job.result or {}).get("path")
        log.event(f"job {job.state}", level=level, job=job.id, seconds=seconds, path=path, reason=why)

    def _emit(self, job: Job, event: str) -> None:
        for listener in self._listeners:
            listener(job, event)
