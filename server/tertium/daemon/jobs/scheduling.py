"""Scheduling: priorities, preemption, the order of the queue, deadlines and retries. No other module decides these."""

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
"""Priority by command; lower runs first."""
PAUSABLE = ("learn",)
"""Commands whose running jobs are preempted by jobs with a lower priority number, and resumed later."""
ATTEMPTS = 2
"""How often a job is started if its worker dies while running it."""
LEAST_GAIN = 0.01
"""Least fraction by which a training job must advance between two deaths of its worker to be started again."""


def place(queue: Sequence[Job], job: Job, *, before_equals: bool = False) -> int:
    """Return the index at which a job belongs in the queue: behind the jobs of its own priority, or before them."""
    for index, other in enumerate(queue):
        if other.priority > job.priority or (before_equals and other.priority == job.priority):
            return index
    return len(queue)


def is_preempted(running: Job | None, priority: int) -> bool:
    """Return whether a running job is paused for a new job of this priority."""
    return running is not None and running.command in PAUSABLE and priority < running.priority


def position(waiting: Sequence[Job], running: Job | None, job: Job) -> int:
    """Return how many jobs run before this one."""
    ahead = waiting.index(job) if job in waiting else 0
    return ahead + (running not in (None, job) and not is_preempted(running, job.priority))


def may_try_again(job: Job) -> bool:
    """Return whether a job whose worker died is started again. A training job that advances each time has no limit, since it will finish eventually."""
    advanced = job.command in PAUSABLE and job.fraction >= job.lost_at + LEAST_GAIN
    return job.attempts < ATTEMPTS or advanced


@dataclass(frozen=True)
class Outlook:
    """The estimate of when a new job could start and how long it would take.

    Args:
        costs: the cost model; None while it is unknown.
        model: facts about the loaded model.
        waiting, running: the queue, and the job that is running.
    """

    costs: CostModel | None
    model: Mapping[str, Any]
    waiting: Sequence[Job]
    running: Job | None

    def backlog(self, priority: int) -> float:
        """Estimate the seconds until a new job of a priority could start."""
        ahead = sum(self._estimate(job.spec) for job in self.waiting if job.priority <= priority)
        running = self.running
        if running is not None and not is_preempted(running, priority):
            whole, left = self._estimate(running.spec), running.seconds_left
            ahead += whole * (1 - running.fraction) if left is None else left
        return ahead

    def in_time(self, spec: JobSpec, deadline: float, *, spent: float) -> tuple[JobSpec, list[str]]:
        """Reduce a job's steps so that it meets a deadline. Return the job, and a note if it has fewer steps.

        Args:
            deadline: seconds from the request's arrival.
            spent: seconds since the request's arrival.

        Raises:
            TertiumError: deadline, if it cannot be met or the cost model is unknown.
        """
        if self.costs is None:
            raise TertiumError(
                "deadline", "The duration of jobs is not known yet: the model is still loading.", field="deadline",
                value=deadline, remedy="Send it without a deadline, or again once status reports ready.",
            )  # fmt: skip
        ahead = spent + self.backlog(PRIORITIES[spec.command])
        steps = cost_model.steps_within(self.costs, spec, self.model, deadline - ahead)
        if steps == 0:
            raise self._too_soon(spec, deadline, ahead)
        if steps == spec.steps:
            return spec, []
        return spec.with_steps(steps), [
            f"{steps} steps instead of {spec.steps}, to meet the deadline of {deadline:g} s"
        ]

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
    """Return the error of a job whose deadline passed before it could start, or None."""
    if job.due is None or time.monotonic() <= job.due:
        return None
    return TertiumError(
        "deadline", "The job's deadline passed before it could start.", field="deadline",
        remedy="Send it again with a later deadline, or without one.",
    )  # fmt: skip


def lateness(job: Job) -> list[str]:
    """Return a note if a job is done after its deadline."""
    late = 0.0 if job.due is None else time.monotonic() - job.due
    return [f"done {late:.1f} s after its deadline"] if late >= 0.05 else []
