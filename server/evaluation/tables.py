"""The rows of a figure, stored as CSV and printed as Markdown."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

Value = str | int | float | None
Row = dict[str, Value]


def write(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Write rows as CSV, floats to six digits, None as an empty cell.

    Raises:
        ValueError: a row has other columns.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        if set(row) != set(columns):
            raise ValueError(f"a row of {path.name} has the columns {sorted(row)}, not {sorted(columns)}")
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
    put(path, text.getvalue().encode())


def read(path: Path) -> list[Row]:
    """Read rows from CSV. Cells that parse as numbers become numbers; empty ones become None."""
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
    """Write a file atomically, replacing an older one."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def where(rows: Iterable[Row], **wanted: Value) -> list[Row]:
    """Return the rows that have all these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def mean(rows: Iterable[Row], column: str) -> float:
    """Return the mean of one column; NaN without rows."""
    values = [float(row[column]) for row in rows]
    return fmean(values) if values else float("nan")


def values(rows: Iterable[Row], column: str) -> list[Value]:
    """Return the distinct values of a column, in order of first appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


def markdown(head: Sequence[str], body: Iterable[Sequence[object]]) -> str:
    """Return a table, with floats to two digits."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += [
        "| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) + " |"
        for row in body
    ]
    return "\n".join(lines)
