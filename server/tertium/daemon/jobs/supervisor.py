"""The supervisor of the worker, the only process that uses the compute device. The worker may die; the daemon continues.

The worker (:mod:`tertium.worker.main`) reads JSON lines from its standard input and writes JSON lines to its standard output. When
the daemon dies, that input ends, and the worker exits.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from tertium import cost_model
from tertium import worker_messages as wm
from tertium.cost_model import CostModel
from tertium.daemon import log
from tertium.daemon.jobs import scheduling
from tertium.daemon.jobs.job import TERMINAL, Job
from tertium.daemon.jobs.queue import JobQueue
from tertium.daemon.jobs.scheduling import PAUSABLE
from tertium.daemon.jobs.watchdog import Watchdog
from tertium.daemon.jobs.worker_process import WorkerProcess
from tertium.errors import TertiumError

DEATHS_WHILE_LOADING = 3
LONGEST_RETRY = 60.0
"""Seconds between two attempts to load a model that is unavailable, at most."""
LONGEST_RESTART_DELAY = 5.0  # seconds between two attempts to start a worker


class Supervisor:
    """The supervisor of a worker: restarts it, gives it one job at a time, and reports the outcome to the job queue.

    Args:
        load: the first command to each worker; its training jobs are filled in.
        jobs: the queue that provides the jobs.
        grace: seconds that a cancelled job may take to stop before its worker is killed.
        retry_after: least number of seconds between two attempts to load an unavailable model.
    """

    def __init__(self, load: wm.Load, jobs: JobQueue, *, grace: float = 30.0, retry_after: float = 5.0):
        self._load = load
        self._jobs = jobs
        self._grace, self._retry_after = grace, retry_after
        self._retry_requested = asyncio.Event()
        self._process: WorkerProcess | None = None
        self._sends: set[asyncio.Task] = set()
        self.state = "loading"
        self.model: dict[str, Any] = {}
        self.models: list[dict[str, Any]] = []
        self.problem: wm.Problem | None = None
        self.costs: CostModel | None = None
        self._waits_for: str | None = None
        self._device_lost: wm.DeviceLost | None = None
        self._watchdog: Watchdog | None = None
        self._failures = 0  # to load the model, one after the other
        jobs.on_cancel(self._interrupt)
        jobs.on_event(self._handle_event)

    async def run(self) -> None:
        """Supervise, until cancelled."""
        deaths = 0
        while True:
            self.state = "loading"
            try:
                self._process = process = await WorkerProcess.start()
            except OSError as error:  # out of memory or processes
                log.event("worker not started", level=logging.ERROR, reason=str(error))
                await asyncio.sleep(LONGEST_RESTART_DELAY)
                continue
            self._watchdog = watchdog = Watchdog(
                process, self._jobs, is_loaded=lambda: self.state != "loading", estimate=self._estimate
            )
            watching = asyncio.ensure_future(watchdog.watch())
            try:
                await process.send(self._load.model_copy(update={"training_jobs": self._training_jobs()}))
                if await self._wait_until_loaded(process):
                    deaths = 0
                    await self._serve(process)
            finally:
                watching.cancel()
                await process.end()
            if self.problem is None and self.state == "loading":
                deaths += 1
                self._check_deaths(deaths, process)
            if self.problem is not None:
                await self._wait_to_retry(self.problem)
                deaths, self.problem = 0, None
            await asyncio.sleep(min(0.1 * 2**deaths, LONGEST_RESTART_DELAY))

    async def close(self) -> None:
        """Queue the running job again, for the next start of the daemon. To be called after ``run`` was cancelled."""
        self.state = "stopping"
        job = self._jobs.running
        if job is not None and job.cancelling:
            await self._jobs.cancelled(job, job.cancelling)
        elif job is not None:
            await self._jobs.give_back(job)

    @property
    def message(self) -> str | None:
        """A message about the model: why it is unavailable and what to do, what loading waits for, or a note on how it was loaded."""
        if self.problem is not None:
            return " ".join(filter(None, (self.problem.message, self.problem.remedy)))
        if self.state == "loading":
            return self._waits_for
        return (self._watchdog and self._watchdog.message) or self.model.get("note")

    def _estimate(self, job: Job) -> float | None:
        return None if self.costs is None else cost_model.estimate(self.costs, job.spec, self.model)

    def _training_jobs(self) -> tuple[str, ...]:
        """Return the ids of the training jobs that have not ended, whose saved training states must be retained."""
        return tuple(job.id for job in self._jobs.all() if job.command in PAUSABLE and job.state not in TERMINAL)

    async def _wait_until_loaded(self, process: WorkerProcess) -> bool:
        """Handle reports until the model is loaded. Return False if it is unavailable or the worker died."""
        self._waits_for = None
        while (message := await process.receive()) is not None:
            match message:
                case wm.Waits():
                    self._waits_for = message.what
                    log.event("model loading", waits_for=message.what)
                case wm.Models():
                    self.models = list(message.models)
                case wm.Ready():
                    self._set_ready(message)
                    return True
                case wm.Unavailable():
                    self.problem = message.error
                    return False
        return False

    def _set_ready(self, message: wm.Ready) -> None:
        self.model, self.state = message.model, "ready"
        self.costs = message.costs or self.costs
        self._failures = 0
        log.event("model ready", **{key: self.model.get(key) for key in ("name", "device", "precision")})
        if note := self.model.get("note"):
            log.event("precision fallback", level=logging.WARNING, note=note)

    def retry_loading(self) -> None:
        """Request another attempt to load an unavailable model; ignored within ``retry_after`` of the last one."""
        self._retry_requested.set()

    def _check_deaths(self, deaths: int, process: WorkerProcess) -> None:
        """Log a death while loading; after :data:`DEATHS_WHILE_LOADING` of them the model counts as unavailable."""
        reason = process.reason()
        log.event("worker died while loading", level=logging.ERROR, reason=reason, times=deaths)
        if deaths >= DEATHS_WHILE_LOADING:
            self.problem = wm.Problem(
                code="model_unavailable",
                message=f"The model could not be loaded: its process {reason}, {deaths} times.",
                remedy="See the daemon's log, and run tertium doctor; the next request retries loading.",
            )

    async def _wait_to_retry(self, problem: wm.Problem) -> None:
        """Wait while the model is unavailable, longer each time, or until a later request suggests that the user has followed the remedy.

        What was accepted stays queued; new requests are refused meanwhile.
        """
        self.state = "failed"
        log.event("model unavailable", level=logging.ERROR, message=problem.message, remedy=problem.remedy)
        self._retry_requested.clear()
        delay = max(self._retry_after, min(self._retry_after * 2**self._failures, LONGEST_RETRY))
        self._failures += 1
        await asyncio.sleep(self._retry_after)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._retry_requested.wait(), delay - self._retry_after + 0.001)
        log.event("loading the model again")

    async def _serve(self, process: WorkerProcess) -> None:
        """Run jobs until the process ends."""
        while await self._next_job(process):
            job = await self._jobs.start()
            self.state = "busy"
            if not await self._perform(process, job):
                await self._handle_death(process, job)
                return
            self.state = "ready"
        log.event("worker died", level=logging.ERROR, reason=process.reason())

    async def _next_job(self, process: WorkerProcess) -> bool:
        """Wait for a job (True) or for the end of the idle process (False). A job that arrived may have been cancelled before this task goes on."""
        while process.is_alive and not self._jobs.waiting:
            await _wait_for_first(self._jobs.arrival(), process.wait())
        return process.is_alive

    async def _perform(self, process: WorkerProcess, job: Job) -> bool:
        """Have the worker run one job. Return False if the process ended first."""
        if job.cancelling:
            await self._jobs.cancelled(job, job.cancelling)
            return True
        if (late := scheduling.missed(job)) is not None:
            await self._jobs.failed(job, _problem(late).fields())
            return True
        await process.send(wm.Run(job=job.id, spec=job.spec, notes=tuple(job.notes)))
        if job.cancelling:
            self._interrupt(job)
        while (message := await process.receive()) is not None:
            if getattr(message, "job", None) == job.id and await self._handle_report(job, message):
                return True
        return False

    async def _handle_report(self, job: Job, message: wm.Report) -> bool:
        """Act on a report about the running job. Return whether the worker has finished with the job."""
        match message:
            case wm.Progress():
                self._jobs.progress(job, message.stage, message.fraction, message.seconds_left, loss=message.loss)
                return False
            case wm.Take():
                self._jobs.take(job, message.take)
                return False
            case wm.DeviceLost():
                self._device_lost = message
                return False  # the worker exits by itself
            case wm.Paused():
                await self._jobs.pause(job)
            case wm.Done():
                self.costs = message.costs or self.costs
                notes = [*message.result["notes"], *scheduling.lateness(job)]
                await self._jobs.done(job, message.result | {"notes": notes})
            case wm.Cancelled():
                await self._jobs.cancelled(job, " ".join([job.cancelling or "Cancelled.", *message.notes]))
            case wm.Failed():
                await self._jobs.failed(job, message.error.fields())
            case _:
                raise TypeError(f"a report of a job that nobody handles: {message}")
        return True

    async def _handle_death(self, process: WorkerProcess, job: Job) -> None:
        """Queue the job of a dead worker again, or fail it after too many attempts."""
        lost, self._device_lost = self._device_lost, None
        reason = process.reason() if lost is None else f"lost its device ({lost.reason})"
        log.event("worker died during a job", level=logging.ERROR, job=job.id, reason=reason, attempt=job.attempts)
        if job.cancelling:
            await self._jobs.cancelled(job, job.cancelling)
        elif scheduling.may_try_again(job):
            job.lost_at = job.fraction
            await self._jobs.give_back(job)
        elif lost is not None and lost.error.code == "out_of_memory":
            await self._jobs.failed(job, lost.error.fields())
        else:
            await self._jobs.failed(job, _died(job, reason, device=lost is not None).fields())

    def _handle_event(self, job: Job, event: str) -> None:
        """Pause a running training job that a new job preempts; discard the training state of a job that ended outside the worker."""
        running = self._jobs.running
        if event == "accepted" and scheduling.is_preempted(running, job.priority):
            self._send(wm.Pause(job=running.id))
        elif event in ("cancelled", "failed") and job.command in PAUSABLE:
            self._send(wm.Forget(job=job.id))

    def _send(self, message: wm.Command) -> None:
        """Send a message to the worker without waiting."""
        if self._process is not None:
            send = asyncio.ensure_future(self._process.send(message))
            self._sends.add(send)
            send.add_done_callback(self._sends.discard)

    def _interrupt(self, job: Job) -> None:
        """Ask the worker to stop a job; kill it if the job has not stopped after the grace period."""
        process = self._process
        if process is None:
            return
        self._send(wm.Cancel(job=job.id))

        def kill_if_running() -> None:
            if job.state == "running" and self._jobs.running is job:
                process.kill()

        asyncio.get_running_loop().call_later(self._grace, kill_if_running)


async def _wait_for_first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until the first of several coroutines has finished, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _died(job: Job, reason: str, *, device: bool) -> wm.Problem:
    """Return the error of a job whose worker died too often."""
    remedy = "Try fewer steps or a shorter sound; the daemon's log may have details."
    if device:
        remedy = (
            "Close other programs that use the device, restart the computer, or start the daemon with --device cpu."
        )
    if job.command in PAUSABLE:
        remedy = "The saved training state becomes a checkpoint. Try a shorter sound or a smaller batch."
    message = f"The worker process {reason}, {job.attempts} times in this job."
    return wm.Problem(code="worker_died", message=message, remedy=remedy)


def _problem(error: TertiumError) -> wm.Problem:
    return wm.Problem(code=error.code, message=error.message, field=error.field, value=error.value, remedy=error.remedy)
