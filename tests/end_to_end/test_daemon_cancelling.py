"""Requests that are being answered by a helper process can be cancelled by the client that sent them."""

import contextlib
import os
import signal
import time

import numpy as np
import pytest
from safetensors.numpy import save

from tertium.audio import files
from tertium.storage.checkpoints import Checkpoints
from tertium_protocol.client import Client
from tests.end_to_end.daemons import Osc, lives, running, until
from tests.sounds import tone
from tests.storage.test_checkpoints import a_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture
def clip(tmp_path):
    files.write(tmp_path / "long.wav", tone(seconds=30), 44_100, format="wav")
    return tmp_path / "long.wav"


def helper_held(daemon):
    """The helper process, stopped: as one that reads for very long."""
    (helper,) = daemon.helpers()
    os.kill(helper, signal.SIGSTOP)
    return helper


def answer_to(client, id):
    while (answer := client.receive()).id != id:
        pass
    return answer


@pytest.fixture
def own_daemon(tmp_path):
    with running(tmp_path / "home") as daemon:
        until(daemon.helpers)
        yield daemon


def test_a_stretch_is_cancelled_and_the_next_one_is_done(own_daemon, clip):
    with Osc(own_daemon.osc) as client:
        client.ask("add_sound", path=str(clip), end=1.0)  # the helper has started
        helper = helper_held(own_daemon)
        client.send("add_sound", 17, path=str(clip), seconds=40.0)
        client.send("add_sound", 17, path=str(clip), seconds=40.0)  # repeated, as OSC clients do
        assert client.refused("cancel", request="18")["code"] == "unknown_job"
        client.send("cancel", "stop", request="17")
        answers = [client.receive() for _ in range(3)]
        assert [(one.id, one.event) for one in answers] == [(17, "error"), (17, "error"), ("stop", "reply")]
        assert answers[0].fields["code"] == "cancelled"
        assert answers[2].fields == {"request": "17", "state": "cancelled"}
        with contextlib.suppress(
            ProcessLookupError
        ):  # it has ended, unless the request was cancelled before it came there
            os.kill(helper, signal.SIGCONT)
        assert client.ask("add_sound", path=str(clip), end=2.0)["seconds"] == 2.0


def test_another_client_that_waits_for_the_same_file_is_not_affected(own_daemon, clip):
    with Osc(own_daemon.osc) as client, Osc(own_daemon.osc) as other:
        client.ask("add_sound", path=str(clip), end=1.0)
        helper = helper_held(own_daemon)
        client.send("add_sound", 1, path=str(clip))
        other.send("add_sound", 1, path=str(clip))
        assert other.refused("cancel", request="2")["field"] == "request"  # by now its first request has arrived
        assert client.ask("cancel", request="1")["state"] == "cancelled"
        os.kill(helper, signal.SIGCONT)
        assert answer_to(other, 1).event == "reply"
        assert lives(helper)


def test_an_export_that_is_cancelled_leaves_nothing(own_daemon, tmp_path):
    checkpoints = Checkpoints(own_daemon.home / "checkpoints")
    checkpoints.save(a_checkpoint(), save({"layer.lora_A": np.zeros((1 << 26,), np.float32)}))
    target = tmp_path / "out"
    target.mkdir()
    with Osc(own_daemon.osc) as client:
        client.send(
            "export_checkpoint",
            "e",
            checkpoint="hum",
            path=str(target / "hum.safetensors"),
            token=own_daemon.facts["token"],
        )
        until(lambda: os.listdir(target))
        client.send("cancel", "stop", request="e")
        answers = {answer.id: answer for answer in (client.receive(), client.receive())}
        left = os.listdir(target)
        if answers["stop"].fields["state"] == "cancelled":
            assert (answers["e"].fields["code"], left) == ("cancelled", [])
        else:  # this disk was faster
            assert (answers["e"].event, left) == ("reply", ["hum.safetensors"])


def test_a_fusion_whose_file_is_still_being_read_is_cancelled_before_it_is_a_job(own_daemon, clip):
    with Osc(own_daemon.osc) as client:
        client.ask("add_sound", path=str(clip), end=1.0)
        helper_held(own_daemon)
        client.send("fuse", "f", original=str(clip), prompt="x")
        assert client.refused("cancel", request="g")["code"] == "unknown_job"
        client.send("cancel", "stop", request="f")
        refused, reply = client.receive(), client.receive()
        assert (refused.id, refused.event, refused.fields["code"]) == ("f", "error", "cancelled")
        assert reply.fields["state"] == "cancelled"
        assert client.ask("jobs")["total"] == 0


def test_a_python_client_that_is_interrupted_cancels_what_it_asked_for(own_daemon, clip):
    with Client(own_daemon.home) as client:
        client.ask("add_sound", path=str(clip), end=1.0)
        helper = helper_held(own_daemon)

        def has_ended():  # at once if the request had come to the helper by then, which a busy machine may not manage
            waiting = client._start(client._client.ask("add_sound", path=str(clip)))
            time.sleep(0.5)
            waiting.cancel()
            time.sleep(0.1)
            return not lives(helper)

        until(has_ended)
        assert client.ask("status").state == "ready"
