"""Reads a journal that may be damaged, row by row: a bad row costs itself and no other."""

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

MOST_GAPS = 100_000
"""Sequence numbers that are tried one by one across a damaged part of a file."""


def read(
    database: sqlite3.Connection, columns: Sequence[str], check: Callable[[dict[str, Any]], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Read all rows, and move those that cannot be read into the table ``unreadable``.

    Args:
        check: returns a row as it is wanted; raises ValueError, KeyError or TypeError for one that makes no sense.

    Returns:
        The rows, oldest first, and for each that was moved its job and the reason.
    """
    good, bad = [], []
    for sequence, *values in _rows(database, columns):
        try:
            row = {name: _text(value) for name, value in zip(columns, values, strict=True)}
            good.append(check(row))
        except (ValueError, KeyError, TypeError) as error:
            _move(database, sequence, columns, str(error))
            bad.append((repr(values[0])[:40], str(error)))
    return good, bad


def salvage(damaged: Path, database: sqlite3.Connection, columns: Sequence[str]) -> int:
    """Copy what can be read of a damaged journal into another one; return how many rows were given up, as far as can be told."""
    names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
    lost, last = 0, 0
    source = None
    try:
        source = sqlite3.connect(damaged)
        for sequence, *values in _reachable_rows(source, columns):
            lost += max(0, sequence - last - 1) if last else 0
            last = sequence
            with database:
                database.execute(
                    f"INSERT OR IGNORE INTO jobs (sequence, {names}) VALUES (?, {marks})",
                    [sequence, *map(_kept, values)],
                )
    except sqlite3.DatabaseError:  # not even its first page can be read
        pass
    finally:
        if source is not None:
            source.close()
    return lost


def free_name(path: Path) -> Path:
    """The path, or the first of path-2, path-3 … that does not exist."""
    names = itertools.chain([path], (path.with_name(f"{path.name}-{number}") for number in itertools.count(2)))
    return next(one for one in names if not one.exists())


def _rows(database: sqlite3.Connection, columns: Sequence[str]) -> list[tuple]:
    """The sequence number and columns of each row, text as bytes. Raises sqlite3.DatabaseError if any cannot be reached."""
    with _as_bytes(database):
        return database.execute(f"SELECT sequence, {', '.join(columns)} FROM jobs ORDER BY sequence").fetchall()


def _reachable_rows(database: sqlite3.Connection, columns: Sequence[str]) -> Iterator[tuple]:
    """The same of a damaged file: what can be reached, one by one."""
    statement = f"SELECT sequence, {', '.join(columns)} FROM jobs WHERE sequence > ? ORDER BY sequence LIMIT 1"
    last, gaps = 0, 0
    with _as_bytes(database):
        while gaps < MOST_GAPS:
            try:
                row = database.execute(statement, [last]).fetchone()
            except sqlite3.DatabaseError:
                gaps, last = gaps + 1, last + 1
                if gaps == 1 and not _has_jobs(database):
                    return
                continue
            if row is None:
                return
            last = row[0]
            yield row


@contextlib.contextmanager
def _as_bytes(database: sqlite3.Connection) -> Iterator[None]:
    before, database.text_factory = database.text_factory, bytes
    try:
        yield
    finally:
        database.text_factory = before


def _has_jobs(database: sqlite3.Connection) -> bool:
    """Whether there is a table of jobs at all, so that looking for its rows makes sense."""
    try:
        return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone())
    except sqlite3.DatabaseError:
        return False


def _move(database: sqlite3.Connection, sequence: int, columns: Sequence[str], reason: str) -> None:
    names = ", ".join(columns)
    with database:
        database.execute(f"CREATE TABLE IF NOT EXISTS unreadable (why, sequence, {names})")
        database.execute(
            f"INSERT INTO unreadable SELECT ?, sequence, {names} FROM jobs WHERE sequence = ?", [reason, sequence]
        )
        database.execute("DELETE FROM jobs WHERE sequence = ?", [sequence])


def _text(value: Any) -> Any:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _kept(value: Any) -> Any:
    """A value as it is stored again: text where it is text, and the bytes where it is not."""
    try:
        return _text(value)
    except UnicodeDecodeError:
        return value
