"""Crashes: processes are killed, and accepted jobs are done all the same."""

import json
import os
import signal
from pathlib import Path

import pytest

from tertium.storage.checkpoints import Checkpoints
from tertium_protocol.client import Client
from tests.end_to_end.daemons import Daemon, Osc, lives, running, until


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A daemon whose worker may be killed."""
    with running(tmp_path_factory.mktemp("home"), step=0.02) as daemon:
        yield daemon


def test_accepted_jobs_survive_a_killed_daemon_and_are_done_after_a_restart(tmp_path, clips):
    first = Daemon(tmp_path, step=0.05).ready()
    worker = first.worker()
    with Osc(first.osc) as client:
        client.send("fuse", "done before", original=clips[0], reference=clips[1], steps=1)
        finished = client.events("done before")[-1].fields
        client.send("fuse", "running", original=clips[0], reference=clips[1], steps=60, seed=11)
        running_job = client.events("running", last=("progress",))[0].fields["job"]
        client.send("fuse", "waiting", original=clips[0], reference=clips[1], steps=2, seed=12)
        waiting_job = client.events("waiting", last=("accepted",))[0].fields["job"]
    first.stop(signal.SIGKILL)
    until(lambda: not lives(worker))  # the worker does not outlive the daemon
    assert (tmp_path / "daemon.json").exists()  # stale, and ignored
    second = Daemon(tmp_path).up()
    try:
        with Osc(second.osc) as client:
            for job in (running_job, waiting_job):
                until(lambda job=job: client.ask("job", job=job)["state"] == "done", lambda: second.log)
                assert Path(client.ask("job", job=job)["result"]["path"]).is_file()
            again = client.ask("job", job=finished["job"])
            assert again["result"]["sound"] == finished["sound"]
            client.send("fuse", "waiting", original=clips[0], reference=clips[1], steps=2, seed=12)
            repeated = client.events("waiting")
            assert [answer.event for answer in repeated] == ["accepted", "done"]
            assert repeated[0].fields["job"] == waiting_job
    finally:
        second.stop()


@pytest.mark.parametrize("command", ["fuse", "invert", "morph", "window"])
def test_a_result_stored_before_a_kill_is_not_computed_again(tmp_path, clips, command):
    more = {} if command == "invert" else {"reference": clips[1]}
    first = Daemon(tmp_path, program="tests.end_to_end.serve_killed").ready()
    with Osc(first.osc) as client:
        client.send(command, "once", original=clips[0], steps=4, seed=5, name="made", **more)
        job = client.events("once", last=("accepted",))[0].fields["job"]
        assert first.process.wait(30) == -signal.SIGKILL
    stored = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results").iterdir()}
    assert stored
    second = Daemon(tmp_path).up()
    try:
        with Client(tmp_path) as client:
            until(lambda: client.ask("job", job=job).state == "done", lambda: second.log)
            result = client.ask("job", job=job).result
        assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results").iterdir()} == stored
        assert Path(result.path).name in stored and json.loads(Path(result.recall).read_text())["job"] == job
        assert (result.seed, result.steps) == (5, 4)
        assert "stored before the daemon or its worker was stopped" in result.notes
        if command == "invert":
            assert Path(result.latents).name in stored
        if command == "window":
            assert Path(result.window.path).is_file()
    finally:
        second.stop()


def test_a_checkpoint_saved_before_a_kill_is_saved_once_and_reported_afterwards(tmp_path, clips):
    first = Daemon(tmp_path, program="tests.end_to_end.serve_killed").ready()
    with Osc(first.osc) as client:
        client.send("learn", "once", reference=clips[1], prompt="a tone", name="tone", steps=5, seed=1)
        job = client.events("once", last=("accepted",))[0].fields["job"]
        assert first.process.wait(30) == -signal.SIGKILL
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    before = checkpoints.get("tone")
    assert before.job == job
    stored = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results").iterdir()}
    second = Daemon(tmp_path).up()
    try:
        with Client(tmp_path) as client:
            until(lambda: client.ask("job", job=job).state == "done", lambda: second.log)
            result = client.ask("job", job=job).result
    finally:
        second.stop()
    assert checkpoints.list() == [before], "it was not trained again as tone-2"
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results").iterdir()} == stored
    assert (result.checkpoint, result.steps, result.loss, result.seed) == ("tone", 5, before.losses[-1], 1)
    assert Path(result.path).name in stored
    assert "stored before the daemon or its worker was stopped" in result.notes


def test_the_python_client_waits_through_a_killed_daemon(tmp_path):
    first = Daemon(tmp_path, step=0.05).ready()
    with Client(tmp_path) as client:
        job = client.submit("generate", prompt="step=0.05", steps=40, seconds=0.5)
        first.stop(signal.SIGKILL)
        second = Daemon(tmp_path).up()
        try:
            assert Path(job.wait(timeout=60).path).is_file()
        finally:
            second.stop()


def test_a_job_whose_worker_is_killed_is_done_by_a_fresh_one(own):
    with Osc(own.osc) as client:
        worker = own.worker()
        client.send("generate", "retried", prompt="step=0.05", steps=30, seconds=0.5)
        client.events("retried", last=("progress",))
        os.kill(worker, signal.SIGKILL)
        client.ask("status")  # the daemon answers meanwhile
        answers = client.events("retried")
        assert answers[-1].event == "done"
        assert not [answer for answer in answers if answer.event == "failed"]
        fractions = [answer.fields["fraction"] for answer in answers[:-1]]
        assert fractions == sorted(fractions)
        assert own.worker() != worker


def test_a_job_that_kills_its_worker_twice_fails_and_the_next_one_is_done(own):
    with Osc(own.osc) as client:
        client.send("generate", "deadly", prompt="step=0.01 die=3", steps=10, seconds=0.5)
        client.send("generate", "harmless", prompt="x", steps=2, seconds=0.5)
        answers = []
        while len(answers) < 2:
            answer = client.receive()
            answers += [answer] if answer.event in ("done", "failed") else []
        failed, done = answers
        assert (failed.id, failed.fields["code"]) == ("deadly", "worker_died")
        assert "SIGKILL, possibly for lack of memory, 2 times" in failed.fields["message"]
        assert (done.id, done.event) == ("harmless", "done")


def test_a_job_that_kills_its_worker_once_is_done(own):
    with Osc(own.osc) as client:
        client.send("generate", "once", prompt="die-once=2", steps=4, seconds=0.5)
        answers = client.events("once")
        assert (answers[0].event, answers[-1].event) == ("accepted", "done")
        assert (own.home / "died").exists()


def test_a_training_job_that_kills_its_worker_once_resumes_from_its_saved_state(tmp_path, clips):
    with running(tmp_path, write_every=0.0) as daemon, Osc(daemon.osc) as client:
        prompt = "step=0.03 die-once=20"
        client.send("learn", "once", reference=clips[1], prompt=prompt, steps=24, seed=1)
        done = client.events("once")[-1]
        assert done.event == "done" and "resumed at step " in done.fields["notes"]
        client.send("learn", "again", reference=clips[1], prompt=prompt, steps=24, seed=1)
        undisturbed = client.events("again")[-1]
        checkpoints = Checkpoints(tmp_path / "checkpoints")
        assert (
            checkpoints.get(done.fields["checkpoint"]).losses
            == checkpoints.get(undisturbed.fields["checkpoint"]).losses
        )


def test_a_training_job_that_kills_its_worker_repeatedly_fails_and_its_state_becomes_a_checkpoint(tmp_path, clips):
    with running(tmp_path, write_every=0.0) as daemon, Osc(daemon.osc) as client:
        client.send("learn", "deadly", reference=clips[1], name="so far", prompt="step=0.03 die=20", steps=24, seed=1)
        failed = client.events("deadly")[-1].fields
        assert (failed["code"], "2 times" in failed["message"]) == ("worker_died", True)
        assert failed["remedy"].startswith("The saved training state becomes a checkpoint.")
        checkpoints = Checkpoints(tmp_path / "checkpoints")
        until(lambda: not checkpoints.is_free("so far"), lambda: daemon.log)
        assert 0 < checkpoints.get("so far").steps <= 20
        until(lambda: not list((tmp_path / "cache").glob("learning-*")))


def test_an_idle_worker_that_is_killed_is_replaced(own):
    worker = own.worker()
    os.kill(worker, signal.SIGKILL)
    until(lambda: own.worker() != worker)
    with Osc(own.osc) as client:
        client.send("generate", "after", prompt="x", steps=2, seconds=0.5)
        assert client.events("after")[-1].event == "done"


def test_the_daemon_answers_while_the_model_loads_and_jobs_wait_for_it(tmp_path):
    daemon = Daemon(tmp_path, model="slow").up()
    try:
        with Osc(daemon.osc) as client:
            assert client.ask("status")["state"] == "loading"
            client.send("generate", "early", prompt="x", steps=2, seconds=0.5)
            assert client.events("early", last=("accepted",))
            error = client.refused("generate", prompt="x", seconds=0.5, deadline=1)
            assert (error["code"], "still loading" in error["message"]) == ("deadline", True)
            assert client.events("early")[-1].event == "done"
    finally:
        daemon.stop()


def test_an_unavailable_model_is_reported_with_its_remedy(tmp_path):
    daemon = Daemon(tmp_path, model="gated").up()
    try:
        with Osc(daemon.osc) as client:
            until(lambda: client.ask("status")["state"] == "failed")
            assert client.ask("status")["message"] == "The model is gated. Accept its licence."
            error = client.refused("generate", prompt="x")
            assert (error["code"], error["remedy"]) == ("model_unavailable", "Accept its licence.")
    finally:
        assert daemon.stop() == 0


def test_a_worker_that_dies_while_loading_costs_no_accepted_job(tmp_path):
    daemon = Daemon(tmp_path, model="dies").up()
    try:
        with Osc(daemon.osc) as client:
            client.send("generate", "patient", prompt="x", seconds=0.5)
            accepted = client.receive()
            assert accepted.event == "accepted"
            until(lambda: client.ask("status")["state"] == "failed")
            assert "ended with status 3" in client.ask("status")["message"]
            refused = client.refused("generate", prompt="y", seconds=0.5)
            assert refused["code"] == "model_unavailable" and "ended with status 3" in refused["message"]
            assert client.ask("job", job=accepted.fields["job"])["state"] == "queued"
    finally:
        daemon.stop()
