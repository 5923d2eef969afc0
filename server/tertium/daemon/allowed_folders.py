"""The folders from which clients may name files: everything the user may read, or a list that a running daemon can extend."""

import json
import threading
from pathlib import Path

from tertium import path_spelling, safe_files
from tertium.errors import TertiumError

FILE_NAME = "allowed.json"


class AllowedFolders:
    """The folders that may be read; safe to use from several threads.

    Args:
        home: the daemon's folder, which holds the list of folders added at run time.
        roots: the folders given at startup, or None for no restriction.
    """

    def __init__(self, home: Path, roots: tuple[Path, ...] | None):
        self._path, self._configured = home / FILE_NAME, roots
        self._added = _saved_folders(self._path)
        self._lock = threading.Lock()

    @property
    def roots(self) -> tuple[Path, ...] | None:
        """The folders whose files clients may name; None for any file that the user may read."""
        return None if self._configured is None else (*self._configured, *self._added)

    def allow(self, text: str) -> Path:
        """Allow a folder from now on, also after a restart. Return its real path.

        Raises:
            TertiumError: ``path_refused`` if it is not a folder; ``disk_full``.
        """
        folder = Path(path_spelling.spelled(text))
        if not folder.is_absolute() or not folder.is_dir():
            raise TertiumError(
                "path_refused", f"There is no folder '{text}'.", field="path", value=text,
                remedy="Give the absolute path of an existing folder.",
            )  # fmt: skip
        real = folder.resolve()
        with self._lock:
            if real not in self._added:
                added = (*self._added, real)
                safe_files.write_over(self._path, json.dumps([str(one) for one in added], indent=2).encode())
                self._added = added
        return real


def _saved_folders(path: Path) -> tuple[Path, ...]:
    """Return the folders that earlier daemons added; none if the file cannot be read, which leaves the folders given at startup."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    if not isinstance(entries, list):
        return ()
    return tuple(Path(entry) for entry in entries if isinstance(entry, str) and Path(entry).is_absolute())
