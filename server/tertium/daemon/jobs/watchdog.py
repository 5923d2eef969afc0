"""The watchdog of a worker process: notices that it hangs, which a process does not report itself.

It counts seconds of its own waiting, not time: while the whole machine is held up or asleep, nothing counts.
"""

import asyncio
import logging
from collections.abc import Callable

from tertium.daemon import log
from tertium.daemon.jobs.job import Job
from tertium.daemon.jobs.queue import JobQueue
from tertium.daemon.jobs.worker_process import WorkerProcess
from tertium.worker_messages import HEARTBEAT_SECONDS

MENTIONED = 6
"""Seconds without a sign of life after which ``status`` says so."""
SILENT = 12
"""Seconds without a sign of life after which a loaded worker is replaced."""
SILENT_LOADING = 180
"""The same while it loads: libraries and large files may hold its interpreter for long."""
LEAST_STALL, TRAINING_STALL, UNKNOWN_STALL = 15.0, 60.0, 120.0
"""Seconds without progress after which a job counts as hung, at least: in general, of a training job, and where no costs are known."""
STALL_FACTOR = 2.0
"""A job that reports no progress for so many times what the whole of it should take counts as hung."""


class Watchdog:
    """Kills a worker that shows no sign of life, or makes no progress.

    Args:
        process: the worker.
        jobs: whose running job the worker has.
        is_loaded: whether the worker has loaded its model.
        estimate: how long a job should take in seconds; None where that is not known.
    """

    def __init__(
        self,
        process: WorkerProcess,
        jobs: JobQueue,
        *,
        is_loaded: Callable[[], bool],
        estimate: Callable[[Job], float | None],
    ):
        self._process, self._jobs = process, jobs
        self._is_loaded, self._estimate = is_loaded, estimate
        self.silent = 0

    @property
    def message(self) -> str | None:
        """What there is to say of a worker that seems to hang; None for one that does not."""
        if self.silent < MENTIONED or not self._is_loaded():
            return None
        return f"The worker process has not responded for {self.silent} s; it is replaced after {SILENT} s."

    async def watch(self) -> None:
        """Watch until cancelled, or until the worker has been killed."""
        reports, stalled = self._process.reports_received, 0
        job, progress = None, None
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self.silent = 0 if self._process.reports_received != reports else self.silent + 1
            reports = self._process.reports_received
            if self.silent >= (SILENT if self._is_loaded() else SILENT_LOADING):
                self._kill(f"did not respond for {self.silent} s")
                return
            now = self._jobs.running
            advanced = now is not job or now is None or (now.stage, now.fraction, now.loss) != progress
            job, progress = now, now and (now.stage, now.fraction, now.loss)
            stalled = 0 if advanced else stalled + 1
            if job is not None and stalled >= self._stall_limit(job):
                self._kill(f"made no progress for {stalled} s")
                return

    def _stall_limit(self, job: Job) -> float:
        least = TRAINING_STALL if job.command == "learn" else LEAST_STALL
        expected = self._estimate(job)
        return max(least, UNKNOWN_STALL if expected is None else STALL_FACTOR * expected)

    def _kill(self, reason: str) -> None:
        log.event("worker hangs", level=logging.ERROR, pid=self._process.pid, reason=reason)
        self._process.kill(reason)
