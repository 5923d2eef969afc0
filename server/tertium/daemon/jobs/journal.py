"""The journal: an SQLite table of jobs that survives a crash. A job is on the disk before its acceptance is sent.

All access runs in order on one thread, so that a slow disk never blocks the event loop.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tertium.daemon import log
from tertium.daemon.jobs import journal_repair
from tertium.errors import TertiumError
from tertium.storage import network_drives

T = TypeVar("T")
COLUMNS = (
    "id", "request", "fingerprint", "command", "fields", "slot", "priority", "state", "stage", "result", "error",
    "reason", "notes", "ready_by", "created", "started", "finished",
)  # fmt: skip
JSON_COLUMNS = {"fields", "result", "error", "notes"}
MOST_FINISHED = 2000
"""How many finished jobs are retained, the newest; results stay in the library regardless."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    command TEXT NOT NULL,
    fields TEXT NOT NULL,
    slot TEXT,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    stage TEXT,
    result TEXT,
    error TEXT,
    reason TEXT,
    notes TEXT NOT NULL,
    ready_by REAL,
    created REAL NOT NULL,
    started REAL,
    finished REAL
)
"""
_VERSION = 1


class Journal:
    """The jobs on disk.

    Args:
        path: the database file, created if absent.
    """

    def __init__(self, path: Path):
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._database: sqlite3.Connection | None = None
        self.unreadable = 0

    def open(self, check: Callable[[dict[str, Any]], object] = lambda row: None) -> list[dict[str, Any]]:
        """Open the journal and return its rows, oldest first, as dictionaries of :data:`COLUMNS`.

        A row that cannot be read is moved into the table ``unreadable``, and the others stay. A damaged file is put aside under a name of its own, and
        what can be read of it is copied into a new one. Both are logged and counted in :attr:`unreadable`.

        Args:
            check: raises ValueError for a row that makes no sense.

        Raises:
            TertiumError: disk_full or path_refused; path_refused too for the journal of a newer version, which is left as it is.
        """
        return self._thread.submit(self._open, check).result()

    def close(self) -> None:
        """Finish pending writes and close."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    async def insert(self, row: dict[str, Any]) -> None:
        """Add a job; it is on the disk when this returns.

        Args:
            row: a value for each of :data:`COLUMNS`.

        Raises:
            TertiumError: disk_full or internal; nothing was added.
        """
        marks = ", ".join("?" for _ in COLUMNS)
        values = [_encode(name, row[name]) for name in COLUMNS]
        await self._run(lambda: self._write(f"INSERT INTO jobs ({', '.join(COLUMNS)}) VALUES ({marks})", values))

    async def update(self, job: str, **columns: Any) -> None:
        """Change columns of a job; the change is on the disk when this returns.

        Raises:
            TertiumError: disk_full or internal; nothing was changed.
        """
        names = ", ".join(f"{name} = ?" for name in columns)
        values = [_encode(name, value) for name, value in columns.items()]
        await self._run(lambda: self._write(f"UPDATE jobs SET {names} WHERE id = ?", [*values, job]))

    async def _run(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, action)

    def _write(self, statement: str, values: list[Any]) -> None:
        if not self._path.exists():  # SQLite goes on writing into a file that was deleted
            raise TertiumError(
                "path_refused", f"The daemon's folder '{self._path.parent}' was deleted while it runs.", field="home", value=str(self._path.parent),
                remedy="Start the daemon again; it creates a new one.",
            )  # fmt: skip
        try:
            with self._database:
                self._database.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise _explained(error, self._path) from error

    def _open(self, check: Callable[[dict[str, Any]], object]) -> list[dict[str, Any]]:
        try:
            return self._load(check)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise _explained(error, self._path) from error
            aside = self._put_aside(error)
        rows = self._load(check, salvage=aside)
        log.event("journal salvaged", level=logging.WARNING, jobs=len(rows), unreadable=self.unreadable)
        return rows

    def _load(self, check: Callable[[dict[str, Any]], object], *, salvage: Path | None = None) -> list[dict[str, Any]]:
        database = sqlite3.connect(self._path, timeout=5)
        try:
            self._prepare(database)
            if salvage is not None:
                self.unreadable += journal_repair.salvage(salvage, database, COLUMNS)
            rows, bad = journal_repair.read(database, COLUMNS, lambda row: _checked(row, check))
            for job, reason in bad:
                log.event("journal row unreadable", level=logging.ERROR, job=job, reason=reason)
            self.unreadable += len(bad)
        except BaseException:
            database.close()
            raise
        self._database = database
        return rows

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Create what is missing, and remove the oldest finished jobs."""
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise TertiumError(
                "path_refused", f"The journal '{self._path}' was written by a newer version of Tertium (format {version}; this version reads {_VERSION}).",
                field="home", value=str(self._path.parent), remedy="Update Tertium, or choose another home with --home.",
            )  # fmt: skip
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        with database:
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA user_version = {_VERSION}")
            database.execute(
                "DELETE FROM jobs WHERE finished IS NOT NULL AND sequence NOT IN"
                " (SELECT sequence FROM jobs WHERE finished IS NOT NULL ORDER BY sequence DESC LIMIT ?)",
                [MOST_FINISHED],
            )

    def _put_aside(self, error: Exception) -> Path:
        aside = journal_repair.free_name(self._path.with_name(f"{self._path.name}.damaged"))
        for suffix in ("", "-wal", "-shm"):
            part = self._path.with_name(self._path.name + suffix)
            if part.exists():
                part.replace(aside.with_name(aside.name + suffix))
        log.event("journal damaged, new one created", level=logging.WARNING, reason=str(error), kept_as=str(aside))
        return aside

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _encode(name: str, value: Any) -> Any:
    return json.dumps(value) if name in JSON_COLUMNS and value is not None else value


def _checked(row: dict[str, Any], check: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """A row with its JSON decoded. Raises ValueError if it makes no sense."""
    decoded = {
        name: json.loads(value) if name in JSON_COLUMNS and value is not None else value for name, value in row.items()
    }
    json.loads(decoded["request"])
    check(decoded)
    return decoded


def _explained(error: sqlite3.OperationalError, path: Path) -> TertiumError:
    text = str(error)
    if network_drives.explains(error, path.parent):
        return network_drives.unfit(path.parent, text)
    if "database is locked" in text:
        return TertiumError(
            "path_refused", f"The journal '{path}' is held by another program, or its disk cannot lock files.", field="home", value=str(path.parent),
            remedy="Close the program that has it open, or choose another home with --home.",
        )  # fmt: skip
    if "full" in text or "disk I/O" in text:
        return TertiumError(
            "disk_full", f"The journal '{path}' could not be written: {text}.",
            remedy="Make room on that disk and send the request again.",
        )  # fmt: skip
    return TertiumError(
        "internal", f"The journal '{path}' could not be written: {text}.", remedy="Check the folder's permissions."
    )
