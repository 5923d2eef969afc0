"""Verdicts on the claims, computed from the measured rows by a stated criterion."""

from dataclasses import dataclass

HELD, PART, NOT = "held", "held in part", "did not hold"


@dataclass(frozen=True)
class Verdict:
    """One row of the summary.

    Args:
        claim: one sentence.
        measured: the numbers, in short.
        verdict: :data:`HELD`, :data:`PART` or :data:`NOT`.
        criterion: the rule that gives the verdict.
    """

    claim: str
    measured: str
    verdict: str
    criterion: str


def grade(whole: bool, part: bool) -> str:
    """Return the verdict: :data:`HELD` if the whole criterion is met, :data:`PART` if only the weaker one is, else :data:`NOT`."""
    return HELD if whole else PART if part else NOT


def share(hits: int, of: int) -> str:
    """Return "7 of 10" and the like."""
    return f"{hits} of {of}"
