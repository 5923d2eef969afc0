"""The cost model: how long jobs take on this machine, as measured, from which seconds left and deadlines are computed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tertium.job_spec import Fuse, Invert, JobSpec, Learn, Morph, Pair, Vary, Window

SHORTEST = 1.0  # seconds of sound: shorter ones cost about as much
FEWEST_STEPS = 4  # below this a result is no music, whatever the deadline
CORRECTION, CERTAINTY = 0.5, 0.01
TRAINING = 3.0  # a step of learning costs about three forwards a row: there, and twice the way back
LOOP_CONTEXT = 0.3
"""Seconds of itself that a loop has around it, on either side, while it is computed."""
LEAST = 1e-5  # seconds; nothing is free
MARGIN = 1.15  # a promise is reckoned so much slower than what was measured


@dataclass(frozen=True)
class CostModel:
    """Costs, in seconds of time for each second of sound.

    Args:
        fixed: everything but the steps: reading, encoding, decoding, writing.
        forward: one call of the model for one row.
    """

    fixed: float
    forward: float

    def estimate(self, seconds: float, forwards: float) -> float:
        """Time for a sound of ``seconds`` with so many calls of the model, in seconds."""
        return (self.fixed + self.forward * forwards) * max(seconds, SHORTEST)

    def corrected(self, seconds: float, forwards: float, took: float) -> "CostModel":
        """The pace after a job that took so long: half way from what was expected, the surprise shared out between the two costs.

        A normalised step of least mean squares, in which the fixed cost is ten times as uncertain as that of a forward.
        """
        surprise = took / max(seconds, SHORTEST) - (self.fixed + self.forward * forwards)
        share = CORRECTION * surprise / (1 + CERTAINTY * forwards**2)
        return CostModel(max(self.fixed + share, LEAST), max(self.forward + share * CERTAINTY * forwards, LEAST))


def measured(seconds: float, few: tuple[int, float], many: tuple[int, float]) -> CostModel:
    """The pace from two runs on a sound of ``seconds``: (calls of the model, time in seconds) of a short and of a longer one."""
    per_second = max(seconds, SHORTEST)
    forward = max((many[1] - few[1]) / (many[0] - few[0]), LEAST)
    fixed = max(few[1] - few[0] * forward, LEAST)
    return CostModel(fixed / per_second, forward / per_second)


def forwards_per_step(spec: JobSpec, about: Mapping[str, Any]) -> float:
    """Calls of the model that a step of a job takes on average, at most.

    Args:
        about: facts about the model. ``completion_shares`` are the shares of the steps that are left after the intervention
            at evenly spaced blends from 0 to 1.
    """
    if isinstance(spec, Learn):
        return TRAINING * spec.batch
    if isinstance(spec, Invert):
        return 1
    rows = 1 if spec.guidance == 1 or spec.prompt is None else 2
    if not isinstance(spec, Pair):
        return rows
    if spec.reference is None:
        return rows + (rows if spec.hold else 0)
    shares = about.get("completion_shares", (1.0,))
    if not isinstance(spec, Fuse):
        return max(sum(shares) / len(shares), 0.01)
    if spec.blend is None:
        return 1 - spec.intervention / spec.steps
    return max(shares[math.floor(spec.blend * (len(shares) - 1))], 0.01)


def estimate(costs: CostModel, spec: JobSpec, about: Mapping[str, Any]) -> float:
    """Time for a job in seconds, at most."""
    return sounds_made(spec) * costs.estimate(seconds_made(spec), spec.steps * forwards_per_step(spec, about))


def sounds_made(spec: JobSpec) -> int:
    """How many sounds a job computes: the takes of a morph, the points of a window and its ends."""
    if isinstance(spec, Morph):
        return spec.count
    return spec.points + 2 if isinstance(spec, Window) else 1


def seconds_made(spec: JobSpec) -> float:
    """How long each of the sounds is that a job computes, in seconds, at most: a loop has some of itself around it."""
    may_loop = isinstance(spec, Vary | Fuse | Morph) and spec.loop != "off"
    return spec.seconds + (2 * LOOP_CONTEXT if may_loop else 0.0)


def steps_within(costs: CostModel, spec: JobSpec, about: Mapping[str, Any], seconds: float) -> int:
    """How many steps can be promised in so many seconds of time, at most those asked for; 0 if not even the fewest fit."""
    calls = (seconds / sounds_made(spec) / MARGIN / max(seconds_made(spec), SHORTEST) - costs.fixed) / costs.forward
    steps = min(math.floor(max(calls, 0.0) / forwards_per_step(spec, about)), spec.steps)
    return steps if steps >= min(FEWEST_STEPS, spec.steps) else 0
