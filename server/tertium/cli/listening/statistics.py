"""What the listeners of a study heard: means of each method and differences from the fusion, with intervals.

Listeners are the sample: a listener's answers to the pairs of a kind are averaged first, then listeners are drawn with
replacement (the percentile bootstrap; Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13),
with percentiles expanded for few listeners (Hesterberg, "What Teachers Should Know About the Bootstrap", The American
Statistician 69, 2015). A difference is that of the same listener on the same pairs, so that a listener's own use of
the scale drops out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tertium.cli.listening.results import Rating
from tertium.cli.listening.stimuli import METHODS

FUSION, *BASELINES = METHODS
MEASURES: dict[str, Callable[[Rating], float]] = {
    "one": lambda rating: rating.one,
    "original": lambda rating: rating.like_original,
    "reference": lambda rating: rating.like_reference,
    "both": lambda rating: min(rating.like_original, rating.like_reference),
}
"""From a rating; ``both`` is the lesser of the two likenesses: high only where both sounds are heard."""
ALL = "all"
"""The kind that stands for the pairs of all kinds together."""
RESAMPLES = 10_000
LEVEL = 0.95
SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A mean over listeners and its interval (``low`` to ``high``), which is absent for a single listener."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class KindSummary:
    """What was heard of one kind of pair.

    Args:
        kind: of the pairs, or ``ALL``.
        listeners, pairs: how many.
        means: by method, then by measure.
        differences: of the fusion minus a baseline, by baseline, then by measure.
    """

    kind: str
    listeners: int
    pairs: int
    means: dict[str, dict[str, Estimate]]
    differences: dict[str, dict[str, Estimate]]


def summaries(ratings: Sequence[Rating], *, resamples: int = RESAMPLES, seed: int = SEED) -> list[KindSummary]:
    """Return a summary of each kind of pair, sorted by name, and one of all kinds where there are several.

    Args:
        ratings: of complete sets: each pair of a listener with every method.
        resamples: how often listeners are drawn.
        seed: of the draws, alike for all measures, so that the same ratings give the same intervals.
    """
    kinds = sorted({rating.kind for rating in ratings})
    groups = {kind: [rating for rating in ratings if rating.kind == kind] for kind in kinds}
    if len(kinds) > 1:
        groups[ALL] = list(ratings)
    return [_summary(kind, group, resamples, seed) for kind, group in groups.items()]


def _summary(kind: str, ratings: Sequence[Rating], resamples: int, seed: int) -> KindSummary:
    listeners = sorted({rating.listener for rating in ratings})
    values = {method: _by_listener(ratings, method, listeners) for method in METHODS}
    draws = np.random.default_rng(seed).integers(len(listeners), size=(resamples, len(listeners)))

    def estimates(table: np.ndarray) -> dict[str, Estimate]:
        return {name: estimate(column, draws) for name, column in zip(MEASURES, table.T, strict=True)}

    return KindSummary(
        kind, len(listeners), len({rating.pair for rating in ratings}),
        {method: estimates(values[method]) for method in METHODS},
        {baseline: estimates(values[FUSION] - values[baseline]) for baseline in BASELINES},
    )  # fmt: skip


def _by_listener(ratings: Sequence[Rating], method: str, listeners: Sequence[str]) -> np.ndarray:
    """Return the means of a method over the pairs of each listener, (listeners, measures)."""
    rows = []
    for listener in listeners:
        own = [rating for rating in ratings if rating.listener == listener and rating.method == method]
        rows.append([np.mean([measure(rating) for rating in own]) for measure in MEASURES.values()])
    return np.array(rows)


def estimate(values: np.ndarray, draws: np.ndarray) -> Estimate:
    """Return the mean of listeners' values (listeners,), and the expanded percentile interval of its resamples.

    Args:
        draws: indices of listeners, (resamples, listeners).
    """
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, None, None)
    means = values[draws].mean(axis=1)
    tail = _tail(len(values))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Estimate(mean, float(low), float(high))


def _tail(listeners: int) -> float:
    """Return the part of the resamples below the interval: less than (1 - LEVEL) / 2.

    Resamples of n values have a deviation that is too small by sqrt((n - 1) / n), and a normal distribution's tails
    where Student's are due: plain percentiles of 12 values hold the mean some 91 times in 100.
    """
    from scipy.stats import norm, t  # imported late: it takes as long as all the rest

    quantile = t.ppf((1 - LEVEL) / 2, listeners - 1) * math.sqrt(listeners / (listeners - 1))
    return float(norm.cdf(quantile))
