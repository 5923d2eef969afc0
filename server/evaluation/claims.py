"""Verdicts on the claims, computed from 95 % intervals by a stated criterion."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.intervals import Interval

HELD, PART, NOT = "held", "held in part", "did not hold"
NONE = "no difference was found"
OPEN = "not decided"
ALGEBRA = "by algebra: no evidence"


@dataclass(frozen=True)
class Verdict:
    """One row of the summary.

    Args:
        claim: one sentence.
        measured: the numbers, in short.
        verdict: :data:`HELD`, :data:`PART`, :data:`NOT`, :data:`NONE` (a difference whose interval includes 0), :data:`OPEN` (a value whose
            interval includes its bound, or anything measured only once) or :data:`ALGEBRA` (what could not have come out otherwise).
        criterion: the rule that gives the verdict.
    """

    claim: str
    measured: str
    verdict: str
    criterion: str


def positive(difference: Interval) -> str:
    """Return the verdict on a difference that is claimed to be above 0: :data:`HELD`, :data:`NOT` if it is below, else :data:`NONE`.

    With fewer than two values there is no interval, and the verdict is :data:`OPEN`.
    """
    if difference.count < 2:
        return OPEN
    return HELD if difference.low > 0 else NOT if difference.high < 0 else NONE


def above(value: Interval, bound: float) -> str:
    """Return the verdict on a value that is claimed to be above a bound; :data:`OPEN` if its interval includes the bound."""
    return HELD if value.low > bound else NOT if value.high < bound else OPEN


def below(value: Interval, bound: float) -> str:
    """Return the verdict on a value that is claimed to be below a bound; :data:`OPEN` if its interval includes the bound."""
    return HELD if value.high < bound else NOT if value.low > bound else OPEN


def together(verdicts: Sequence[str]) -> str:
    """Return the verdict on a claim of several parts.

    :data:`NOT` if one part did not hold, whatever the others did; :data:`HELD` if all held, :data:`PART` if some did; else what the first says.
    """
    if NOT in verdicts:
        return NOT
    held = sum(verdict == HELD for verdict in verdicts)
    if held:
        return HELD if held == len(verdicts) else PART
    return verdicts[0]


def share(hits: int, of: int) -> str:
    """Return "7 of 10" and the like."""
    return f"{hits} of {of}"
