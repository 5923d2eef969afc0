"""Cancellation of requests that are being answered: what is asked for in the event loop ends the work in a thread or a helper process."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from tertium.errors import TertiumError


class Cancellation:
    """Whether one request has been cancelled. Safe to use from several threads.

    Attributes:
        effective: whether the request is refused for it; work that was done before is answered as usual.
    """

    def __init__(self) -> None:
        self.effective = False
        self._cancelled = False
        self._ends: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Cancel the request, and end its work if some is being done."""
        with self._lock:
            self._cancelled = True
            ends = list(self._ends)
        for end in ends:
            end()

    def check(self) -> None:
        """Raise TertiumError, ``cancelled``, if the request has been cancelled."""
        if self._cancelled:
            self.effective = True
            raise TertiumError("cancelled", "Cancelled by request.", remedy="Send it again if it is needed after all.")

    @contextlib.contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Within the block, :meth:`cancel` calls ``end``, which must not wait.

        Raises:
            TertiumError: cancelled, if it is cancelled already.
        """
        with self._lock:
            self.check()
            self._ends.append(end)
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


_CURRENT: ContextVar[Cancellation] = ContextVar("cancellation")
enter = _CURRENT.set
"""Make a cancellation the current one of this task and of the threads that it starts with ``asyncio.to_thread``."""


def current() -> Cancellation:
    """Return the cancellation of the request that this task or thread works for, or a new one outside any request."""
    return _CURRENT.get(None) or Cancellation()
