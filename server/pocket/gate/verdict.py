"""The gate's table and its verdicts: means over pairs, with 95 % intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pocket import likeness
from pocket.gate.measure import ROWS

COLUMNS = ("original", "reference", "both", "fusion", "onsets", "partials", "level")
MOST_LIKE_INTERPOLATION, LEAST_LIKE_PARENTS, LEAST_ONSETS, LEAST_PARTIALS = 0.93, 0.75, 0.6, 0.5


@dataclass(frozen=True)
class Verdict:
    """One of the gate's demands.

    Args:
        demand: what is asked for.
        mean, low, high: what was found, with its 95 % interval; NaN if it was not measured.
        passed: whether the mean meets the demand.
    """

    demand: str
    mean: float
    low: float
    high: float
    passed: bool


def table(rows: Sequence[dict[str, dict[str, float]]]) -> str:
    """Return the table in Markdown: a line for each method, with means over the pairs and their intervals.

    Args:
        rows: for each pair its measures by method and column; a method may be absent from some.
    """
    lines = ["| | " + " | ".join(COLUMNS) + " | pairs |", "| --- " * (len(COLUMNS) + 2) + "|"]
    for method in ROWS:
        present = [pair[method] for pair in rows if method in pair]
        if present:
            cells = (_cell(*likeness.interval([values[column] for values in present])) for column in COLUMNS)
            lines.append(f"| {method} | {' | '.join(cells)} | {len(present)} |")
    return "\n".join(lines)


def verdicts(figures: Sequence[dict[str, float]]) -> list[Verdict]:
    """Return the verdicts from each pair's figures, as :func:`pocket.gate.measure.compare` returns them."""

    def column(key: str) -> list[float]:
        return [pair[key] for pair in figures]

    def decide(demand: str, values: list[float], passes) -> Verdict:
        found = likeness.interval(values)
        return Verdict(demand, *found, passed=not math.isnan(found[0]) and passes(found[0]))

    margin = [a - b for a, b in zip(column("differs from the shrinker"), column("own seeds differ"), strict=True)]
    return [
        decide(
            f"at most {MOST_LIKE_INTERPOLATION} like the best interpolation", column("like the interpolation"),
            lambda mean: mean <= MOST_LIKE_INTERPOLATION,
        ),
        decide("further from the shrinker than its seeds from each other", margin, lambda mean: mean > 0),
        decide(f"at least {LEAST_LIKE_PARENTS} like both parents", column("like both parents"), lambda mean: mean >= LEAST_LIKE_PARENTS),
        decide(f"the learned middle's onsets at least {LEAST_ONSETS}", column("learned onsets"), lambda mean: mean >= LEAST_ONSETS),
        decide(f"the learned middle's partials at least {LEAST_PARTIALS}", column("learned partials"), lambda mean: mean >= LEAST_PARTIALS),
    ]  # fmt: skip


def bound(figures: Sequence[dict[str, float]]) -> str:
    """Return a sentence that says how like both parents a fusion can be, by geometry, if it is as unlike their average as is asked for.

    An even average of two standardised spectra that correlate by r is sqrt((1 + r) / 2) like both; see :data:`pocket.gate.pairs.PAIRS`.
    """
    alike = [pair["parents alike"] for pair in figures]
    most = [((1 + r) / 2) ** 0.5 for r in alike]
    highest = [MOST_LIKE_INTERPOLATION * value for value in most]
    return (
        f"The parents are {_cell(*likeness.interval(alike))} alike. Their average can be {_cell(*likeness.interval(most))} like both at most, "
        f"and what is {MOST_LIKE_INTERPOLATION} like it {_cell(*likeness.interval(highest))}."
    )


def sentences(found: Sequence[Verdict]) -> list[str]:
    """Return a line for each verdict."""
    return [
        f"- {'yes' if each.passed else 'NO'}: {each.demand} ({_cell(each.mean, each.low, each.high)})" for each in found
    ]


def _cell(mean: float, low: float, high: float) -> str:
    return "–" if math.isnan(mean) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"
