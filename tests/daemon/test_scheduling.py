"""Scheduling: order, preemption, deadlines, retries."""

import time

import pytest

from tertium.cost_model import CostModel
from tertium.daemon.jobs import scheduling
from tertium.daemon.jobs.job import Job
from tertium.daemon.jobs.scheduling import PRIORITIES, Outlook
from tertium.errors import TertiumError
from tertium_protocol import COMMANDS
from tests.specs import spec

SPEED = CostModel(0.02, 0.01)


def a_job(command="generate", **more):
    return Job(
        request="1", fingerprint="f", spec=spec(command, seconds=1.0, steps=50), priority=PRIORITIES[command], **more
    )


def test_every_queued_command_has_a_priority():
    assert PRIORITIES.keys() == {name for name, row in COMMANDS.items() if row.kind == "queued"}


@pytest.mark.parametrize(
    ("running", "new", "preempted"),
    [("learn", "fuse", True), ("learn", "generate", True), ("learn", "learn", False), ("generate", "fuse", False), (None, "fuse", False)],
)  # fmt: skip
def test_a_training_job_is_preempted_by_jobs_of_a_lower_priority_number(running, new, preempted):
    assert scheduling.is_preempted(running and a_job(running), PRIORITIES[new]) is preempted


def test_a_job_waits_behind_its_equals_and_a_paused_one_ahead_of_them():
    queue = [a_job("fuse"), a_job("learn"), a_job("learn")]
    assert scheduling.place(queue, a_job("learn")) == 3
    assert scheduling.place(queue, a_job("learn"), before_equals=True) == 1
    assert scheduling.place(queue, a_job("generate")) == 1
    assert scheduling.place([], a_job()) == 0


def test_the_position_counts_what_goes_before():
    waiting = [a_job(), a_job()]
    assert scheduling.position(waiting, None, waiting[1]) == 1
    assert scheduling.position(waiting, a_job(), waiting[1]) == 2
    assert scheduling.position(waiting, a_job("learn"), waiting[1]) == 1
    assert scheduling.position(waiting, waiting[0], waiting[0]) == 0


def test_the_backlog_is_what_must_be_done_before():
    outlook = Outlook(SPEED, {}, [a_job("fuse"), a_job("generate"), a_job("learn")], a_job("generate", fraction=0.5))
    one = SPEED.estimate(1.0, 50)
    assert outlook.backlog(PRIORITIES["generate"]) == pytest.approx(
        0.5 * one + outlook._estimate(spec("fuse", seconds=1.0, steps=50)) + one
    )
    paused = Outlook(SPEED, {}, [], a_job("learn"))
    assert paused.backlog(PRIORITIES["fuse"]) == 0
    known = Outlook(SPEED, {}, [], a_job("generate", seconds_left=7.0))
    assert known.backlog(0) == 7.0


def test_a_deadline_takes_the_steps_that_fit_and_says_so():
    idle = Outlook(SPEED, {}, [], None)
    asked = spec("generate", seconds=1.0, steps=50)
    assert idle.in_time(asked, 10.0, spent=0.0) == (asked, [])
    shorter, notes = idle.in_time(asked, 0.3, spent=0.0)
    assert 4 <= shorter.steps < 50 and notes == [f"{shorter.steps} steps instead of 50, to meet the deadline of 0.3 s"]
    inversion, _ = idle.in_time(spec("invert", seconds=1.0, steps=50, reconstruct_from=40), 0.3, spent=0.0)
    assert inversion.reconstruct_from == round(40 * inversion.steps / 50)


@pytest.mark.parametrize(
    ("costs", "message"),
    [(SPEED, r"The job cannot be done in 0.05 s: it takes at least \d\.\d s. Give it"), (None, "the model is still loading. Send it without a deadline")],
)  # fmt: skip
def test_a_deadline_that_cannot_be_met_is_refused(costs, message):
    with pytest.raises(TertiumError, match=message) as refused:
        Outlook(costs, {}, [], None).in_time(spec("generate", seconds=1.0, steps=50), 0.05, spent=0.01)
    assert (refused.value.code, refused.value.field, refused.value.value) == ("deadline", "deadline", 0.05)


def test_missed_deadlines_and_late_jobs():
    assert scheduling.missed(a_job()) is None and scheduling.missed(a_job(ready_by=time.time() + 60)) is None
    assert scheduling.missed(a_job(ready_by=time.time() - 1)).code == "deadline"
    assert scheduling.lateness(a_job()) == []
    assert scheduling.lateness(a_job(ready_by=time.time() - 2)) == ["done 2.0 s after its deadline"]


@pytest.mark.parametrize(
    ("command", "facts", "again"),
    [
        ("fuse", {"attempts": 1}, True), ("fuse", {"attempts": 2, "fraction": 0.5, "lost_at": 0.4}, False),
        ("learn", {"attempts": 9, "fraction": 0.5, "lost_at": 0.4}, True), ("learn", {"attempts": 9, "fraction": 0.5, "lost_at": 0.5}, False),
    ],
)  # fmt: skip
def test_a_training_job_that_advanced_is_started_again(command, facts, again):
    assert scheduling.may_try_again(a_job(command, **facts)) is again


def test_a_clock_that_jumps_fails_no_job(monkeypatch):
    job = a_job(ready_by=time.time() + 60)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert scheduling.missed(job) is None and scheduling.lateness(job) == []
