"""Training jobs with the embedded model whose processes are killed: they resume and end the same. And previews of running training jobs."""

import json
import os
import signal
from pathlib import Path

import pytest

from tertium.storage.checkpoints import Checkpoints
from tertium_protocol.client import Client, RemoteError
from tests.end_to_end.daemons import Daemon, Osc, running, until

TRAINING = {"prompt": "a test tone", "batch": 1, "rank": 2, "seed": 7, "steps": 60}
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
    """The ``done`` of an uninterrupted training job."""
    with Client(pocket.home) as client:
        return client.submit("learn", reference=clips[1], name="undisturbed", **TRAINING).wait()


def states(home):
    return sorted((Path(home) / "cache").glob("learning-*"))


def wait_until_saved(client, home, job):
    """Wait until a third of a training job is done and a training state is saved."""
    until(lambda: client.ask("job", job=job.id).fraction > 0.3 and states(home))


def assert_same(done, home, undisturbed, at):
    """Check that an interrupted training job is bit-identical to the uninterrupted one."""
    one = Checkpoints(Path(home) / "checkpoints").get(done.checkpoint)
    other = Checkpoints(Path(at) / "checkpoints").get("undisturbed")
    assert one.losses == other.losses and len(one.losses) == 60
    assert (one.folder / "weights.safetensors").read_bytes() == (other.folder / "weights.safetensors").read_bytes()
    assert done.sound == undisturbed.sound
    assert states(home) == []


def resumed_at(done):
    (note,) = (note for note in done.notes if note.startswith("resumed at step "))
    return int(note.removeprefix("resumed at step "))


def test_a_training_job_whose_worker_is_killed_resumes_and_ends_the_same(pocket, client, clips, undisturbed):
    job = client.submit("learn", reference=clips[1], name="killed", **TRAINING)
    wait_until_saved(client, pocket.home, job)
    os.kill(pocket.worker(), signal.SIGKILL)
    done = job.wait(120)
    assert 0 < resumed_at(done) < 60
    assert_same(done, pocket.home, undisturbed, pocket.home)


def test_a_training_job_whose_daemon_is_killed_resumes_in_the_next_and_ends_the_same(
    tmp_path, pocket, clips, undisturbed
):
    first = Daemon(tmp_path, trajectory_disk=8, **POCKET).ready()
    fusion = {"original": clips[0], "prompt": "a bright drone", "blend": 0.4, "steps": 6, "seed": 3}
    with Client(tmp_path) as client:
        fused = client.submit("fuse", **fusion).wait()
        (phase,) = (tmp_path / "cache" / "trajectories").iterdir()
        job = client.submit("learn", reference=clips[1], name="killed", **TRAINING)
        wait_until_saved(client, tmp_path, job)
        first.stop(signal.SIGKILL)
        second = Daemon(tmp_path, trajectory_disk=8, **POCKET).up()
        try:
            done = job.wait(120)
            assert 0 < resumed_at(done) < 60
            assert_same(done, tmp_path, undisturbed, pocket.home)
            os.utime(phase, (1000, 1000))
            assert client.submit("fuse", **fusion).wait().sound == fused.sound
            assert phase.stat().st_mtime > 1000, "the saved reference phase was used"
        finally:
            second.stop()


def test_a_training_job_cancelled_before_it_is_resumed_becomes_a_checkpoint(pocket, client, clips, undisturbed):
    job = client.submit("learn", reference=clips[1], name="given up", **TRAINING)
    wait_until_saved(client, pocket.home, job)
    os.kill(pocket.worker(), signal.SIGKILL)
    until(lambda: client.ask("job", job=job.id).state == "queued")
    job.cancel()
    checkpoints = Checkpoints(Path(pocket.home) / "checkpoints")
    until(lambda: not checkpoints.is_free("given up"), lambda: pocket.log)
    assert 0 < checkpoints.get("given up").steps < 60
    until(lambda: not states(pocket.home))


def test_a_preview_does_not_change_the_result_of_its_training_job(pocket, client, clips, undisturbed):
    job = client.submit("learn", reference=clips[1], name="previewed", **TRAINING)
    until(lambda: client.ask("job", job=job.id).fraction > 0.1)
    preview = client.submit("preview", job=job.id, steps=4, name="so far").wait()
    assert 0 < preview.learned < 60 and client.ask("job", job=job.id).state in ("queued", "running")
    assert preview.loss == _losses(pocket, "undisturbed")[preview.learned - 1]
    assert Path(preview.path).name == "so far.wav" and preview.seconds == pytest.approx(0.6)
    assert f"the prompt after {preview.learned} of 60 steps of learning" in preview.notes
    recall = json.loads(Path(preview.recall).read_text())["recall"]
    assert recall["fields"] == {"job": job.id, "steps": 4, "seed": 7, "format": "wav", "name": "so far"}
    assert recall["learning"]["step"] == preview.learned and recall["learning"]["fields"]["rank"] == 2
    done = job.wait()
    assert_same(done, pocket.home, undisturbed, pocket.home)
    assert preview.sound != done.sound
    with pytest.raises(RemoteError, match=f"The job {job.id} has ended: it is done.") as late:
        client.submit("preview", job=job.id)
    assert (late.value.code, late.value.field) == ("conflict", "job")


def test_only_a_running_training_job_can_be_previewed(pocket, client, clips):
    first = client.submit("learn", reference=clips[1], name="long", **TRAINING | {"steps": 5000})
    waiting = client.submit("learn", reference=clips[1], name="waits", **TRAINING)
    other = client.submit("generate", prompt="x", seconds=0.5, steps=2)
    other.wait()
    for job, code, words in (
        (
            waiting.id,
            "conflict",
            f"The job {waiting.id} has not started yet. Try again once its progress reports a loss.",
        ),
        (
            other.id,
            "conflict",
            f"The job {other.id} is not a training job: its command is generate. Give the id of a training job (command learn).",
        ),
        ("0" * 16, "unknown_job", "There is no job '0000000000000000'."),
    ):
        with pytest.raises(RemoteError) as refused:
            client.submit("preview", job=job)
        assert (refused.value.code, refused.value.field) == (code, "job")
        assert str(refused.value).startswith(words)
    waiting.cancel()
    first.cancel()


def test_a_training_job_is_previewed_over_osc(pocket, clips):
    with Osc(pocket.osc) as osc:
        osc.send("learn", "training", reference=clips[1], name="by osc", **TRAINING)
        job = osc.events("training", last=("accepted",))[0].fields["job"]
        until(lambda: osc.ask("job", job=job)["fraction"] > 0.2)
        osc.send("preview", "look", job=job, steps=2)
        done = osc.events("look")[-1]
        assert (done.event, done.fields["learned"] > 0, done.fields["steps"]) == ("done", True, 2)
        osc.ask("cancel", job=job)


def _losses(daemon, name):
    return Checkpoints(Path(daemon.home) / "checkpoints").get(name).losses
