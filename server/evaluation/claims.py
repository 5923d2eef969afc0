"""What became of a claim: computed from the rows that were measured, by a criterion that is stated beside it."""

from dataclasses import dataclass

HELD, PART, NOT = "held", "held in part", "did not hold"


@dataclass(frozen=True)
class Verdict:
    """One row of the summary.

    Args:
        claim: in a sentence.
        measured: the figures, in short.
        verdict: :data:`HELD`, :data:`PART` or :data:`NOT`.
        criterion: by which it was decided.
    """

    claim: str
    measured: str
    verdict: str
    criterion: str


def grade(whole: bool, part: bool) -> str:
    """held where the whole criterion is met, held in part where the weaker one is, did not hold otherwise."""
    return HELD if whole else PART if part else NOT


def share(hits: int, of: int) -> str:
    """ "7 of 10"."""
    return f"{hits} of {of}"
