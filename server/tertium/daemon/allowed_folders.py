"""Which folders clients' files may lie in: all that the user may read, or those within allowed_folders, to which a running daemon adds."""

import json
import threading
from pathlib import Path

from tertium import path_spelling, safe_files
from tertium.errors import TertiumError

REMEMBERED = "allowed.json"


class AllowedFolders:
    """The folders that may be read; safe to use from several threads.

    Args:
        home: the daemon's folder, in which what was allowed is remembered.
        roots: the folders that the daemon was started with, or None for no allowed_folders.
    """

    def __init__(self, home: Path, roots: tuple[Path, ...] | None):
        self._path, self._given = home / REMEMBERED, roots
        self._added = _remembered(self._path)
        self._lock = threading.Lock()

    @property
    def roots(self) -> tuple[Path, ...] | None:
        """The folders whose files clients may name; None for any file that the user may read."""
        return None if self._given is None else (*self._given, *self._added)

    def allow(self, text: str) -> Path:
        """Let a folder be read from now on, and after the next start; its real path.

        Raises:
            TertiumError: ``path_refused``: it is no folder; ``disk_full``.
        """
        folder = Path(path_spelling.spelled(text))
        if not folder.is_absolute() or not folder.is_dir():
            raise TertiumError(
                "path_refused", f"There is no folder '{text}'.", field="path", value=text,
                remedy="Give the whole path of a folder, from the root of the disk.",
            )  # fmt: skip
        real = folder.resolve()
        with self._lock:
            if real not in self._added:
                added = (*self._added, real)
                safe_files.write_over(self._path, json.dumps([str(one) for one in added], indent=2).encode())
                self._added = added
        return real


def _remembered(path: Path) -> tuple[Path, ...]:
    """What an earlier daemon was told to allow; nothing where that cannot be read: allowed_folders then stand as they were built."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    if not isinstance(entries, list):
        return ()
    return tuple(Path(entry) for entry in entries if isinstance(entry, str) and Path(entry).is_absolute())
