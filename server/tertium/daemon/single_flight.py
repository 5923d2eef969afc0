"""Work that several clients want at the same time, done once."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """What runs in threads now, by key. OSC clients send a request again when no answer comes within a second, and what takes longer
    must not be begun once more for each of them."""

    def __init__(self):
        self._flying: dict[Hashable, asyncio.Task[Result]] = {}

    async def join(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """The result of ``work``, or of what runs under the same key already; so too what it raises. It runs to its end, whoever stops waiting."""
        task = self._flying.get(key)
        if task is None:
            task = self._flying[key] = asyncio.create_task(asyncio.to_thread(work))
            task.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(task)

    def _land(self, key: Hashable, task: "asyncio.Task[Result]") -> None:
        del self._flying[key]
        if not task.cancelled():
            task.exception()  # known to whoever still waits; nobody may wait any more
