"""How long work takes, as measured on this machine: what seconds left and deadlines are reckoned from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHORTEST = 1.0  # seconds of sound: shorter ones cost about as much
FEWEST_STEPS = 4  # below this a result is no music, whatever the deadline
LEARNING, CERTAINTY = 0.5, 0.01
TRAINING = 3.0  # a step of learning costs about three forwards a row: there, and twice the way back
LOOP_CONTEXT = 0.3
"""Seconds of itself that a loop has around it, on either side, while it is computed."""
LEAST = 1e-5  # seconds; nothing is free
MARGIN = 1.15  # a promise is reckoned so much slower than what was measured


@dataclass(frozen=True)
class Pace:
    """Costs in seconds of time for each second of sound.

    Args:
        fixed: everything but the steps: reading, encoding, decoding, writing.
        forward: one call of the model for one row.
    """

    fixed: float
    forward: float

    def estimate(self, seconds: float, forwards: float) -> float:
        """Time for a sound of ``seconds`` with so many calls of the model, in seconds."""
        return (self.fixed + self.forward * forwards) * max(seconds, SHORTEST)

    def corrected(self, seconds: float, forwards: float, took: float) -> "Pace":
        """The pace after a job that took so long: half way from what was expected, the surprise shared out between the two costs.

        A normalised step of least mean squares, in which the fixed cost is ten times as uncertain as that of a forward.
        """
        surprise = took / max(seconds, SHORTEST) - (self.fixed + self.forward * forwards)
        share = LEARNING * surprise / (1 + CERTAINTY * forwards**2)
        return Pace(max(self.fixed + share, LEAST), max(self.forward + share * CERTAINTY * forwards, LEAST))


def measured(seconds: float, few: tuple[int, float], many: tuple[int, float]) -> Pace:
    """The pace from two runs on a sound of ``seconds``: (calls of the model, time in seconds) of a short and of a longer one."""
    per_second = max(seconds, SHORTEST)
    forward = max((many[1] - few[1]) / (many[0] - few[0]), LEAST)
    fixed = max(few[1] - few[0] * forward, LEAST)
    return Pace(fixed / per_second, forward / per_second)


def forwards_per_step(fields: Mapping[str, Any], about: Mapping[str, Any]) -> float:
    """Calls of the model that a step of a job takes in the mean, at most.

    Args:
        fields: the job's resolved fields.
        about: what the engine says of its model. ``completion_shares`` are the shares of the steps that are left after the intervention
            at evenly spaced blends from 0 to 1.
    """
    if "null_dropout" in fields:
        return TRAINING * fields["batch"]
    rows = 1 if fields.get("guidance") == 1 or fields.get("prompt") is None else 2
    if fields.get("reference") is None:
        return rows + (rows if fields.get("hold") else 0)
    shares = about.get("completion_shares", (1.0,))
    if fields.get("blend") is None and fields.get("intervention") is None:  # a morph or a window, in the mean
        return max(sum(shares) / len(shares), 0.01)
    if fields.get("blend") is None:
        return 1 - fields["intervention"] / fields["steps"]
    return max(shares[math.floor(fields["blend"] * (len(shares) - 1))], 0.01)


def estimate(pace: Pace, fields: Mapping[str, Any], about: Mapping[str, Any]) -> float:
    """Time for a job with these resolved fields (``seconds``, ``steps``, and what decides the calls of a step), at most."""
    return sounds_made(fields) * pace.estimate(seconds_made(fields), fields["steps"] * forwards_per_step(fields, about))


def sounds_made(fields: Mapping[str, Any]) -> int:
    """How many sounds a job computes: the takes of a morph, the points of a window and its ends."""
    return fields["count"] if "count" in fields else fields["points"] + 2 if "points" in fields else 1


def seconds_made(fields: Mapping[str, Any]) -> float:
    """How long each of the sounds is that a job computes, in seconds, at most: a loop has some of itself around it."""
    around = 2 * LOOP_CONTEXT if fields.get("loop", "off") != "off" else 0.0
    return fields["seconds"] + around


def steps_within(pace: Pace, fields: Mapping[str, Any], about: Mapping[str, Any], seconds: float) -> int:
    """How many steps can be promised in so many seconds of time, at most those asked for; 0 if not even the fewest fit."""
    calls = (seconds / sounds_made(fields) / MARGIN / max(seconds_made(fields), SHORTEST) - pace.fixed) / pace.forward
    steps = min(math.floor(max(calls, 0.0) / forwards_per_step(fields, about)), fields["steps"])
    return steps if steps >= min(FEWEST_STEPS, fields["steps"]) else 0
