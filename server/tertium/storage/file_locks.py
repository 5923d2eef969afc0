"""Advisory locks on open files: one holder alone, or many together. The system frees them when their process ends."""

import contextlib
import os

from tertium.storage.network_drives import NO_LOCKS

TOGETHER = 64  # holders together on Windows, which locks bytes: one takes any of these, and one alone takes all

if os.name == "nt":
    import msvcrt

    def exclusive(descriptor: int) -> bool:
        """Try to take the lock alone. Returns False if anybody else has it.

        Raises:
            OSError: the file system has no locks.
        """
        return _lock_bytes(descriptor, 0, TOGETHER)

    def shared(descriptor: int) -> bool:
        """Try to take the lock together with others. Returns False if somebody has it alone.

        Raises:
            OSError: the file system has no locks.
        """
        return any(_lock_bytes(descriptor, place, 1) for place in range(TOGETHER))

    def release(descriptor: int) -> None:
        """Give the lock back, of either kind."""
        for place, count in ((0, TOGETHER), *((place, 1) for place in range(TOGETHER))):
            os.lseek(descriptor, place, os.SEEK_SET)
            with contextlib.suppress(OSError):  # not the bytes that this one holds
                msvcrt.locking(descriptor, msvcrt.LK_UNLCK, count)

    def _lock_bytes(descriptor: int, first: int, count: int) -> bool:
        os.lseek(descriptor, first, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, count)
        except OSError as error:
            if error.errno in NO_LOCKS:
                raise
            return False
        return True
else:
    import fcntl

    def exclusive(descriptor: int) -> bool:
        """Try to take the lock alone. Returns False if anybody else has it.

        Raises:
            OSError: the file system has no locks.
        """
        return _lock(descriptor, fcntl.LOCK_EX)

    def shared(descriptor: int) -> bool:
        """Try to take the lock together with others. Returns False if somebody has it alone.

        Raises:
            OSError: the file system has no locks.
        """
        return _lock(descriptor, fcntl.LOCK_SH)

    def release(descriptor: int) -> None:
        """Give the lock back, of either kind."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _lock(descriptor: int, kind: int) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_LOCKS:
                raise
            return False
        return True
