"""The supervisor of the one process that touches the device. It may die; the front does not.

The child (:mod:`tertium.worker.main`) hears JSON lines on its standard input and says JSON lines on its standard output. When
the daemon dies, that input ends, and so does the child.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from tertium import worker_messages as m
from tertium.cost_model import CostModel
from tertium.daemon import log
from tertium.daemon.jobs import scheduling
from tertium.daemon.jobs.job import TERMINAL, Job
from tertium.daemon.jobs.queue import JobQueue
from tertium.daemon.jobs.scheduling import PAUSABLE
from tertium.daemon.jobs.worker_process import WorkerProcess
from tertium.errors import TertiumError

DEATHS_WHILE_LOADING = 3
RESPITE = 5.0  # seconds before another process is started where starting them goes wrong


class Supervisor:
    """Keeps a child alive, gives it one job at a time, and tells :class:`~tertium.daemon.jobs.queue.JobQueue` how they go.

    Args:
        load: the first command of each child; the training jobs are filled in.
        jobs: where jobs come from.
        grace: seconds that a cancelled job may take to stop before its process is killed.
        retry_after: seconds after which a model that could not be had may be tried again.
    """

    def __init__(self, load: m.Load, jobs: JobQueue, *, grace: float = 30.0, retry_after: float = 5.0):
        self._load = load
        self._jobs = jobs
        self._grace, self._retry_after = grace, retry_after
        self._asked = asyncio.Event()
        self._process: WorkerProcess | None = None
        self._sayings: set[asyncio.Task] = set()
        self.state = "loading"
        self.model: dict[str, Any] = {}
        self.models: list[dict[str, Any]] = []
        self.problem: m.Problem | None = None
        self.costs: CostModel | None = None
        self._waits_for: str | None = None
        self._device_lost: m.DeviceLost | None = None
        jobs.on_cancel(self._interrupt)
        jobs.on_event(self._make_room)

    async def run(self) -> None:
        """Supervise, until cancelled."""
        deaths = 0
        while True:
            self.state = "loading"
            try:
                self._process = process = await WorkerProcess.start()
            except OSError as error:  # no memory or no room for another process just now
                log.event("worker not started", level=logging.ERROR, reason=str(error))
                await asyncio.sleep(RESPITE)
                continue
            try:
                await process.say(self._load.model_copy(update={"training_jobs": self._training_jobs()}))
                if await self._loaded(process):
                    deaths = 0
                    await self._serve(process)
            finally:
                await process.end()
            if self.problem is None and self.state == "loading":
                deaths += 1
                self._judge_deaths(deaths, process)
            if self.problem is not None:
                await self._refuse_all(self.problem)
                deaths, self.problem = 0, None
            await asyncio.sleep(min(0.1 * 2**deaths, RESPITE))

    async def put_down(self) -> None:
        """After ``run`` was cancelled: what was running is queued again, for the next start of the daemon."""
        self.state = "stopping"
        job = self._jobs.running
        if job is not None and job.cancelling:
            await self._jobs.cancelled(job, job.cancelling)
        elif job is not None:
            await self._jobs.give_back(job)

    @property
    def message(self) -> str | None:
        """A word on the model: why it is not to be had and what to do, what loading waits for, or what was assumed in loading it."""
        if self.problem is not None:
            return " ".join(filter(None, (self.problem.message, self.problem.remedy)))
        return self._waits_for if self.state == "loading" else self.model.get("note")

    def _training_jobs(self) -> tuple[str, ...]:
        """The training jobs that have not ended: their saved states are to be resumed."""
        return tuple(job.id for job in self._jobs.all() if job.command in PAUSABLE and job.state not in TERMINAL)

    async def _loaded(self, process: WorkerProcess) -> bool:
        self._waits_for = None
        while (message := await process.hear()) is not None:
            match message:
                case m.Waits():
                    self._waits_for = message.what
                    log.event("model loading", waits_for=message.what)
                case m.Models():
                    self.models = list(message.models)
                case m.Ready():
                    self._ready(message)
                    return True
                case m.Unavailable():
                    self.problem = message.error
                    return False
        return False

    def _ready(self, message: m.Ready) -> None:
        self.model, self.state = message.model, "ready"
        self.costs = message.costs or self.costs
        log.event("model ready", **{key: self.model.get(key) for key in ("name", "device", "precision")})
        if note := self.model.get("note"):
            log.event("model in another precision", level=logging.WARNING, note=note)

    def ask_again(self) -> None:
        """Somebody wanted the model that could not be had: try to load it again, unless that was tried a moment ago."""
        self._asked.set()

    def _judge_deaths(self, deaths: int, process: WorkerProcess) -> None:
        reason = process.reason()
        log.event("worker died while loading", level=logging.ERROR, reason=reason, times=deaths)
        if deaths >= DEATHS_WHILE_LOADING:
            self.problem = m.Problem(
                code="model_unavailable",
                message=f"The model could not be loaded: its process {reason}, {deaths} times.",
                remedy="See the daemon's log, and tertium doctor; it is tried again when the next request comes.",
            )

    async def _refuse_all(self, problem: m.Problem) -> None:
        """Fail what waits for a model that cannot be had, until somebody asks again, who may have followed the remedy."""
        self.state = "failed"
        log.event("model unavailable", level=logging.ERROR, message=problem.message, remedy=problem.remedy)
        rested = time.monotonic() + self._retry_after
        while not self._asked.is_set() or time.monotonic() < rested:
            self._asked.clear()
            await _first(self._jobs.arrival(), self._asked.wait())
            while self._jobs.waiting:
                await self._jobs.failed(await self._jobs.start(), problem.fields())
        self._asked.clear()
        log.event("model tried again")

    async def _serve(self, process: WorkerProcess) -> None:
        """Do jobs until the process ends."""
        while await self._next_job(process):
            job = await self._jobs.start()
            self.state = "busy"
            if not await self._perform(process, job):
                await self._lost(process, job)
                return
            self.state = "ready"
        log.event("worker died", level=logging.ERROR, reason=process.reason())

    async def _next_job(self, process: WorkerProcess) -> bool:
        """Wait for a job (True) or for the end of the idle process (False)."""
        await _first(self._jobs.arrival(), process.ended())
        return process.lives

    async def _perform(self, process: WorkerProcess, job: Job) -> bool:
        """Have one job done. False when the process ended under it."""
        if job.cancelling:
            await self._jobs.cancelled(job, job.cancelling)
            return True
        if (late := scheduling.missed(job)) is not None:
            await self._jobs.failed(job, _problem(late).fields())
            return True
        await process.say(m.Run(job=job.id, spec=job.spec, notes=tuple(job.notes)))
        if job.cancelling:
            self._interrupt(job)
        while (message := await process.hear()) is not None:
            if getattr(message, "job", None) == job.id and await self._heard(job, message):
                return True
        return False

    async def _heard(self, job: Job, message: m.Report) -> bool:
        """Do what a report on the running job asks for; whether the worker is done with it."""
        match message:
            case m.Progress():
                self._jobs.progress(job, message.stage, message.fraction, message.seconds_left, loss=message.loss)
                return False
            case m.Take():
                self._jobs.take(job, message.take)
                return False
            case m.DeviceLost():
                self._device_lost = message
                return False  # the process ends itself
            case m.Paused():
                await self._jobs.pause(job)
            case m.Done():
                self.costs = message.costs or self.costs
                notes = [*message.result["notes"], *scheduling.lateness(job)]
                await self._jobs.done(job, message.result | {"notes": notes})
            case m.Cancelled():
                await self._jobs.cancelled(job, " ".join([job.cancelling or "Cancelled.", *message.notes]))
            case m.Failed():
                await self._jobs.failed(job, message.error.fields())
        return True

    async def _lost(self, process: WorkerProcess, job: Job) -> None:
        lost, self._device_lost = self._device_lost, None
        reason = process.reason() if lost is None else f"lost its device ({lost.reason})"
        log.event("worker died under a job", level=logging.ERROR, job=job.id, reason=reason, attempt=job.attempts)
        if job.cancelling:
            await self._jobs.cancelled(job, job.cancelling)
        elif scheduling.may_try_again(job):
            job.lost_at = job.fraction
            await self._jobs.give_back(job)
        elif lost is not None and lost.error.code == "out_of_memory":
            await self._jobs.failed(job, lost.error.fields())
        else:
            await self._jobs.failed(job, _died(job, reason, device=lost is not None).fields())

    def _make_room(self, job: Job, event: str) -> None:
        """Pause a running training job for a new job that goes first; discard the state of one that ended elsewhere than in the child."""
        running = self._jobs.running
        if event == "accepted" and scheduling.makes_room(running, job.priority):
            self._say(m.Pause(job=running.id))
        elif event in ("cancelled", "failed") and job.command in PAUSABLE:
            self._say(m.Forget(job=job.id))

    def _say(self, message: m.Command) -> None:
        """Tell the child something, soon."""
        if self._process is not None:
            saying = asyncio.ensure_future(self._process.say(message))
            self._sayings.add(saying)
            saying.add_done_callback(self._sayings.discard)

    def _interrupt(self, job: Job) -> None:
        """Tell the child to stop a job; kill it when it does not within the grace."""
        process = self._process
        if process is None:
            return
        self._say(m.Cancel(job=job.id))

        def insist() -> None:
            if job.state == "running" and self._jobs.running is job:
                process.kill()

        asyncio.get_running_loop().call_later(self._grace, insist)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Return when the first of several waits is over; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _died(job: Job, reason: str, *, device: bool) -> m.Problem:
    """The error of a job whose worker died under it too often."""
    remedy = "Try fewer steps or a shorter sound; the daemon's log may tell more."
    if device:
        remedy = "Close what else uses the device, restart the computer, or start the daemon with --device cpu."
    if job.command in PAUSABLE:
        remedy = "What was written down of it becomes a checkpoint. Try a shorter sound, or fewer rows a step."
    message = f"The process that computes {reason}, {job.attempts} times in this job."
    return m.Problem(code="worker_died", message=message, remedy=remedy)


def _problem(error: TertiumError) -> m.Problem:
    return m.Problem(code=error.code, message=error.message, field=error.field, value=error.value, remedy=error.remedy)
