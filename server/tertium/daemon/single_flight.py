"""Single flight: concurrent requests for the same work share one execution of it."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from tertium.daemon import cancellation
from tertium.daemon.cancellation import Cancellation

Result = TypeVar("Result")


class _Flight(Generic[Result]):
    """Work that runs in a thread, and for how many callers. It is cancelled when all of them have been."""

    def __init__(self, work: Callable[[], Result]):
        self.callers = 0
        self.cancellation = Cancellation()
        self.task: asyncio.Task[Result] = asyncio.create_task(self._run(work))

    async def _run(self, work: Callable[[], Result]) -> Result:
        cancellation.enter(self.cancellation)
        return await asyncio.to_thread(work)


class SingleFlight(Generic[Result]):
    """The work that is running in threads, by key. OSC clients repeat a request that is not answered within a second; slower
    work must not be started again for each repetition."""

    def __init__(self):
        self._running: dict[Hashable, _Flight[Result]] = {}

    async def join(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """Return the result of ``work``, or of the work already running under the same key; exceptions are shared too. Work continues when a caller stops waiting.

        Raises:
            TertiumError: cancelled, for a caller that is cancelled, while the work continues for the others.
        """
        flight = self._running.get(key)
        if flight is None:
            flight = self._running[key] = _Flight(work)
            flight.task.add_done_callback(lambda done: self._finish(key, flight))
        request, cancelled = cancellation.current(), asyncio.Event()
        waiting = asyncio.ensure_future(cancelled.wait())
        flight.callers += 1
        try:
            with request.ending(cancelled.set):
                await asyncio.wait((flight.task, waiting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            flight.callers -= 1
            waiting.cancel()
        if not flight.task.done():
            if not flight.callers:
                self._abandon(key, flight)
            request.check()
        return await asyncio.shield(flight.task)

    def _abandon(self, key: Hashable, flight: _Flight[Result]) -> None:
        """Cancel work for which nobody waits any more. A later request for the same starts anew."""
        del self._running[key]
        flight.cancellation.cancel()

    def _finish(self, key: Hashable, flight: _Flight[Result]) -> None:
        if self._running.get(key) is flight:
            del self._running[key]
        if not flight.task.cancelled():
            flight.task.exception()  # marks it as retrieved, in case no caller waits any more
