"""The knob: what a turn of ``blend``, from 0 (the reference) to 1 (the original), means on a schedule.

A blend has a noise-to-signal ratio in the window, a ratio lies at an intervention of the schedule, which may be between
two steps, and in the default window it has a place between the two sounds. A measured window replaces the first of
these relations alone, so that the ratio, the intervention and the place of a turn always belong together.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tertium.engine.sampling.schedule import Schedule

WINDOW = (9.8, 2.5, 1.0, 0.55, 0.3)
"""Noise-to-signal ratios sigma / alpha at evenly spaced blends, from the reference's end of the window to the original's.

Measured with the ``pocket`` model and an instant reference held at 0.2, so that equal turns of the knob give about
equal steps of similarity to the original (log-mel correlation 0.45, 0.58, 0.70, 0.82, 0.95). Pairs of sounds differ;
the measured window of a pair replaces this default. Ratios rather than steps make it valid for any number of steps and
any schedule. Blends 0 and 1 are the two sounds themselves.
"""

Strength = Literal["even", "paper"]
"""How strongly the original enters:

``even``: by noise level, alike for every number of steps, order, eta and anchor, at any point between two steps; and the
result is moved to the place between the two sounds that the blend asks for. This is beyond the paper.
``paper``: as the update formula leaves it, at a step. How much of the original that is depends on the length of the step.
"""
STRENGTHS: tuple[Strength, ...] = get_args(Strength)


@dataclass(frozen=True)
class Turn:
    """One position of the knob.

    Args:
        intervention: k, 0 … N, a fraction between two steps; None for the reference alone.
        place: between the two sounds, 0 (the reference) … 1 (the original).
    """

    intervention: float | None
    place: float


def ratio_of(blend: float, *, window: Sequence[float] = WINDOW) -> float:
    """Return the noise-to-signal ratio of a blend, 0 … 1, in a window of two or more ratios.

    Raises:
        ValueError: blend out of range.
    """
    if not 0.0 <= blend <= 1.0:
        raise ValueError(f"blend must lie between 0 (the reference) and 1 (the original); got {blend}")
    place = blend * (len(window) - 1)
    before = min(int(place), len(window) - 2)
    part = place - before
    return math.exp((1.0 - part) * math.log(window[before]) + part * math.log(window[before + 1]))


def blend_of(ratio: float, *, window: Sequence[float] = WINDOW) -> float:
    """Return the blend of a noise-to-signal ratio: the inverse of :func:`ratio_of`. Ratios beyond the window have blend 0 or 1."""
    if ratio >= window[0]:
        return 0.0
    for knot in range(1, len(window)):
        if ratio > window[knot]:
            part = math.log(window[knot - 1] / ratio) / math.log(window[knot - 1] / window[knot])
            return (knot - 1 + part) / (len(window) - 1)
    return 1.0


def intervention_at(ratio: float, schedule: Schedule) -> float:
    """Return the intervention at which the schedule has a noise-to-signal ratio, interpolated in its logarithm.

    It lies between the first point that holds signal and the last that holds noise.
    """
    points = schedule.mixed
    wanted = -math.log(ratio)
    for before, after in itertools.pairwise(points):
        if wanted < schedule.lam(after):
            part = (wanted - schedule.lam(before)) / (schedule.lam(after) - schedule.lam(before))
            return before + max(part, 0.0)
    return float(points[-1]) if points else 0.0


def lam_at(intervention: float, schedule: Schedule) -> float:
    """Return half the log-SNR at an intervention, 0 … N, interpolated between the points that hold both signal and noise."""
    points = schedule.mixed
    if not points:
        return 0.0
    at = min(max(intervention, points[0]), points[-1])
    before = min(int(at), points[-1])
    after = min(before + 1, points[-1])
    return schedule.lam(before) + (at - before) * (schedule.lam(after) - schedule.lam(before))


def even_turn(blend: float, schedule: Schedule, *, window: Sequence[float] = WINDOW) -> Turn:
    """Return the turn of a blend, 0 … 1, for the strength ``even``."""
    if blend == 0.0:
        return Turn(None, 0.0)
    if blend == 1.0:
        return Turn(float(schedule.steps), 1.0)
    ratio = ratio_of(blend, window=window)
    return Turn(intervention_at(ratio, schedule), blend_of(ratio))


def place_of(intervention: float | None, schedule: Schedule) -> float:
    """Return the place of an intervention between the two sounds, 0 … 1: the blend that it has in the default window."""
    if intervention is None:
        return 0.0
    return 1.0 if intervention >= schedule.steps else blend_of(math.exp(-lam_at(intervention, schedule)))


def blend_to_intervention(blend: float, schedule: Schedule, *, window: Sequence[float] = WINDOW) -> int | None:
    """Return the step of a blend for the strength ``paper``: None at 0 (the reference), N at 1 (the original).

    Between them it is the step whose noise-to-signal ratio is nearest to the blend's in the window.

    N - 2 is skipped: only the last step follows it, whose update is the prediction itself, so that the result would keep
    what the intervention took from the reference; the steps before and after it move further towards the original.

    Args:
        blend: 0 … 1.
        window: noise-to-signal ratios at evenly spaced blends, starting at the reference's end of the window; two or
            more.
    """
    wanted = math.log(ratio_of(blend, window=window))
    if blend == 0.0:
        return None
    if blend == 1.0:
        return schedule.steps
    points = [point for point in schedule.mixed if point != schedule.steps - 2]
    return min(points, key=lambda point: abs(math.log(schedule.noise_to_signal(point)) - wanted), default=0)
