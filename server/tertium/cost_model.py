"""The cost model: how long jobs take on this machine, as measured. Remaining times and deadlines are computed from it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tertium.job_spec import Fuse, Invert, JobSpec, Learn, Morph, Pair, Vary, Window

SHORTEST = 1.0  # seconds of sound: shorter ones cost about as much
FEWEST_STEPS = 4  # fewer give an unusable result, whatever the deadline
CORRECTION, CERTAINTY = 0.5, 0.01
TRAINING = 3.0  # a training step costs about three forwards a row: one forward, and a backward that costs two
LOOP_CONTEXT = 0.3
"""Seconds of its own audio added to a loop on either side while it is computed."""
ALIGNING = 0.04
"""Seconds that the alignment of a reference takes for each second of the original, as measured on a server's processor."""
LEAST = 1e-5  # seconds: keeps every cost above 0
MARGIN = 1.15  # factor by which promised times exceed measured ones


@dataclass(frozen=True)
class CostModel:
    """Costs in seconds of computing time per second of sound.

    Args:
        fixed: everything but the steps: reading, encoding, decoding, writing.
        forward: one call of the model on one row of a batch.
    """

    fixed: float
    forward: float

    def estimate(self, seconds: float, forwards: float) -> float:
        """Return the time in seconds for a sound of ``seconds`` that takes ``forwards`` calls of the model."""
        return (self.fixed + self.forward * forwards) * max(seconds, SHORTEST)

    def corrected(self, seconds: float, forwards: float, took: float) -> "CostModel":
        """Return the costs updated by a job that took ``took`` seconds.

        Half of the prediction error is corrected, distributed over the two costs by a normalised least-mean-squares step
        in which the fixed cost is ten times as uncertain as that of a forward.
        """
        surprise = took / max(seconds, SHORTEST) - (self.fixed + self.forward * forwards)
        share = CORRECTION * surprise / (1 + CERTAINTY * forwards**2)
        return CostModel(max(self.fixed + share, LEAST), max(self.forward + share * CERTAINTY * forwards, LEAST))


def measured(seconds: float, few: tuple[int, float], many: tuple[int, float]) -> CostModel:
    """Return the costs found from two runs on a sound of ``seconds``.

    Args:
        few, many: calls of the model and time in seconds, of the shorter and of the longer run.
    """
    per_second = max(seconds, SHORTEST)
    forward = max((many[1] - few[1]) / (many[0] - few[0]), LEAST)
    fixed = max(few[1] - few[0] * forward, LEAST)
    return CostModel(fixed / per_second, forward / per_second)


def forwards_per_step(spec: JobSpec, about: Mapping[str, Any]) -> float:
    """Return an upper bound of the calls of the model per step, averaged over a job.

    Args:
        about: facts about the model. ``completion_shares`` are the shares of the steps that remain after the intervention
            at evenly spaced blends from 0 to 1.
    """
    if isinstance(spec, Learn):
        return TRAINING * spec.batch
    if isinstance(spec, Invert):
        return 1
    rows = 1 if spec.guidance == 1 or spec.prompt is None else 2
    if not isinstance(spec, Pair):
        return rows
    completed = max(_completed(spec, about.get("completion_shares", (1.0,))), 0.01)
    holding = rows if spec.hold else 0
    completing = 2 if spec.completion_prompt and spec.completion_guidance != 1 else 1
    if (
        spec.reference is None and spec.strength == "paper"
    ):  # together the reference phase and the completion are all steps
        return max(rows, completing) + holding
    if spec.reference is None:
        return rows + completed * (completing + holding)
    return completed * completing


def _completed(spec: Pair, shares: Sequence[float]) -> float:
    """Return the share of the steps that the completion takes at most, but for one step more (:func:`_beside`)."""
    if not isinstance(spec, Fuse):
        return sum(shares) / len(shares)
    if spec.blend is None:
        return 1 - spec.intervention / spec.steps
    return shares[math.floor(spec.blend * (len(shares) - 1))]


def estimate(costs: CostModel, spec: JobSpec, about: Mapping[str, Any]) -> float:
    """Return an upper bound of a job's time in seconds."""
    forwards = spec.steps * forwards_per_step(spec, about) + _beside(spec)
    return sounds_computed(spec) * costs.estimate(seconds_computed(spec), forwards) + _aligning(spec)


def _beside(spec: JobSpec) -> int:
    """Return the calls of the model beside those of each step: an intervention between two steps takes one more."""
    return 1 if isinstance(spec, Pair) and spec.strength == "even" else 0


def _aligning(spec: JobSpec) -> float:
    """Return the seconds that a job's alignment takes, once for all of its sounds."""
    return ALIGNING * spec.seconds if isinstance(spec, Pair) and spec.align != "off" else 0.0


def sounds_computed(spec: JobSpec) -> int:
    """Return the number of sounds that a job computes: the takes of a morph, the points of a window and its two ends."""
    if isinstance(spec, Morph):
        return spec.count
    return spec.points + 2 if isinstance(spec, Window) else 1


def seconds_computed(spec: JobSpec) -> float:
    """Return the length in seconds of each sound that a job computes, at most: a loop is computed with context on
    either side.
    """
    may_loop = isinstance(spec, Vary | Fuse | Morph) and spec.loop != "off"
    return spec.seconds + (2 * LOOP_CONTEXT if may_loop else 0.0)


def steps_within(costs: CostModel, spec: JobSpec, about: Mapping[str, Any], seconds: float) -> int:
    """Return how many of the requested steps can be promised within ``seconds``.

    Returns 0 if that is fewer than ``FEWEST_STEPS``.
    """
    left = seconds / MARGIN - _aligning(spec)
    per_second = left / sounds_computed(spec) / max(seconds_computed(spec), SHORTEST)
    calls = (per_second - costs.fixed) / costs.forward
    steps = min(math.floor(max(calls - _beside(spec), 0.0) / forwards_per_step(spec, about)), spec.steps)
    return steps if steps >= min(FEWEST_STEPS, spec.steps) else 0
