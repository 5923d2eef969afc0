"""The queue and its journal: order, ends of jobs, and recovery after a crash."""

import asyncio
import json
import sqlite3

import pytest

from tertium.daemon.jobs.job import Job
from tertium.daemon.jobs.journal import Journal
from tertium.daemon.jobs.queue import JobQueue
from tertium.errors import TertiumError
from tests.specs import spec


def a_job(request="1", *, command="fuse", prompt=None, **more):
    fields = {} if prompt is None else {"prompt": prompt}
    return Job(request=json.dumps(request), fingerprint="f", spec=spec(command, **fields), **more)


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    journal.open()
    yield journal
    journal.close()


@pytest.fixture
def jobs(journal):
    jobs = JobQueue(journal, limit=3)
    jobs.events = []
    jobs.on_event(lambda job, event: jobs.events.append((json.loads(job.request), event)))
    return jobs


def reopened(journal):
    """Return the rows that a daemon would read if it started after a crash now."""
    other = Journal(journal._path)
    try:
        return {row["id"]: row for row in other.open()}
    finally:
        other.close()


async def test_a_job_is_on_the_disk_before_it_is_accepted(jobs, journal):
    job = a_job(slot="A", notes=["n"], ready_by=1.5)
    found = []
    jobs.on_event(lambda job, event: found.append((event, reopened(journal)[job.id]["state"])))
    await jobs.accept(job)
    assert found == [("accepted", "queued")]
    row = reopened(journal)[job.id]
    assert (row["command"], row["slot"], row["notes"], row["ready_by"]) == ("fuse", "A", ["n"], 1.5)
    assert Job.restored(row).spec == job.spec


async def test_each_commit_reaches_the_disk(journal):
    wanted = {"synchronous": 2, "journal_mode": "wal"}
    found = await journal._run(
        lambda: {name: journal._database.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}
    )
    assert found == wanted


async def test_a_job_that_cannot_be_journalled_is_not_accepted(jobs, journal):
    await jobs.accept(a_job("first"))
    await journal._run(lambda: journal._database.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(TertiumError, match="Make room") as refused:
        await jobs.accept(a_job("second", prompt="x" * 100_000))
    assert refused.value.code == "disk_full"
    assert [json.loads(job.request) for job in jobs.waiting] == ["first"]
    assert jobs.events == [("first", "accepted")]


async def test_a_late_write_does_not_bring_an_older_state_back(journal):
    """After a full disk, writes of several calls go on side by side: the slowest must not write what it found at its beginning."""
    jobs, full, gates = JobQueue(journal, limit=3), [True], {}

    async def update(job, **columns):
        if full:
            raise TertiumError("disk_full", "No room.", remedy="Make some.")
        if gate := gates.pop(job, None):
            await gate.wait()
        await Journal.update(journal, job, **columns)

    journal.update = update
    first, second = a_job("first"), a_job("second")
    for job in (first, second):
        await jobs.accept(job)
        await jobs.start()  # that it runs is not written yet
    full.clear()
    gate = gates[first.id] = asyncio.Event()
    slow = asyncio.ensure_future(jobs.flush())  # waits for the first job, and would go on to the second
    await asyncio.sleep(0)
    await jobs.flush()
    await jobs.done(second, {"path": "p"})
    gate.set()
    await slow
    assert {row["state"] for row in reopened(journal).values()} == {"running", "done"}
    assert reopened(journal)[second.id]["state"] == "done"


async def test_a_job_ends_once(jobs):
    await jobs.accept(a_job())
    job = await jobs.start()
    await jobs.done(job, {"path": "p"})
    await jobs.failed(job, {"code": "internal", "message": "late"})
    await jobs.cancel(job, "too late")
    assert job.state == "done"
    assert jobs.events == [("1", "accepted"), ("1", "done")]


async def test_progress_never_falls_and_is_sent_twenty_times_a_second_at_most(jobs):
    await jobs.accept(a_job())
    job = await jobs.start()
    for fraction in (0.1, 0.5, 0.3, 0.6):
        jobs.progress(job, "sample", fraction, 1.0)
    assert job.fraction == 0.6
    assert jobs.events.count(("1", "progress")) == 1
    jobs.progress(job, "sample", 0.2, 1.0)
    assert job.fraction == 0.6
    await jobs.give_back(job)
    await jobs.start()
    jobs.progress(job, "sample", 0.0, 1.0)
    assert job.fraction == 0.6


async def test_lower_priorities_go_first_and_equals_in_their_order(jobs):
    for request, priority in (("a", 1), ("b", 0), ("c", 0)):
        await jobs.accept(a_job(request, priority=priority))
    assert [json.loads((await jobs.start()).request) for _ in range(3)] == ["b", "c", "a"]


async def test_the_newest_of_a_slot_supersedes_those_that_wait_and_not_the_one_that_runs(jobs):
    await jobs.accept(a_job("running", slot="A"))
    running = await jobs.start()
    older = a_job("older", slot="A")
    await jobs.accept(older)
    await jobs.accept(a_job("other", slot="B"))
    newer = a_job("newer", slot="A")
    await jobs.accept(newer)
    assert running.state == "running"
    assert older.reason == f"Superseded by job {newer.id} in slot A."
    assert [json.loads(job.request) for job in jobs.waiting] == ["other", "newer"]


async def test_a_full_queue_refuses_jobs_except_those_that_supersede_one(jobs):
    for request in "abc":
        await jobs.accept(a_job(request, slot=request))
    with pytest.raises(TertiumError) as refused:
        await jobs.accept(a_job("d"))
    assert refused.value.code == "busy"
    await jobs.accept(a_job("e", slot="a"))
    assert len(jobs.waiting) == 3


async def test_a_request_id_with_other_content_is_a_conflict_until_its_job_has_ended(jobs, journal):
    job = a_job()
    await jobs.accept(job)
    assert jobs.known(job.request, "f") is job
    assert jobs.known(json.dumps(1), "f") is None  # 1 is not "1"
    with pytest.raises(TertiumError) as refused:
        jobs.known(job.request, "g")
    assert refused.value.code == "conflict"
    await jobs.cancelled(await jobs.start(), "why")
    assert jobs.known(job.request, "g") is None
    newer = a_job()
    newer.fingerprint = "g"
    await jobs.accept(newer)
    after = JobQueue(journal, limit=3)
    after.restore(list(reopened(journal).values()))
    for known in (jobs, after):
        assert known.known(job.request, "g").id == newer.id


async def test_a_repeated_request_waits_until_the_first_is_answered(jobs):
    order = []

    async def ask(name):
        async with jobs.claim("id"):
            order.append(f"{name} in")
            await asyncio.sleep(0.01)
            order.append(f"{name} out")

    await asyncio.gather(ask("one"), ask("two"), ask("three"))
    assert order == [f"{name} {way}" for name in ("one", "two", "three") for way in ("in", "out")]
    assert not jobs._claims


async def test_a_running_job_is_stopped_once_and_a_queued_one_ends_at_once(jobs):
    stopped = []
    jobs.on_cancel(stopped.append)
    await jobs.accept(a_job("runs"))
    await jobs.accept(a_job("waits"))
    running, waiting = await jobs.start(), jobs.waiting[0]
    for job in (running, running, waiting):
        await jobs.cancel(job, "why")
    assert stopped == [running]
    assert (running.state, waiting.state, jobs.waiting) == ("running", "cancelled", ())


async def test_after_a_crash_what_was_running_is_queued_again_and_ends_are_remembered(jobs, journal):
    for request in ("ends", "runs", "waits"):
        await jobs.accept(a_job(request))
    ended = await jobs.start()
    await jobs.failed(ended, {"code": "internal", "message": "m"})
    await jobs.start()
    after = JobQueue(journal, limit=3)
    assert after.restore(list(reopened(journal).values())) == 2
    assert [json.loads(job.request) for job in after.waiting] == ["runs", "waits"]
    assert after.get(ended.id).error == {"code": "internal", "message": "m"}
    assert after.known(ended.request, "f").state == "failed"
    assert [json.loads(job.request) for job in after.all()] == ["waits", "runs", "ends"]


async def test_an_unknown_job_is_refused(jobs):
    with pytest.raises(TertiumError, match="There is no job 'x'") as refused:
        jobs.get("x")
    assert refused.value.code == "unknown_job"


def test_a_damaged_journal_is_put_aside_and_a_new_one_begun(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is no database, and long enough to be looked at" * 40)
    journal = Journal(path)
    assert journal.open() == []
    journal.close()
    assert (tmp_path / "journal.sqlite.damaged").read_bytes().startswith(b"this is no")
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_the_error_of_a_journal_that_cannot_be_written_has_its_path(tmp_path):
    (tmp_path / "journal.sqlite").mkdir()
    journal = Journal(tmp_path / "journal.sqlite")
    with pytest.raises(TertiumError, match=r"journal\.sqlite"):
        journal.open()
    journal.close()


async def test_a_paused_job_waits_behind_what_goes_first_and_ahead_of_its_equals(jobs, journal):
    training, equal, first = (a_job(name, command="learn", priority=p) for name, p in (("l", 2), ("e", 2), ("f", 0)))
    await jobs.accept(training)
    assert await jobs.start() is training
    jobs.progress(training, "learn", 0.5, 3.0, loss=0.25)
    await jobs.accept(equal)
    await jobs.accept(first)
    await jobs.pause(training)
    assert [job.request for job in jobs.waiting] == ['"f"', '"l"', '"e"']
    assert (training.state, training.stage, training.fraction, training.attempts, training.loss) == (
        "queued", "paused", 0.5, 0, 0.25,
    )  # fmt: skip
    assert jobs.events[-1] == ("l", "progress") and jobs.running is None
    assert reopened(journal)[training.id]["state"] == "queued"


async def test_a_job_that_is_cancelled_in_the_moment_of_its_pause_ends(jobs):
    training = a_job("l", command="learn", priority=2)
    await jobs.accept(training)
    await jobs.start()
    await jobs.cancel(training, "Cancelled by request.")
    await jobs.pause(training)
    assert (training.state, jobs.running, jobs.waiting) == ("cancelled", None, ())


OLD_ROWS = {  # as version 0.1 wrote them, before job specifications existed
    "fuse": {
        "steps": 50, "order": 3, "eta": 1.0, "format": "wav", "sample_rate": None, "seed": 7, "name": "a + b", "original": "a" * 64, "seconds": 6.0,
        "reference": "b" * 64, "checkpoint": None, "prompt": None, "hold": 0.2, "anchor": "clean", "guidance": 1.0, "blend": 0.5, "intervention": None,
    },
    "vary": {
        "steps": 50, "order": 3, "eta": 1.0, "null": "unconditional", "format": "wav", "sample_rate": 48000, "seed": 7, "name": "a", "original": "a" * 64,
        "seconds": 6.0, "prompt": None, "strength": 0.5, "guidance": 6.0,
    },
    "invert": {
        "steps": 50, "order": 3, "eta": 1.0, "null": "unconditional", "format": "wav", "sample_rate": None, "seed": 7, "name": "a", "original": "a" * 64,
        "seconds": 6.0, "prompt": None, "anchor": "clean", "reconstruct_from": 45,
    },
    "learn": {
        "prompt": "p", "method": "lora", "steps": 150, "batch": 4, "rank": 16, "rate": None, "null_dropout": 0.3, "seed": 3, "format": "wav",
        "reference": "b" * 64, "checkpoint": "b", "name": "b learned", "seconds": 6.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("command", OLD_ROWS)
async def test_a_journal_of_an_older_version_is_read(command, journal):
    row = a_job().row() | {"id": "old", "command": command, "fields": OLD_ROWS[command]}
    await journal.insert(row)
    jobs = JobQueue(journal, limit=3)
    assert jobs.restore(list(reopened(journal).values())) == 1
    (job,) = jobs.waiting
    fields = job.spec.model_dump()
    assert {name: fields.get(name) for name in OLD_ROWS[command]} == OLD_ROWS[command] | (
        {"prompt": None} if command == "invert" else {}
    )
    assert (fields.get("null", "unconditional"), fields.get("loop", "off")) == ("unconditional", "off")


async def test_the_end_of_a_job_that_finds_no_room_is_written_when_there_is_some(jobs, journal):
    await jobs.accept(a_job())
    job = await jobs.start()
    await journal._run(lambda: journal._database.execute("PRAGMA max_page_count = 1"))
    await jobs.done(job, {"path": "p" * 100_000})
    assert job.state == "done" and not await jobs.flush()
    assert reopened(journal)[job.id]["state"] == "running"
    await journal._run(lambda: journal._database.execute("PRAGMA max_page_count = 1000000"))
    assert await jobs.flush()
    row = reopened(journal)[job.id]
    assert (row["state"], len(row["result"]["path"])) == ("done", 100_000)


async def test_nothing_is_accepted_once_the_home_was_deleted(jobs, journal):
    await jobs.accept(a_job("before"))
    journal._path.unlink()
    with pytest.raises(TertiumError, match="was deleted while it runs. Start the daemon again") as refused:
        await jobs.accept(a_job("after"))
    assert (refused.value.code, refused.value.field) == ("path_refused", "home")
    assert [json.loads(job.request) for job in jobs.waiting] == ["before"]
