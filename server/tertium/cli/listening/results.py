"""The results of listeners: the CSV files that the page of a listening study saves."""

import csv
import io
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tertium import safe_files
from tertium.cli.listening.pairs import PRACTICE
from tertium.cli.listening.stimuli import METHODS
from tertium.errors import TertiumError

ANSWERS = ("one", "like_original", "like_reference")
NAMING = ("study", "listener", "pair", "kind", "method")
LOWEST, HIGHEST = 1, 7
"""Ends of every scale."""
LARGEST = 64 * 2**20
"""Bytes of a file of results beyond which it is none."""


@dataclass(frozen=True)
class Rating:
    """A listener's answers to one stimulus, each from ``LOWEST`` to ``HIGHEST``.

    Args:
        one: from two separate sounds to one single sound.
        like_original, like_reference: from not at all to very much.
    """

    listener: str
    pair: str
    kind: str
    method: str
    one: int
    like_original: int
    like_reference: int


@dataclass(frozen=True)
class Results:
    """The ratings of several listeners in one study.

    Args:
        study: its id.
        ratings: of complete sets only, without the practice.
        notes: sentences on what was left out.
    """

    study: str
    ratings: tuple[Rating, ...]
    notes: tuple[str, ...]

    @property
    def listeners(self) -> list[str]:
        return sorted({rating.listener for rating in self.ratings})


def read(paths: Sequence[Path]) -> Results:
    """Read files of results. A set that a listener did not finish is left out, with a note.

    Raises:
        SoundError: a file does not exist or cannot be opened.
        TertiumError: ``bad_message``: a file is not one of results, or has an answer off the scale; ``conflict``: files of
            several studies, or two sessions of one listener; ``out_of_range``: no complete set.
    """
    studies: dict[str, Path] = {}
    owners: dict[str, Path] = {}
    ratings: list[Rating] = []
    notes: list[str] = []
    unfinished: dict[str, int] = defaultdict(int)
    for path in paths:
        rows = _rows(path)
        if not rows:
            notes.append(f"'{path}' holds no set but the practice: left out.")
        studies |= {row["study"]: path for row in rows}
        _refuse_twice(owners, {row["listener"] for row in rows}, path)
        for listener, group in _by_set(rows):
            complete = _complete(group, path)
            ratings += complete
            unfinished[listener] += not complete
    _refuse_several(studies)
    if not ratings:
        raise TertiumError(
            "out_of_range", "There is no complete set in these results.", field="files", value=[str(path) for path in paths],
            remedy="Save the results again at the end of a session.",
        )  # fmt: skip
    notes += [
        f"{name} did not finish {count} of the sets seen: left out." for name, count in unfinished.items() if count
    ]
    return Results(next(iter(studies)), tuple(ratings), tuple(notes))


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file, without those of the practice."""
    with safe_files.open_regular(path, field="files") as file:
        data = file.read(LARGEST + 1)
    try:
        if len(data) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST // 2**20} MiB")
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise _not_results(path, str(error)) from error
    absent = [name for name in (*NAMING, *ANSWERS) if not rows or rows[0].get(name) is None]
    if absent:
        raise _not_results(path, "it has no rows" if not rows else f"it lacks {', '.join(absent)}")
    return [row for row in rows if row["kind"] != PRACTICE]


def _by_set(rows: Iterable[dict[str, str]]) -> Iterable[tuple[str, list[dict[str, str]]]]:
    """Yield each listener with the rows of each of the sets."""

    def named(row: dict[str, str]) -> tuple[str, str, str]:
        return row["listener"], row["pair"], row["kind"]

    for (listener, _, _), group in itertools.groupby(sorted(rows, key=named), key=named):
        yield listener, list(group)


def _complete(rows: Sequence[dict[str, str]], path: Path) -> list[Rating]:
    """Return the ratings of a set, or none if an answer or a method is absent."""
    methods = [row["method"] for row in rows]
    for method in methods:
        if method not in METHODS or methods.count(method) > 1:
            problem = "twice" if method in METHODS else f"which is none of {', '.join(METHODS)}"
            raise _not_results(path, f"the pair '{rows[0]['pair']}' has the method '{method}' {problem}")
    if set(methods) != set(METHODS) or any(not row[name] for row in rows for name in ANSWERS):
        return []
    return [
        Rating(
            row["listener"], row["pair"], row["kind"], row["method"], *(_answer(row, name, path) for name in ANSWERS)
        )
        for row in rows
    ]


def _answer(row: dict[str, str], name: str, path: Path) -> int:
    text = row[name]
    if text not in {str(value) for value in range(LOWEST, HIGHEST + 1)}:
        raise TertiumError(
            "bad_message", f"'{path}' has the answer '{text}' to {name} of '{row['pair']}', {row['method']}.", field=name, value=text,
            remedy=f"Answers are whole numbers from {LOWEST} to {HIGHEST}; use the file as the page saved it.",
        )  # fmt: skip
    return int(text)


def _refuse_twice(owners: dict[str, Path], listeners: Iterable[str], path: Path) -> None:
    for listener in listeners:
        if listener in owners:
            raise TertiumError(
                "conflict", f"The listener '{listener}' is in '{owners[listener]}' and in '{path}'.", field="listener", value=listener,
                remedy="Give the latest file of each listener, and each listener a name of their own.",
            )  # fmt: skip
        owners[listener] = path


def _refuse_several(studies: dict[str, Path]) -> None:
    if len(studies) > 1:
        (one, first), (other, second) = list(studies.items())[:2]
        raise TertiumError(
            "conflict", f"'{first}' is of study {one}, '{second}' of study {other}: their sounds differ.", field="study", value=other,
            remedy="Give the results of one page at a time.",
        )  # fmt: skip


def _not_results(path: Path, reason: str) -> TertiumError:
    return TertiumError(
        "bad_message", f"'{path}' is no file of results: {reason}.", field="files", value=str(path),
        remedy="Give the CSV files that the page of the study saved.",
    )  # fmt: skip
