"""The index of the library: an SQLite file with a row for each sidecar, so that finding a sound reads no sidecar.

The sidecars are the truth and the index is a cache, see :mod:`tertium.storage.catalogue`. All methods raise sqlite3.Error; several processes may
have the file open.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from tertium import safe_files
from tertium.errors import SoundError
from tertium.storage.sidecars import Entry
from tertium.storage.sound import Sound

Key = tuple[str, str]
"""The folder of a sidecar, "sounds" or "results", and its name without ``.json``."""

BUSY_SECONDS = 2.0
_VERSION = 1
_SCHEMA = """
CREATE TABLE sounds (
    folder TEXT NOT NULL,
    stem TEXT NOT NULL,
    id TEXT NOT NULL,
    created TEXT NOT NULL,
    job TEXT,
    take INTEGER,
    kept INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    size INTEGER NOT NULL,
    about TEXT NOT NULL,
    PRIMARY KEY (folder, stem)
) WITHOUT ROWID;
CREATE INDEX by_id ON sounds (id, created, kept);
CREATE INDEX by_job ON sounds (job, take);
CREATE INDEX by_age ON sounds (created, id);
CREATE INDEX by_use ON sounds (kept, changed);
CREATE TABLE inputs (
    folder TEXT NOT NULL,
    stem TEXT NOT NULL,
    input TEXT NOT NULL,
    PRIMARY KEY (folder, stem, input)
) WITHOUT ROWID;
CREATE INDEX by_input ON inputs (input);
CREATE TABLE removals (folder TEXT NOT NULL, stem TEXT NOT NULL, path TEXT NOT NULL, begun REAL NOT NULL, PRIMARY KEY (folder, stem));
CREATE TABLE totals (bytes INTEGER NOT NULL, complete INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);
CREATE TRIGGER sound_added AFTER INSERT ON sounds BEGIN UPDATE totals SET bytes = bytes + NEW.bytes; END;
CREATE TRIGGER sound_dropped AFTER DELETE ON sounds BEGIN UPDATE totals SET bytes = bytes - OLD.bytes; END;
"""
_COLUMNS = "folder, stem, bytes, changed, size, about"
_NEWER = "SELECT 1 FROM sounds t WHERE t.id = s.id AND t.created >= s.created AND (t.created, t.folder, t.stem) > (s.created, s.folder, s.stem)"


class Index:
    """The rows of one library. Not safe to use from several threads at once.

    Args:
        home: folder of the library.
        path: the database file, created if absent; None to hold the rows in memory.

    Raises:
        sqlite3.Error: the file cannot be opened, or was written by another version.
        OSError: it cannot be created.
    """

    def __init__(self, home: Path, path: Path | None):
        self._home, self._path = home, path
        if path is not None and not path.exists():
            _create(path)
        self._database = _connect(":memory:" if path is None else path)
        try:
            if path is None:
                self._database.executescript(_SCHEMA + f"PRAGMA user_version = {_VERSION};")
            self._file = self._present_file()
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                raise sqlite3.DatabaseError(f"it has format {version}, not {_VERSION}")
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @property
    def is_current(self) -> bool:
        """Whether the database file is still the one that is open: another process may have replaced it, or a user deleted it."""
        return self._path is None or self._present_file() == self._file

    def copy_to(self, other: Index) -> None:
        """Copy all rows into another index, whose rows are lost."""
        self._database.backup(other._database)

    @property
    def complete(self) -> bool:
        """Whether all sidecars have been read into it once."""
        return bool(self._database.execute("SELECT complete FROM totals").fetchone()[0])

    def completed(self) -> None:
        """Note that all sidecars have been read into it."""
        self._database.execute("UPDATE totals SET complete = 1")

    def add(self, entries: Iterable[Entry]) -> None:
        """Add or replace rows, in one transaction."""
        with self._transaction():
            for entry in entries:
                self._drop(entry.key)
                sound, (folder, stem) = entry.sound, entry.key
                about = json.dumps(asdict(sound) | {"path": os.path.basename(sound.path), "sidecar": None})
                self._database.execute(
                    "INSERT INTO sounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [folder, stem, sound.id, sound.created, sound.job, sound.take, sound.kept, entry.bytes, entry.changed, entry.size, about],
                )  # fmt: skip
                self._database.executemany(
                    "INSERT INTO inputs VALUES (?, ?, ?)", [(folder, stem, one) for one in entry.inputs]
                )

    def drop(self, keys: Iterable[Key]) -> None:
        """Remove rows, in one transaction."""
        with self._transaction():
            for key in keys:
                self._drop(key)

    def touch(self, key: Key, changed: int, expected: int) -> bool:
        """Change the time of last use of a row; return False if the row is not there, or was changed since ``expected``."""
        query = "UPDATE sounds SET changed = ? WHERE folder = ? AND stem = ? AND changed = ?"
        return self._database.execute(query, [changed, *key, expected]).rowcount == 1

    def ids(self, beginning: str) -> list[str]:
        """Return the ids that begin so, in lower-case hex digits."""
        query = "SELECT DISTINCT id FROM sounds WHERE id >= ? AND id < ?"
        return [row[0] for row in self._database.execute(query, [beginning, beginning + "g"])]

    def of_id(self, sound: str) -> Iterator[Entry]:
        """Yield the entries with this id, the newest first. The index may be changed meanwhile."""
        query = "SELECT folder, stem FROM sounds WHERE id = ? ORDER BY created DESC, folder DESC, stem DESC"
        return filter(None, map(self.of_key, self._database.execute(query, [sound]).fetchall()))

    def of_key(self, key: Key) -> Entry | None:
        """Return the entry of a sidecar."""
        found = self._entries("SELECT {} FROM sounds WHERE folder = ? AND stem = ?", key)
        return found[0] if found else None

    def is_kept(self, sound: str) -> bool:
        """Return whether any of the files with this id is kept."""
        return bool(self._database.execute("SELECT max(kept) FROM sounds WHERE id = ?", [sound]).fetchone()[0])

    def of_job(self, job: str, take: int | None) -> list[Entry]:
        """Return the entries of a job's results, or of one of its takes."""
        return self._entries("SELECT {} FROM sounds WHERE job = ? AND take IS ?", [job, take])

    def page(self, offset: int, limit: int) -> list[Entry]:
        """Return entries, one for each id, the newest, in the order of their age, newest first; a limit of -1 is none."""
        query = f"SELECT {{}} FROM sounds s WHERE NOT EXISTS ({_NEWER}) ORDER BY created DESC, id DESC LIMIT ? OFFSET ?"
        return self._entries(query, [limit, offset])

    def count(self) -> int:
        """Return the number of ids."""
        return self._database.execute("SELECT count(DISTINCT id) FROM sounds").fetchone()[0]

    def bytes(self) -> int:
        """Return the bytes of all files. Does not depend on their number."""
        return self._database.execute("SELECT bytes FROM totals").fetchone()[0]

    def states(self) -> dict[Key, tuple[int, int]]:
        """Return for each row when its sidecar was changed, and its size."""
        rows = self._database.execute("SELECT folder, stem, changed, size FROM sounds")
        return {(folder, stem): (changed, size) for folder, stem, changed, size in rows}

    # ---- for the retention

    def unkept(self, after: tuple[int, str, str], before: int, limit: int) -> list[Entry]:
        """Return entries that nobody keeps and that were last used before a time (ns), the longest unused first.

        Args:
            after: last use and key of the entry that they follow.
        """
        query = "SELECT {} FROM sounds WHERE kept = 0 AND (changed, folder, stem) > (?, ?, ?) AND changed < ? ORDER BY changed, folder, stem LIMIT ?"
        return self._entries(query, [*after, before, limit])

    def namers(self, sound: str) -> tuple[int, bool]:
        """Return how many results' recipes name a sound, and whether any of these is kept."""
        query = "SELECT count(*), max(kept) FROM inputs JOIN sounds USING (folder, stem) WHERE input = ?"
        count, kept = self._database.execute(query, [sound]).fetchone()
        return count, bool(kept)

    def inputs(self, key: Key) -> list[str]:
        """Return the ids that a result's recipe names."""
        query = "SELECT input FROM inputs WHERE folder = ? AND stem = ?"
        return [row[0] for row in self._database.execute(query, key)]

    def begin_removal(self, entry: Entry) -> bool:
        """Turn a row into a removal under way, unless the sound was used, changed or removed since the entry was read; return whether it did."""
        with self._transaction():
            query = "SELECT 1 FROM sounds WHERE folder = ? AND stem = ? AND changed = ? AND size = ?"
            if self._database.execute(query, [*entry.key, entry.changed, entry.size]).fetchone() is None:
                return False
            self._drop(entry.key)
            values = [*entry.key, os.path.basename(entry.sound.path), time.time()]
            self._database.execute("INSERT OR REPLACE INTO removals VALUES (?, ?, ?, ?)", values)
        return True

    def end_removal(self, key: Key) -> None:
        """Forget a removal: all files are gone."""
        self._database.execute("DELETE FROM removals WHERE folder = ? AND stem = ?", key)

    def removals(self, before: float) -> list[tuple[Key, str]]:
        """Return the removals begun before a time (s) and not ended, each with the name of the sound's file."""
        rows = self._database.execute("SELECT folder, stem, path FROM removals WHERE begun < ?", [before])
        return [((folder, stem), path) for folder, stem, path in rows]

    def _drop(self, key: Key) -> None:
        for table in ("sounds", "inputs"):
            self._database.execute(f"DELETE FROM {table} WHERE folder = ? AND stem = ?", key)

    def _entries(self, query: str, values: Iterable) -> list[Entry]:
        return [self._entry(*row) for row in self._database.execute(query.format(_COLUMNS), tuple(values)).fetchall()]

    def _entry(self, folder: str, stem: str, bytes: int, changed: int, size: int, about: str) -> Entry:
        try:
            fields = json.loads(about)
            files = {
                "path": str(self._home / folder / fields["path"]),
                "sidecar": str(self._home / folder / f"{stem}.json"),
            }
            sound = Sound(**fields | files | {"notes": tuple(fields["notes"])})
        except (ValueError, KeyError, TypeError) as error:
            raise sqlite3.DatabaseError(f"its row of '{stem}' is damaged: {error}") from error
        return Entry(sound, changed, size, bytes)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have ended it already
                self._database.execute("ROLLBACK")
            raise

    def _present_file(self) -> tuple[int, int] | None:
        try:
            state = os.stat(self._path) if self._path else None
        except OSError:
            return None
        return state and (state.st_dev, state.st_ino)


def replace(path: Path) -> None:
    """Replace a damaged index by an empty one. Processes that have the old one open notice it, see :attr:`Index.is_current`.

    Raises:
        sqlite3.Error, OSError: it cannot be written.
    """
    part = _written(path)
    try:
        for suffix in ("-wal", "-shm"):  # of the damaged one
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _create(path: Path) -> None:
    """Create an empty index, unless another process does at the same time."""
    part = _written(path)
    try:
        safe_files.publish(part, path)
    except FileExistsError:
        pass
    except SoundError as error:
        raise OSError(error.message) from error
    finally:
        part.unlink(missing_ok=True)


def _written(path: Path) -> Path:
    """Return the path of a new index beside ``path``. Complete before it has its name: two processes may not change an index to WAL at once."""
    part = safe_files.part_of(path)
    try:
        with contextlib.closing(_connect(part)) as database:
            database.executescript(_SCHEMA + f"PRAGMA user_version = {_VERSION}; PRAGMA journal_mode = WAL;")
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part


def _connect(path: Path | str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    database.execute("PRAGMA synchronous = NORMAL")  # a row lost with the power is found again at the next start
    return database
