"""Single flight: concurrent requests for the same work share one execution of it."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """The work that is running in threads, by key. OSC clients repeat a request that is not answered within a second; slower
    work must not be started again for each repetition."""

    def __init__(self):
        self._running: dict[Hashable, asyncio.Task[Result]] = {}

    async def join(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """Return the result of ``work``, or of the work already running under the same key; exceptions are shared too. Work continues when a caller stops waiting."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(asyncio.to_thread(work))
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)

    def _finish(self, key: Hashable, task: "asyncio.Task[Result]") -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # marks it as retrieved, in case no caller waits any more
