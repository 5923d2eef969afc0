"""The daemon's home folder: its paths, its lock, and the file by which clients find the daemon that serves it."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from tertium import safe_files
from tertium.errors import TertiumError
from tertium.storage import file_locks
from tertium.storage.network_drives import unfit

FOLDERS = ("sounds", "results", "checkpoints", "cache")
RESERVED = 4 << 20  # bytes
LONGEST_SOCKET_PATH = 100  # bytes: systems allow 108 for a socket's name, and ZeroMQ needs some of these


class Home:
    """The paths in a daemon's home folder, and its lock. ``open`` creates and locks the folder; ``close`` unlocks it.

    Args:
        folder: path of the home.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.journal = folder / "journal.sqlite"
        self.checkpoints = folder / "checkpoints"
        self.log = folder / "daemon.log"
        self._reserve = folder / "reserve"
        self._lock: int | None = None
        self._sockets: Path | None = None  # a folder elsewhere, if this one's path is too long for sockets

    def open(self) -> None:
        """Create missing folders and lock the home for this daemon.

        Raises:
            TertiumError: busy if another daemon serves the folder, path_refused if it cannot be used.
        """
        descriptor = self._lock_file()
        try:
            locked = _lock_soon(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise unfit(self.folder, error.strerror or str(error)) from error
        if not locked:
            os.close(descriptor)
            other = _read(self.folder) or {}
            who = f" (process {other['pid']})" if "pid" in other else ""
            raise TertiumError(
                "busy", f"Another daemon{who} is serving '{self.folder}'.", field="home", value=str(self.folder),
                remedy="Use that one (tertium status), stop it, or give this one a folder of its own with --home.",
            )  # fmt: skip
        self._lock = descriptor

    def _lock_file(self) -> int:
        """Create the folders and return a descriptor of the lock file. Raises TertiumError: path_refused."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)  # one that was there may be open to others
            for name in FOLDERS:
                (self.folder / name).mkdir(exist_ok=True)
            return os.open(self.folder / "daemon.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise TertiumError(
                "path_refused", f"The folder '{self.folder}' cannot be used: {error.strerror}.", field="home",
                value=str(self.folder), remedy="Choose another with --home, or correct its permissions.",
            ) from error  # fmt: skip

    def close(self) -> None:
        """Remove the announcement and unlock the folder."""
        if self._lock is None:
            return
        (self.folder / "daemon.json").unlink(missing_ok=True)
        if self._sockets is not None:
            with contextlib.suppress(OSError):  # the folder is not empty while a socket exists
                self._sockets.rmdir()
        os.close(self._lock)
        self._lock = None

    def announce(self, facts: dict[str, Any]) -> None:
        """Write ``daemon.json``, by which clients find the daemon: atomically, and readable by this user only (it
        holds the token).

        Raises:
            TertiumError: disk_full or path_refused.
        """
        safe_files.write_over(self.folder / "daemon.json", json.dumps(facts, indent=2).encode(), mode=0o600)

    def reserve(self) -> None:
        """Hold some room on the disk, to be given up for the ends of jobs when it is full."""
        with contextlib.suppress(OSError):
            if self._reserve.exists() or shutil.disk_usage(self.folder).free < 4 * RESERVED:
                return
            with open(self._reserve, "xb") as file:
                file.write(bytes(RESERVED))
                os.fsync(file.fileno())

    def release(self) -> bool:
        """Give up the reserved room. Return False if there is none."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def socket(self, name: str) -> str:
        """Return the ``ipc://`` endpoint of a socket in the home or, if the home's path is too long, in a private
        temporary folder.
        """
        path = self.folder / f"{name}.ipc"
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
            user = os.getuid() if hasattr(os, "getuid") else 0
            below = f"tertium-{user}-{digest}/{name}.ipc"
            # The path of the user's temporary folder can be long too; that of the system's is short.
            places = [Path(folder) / below for folder in (tempfile.gettempdir(), "/tmp") if os.path.isdir(folder)]
            path = next((one for one in places if len(os.fsencode(one)) <= LONGEST_SOCKET_PATH), places[0])
            _private(path.parent)
            self._sockets = path.parent
        return f"ipc://{path}"


def find(folder: Path) -> dict[str, Any] | None:
    """Return the announcement of the daemon that serves ``folder``.

    Returns None if no daemon does, even if a dead one left its announcement.
    """
    facts = _read(folder)
    return facts if facts and is_served(folder) else None


def is_served(folder: Path) -> bool:
    """Return whether a running daemon serves the folder."""
    try:
        descriptor = os.open(folder / "daemon.lock", os.O_RDWR)
    except OSError:
        return False
    try:
        return not file_locks.exclusive(descriptor)
    except OSError:  # no daemon runs on a file system without locks
        return False
    finally:
        os.close(descriptor)


def _lock_soon(descriptor: int) -> bool:
    """Try to take the lock for a short while, since a client's check (``is_served``) holds it for a moment."""
    for _ in range(5):
        if file_locks.exclusive(descriptor):
            return True
        time.sleep(0.05)
    return False


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads((folder / "daemon.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def _private(folder: Path) -> None:
    """Create a folder that only this user can access.

    Raises TertiumError: path_refused if another user created it first.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    state = folder.lstat()
    if folder.is_symlink() or (hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & 0o077)):
        raise TertiumError(
            "path_refused", f"The folder '{folder}' belongs to somebody else or is open to others.", field="home",
            value=str(folder), remedy="Remove it, or choose a home with a shorter path.",
        )  # fmt: skip
