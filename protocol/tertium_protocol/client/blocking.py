"""The blocking client: an :class:`AsyncClient` on its own thread and event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import queue
import threading
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from tertium_protocol.client.aio import AsyncClient
from tertium_protocol.client.discovery import Daemon, NoDaemon
from tertium_protocol.client.job import AsyncJob, TakeWatcher, Watcher
from tertium_protocol.codecs.audio_buffer import AudioBuffer
from tertium_protocol.messages.events import Accepted, Answer, Done, Progress, Take
from tertium_protocol.messages.replies import SoundInfo

if TYPE_CHECKING:
    import numpy

T = TypeVar("T")


class Client:
    """A blocking connection to one daemon, which several threads may share. Use it in ``with``, or call connect() and close().

    Args:
        home: the daemon's folder or its ``daemon.json``; None means TERTIUM_HOME, else the platform's data folder.
        timeout: seconds to wait for the answer to a request, unless the call gives its own.
        name: the client's name in the daemon's log.
    """

    def __init__(self, home: str | os.PathLike[str] | None = None, *, timeout: float = 10.0, name: str = "python"):
        self._client = AsyncClient(home, timeout=timeout, name=name)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Client:
        return self.connect()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def daemon(self) -> Daemon | None:
        """The daemon that the client is connected to."""
        return self._client.daemon

    def connect(self) -> Client:
        """Find the daemon and greet it. Raises the same errors as :meth:`AsyncClient.connect`."""
        if self._loop is None:
            # On Windows the platform's default event loop cannot wait for ZeroMQ sockets.
            self._loop = asyncio.SelectorEventLoop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="tertium-client", daemon=True)
            self._thread.start()
        try:
            self._run(self._client.connect())
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Close the connection. Jobs continue."""
        if self._loop is None or self._thread is None:
            return
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def ask(self, command: str, *, timeout: float | None = None, **fields: Any) -> Any:
        """Send an immediate command and return its reply; see :meth:`AsyncClient.ask`."""
        return self._run(self._client.ask(command, timeout=timeout, **fields))

    def submit(
        self,
        command: str,
        *,
        on_progress: Watcher | None = None,
        on_take: TakeWatcher | None = None,
        timeout: float | None = None,
        **fields: Any,
    ) -> Job:
        """Put a job into the queue; see :meth:`AsyncClient.submit`.

        ``on_progress`` and ``on_take`` are called on the thread that waits, and may use the client.
        """
        news: queue.Queue[Progress | Take | concurrent.futures.Future[Done]] = queue.Queue()
        job = self._run(self._client.submit(command, on_progress=news.put, on_take=news.put, timeout=timeout, **fields))
        return Job(self, job, news, on_progress, on_take)

    def upload(
        self, samples: numpy.ndarray, sample_rate: int, *, name: str | None = None, timeout: float = 60.0
    ) -> SoundInfo:
        """Add a sound from memory; see :meth:`AsyncClient.upload`."""
        return self._run(self._client.upload(samples, sample_rate, name=name, timeout=timeout))

    def download(self, sound: str, *, timeout: float = 60.0) -> AudioBuffer:
        """Return a sound's samples; see :meth:`AsyncClient.download`."""
        return self._run(self._client.download(sound, timeout=timeout))

    def events(self, *, timeout: float | None = None) -> Iterator[tuple[Answer, int]]:
        """Yield all jobs' events with their sequence numbers; end after ``timeout`` seconds without an event."""
        incoming: queue.Queue[tuple[Answer, int] | BaseException] = queue.Queue()

        async def forward() -> None:
            try:
                async for event in self._client.events():
                    incoming.put(event)
            except Exception as problem:
                incoming.put(problem)

        task = asyncio.run_coroutine_threadsafe(forward(), self._running())
        try:
            while True:
                try:
                    event = incoming.get(timeout=timeout)
                except queue.Empty:
                    return
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            task.cancel()

    async def _end(self) -> None:
        """Cancel all other tasks of the loop, then close the client."""
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise NoDaemon("The client is not connected. Use it in a with statement, or call connect().")
        return self._loop

    def _start(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._running())
        except NoDaemon:
            work.close()
            raise

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = self._start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


class Job:
    """An accepted job; the blocking counterpart of :class:`AsyncJob`."""

    def __init__(
        self,
        client: Client,
        job: AsyncJob,
        news: queue.Queue[Progress | Take | concurrent.futures.Future[Done]],
        on_progress: Watcher | None,
        on_take: TakeWatcher | None = None,
    ):
        self._client = client
        self._job = job
        self._news = news
        self._on_progress, self._on_take = on_progress, on_take

    @property
    def id(self) -> str:
        """The job's id."""
        return self._job.id

    @property
    def request_id(self) -> str:
        """The id of the request that created the job."""
        return self._job.request_id

    @property
    def accepted(self) -> Accepted:
        """The fields of the ``accepted`` event: job, position, seed, steps."""
        return self._job.accepted

    @property
    def progress(self) -> Progress | None:
        """The last progress event that wait() received."""
        return self._job.progress

    def wait(self, timeout: float | None = None) -> Done:
        """Wait for the result; see :meth:`AsyncJob.wait`. Interrupting the wait does not stop the job; cancel() does."""
        future = self._client._start(self._job.wait(timeout))
        future.add_done_callback(self._news.put)
        try:
            while (news := self._news.get()) is not future:
                if isinstance(news, Progress) and self._on_progress is not None:
                    self._on_progress(news)
                if isinstance(news, Take) and self._on_take is not None:
                    self._on_take(news)
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def cancel(self) -> str:
        """Cancel the job; see :meth:`AsyncJob.cancel`."""
        return self._client._run(self._job.cancel())
