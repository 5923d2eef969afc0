"""Learning with the embedded model while processes are killed under it: it ends as if nothing had been. And what is heard of it on the way."""

import json
import os
import signal
from pathlib import Path

import pytest

from tertium.storage.checkpoints import Checkpoints
from tertium_protocol.client import Client, RemoteError
from tests.end_to_end.daemons import Daemon, Osc, running, until

TAUGHT = {"prompt": "a test tone", "batch": 1, "rank": 2, "seed": 7, "steps": 60}
POCKET = {"engine": "tertium.worker.torch_engine", "model": "pocket", "write_every": 0.0}


@pytest.fixture(scope="module")
def pocket(tmp_path_factory):
    with running(tmp_path_factory.mktemp("home"), **POCKET) as daemon:
        yield daemon


@pytest.fixture
def client(pocket):
    with Client(pocket.home) as client:
        yield client


@pytest.fixture(scope="module")
def undisturbed(pocket, clips):
    """The done of a learning that nothing befell."""
    with Client(pocket.home) as client:
        return client.submit("learn", reference=clips[1], name="undisturbed", **TAUGHT).wait()


def states(home):
    return sorted((Path(home) / "cache").glob("learning-*"))


def begun(client, home, job):
    """Wait until a third of it is learned, and some of it written down."""
    until(lambda: client.ask("job", job=job.id).fraction > 0.3 and states(home))


def assert_same(done, home, undisturbed, at):
    """To the last bit, whatever befell it."""
    one = Checkpoints(Path(home) / "checkpoints").get(done.checkpoint)
    other = Checkpoints(Path(at) / "checkpoints").get("undisturbed")
    assert one.losses == other.losses and len(one.losses) == 60
    assert (one.folder / "weights.safetensors").read_bytes() == (other.folder / "weights.safetensors").read_bytes()
    assert done.sound == undisturbed.sound
    assert states(home) == []


def resumed_at(done):
    (note,) = (note for note in done.notes if note.startswith("resumed at step "))
    return int(note.removeprefix("resumed at step "))


def test_a_learning_whose_worker_is_killed_goes_on_and_ends_the_same(pocket, client, clips, undisturbed):
    job = client.submit("learn", reference=clips[1], name="killed", **TAUGHT)
    begun(client, pocket.home, job)
    os.kill(pocket.worker(), signal.SIGKILL)
    done = job.wait(120)
    assert 0 < resumed_at(done) < 60
    assert_same(done, pocket.home, undisturbed, pocket.home)


def test_a_learning_whose_daemon_is_killed_goes_on_in_the_next_and_ends_the_same(tmp_path, pocket, clips, undisturbed):
    first = Daemon(tmp_path, trajectory_disk=8, **POCKET).ready()
    fusion = {"original": clips[0], "prompt": "a bright drone", "blend": 0.4, "steps": 6, "seed": 3}
    with Client(tmp_path) as client:
        fused = client.submit("fuse", **fusion).wait()
        (phase,) = (tmp_path / "cache" / "trajectories").iterdir()
        job = client.submit("learn", reference=clips[1], name="killed", **TAUGHT)
        begun(client, tmp_path, job)
        first.stop(signal.SIGKILL)
        second = Daemon(tmp_path, trajectory_disk=8, **POCKET).up()
        try:
            done = job.wait(120)
            assert 0 < resumed_at(done) < 60
            assert_same(done, tmp_path, undisturbed, pocket.home)
            os.utime(phase, (1000, 1000))
            assert client.submit("fuse", **fusion).wait().sound == fused.sound
            assert phase.stat().st_mtime > 1000, "it was made use of"
        finally:
            second.stop()


def test_a_learning_that_is_cancelled_before_its_new_worker_came_to_it_is_kept(pocket, client, clips, undisturbed):
    job = client.submit("learn", reference=clips[1], name="given up", **TAUGHT)
    begun(client, pocket.home, job)
    os.kill(pocket.worker(), signal.SIGKILL)
    until(lambda: client.ask("job", job=job.id).state == "queued")
    job.cancel()
    kept = Checkpoints(Path(pocket.home) / "checkpoints")
    until(lambda: not kept.is_free("given up"), lambda: pocket.log)
    assert 0 < kept.get("given up").steps < 60
    until(lambda: not states(pocket.home))


def test_a_learning_is_heard_on_the_way_and_is_as_if_undisturbed(pocket, client, clips, undisturbed):
    job = client.submit("learn", reference=clips[1], name="heard", **TAUGHT)
    until(lambda: client.ask("job", job=job.id).fraction > 0.1)
    heard = client.submit("preview", job=job.id, steps=4, name="so far").wait()
    assert 0 < heard.learned < 60 and client.ask("job", job=job.id).state in ("queued", "running")
    assert heard.loss == _losses(pocket, "undisturbed")[heard.learned - 1]
    assert Path(heard.path).name == "so far.wav" and heard.seconds == pytest.approx(0.6)
    assert f"the prompt after {heard.learned} of 60 steps of learning" in heard.notes
    recall = json.loads(Path(heard.recall).read_text())["recall"]
    assert recall["fields"] == {"job": job.id, "steps": 4, "seed": 7, "format": "wav", "name": "so far"}
    assert recall["learning"]["step"] == heard.learned and recall["learning"]["fields"]["rank"] == 2
    done = job.wait()
    assert_same(done, pocket.home, undisturbed, pocket.home)
    assert heard.sound != done.sound
    with pytest.raises(RemoteError, match=f"The job {job.id} has ended: it is done.") as late:
        client.submit("preview", job=job.id)
    assert (late.value.code, late.value.field) == ("conflict", "job")


def test_what_is_no_learning_under_way_cannot_be_heard(pocket, client, clips):
    first = client.submit("learn", reference=clips[1], name="long", **TAUGHT | {"steps": 5000})
    waiting = client.submit("learn", reference=clips[1], name="waits", **TAUGHT)
    other = client.submit("generate", prompt="x", seconds=0.5, steps=2)
    other.wait()
    for job, code, words in (
        (waiting.id, "conflict", f"The job {waiting.id} has not begun. Ask again when its progress tells of a loss."),
        (other.id, "conflict", f"The job {other.id} is no learning, but of generate. Give the id of a job of learn."),
        ("0" * 16, "unknown_job", "There is no job '0000000000000000'."),
    ):
        with pytest.raises(RemoteError) as refused:
            client.submit("preview", job=job)
        assert (refused.value.code, refused.value.field) == (code, "job")
        assert str(refused.value).startswith(words)
    waiting.cancel()
    first.cancel()


def test_a_learning_is_heard_over_osc(pocket, clips):
    with Osc(pocket.osc) as osc:
        osc.send("learn", "learning", reference=clips[1], name="by osc", **TAUGHT)
        job = osc.events("learning", last=("accepted",))[0].fields["job"]
        until(lambda: osc.ask("job", job=job)["fraction"] > 0.2)
        osc.send("preview", "look", job=job, steps=2)
        done = osc.events("look")[-1]
        assert (done.event, done.fields["learned"] > 0, done.fields["steps"]) == ("done", True, 2)
        osc.ask("cancel", job=job)


def _losses(daemon, name):
    return Checkpoints(Path(daemon.home) / "checkpoints").get(name).losses
