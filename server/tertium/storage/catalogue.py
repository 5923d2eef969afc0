"""The catalogue: which sounds there are, by the index and, wherever the index is missing, damaged or cannot be used, by the sidecars.

A row of the index is believed while its sidecar has the same time of modification and size; otherwise the sidecar is read again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tertium.storage import index as indices
from tertium.storage.index import Index, Key
from tertium.storage.result_names import latents_path
from tertium.storage.sidecars import FOLDERS, Entry, read_entry
from tertium.storage.sound import Sound

T = TypeVar("T")
NAME = "library.sqlite"
USE_NOTED = 3600 * 10**9  # ns: the use of a sound is noted once an hour, so that finding one rarely writes
RETRY_SECONDS = 30.0  # between attempts to use the index on the disk again
REMOVAL_SECONDS = 60.0  # after which a removal is one that a killed process has left
BATCH = 500
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class Catalogue:
    """The sounds in a home; safe to use from several threads and processes.

    While the file of the index cannot be used (a full or read-only disk, a lock), an index in memory takes its place, and :attr:`problem` says why.

    Args:
        home: folder that has the folders "sounds" and "results".
    """

    def __init__(self, home: Path):
        self._home = home
        self._path = home / NAME
        self._lock = threading.RLock()
        self._stamps: tuple[int, ...] = ()  # times of modification of the folders at the last reconciliation
        self._retry = 0.0
        self.problem: str | None = None
        self._index = self._opened()
        if not self._do(lambda index: index.complete):
            self.reconcile()

    def find(self, beginning: str) -> list[Sound]:
        """Return the existing sounds whose ids begin so, one for each id: the newest."""
        ids = self._do(lambda index: index.ids(beginning))
        return [entry.sound for one in ids if (entry := self.newest(one)) is not None]

    def newest(self, sound: str) -> Entry | None:
        """Return the newest existing entry of an id; it counts as kept if any of its entries is."""

        def look(index: Index) -> Entry | None:
            fresh = (self._fresh(index, entry) for entry in index.of_id(sound))
            found = next((one for one in fresh if one is not None and one.sound.id == sound), None)
            return found and _as_kept(index, found)

        return self._do(look)

    def of_id(self, sound: str) -> list[Entry]:
        """Return all existing entries of an id, the newest first."""
        return self._do(lambda index: [one for entry in index.of_id(sound) if (one := self._fresh(index, entry))])

    def of_job(self, job: str, take: int | None) -> Sound | None:
        """Return the existing result of a job, or of one of its takes."""
        found = self._do(
            lambda index: next(filter(None, (self._fresh(index, one) for one in index.of_job(job, take))), None)
        )
        return found and found.sound

    def page(self, offset: int, limit: int) -> list[Sound]:
        """Return existing sounds, newest first; of several with the same samples, only the newest. A limit of -1 is none."""

        def look(index: Index) -> list[Sound]:
            while True:  # until none of them has gone
                entries = index.page(offset, limit)
                fresh = [self._fresh(index, entry) for entry in entries]
                if None not in fresh:
                    return [_as_kept(index, entry).sound for entry in fresh if entry is not None]

        return self._do(look)

    def count(self) -> int:
        """Return the number of sounds; several with the same samples are one."""
        return self._do(Index.count)

    def bytes(self) -> int:
        """Return the bytes of all files of all sounds."""
        return self._do(Index.bytes)

    def put(self, sidecar: Path) -> Entry | None:
        """Read a sidecar that was written or changed by this process; None if it is gone or damaged."""
        entry = read_entry(sidecar)
        if entry is not None:
            self._do(lambda index: index.add([entry]))
        return entry

    def drop(self, sidecar: Path) -> None:
        """Forget a sidecar."""
        self._do(lambda index: index.drop([(sidecar.parent.name, sidecar.stem)]))

    def used(self, sound: Sound) -> bool:
        """Note that a sound is used now. Return False if it has been removed meanwhile."""
        sidecar = Path(sound.sidecar)

        def note(index: Index) -> bool:
            entry = index.of_key((sidecar.parent.name, sidecar.stem))
            if entry is None:
                return False
            now = time.time_ns()
            if now - entry.changed < USE_NOTED:
                return True
            try:
                os.utime(sidecar, ns=(now, now))
                changed = os.stat(sidecar).st_mtime_ns
            except FileNotFoundError:
                return False
            except OSError:  # a read-only disk, from which nothing is removed either
                return True
            return index.touch(entry.key, changed, entry.changed) or index.of_key(entry.key) is not None

        return self._do(note)

    def unkept(self, before: int) -> Iterator[Entry]:
        """Yield the entries that nobody keeps and that were last used before a time (ns), the longest unused first."""
        after = (-(2**63), "", "")
        while entries := self._do(lambda index, after=after: index.unkept(after, before, BATCH)):
            yield from entries
            after = (entries[-1].changed, *entries[-1].key)

    def namers(self, sound: str) -> tuple[int, bool]:
        """Return how many results' recipes name a sound, and whether any of these is kept."""
        return self._do(lambda index: index.namers(sound))

    def inputs(self, entry: Entry) -> list[str]:
        """Return the ids that a result's recipe names."""
        return self._do(lambda index: index.inputs(entry.key))

    def remove(self, entry: Entry) -> bool:
        """Remove all files of an entry, unless it was used or changed since it was read. Return whether it did.

        The row goes first and says what is to be removed, then the sound, its latents and its sidecar: after a crash in between, the next
        reconciliation removes the rest.

        Raises:
            OSError: the sound cannot be removed; it stays.
        """
        if not self._do(lambda index: self._fresh(index, entry) is entry and index.begin_removal(entry)):
            return False
        try:
            Path(entry.sound.path).unlink(missing_ok=True)
        except OSError:
            self.put(Path(entry.sound.sidecar))
            self._do(lambda index: index.end_removal(entry.key))
            raise
        self._remove_rest(entry.key, entry.sound.path)
        return True

    def reconcile(self) -> None:
        """Compare the index with the folders: read sidecars that are new or were changed, and drop rows whose sidecars are gone."""
        stamps = self._present_stamps()
        known = self._do(Index.states)
        there = dict(self._sidecars())
        wrong = [key for key, state in there.items() if known.get(key) != state]
        good = self._read(wrong)
        stale = (known.keys() - there.keys()) | {key for key in wrong if key in known and key not in good}
        if stale:
            self._do(lambda index: index.drop(stale))
        self._end_removals()
        self._do(Index.completed)
        self._stamps = stamps

    def look_again(self) -> bool:
        """Reconcile if a file was added or removed since the last time; return whether it did."""
        if self._present_stamps() == self._stamps:
            return False
        self.reconcile()
        return True

    def _read(self, keys: list[Key]) -> set[Key]:
        """Read sidecars into the index; return the keys of those that could be read."""
        good: set[Key] = set()
        for first in range(0, len(keys), BATCH):
            paths = [self._home / folder / f"{stem}.json" for folder, stem in keys[first : first + BATCH]]
            entries = [entry for entry in map(read_entry, paths) if entry is not None]
            self._do(lambda index, entries=entries: index.add(entries))
            good.update(entry.key for entry in entries)
        return good

    def _sidecars(self) -> Iterator[tuple[Key, tuple[int, int]]]:
        """Yield the key of each sidecar on the disk with its time of modification (ns) and its size."""
        for folder in FOLDERS:
            with contextlib.suppress(OSError), os.scandir(self._home / folder) as found:
                for one in found:
                    if one.name.endswith(".json") and not one.name.startswith("."):
                        with contextlib.suppress(OSError):
                            state = one.stat()
                            yield (folder, one.name.removesuffix(".json")), (state.st_mtime_ns, state.st_size)

    def _present_stamps(self) -> tuple[int, ...]:
        stamps = []
        for folder in FOLDERS:
            with contextlib.suppress(OSError):
                stamps.append(os.stat(self._home / folder).st_mtime_ns)
        return tuple(stamps)

    def _end_removals(self) -> None:
        for key, path in self._do(lambda index: index.removals(time.time() - REMOVAL_SECONDS)):
            if self._do(lambda index, key=key: index.of_key(key)) is None:  # else another sound has the name by now
                with contextlib.suppress(OSError):
                    sound = self._home / key[0] / path
                    sound.unlink(missing_ok=True)
                    self._remove_rest(key, sound)
            else:
                self._do(lambda index, key=key: index.end_removal(key))

    def _remove_rest(self, key: Key, sound: str | Path) -> None:
        sidecar = self._home / key[0] / f"{key[1]}.json"
        latents_path(sound).unlink(missing_ok=True)
        sidecar.unlink(missing_ok=True)
        self._do(lambda index: index.end_removal(key))

    def _fresh(self, index: Index, entry: Entry) -> Entry | None:
        """Return the entry as it is on the disk now; None, and forget it, if it is not there any more."""
        sidecar = Path(entry.sound.sidecar)
        try:
            state = os.stat(sidecar)
            if os.path.exists(entry.sound.path) and (state.st_mtime_ns, state.st_size) == (entry.changed, entry.size):
                return entry
        except OSError:
            pass
        again = read_entry(sidecar)
        index.drop([entry.key]) if again is None else index.add([again])
        return again

    # ---- the index, and what takes its place

    def _do(self, action: Callable[[Index], T]) -> T:
        """Return what an action makes of the index. If the index fails, it is replaced, and the action is repeated."""
        with self._lock:
            if not self._index.is_current or (self.problem and time.monotonic() > self._retry):
                self._reopen()
            if self.problem:
                self._look_again_in_memory()
            try:
                return action(self._index)
            except sqlite3.Error as error:
                self._replace(error)
                return action(self._index)

    def _opened(self) -> Index:
        """Open the index on the disk, or one in memory."""
        try:
            try:
                opened = Index(self._home, self._path)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                indices.replace(self._path)
                opened = Index(self._home, self._path)
            self.problem = None
            return opened
        except (sqlite3.Error, OSError) as error:
            self._tell(error)
            return Index(self._home, None)

    def _reopen(self) -> None:
        """Use the index on the disk, if that is possible."""
        before, self._index = self._index, self._opened()
        before.close()
        self._stamps = ()
        self.reconcile()

    def _replace(self, error: sqlite3.Error) -> None:
        """After an error: replace a damaged file by a new one, and one that cannot be used by an index in memory."""
        if self.problem:  # the one in memory failed
            raise error
        if _is_damage(error):
            self._index.close()
            with contextlib.suppress(sqlite3.Error, OSError):
                indices.replace(self._path)
            self._index = self._opened()
            self.reconcile()
            return
        self._tell(error)
        memory = Index(self._home, None)
        try:
            self._index.copy_to(memory)
        except sqlite3.Error:
            memory.close()
            memory = Index(self._home, None)
        self._index.close()
        self._index, self._stamps = memory, ()
        self.reconcile()

    def _look_again_in_memory(self) -> None:
        """Other processes do not write into an index in memory: look for what they stored."""
        if self._present_stamps() != self._stamps:
            self._stamps = self._present_stamps()  # first, since the reconciliation comes by here
            self.reconcile()

    def _tell(self, error: Exception) -> None:
        self._retry = time.monotonic() + RETRY_SECONDS
        self.problem = f"The index '{self._path}' cannot be used ({error}); the sidecars are read instead."


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is damaged or of another version, rather than that it cannot be read or written now."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(_DAMAGED) or not isinstance(error, sqlite3.OperationalError) or "no such" in str(error)


def _as_kept(index: Index, entry: Entry) -> Entry:
    """Return the entry as kept if any entry of its id is: clients name ids, not files."""
    if entry.sound.kept or not index.is_kept(entry.sound.id):
        return entry
    return replace(entry, sound=replace(entry.sound, kept=True))
