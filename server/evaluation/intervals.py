"""Means with their 95 % intervals over sounds or pairs: Student's t, with each sound or pair counted once.

Seeds of one sound, and its several settings, are not independent, so they are averaged first. With few sounds the interval by t is wide, as
it must be; a bootstrap over three of them would be too narrow.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy import stats

from evaluation.tables import Row

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval.

    Args:
        mean: NaN without values.
        half: half the width of the interval; infinite with fewer than two values.
        count: of the values.
    """

    mean: float
    half: float
    count: int

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half

    def text(self, digits: int = 2, *, signed: bool = False) -> str:
        """Return "0.93 ± 0.02", "0.93 (one)" where there is a single value, and "–" without any."""
        if not self.count:
            return "–"
        mean = f"{self.mean:{'+' if signed else ''}.{digits}f}"
        return f"{mean} (one)" if math.isinf(self.half) else f"{mean} ± {self.half:.{digits}f}"


def interval(values: Iterable[float | None]) -> Interval:
    """Return the mean of independent values and its interval; values that are None or NaN are left out."""
    found = [float(value) for value in values if value is not None and not math.isnan(value)]
    if not found:
        return Interval(math.nan, math.inf, 0)
    if len(found) == 1:
        return Interval(found[0], math.inf, 1)
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, len(found) - 1))
    return Interval(fmean(found), quantile * stdev(found) / math.sqrt(len(found)), len(found))


def by_unit(rows: Iterable[Row], column: str, unit: Sequence[str]) -> dict[tuple, float]:
    """Return a column's mean in each unit, such as a sound or a pair, by the values of the columns ``unit``; None and NaN are left out."""
    groups: dict[tuple, list[float]] = {}
    for row in rows:
        if row[column] is not None and not math.isnan(row[column]):
            groups.setdefault(tuple(row[name] for name in unit), []).append(float(row[column]))
    return {key: fmean(values) for key, values in groups.items()}


def over(rows: Iterable[Row], column: str, unit: Sequence[str]) -> Interval:
    """Return the mean of a column over the units, and its interval."""
    return interval(by_unit(rows, column, unit).values())


def difference(rows: Iterable[Row], others: Iterable[Row], column: str, unit: Sequence[str]) -> Interval:
    """Return the mean of the paired differences of a column, ``rows`` minus ``others``, over the units that both have."""
    one, other = by_unit(rows, column, unit), by_unit(others, column, unit)
    return interval(one[key] - other[key] for key in one if key in other)
