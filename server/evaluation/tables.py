"""Rows of a figure: as CSV to keep, as Markdown to read."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

Value = str | int | float | None
Row = dict[str, Value]


def write(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Write rows as CSV, numbers to six digits, nothing for None. Raises ValueError for a row with other columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        if set(row) != set(columns):
            raise ValueError(f"a row of {path.name} has the columns {sorted(row)}, not {sorted(columns)}")
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
    put(path, text.getvalue().encode())


def read(path: Path) -> list[Row]:
    """Rows as they were written; what looks like a number is one, and nothing is None."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> Value:
    if text == "":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def put(path: Path, data: bytes) -> None:
    """Write a whole file in one go, over an older one."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def where(rows: Iterable[Row], **wanted: Value) -> list[Row]:
    """Those rows that have all these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def mean(rows: Iterable[Row], column: str) -> float:
    """Of one column; NaN of no rows."""
    values = [float(row[column]) for row in rows]
    return fmean(values) if values else float("nan")


def values(rows: Iterable[Row], column: str) -> list[Value]:
    """The different values of a column, in order of their coming."""
    return list(dict.fromkeys(row[column] for row in rows))


def markdown(head: Sequence[str], body: Iterable[Sequence[object]]) -> str:
    """A table; floats with two digits."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += [
        "| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) + " |"
        for row in body
    ]
    return "\n".join(lines)
