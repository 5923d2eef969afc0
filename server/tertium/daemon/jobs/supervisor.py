"""The supervisor of the one process that touches the device. It may die; the front does not.

The child (:mod:`tertium.worker.main`) hears JSON lines on its standard input and says JSON lines on its standard output. When
the daemon dies, that input ends, and so does the child.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from tertium.cost_model import Pace
from tertium.daemon import log
from tertium.daemon.jobs.queue import PAUSABLE, TERMINAL, Job, Jobs
from tertium.daemon.jobs.worker_process import Process

ATTEMPTS = 2
LEAST_GAIN = 0.01
DEATHS_WHILE_LOADING = 3
RESPITE = 5.0  # seconds before another process is started where starting them goes wrong


class Worker:
    """Keeps a child alive, gives it one job at a time, and tells :class:`~tertium.daemon.jobs.queue.Jobs` how they go.

    Args:
        options: what the child is told at its start; see :func:`tertium.worker.main.main`.
        jobs: where jobs come from.
        grace: seconds that a cancelled job may take to stop before its process is killed.
        retry_after: seconds after which a model that could not be had may be tried again.
    """

    def __init__(self, options: dict[str, Any], jobs: Jobs, *, grace: float = 30.0, retry_after: float = 5.0):
        self._options = options
        self._jobs = jobs
        self._grace, self._retry_after = grace, retry_after
        self._asked = asyncio.Event()
        self._process: Process | None = None
        self._sayings: set[asyncio.Task] = set()
        self.state = "loading"
        self.model: dict[str, Any] = {}
        self.models: list[dict[str, Any]] = []
        self.problem: dict[str, Any] | None = None
        self.pace: Pace | None = None
        self._waits_for: str | None = None
        self._loss: dict[str, Any] | None = None  # of the device, as the child told it
        jobs.on_cancel(self._interrupt)
        jobs.on_event(self._make_room)

    async def run(self) -> None:
        """Supervise, until cancelled."""
        deaths = 0
        while True:
            self.state = "loading"
            try:
                self._process = process = await Process.start()
            except OSError as error:  # no memory or no room for another process just now
                log.event("worker not started", level=logging.ERROR, reason=str(error))
                await asyncio.sleep(RESPITE)
                continue
            try:
                await process.say({"do": "load", **self._options, "learnings": self._learnings()})
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
            return " ".join(filter(None, (self.problem["message"], self.problem.get("remedy"))))
        return self._waits_for if self.state == "loading" else self.model.get("note")

    def _learnings(self) -> list[str]:
        """The learnings that have not ended: what is written down of them is to be gone on with."""
        return [job.id for job in self._jobs.all() if job.command in PAUSABLE and job.state not in TERMINAL]

    async def _loaded(self, process: Process) -> bool:
        self._waits_for = None
        while (message := await process.hear()) is not None:
            if message["say"] == "waits":
                self._waits_for = message["for"]
                log.event("model loading", waits_for=message["for"])
            if message["say"] == "models":
                self.models = message["models"]
            if message["say"] == "ready":
                self.model, self.state = message["model"], "ready"
                self.pace = Pace(**message["pace"]) if message["pace"] else self.pace
                log.event("model ready", **{key: self.model.get(key) for key in ("name", "device", "precision")})
                if note := self.model.get("note"):
                    log.event("model in another precision", level=logging.WARNING, note=note)
                return True
            if message["say"] == "unavailable":
                self.problem = message["error"]
                return False
        return False

    def ask_again(self) -> None:
        """Somebody wanted the model that could not be had: try to load it again, unless that was tried a moment ago."""
        self._asked.set()

    def _judge_deaths(self, deaths: int, process: Process) -> None:
        reason = process.reason()
        log.event("worker died while loading", level=logging.ERROR, reason=reason, times=deaths)
        if deaths >= DEATHS_WHILE_LOADING:
            self.problem = {
                "code": "model_unavailable",
                "message": f"The model could not be loaded: its process {reason}, {deaths} times.",
                "remedy": "See the daemon's log, and tertium doctor; it is tried again when the next request comes.",
            }

    async def _refuse_all(self, problem: dict[str, Any]) -> None:
        """Fail what waits for a model that cannot be had, until somebody asks again, who may have followed the remedy."""
        self.state = "failed"
        log.event("model unavailable", level=logging.ERROR, message=problem["message"], remedy=problem.get("remedy"))
        rested = time.monotonic() + self._retry_after
        while not self._asked.is_set() or time.monotonic() < rested:
            self._asked.clear()
            await _first(self._jobs.arrival(), self._asked.wait())
            while self._jobs.waiting:
                await self._jobs.failed(await self._jobs.start(), problem)
        self._asked.clear()
        log.event("model tried again")

    async def _serve(self, process: Process) -> None:
        """Do jobs until the process ends."""
        while await self._next_job(process):
            job = await self._jobs.start()
            self.state = "busy"
            if not await self._perform(process, job):
                await self._lost(process, job)
                return
            self.state = "ready"
        log.event("worker died", level=logging.ERROR, reason=process.reason())

    async def _next_job(self, process: Process) -> bool:
        """Wait for a job (True) or for the end of the idle process (False)."""
        await _first(self._jobs.arrival(), process.ended())
        return process.lives

    async def _perform(self, process: Process, job: Job) -> bool:
        """Have one job done. False when the process ended under it."""
        if job.cancelling:
            await self._jobs.cancelled(job, job.cancelling)
            return True
        if job.ready_by is not None and time.time() > job.ready_by:
            await self._jobs.failed(job, _too_late(job))
            return True
        await process.say(
            {"do": "run", "job": job.id, "command": job.command, "fields": job.fields, "notes": job.notes}
        )
        if job.cancelling:
            self._interrupt(job)
        while (message := await process.hear()) is not None:
            if message.get("job") != job.id:
                continue
            if message["say"] == "progress":
                self._jobs.progress(
                    job, message["stage"], message["fraction"], message["seconds_left"], loss=message.get("loss")
                )
                continue
            if message["say"] == "take":
                self._jobs.take(job, message["take"])
                continue
            if message["say"] == "paused":
                await self._jobs.pause(job)
                return True
            if message["say"] == "lost":
                self._loss = message
                continue  # the process ends itself
            self.pace = Pace(**message["pace"]) if message.get("pace") else self.pace
            await self._finish(job, message)
            return True
        return False

    async def _finish(self, job: Job, message: dict[str, Any]) -> None:
        if message["say"] == "done":
            await self._jobs.done(job, message["result"] | {"notes": [*message["result"]["notes"], *_lateness(job)]})
        elif message["say"] == "cancelled":
            await self._jobs.cancelled(job, " ".join([job.cancelling or "Cancelled.", *message.get("notes", ())]))
        else:
            await self._jobs.failed(job, message["error"])

    async def _lost(self, process: Process, job: Job) -> None:
        loss, self._loss = self._loss, None
        reason = process.reason() if loss is None else f"lost its device ({loss['reason']})"
        log.event("worker died under a job", level=logging.ERROR, job=job.id, reason=reason, attempt=job.attempts)
        if job.cancelling:
            await self._jobs.cancelled(job, job.cancelling)
        elif job.attempts < ATTEMPTS or _got_on(job):
            job.lost_at = job.fraction
            await self._jobs.give_back(job)
        else:
            remedy = "Try fewer steps or a shorter sound; the daemon's log may tell more."
            if loss is not None:
                remedy = "Close what else uses the device, restart the computer, or start the daemon with --device cpu."
            if job.command in PAUSABLE:
                remedy = "What was written down of it becomes a checkpoint. Try a shorter sound, or fewer rows a step."
            error = {
                "code": "worker_died",
                "message": f"The process that computes {reason}, {job.attempts} times in this job.",
                "remedy": remedy,
            }
            out_of_memory = loss is not None and loss["error"]["code"] == "out_of_memory"
            await self._jobs.failed(job, loss["error"] if out_of_memory else error)

    def _make_room(self, job: Job, event: str) -> None:
        """A new job that goes before the learning under way pauses it; a learning that ended elsewhere than in the child is let go there."""
        running = self._jobs.running
        pausing = running is not None and running.command in PAUSABLE and job.priority < running.priority
        if event == "accepted" and pausing:
            self._say({"do": "pause", "job": running.id})
        elif event in ("cancelled", "failed") and job.command in PAUSABLE:
            self._say({"do": "forget", "job": job.id})

    def _say(self, message: dict[str, Any]) -> None:
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
        self._say({"do": "cancel", "job": job.id})

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


def _got_on(job: Job) -> bool:
    """Whether a learning came further since its process died the last time: it goes on where it was, and so ends some day."""
    return job.command in PAUSABLE and job.fraction >= job.lost_at + LEAST_GAIN


def _too_late(job: Job) -> dict[str, Any]:
    return {
        "code": "deadline",
        "message": "The job's deadline had passed before it could begin.",
        "field": "deadline",
        "remedy": "Send it again, with more time or without a deadline.",
    }


def _lateness(job: Job) -> list[str]:
    late = 0.0 if job.ready_by is None else time.time() - job.ready_by
    return [f"done {late:.1f} s after its deadline"] if late >= 0.05 else []
