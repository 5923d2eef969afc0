"""Scheduling: the one place that knows priorities, which job makes room for which, the order of the queue, deadlines and attempts."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tertium import cost_model
from tertium.cost_model import CostModel
from tertium.daemon.jobs.job import Job
from tertium.errors import TertiumError
from tertium.job_spec import JobSpec

PRIORITIES = {"fuse": 0, "vary": 1, "generate": 1, "invert": 1, "morph": 1, "window": 1, "preview": 1, "learn": 2}
"""By command; lower goes first."""
PAUSABLE = ("learn",)
"""Commands whose running jobs are interrupted for a job of a lower priority, and resumed."""
ATTEMPTS = 2
"""How often a job is tried whose worker dies under it."""
LEAST_GAIN = 0.01
"""Fraction by which a training job must advance between two deaths of its worker to be tried again."""


def place(queue: Sequence[Job], job: Job, *, before_equals: bool = False) -> int:
    """The index in the queue at which a job belongs: behind those of its own priority, or before them."""
    for index, other in enumerate(queue):
        if other.priority > job.priority or (before_equals and other.priority == job.priority):
            return index
    return len(queue)


def makes_room(running: Job | None, priority: int) -> bool:
    """Whether a running job is paused for a new one of this priority."""
    return running is not None and running.command in PAUSABLE and priority < running.priority


def position(waiting: Sequence[Job], running: Job | None, job: Job) -> int:
    """How many jobs go before this one."""
    ahead = waiting.index(job) if job in waiting else 0
    return ahead + (running not in (None, job) and not makes_room(running, job.priority))


def may_try_again(job: Job) -> bool:
    """Whether a job whose worker died is given to the next one. A training job that advances each time ends some day."""
    advanced = job.command in PAUSABLE and job.fraction >= job.lost_at + LEAST_GAIN
    return job.attempts < ATTEMPTS or advanced


@dataclass(frozen=True)
class Outlook:
    """What is known about when a new job could begin and how long it would take.

    Args:
        costs: None while they are not known.
        model: facts about the loaded model.
        waiting, running: the queue, and the job that the worker has.
    """

    costs: CostModel | None
    model: Mapping[str, Any]
    waiting: Sequence[Job]
    running: Job | None

    def backlog(self, priority: int) -> float:
        """Seconds until a new job of a priority could begin, as far as can be told."""
        ahead = sum(self._estimate(job.spec) for job in self.waiting if job.priority <= priority)
        running = self.running
        if running is not None and not makes_room(running, priority):
            whole, left = self._estimate(running.spec), running.seconds_left
            ahead += whole * (1 - running.fraction) if left is None else left
        return ahead

    def in_time(self, spec: JobSpec, deadline: float, *, spent: float) -> tuple[JobSpec, list[str]]:
        """The job in as many of its steps as can be done within a deadline, and a note where these are fewer.

        Args:
            deadline: seconds from the request's arrival.
            spent: seconds since then.

        Raises:
            TertiumError: deadline.
        """
        if self.costs is None:
            raise TertiumError(
                "deadline", "How long a job takes is not known yet: the model is still loading.", field="deadline",
                value=deadline, remedy="Send it without a deadline, or again when status says ready.",
            )  # fmt: skip
        ahead = spent + self.backlog(PRIORITIES[spec.command])
        steps = cost_model.steps_within(self.costs, spec, self.model, deadline - ahead)
        if steps == 0:
            raise self._too_soon(spec, deadline, ahead)
        if steps == spec.steps:
            return spec, []
        return spec.with_steps(steps), [f"{steps} steps instead of {spec.steps}, to be done in {deadline:g} s"]

    def _too_soon(self, spec: JobSpec, deadline: float, ahead: float) -> TertiumError:
        few = spec.with_steps(min(cost_model.FEWEST_STEPS, spec.steps))
        least = math.ceil(10 * (ahead + cost_model.MARGIN * self._estimate(few))) / 10
        return TertiumError(
            "deadline", f"The job cannot be done in {deadline:g} s: it takes at least {least:g} s.", field="deadline",
            value=deadline, remedy=f"Give it {least:g} s, a shorter sound, or no deadline.",
        )  # fmt: skip

    def _estimate(self, spec: JobSpec) -> float:
        return cost_model.estimate(self.costs, spec, self.model)


def missed(job: Job) -> TertiumError | None:
    """The error of a job whose deadline has passed before it could begin, or None."""
    if job.ready_by is None or time.time() <= job.ready_by:
        return None
    return TertiumError(
        "deadline", "The job's deadline had passed before it could begin.", field="deadline",
        remedy="Send it again, with more time or without a deadline.",
    )  # fmt: skip


def lateness(job: Job) -> list[str]:
    """A note on a job that is done after its deadline."""
    late = 0.0 if job.ready_by is None else time.time() - job.ready_by
    return [f"done {late:.1f} s after its deadline"] if late >= 0.05 else []
