"""A job as the asyncio client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import zmq

from tertium_protocol.client.discovery import NoDaemon
from tertium_protocol.client.errors import JobCancelled, NoAnswer, RemoteError
from tertium_protocol.codecs.audio_buffer import AudioBuffer
from tertium_protocol.messages.events import (
    TERMINAL_EVENTS,
    Accepted,
    Answer,
    Cancelled,
    Done,
    ErrorInfo,
    Failed,
    Progress,
    Take,
)
from tertium_protocol.messages.replies import JobInfo

if TYPE_CHECKING:
    from tertium_protocol.client.aio import AsyncClient

ASK_AGAIN = 5.0
"""Seconds without an event of a job after which the client asks for the job's state."""
ANSWER_WITHIN = 1.0
"""Seconds to wait for the answer to that question."""
PATIENCE = 30.0
"""Seconds without any sign of the daemon after which :meth:`AsyncJob.wait` gives up."""

Watcher = Callable[[Progress], None]
TakeWatcher = Callable[[Take], None]


class AsyncJob:
    """An accepted job.

    An exception from ``on_progress`` or ``on_take`` ends the wait, not the job.

    Attributes:
        id: the job's id.
        request_id: the id of the request that created the job.
        accepted: the fields of the ``accepted`` event: job, position, seed, steps.
        progress: the last progress event, or None.
    """

    def __init__(
        self,
        client: AsyncClient,
        request_id: str,
        accepted: Answer,
        queue: asyncio.Queue[tuple[Answer, tuple[AudioBuffer, ...]]],
        on_progress: Watcher | None,
        on_take: TakeWatcher | None = None,
    ):
        self.accepted = Accepted.model_validate(accepted.fields)
        self.id = self.accepted.job
        self.request_id = request_id
        self.progress: Progress | None = None
        self._client = client
        self._queue = queue
        self._on_progress, self._on_take = on_progress, on_take
        self._takes: set[int] = set()
        self._end: Answer | None = None
        self._last_sign = asyncio.get_running_loop().time()

    async def wait(self, timeout: float | None = None) -> Done:
        """Wait for the result and return it. May be called again after NoAnswer, and after the job has ended.

        Args:
            timeout: in seconds; None waits as long as the daemon lives.

        Raises:
            RemoteError: the job failed.
            JobCancelled: it was cancelled, by a client or by a newer job of the same slot.
            NoAnswer: the job was not done within ``timeout`` seconds, or the daemon gave no sign of life for 30 s. The job still exists.
        """
        now = asyncio.get_running_loop().time
        end = None if timeout is None else now() + timeout
        while self._end is None:
            left = ASK_AGAIN if end is None else min(ASK_AGAIN, end - now())
            if left <= 0:
                raise NoAnswer(
                    f"Job {self.id} was not done within {timeout:g} s. It goes on; wait again, or cancel it."
                )
            try:
                answer, _ = await asyncio.wait_for(self._queue.get(), left)
            except asyncio.TimeoutError:
                if now() - self._last_sign >= ASK_AGAIN:
                    await self._ask()
                continue
            self._last_sign = now()
            self._receive(answer)
        return self._outcome(self._end)

    async def cancel(self) -> str:
        """Cancel the job and return its state. A running job stops within one step, and wait() then raises JobCancelled."""
        return (await self._client.ask("cancel", job=self.id)).state

    def _receive(self, answer: Answer) -> None:
        """Process an event of this job."""
        if answer.event == "progress":
            self.progress = Progress.model_validate(answer.fields)
            if self._on_progress is not None:
                self._on_progress(self.progress)
        elif answer.event == "take":
            take = Take.model_validate(answer.fields)
            if self._on_take is not None and take.index not in self._takes:
                self._takes.add(take.index)
                self._on_take(take)
        elif answer.event in TERMINAL_EVENTS:
            self._end = answer
            self._client.forget(self.request_id)

    async def _ask(self) -> None:
        """Ask the daemon for the job's state, and process the event that was missed, if any.

        Raises:
            NoAnswer: there has been no sign of the daemon for :data:`PATIENCE` seconds.
        """
        now = asyncio.get_running_loop().time
        try:
            self._client.look_again()
            info = await self._client.ask("job", timeout=ANSWER_WITHIN, job=self.id)
        except (NoAnswer, NoDaemon, zmq.ZMQError):
            if now() - self._last_sign <= PATIENCE:
                return
            remedy = f"The job is kept: start the daemon with tertium serve and ask for job {self.id}."
            raise NoAnswer(f"The daemon has given no sign of life for {PATIENCE:g} s. {remedy}") from None
        self._last_sign = now()
        if (missed := _event_of(info)) is not None and missed != self.progress:
            self._receive(Answer.of(missed, id=self.request_id, command=info.command))

    def _outcome(self, end: Answer) -> Done:
        if end.event == "failed":
            raise RemoteError(ErrorInfo.model_validate(end.fields))
        if end.event == "cancelled":
            raise JobCancelled(f"Job {self.id}: {Cancelled.model_validate(end.fields).reason}")
        return Done.model_validate(end.fields)


def _event_of(info: JobInfo) -> Progress | Done | Failed | Cancelled | None:
    """Return the event that corresponds to the state of a job, or None while the job waits in the queue."""
    if info.state == "running" and info.stage is not None:
        return Progress(job=info.job, stage=info.stage, fraction=info.fraction, seconds_left=info.seconds_left)
    if info.state == "done" and info.result is not None:
        return Done(job=info.job, **info.result.wire())
    if info.state == "failed" and info.error is not None:
        return Failed(job=info.job, **info.error.wire())
    if info.state == "cancelled":
        return Cancelled(job=info.job, reason=info.reason or "It was cancelled.")
    return None
