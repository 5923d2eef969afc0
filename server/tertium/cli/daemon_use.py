"""The use of a daemon by several calls of the command line: who started it ends it only when no other call uses it."""

import contextlib
import os
import time
from pathlib import Path

from tertium.storage import file_locks

ENDING_SECONDS = 20.0  # more than a daemon is given to end
POLL_SECONDS = 0.05


class DaemonUse:
    """A shared lock in the daemon's folder while a call uses the daemon: without it, a daemon that another call started
    could be ended between two of this call's requests. On a drive without locks there is no such protection.

    Args:
        folder: the daemon's home; created if missing.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock: int | None = None

    def __enter__(self) -> "DaemonUse":
        """Take part in the use of the daemon. Waits while the call that started the daemon ends it."""
        with contextlib.suppress(OSError):  # a folder that cannot be used is told by what starts the daemon
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self._folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
            end = time.monotonic() + ENDING_SECONDS
            while not file_locks.shared(self._lock) and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
        return self

    def give_up(self) -> None:
        """Give up this call's use."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                file_locks.release(self._lock)

    def alone(self) -> bool:
        """Return whether no other call uses the daemon, after ``give_up``; then none can until this context ends."""
        if self._lock is None:
            return True
        try:
            return file_locks.exclusive(self._lock)
        except OSError:
            return True

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
