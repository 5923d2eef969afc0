"""Retention: which sounds are removed when the library holds more than its budget.

The longest unused go first. Never removed are: sounds that are kept; those that the recipe of a kept result names; those used within a day; those
that jobs need. What the recipe of another result names goes after that result, or when nothing else is left.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tertium.storage.catalogue import Catalogue
from tertium.storage.sidecars import Entry

GIGABYTE = 10**9
LARGEST_DEFAULT = 20 * GIGABYTE
SHARE_OF_FREE = 0.1
REST_SECONDS = 24 * 3600.0
"""Seconds since the last use before which nothing is removed."""


@dataclass(frozen=True)
class Needed:
    """What waiting and running jobs need: the ids of the sounds that they name, and their own ids, by which they find their results again."""

    sounds: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()


def default_budget(home: Path, held: int) -> int:
    """Return the bytes that a library may hold if nothing else is set: what it holds now and a tenth of the free disk, at most 20 GB."""
    try:
        free = shutil.disk_usage(home).free
    except OSError:
        return LARGEST_DEFAULT
    return min(LARGEST_DEFAULT, held + int(SHARE_OF_FREE * free))


def plan(catalogue: Catalogue, *, budget: int, needed: Needed) -> list[Entry]:
    """Return the entries to remove so that the library is within its budget, or as near as it may get; the first to go first.

    Args:
        budget: bytes; 0 means that nothing is removed.
    """
    excess = catalogue.bytes() - budget
    if budget <= 0 or excess <= 0 or catalogue.problem:  # without the index, who names what is not known for certain
        return []
    return _Planning(catalogue, excess, needed).entries()


def remove(catalogue: Catalogue, entries: list[Entry]) -> list[Entry]:
    """Remove entries and return those that were removed: one that was used since it was read stays, and so does one that cannot be removed."""
    removed = []
    for entry in entries:
        try:
            if catalogue.remove(entry):
                removed.append(entry)
        except OSError:  # in use on Windows, or write-protected
            continue
    return removed


class _Planning:
    """The choice of what to remove.

    Args:
        excess: bytes to free.
    """

    def __init__(self, catalogue: Catalogue, excess: int, needed: Needed):
        self._catalogue, self._excess, self._needed = catalogue, excess, needed
        self._going: list[Entry] = []
        self._named: dict[str, int] = {}  # by id: how many results name it, those that go included
        self._gone_namers: Counter[str] = Counter()
        self._held: dict[str, list[Entry]] = {}  # by id: what could go if no result named it

    def entries(self) -> list[Entry]:
        """Return the entries to remove, in order."""
        for entry in self._catalogue.unkept(time.time_ns() - int(REST_SECONDS * 1e9)):
            if self._excess <= 0:
                return self._going
            if entry.sound.id not in self._needed.sounds and entry.sound.job not in self._needed.jobs:
                self._consider(entry)
        for entry in sorted((one for held in self._held.values() for one in held), key=lambda one: one.changed):
            if self._excess > 0:
                self._take(entry)
        return self._going

    def _consider(self, entry: Entry) -> None:
        sound = entry.sound.id
        if sound not in self._named:
            self._named[sound], kept = self._catalogue.namers(sound)
            if kept:
                self._named[sound] = -1
        if self._named[sound] < 0:
            return
        if self._named[sound] > self._gone_namers[sound]:
            self._held.setdefault(sound, []).append(entry)
        else:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        """Choose an entry, and what only its recipe named."""
        self._going.append(entry)
        self._excess -= entry.bytes
        for one in self._catalogue.inputs(entry):
            self._gone_namers[one] += 1
            if self._gone_namers[one] == self._named.get(one):
                for freed in self._held.pop(one, []):
                    if self._excess > 0:
                        self._take(freed)
