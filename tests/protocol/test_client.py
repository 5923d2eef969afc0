"""The Python client against a peer with real sockets."""

import asyncio
import json
import threading
import time

import numpy as np
import pytest

from tertium_protocol import ProtocolError
from tertium_protocol.client import (
    AsyncClient,
    Client,
    JobCancelled,
    NoAnswer,
    NoDaemon,
    RemoteError,
    find_daemon,
)
from tertium_protocol.client import job as async_job
from tertium_protocol.codecs.audio_buffer import AudioBuffer
from tests.protocol.daemon import Peer, event, refusal, reply

RESULT = {
    "sound": "ab" * 32,
    "path": "/r.wav",
    "frames": 1,
    "channels": 2,
    "sample_rate": 44100,
    "seconds": 0.5,
    "seed": 7,
}


def a_fusion(call):
    yield event(call, "accepted", seed=7)
    for step in range(4):
        yield event(call, "progress", stage="fusing", fraction=step / 4)
    yield event(call, "done", **RESULT)


def running(call):
    yield event(call, "accepted")
    yield event(call, "progress", stage="fusing", fraction=0.5)


def test_a_job_gives_its_progress_and_its_result(tmp_path):
    with Peer(tmp_path, {"fuse": a_fusion}, token="secret") as peer, Client(tmp_path) as client:
        seen = []
        job = client.submit("fuse", original="/a", reference="/b", blend=0.4, seed=None, on_progress=seen.append)
        done = job.wait(timeout=5)
        assert (job.id, job.accepted.seed, done.path, done.seed) == ("j1", 7, "/r.wav", 7)
        assert [progress.fraction for progress in seen] == [0, 0.25, 0.5, 0.75]
        assert job.wait() == done
    fuse = peer.calls[-1]
    assert (fuse.fields, fuse.token) == ({"original": "/a", "reference": "/b", "blend": 0.4}, "secret")


def test_request_ids_are_unique_between_requests_and_clients(tmp_path):
    with Peer(tmp_path, {"fuse": a_fusion}) as peer, Client(tmp_path) as one, Client(tmp_path) as other:
        for client in (one, other, one):
            client.submit("fuse", original="/a", reference="/b").wait(timeout=5)
    ids = [call.id for call in peer.calls]
    assert len(set(ids)) == len(ids) == 5


def test_a_refusal_carries_code_field_value_and_remedy(tmp_path):
    def refuse(call):
        return [
            refusal(call, ProtocolError("unknown_field", "fuse has no field “blnd”.", "blnd", 1, "Did you mean blend?"))
        ]

    with Peer(tmp_path, {"fuse": refuse}), Client(tmp_path) as client, pytest.raises(RemoteError) as caught:
        client.submit("fuse", blnd=1)
    error = caught.value
    assert (error.code, error.field, error.value, error.remedy) == ("unknown_field", "blnd", 1, "Did you mean blend?")
    assert str(error) == "fuse has no field “blnd”. Did you mean blend?"


def test_codes_of_a_newer_daemon_are_passed_on(tmp_path):
    def fail(call):
        return [event(call, "accepted"), event(call, "failed", code="brand_new", message="So it is.")]

    with Peer(tmp_path, {"fuse": fail}), Client(tmp_path) as client, pytest.raises(RemoteError) as caught:
        client.submit("fuse").wait(timeout=5)
    assert caught.value.code == "brand_new"


def test_cancelling_from_the_progress_callback_ends_the_job(tmp_path):
    calls = []

    def fuse(call):
        calls.append(call)
        return running(call)

    def cancel(call):
        return [
            reply(call, {"job": "j1", "state": "running"}),
            event(calls[0], "cancelled", reason="Cancelled by request."),
        ]

    with Peer(tmp_path, {"fuse": fuse, "cancel": cancel}), Client(tmp_path) as client:
        states = []
        job = client.submit("fuse", on_progress=lambda _: states.append(job.cancel()))
        with pytest.raises(JobCancelled, match="Job j1: Cancelled by request"):
            job.wait(timeout=5)
        assert states == ["running"]


def test_an_exception_in_the_callback_ends_the_wait_and_not_the_job(tmp_path):
    def stumble(_):
        raise KeyError("mine")

    with Peer(tmp_path, {"fuse": a_fusion}), Client(tmp_path) as client:
        job = client.submit("fuse", on_progress=stumble)
        with pytest.raises(KeyError, match="mine"):
            job.wait(timeout=5)


def test_no_daemon_is_said_with_the_remedy(tmp_path):
    with pytest.raises(NoDaemon, match="No daemon runs in .* Start one with: tertium serve"), Client(tmp_path):
        pass
    (tmp_path / "daemon.json").write_text("{")
    with pytest.raises(NoDaemon, match="cannot be read"):
        find_daemon(tmp_path)
    (tmp_path / "daemon.json").write_text('{"pid": 1}')
    with pytest.raises(NoDaemon, match="has no ZeroMQ endpoint"), Client(tmp_path / "daemon.json"):
        pass
    with pytest.raises(NoDaemon, match="not connected"):
        Client(tmp_path).ask("status")


def test_the_home_is_found_through_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TERTIUM_HOME", str(tmp_path))
    (tmp_path / "daemon.json").write_text('{"pid": 7, "osc": ["127.0.0.1", 9000], "new": 1}')
    daemon = find_daemon()
    assert (daemon.home, daemon.pid, daemon.osc, daemon.zmq) == (tmp_path, 7, ("127.0.0.1", 9000), None)


def test_silence_is_said_and_a_dead_process_too(tmp_path):
    words = r"The daemon did not answer status within 0.2 s\. See its log"
    with (
        Peer(tmp_path, {"status": lambda call: []}),
        Client(tmp_path) as client,
        pytest.raises(NoAnswer, match=words),
    ):
        client.ask("status", timeout=0.2)
    description = json.loads((tmp_path / "daemon.json").read_text())
    (tmp_path / "daemon.json").write_text(json.dumps({**description, "pid": 2**22 + 1}))
    with (
        pytest.raises(NoAnswer, match="Process 4194305 is gone; start the daemon again"),
        Client(tmp_path, timeout=0.1),
    ):
        pass


def test_a_job_that_takes_longer_than_the_timeout_can_be_waited_for_again(tmp_path):
    calls = []

    def fuse(call):
        calls.append(call)
        return running(call)

    finish = {"status": lambda call: [reply(call, {"state": "ready", "model": "m"}), event(calls[0], "done", **RESULT)]}
    with Peer(tmp_path, {"fuse": fuse, **finish}), Client(tmp_path) as client:
        job = client.submit("fuse")
        with pytest.raises(NoAnswer, match=r"Job j1 was not done within 0\.1 s\. It goes on"):
            job.wait(timeout=0.1)
        assert client.ask("status").state == "ready"
        assert job.wait(timeout=5).path == "/r.wav"


def test_a_lost_result_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(async_job, "ASK_AGAIN", 0.1)
    states = iter(
        [
            {"state": "queued"},
            {"state": "running", "stage": "fusing", "fraction": 0.9},
            {"state": "done", "result": RESULT},
        ]
    )

    def job(call):
        return [reply(call, {"job": "j1", "command": "fuse", **next(states)})]

    with Peer(tmp_path, {"fuse": lambda call: [event(call, "accepted")], "job": job}), Client(tmp_path) as client:
        seen = []
        done = client.submit("fuse", on_progress=seen.append).wait(timeout=5)
        assert done.path == "/r.wav" and [progress.fraction for progress in seen] == [0.9]


@pytest.mark.parametrize(
    ("state", "raised"),
    [
        ({"state": "failed", "error": {"code": "disk_full", "message": "No room."}}, RemoteError),
        ({"state": "cancelled", "reason": "A newer one came."}, JobCancelled),
    ],
)
def test_a_lost_end_is_asked_for(tmp_path, monkeypatch, state, raised):
    monkeypatch.setattr(async_job, "ASK_AGAIN", 0.1)
    answers = {
        "fuse": lambda call: [event(call, "accepted")],
        "job": lambda call: [reply(call, {"job": "j1", "command": "fuse", **state})],
    }
    with Peer(tmp_path, answers), Client(tmp_path) as client, pytest.raises(raised, match="No room|newer"):
        client.submit("fuse").wait(timeout=5)


def test_a_restarted_daemon_gets_the_unanswered_request_again_under_the_same_id(tmp_path):
    deaf = Peer(tmp_path, {"fuse": lambda call: []})
    with Client(tmp_path) as client:
        jobs = []
        thread = threading.Thread(target=lambda: jobs.append(client.submit("fuse", original="/a", timeout=20)))
        thread.start()
        while len(deaf.calls) < 2:
            time.sleep(0.01)
        deaf.close()
        with Peer(tmp_path, {"fuse": a_fusion}, token="new") as peer:
            thread.join(20)
            assert jobs[0].wait(timeout=5).path == "/r.wav"
            assert (peer.calls[0].id, peer.calls[0].token) == (deaf.calls[1].id, "new")


def test_a_dead_daemon_ends_the_wait_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(async_job, "ASK_AGAIN", 0.05)
    monkeypatch.setattr(async_job, "PATIENCE", 0.5)
    peer = Peer(tmp_path, {"fuse": lambda call: [event(call, "accepted")]})
    with Client(tmp_path) as client:
        job = client.submit("fuse")
        peer.close()
        with pytest.raises(NoAnswer, match="no sign of life for 0.5 s. The job is kept"):
            job.wait()


def test_audio_goes_up_and_comes_down_whole(tmp_path):
    stored = {}

    def add(call):
        stored["buffer"] = call.buffers[0]
        return [reply(call, {**RESULT, "name": call.fields["name"]})]

    def send(call):
        return [(reply(call, {**RESULT, "name": "a"}), [stored["buffer"]])]

    samples = np.random.default_rng(0).standard_normal((2, 50_000)).astype(np.float32)
    with Peer(tmp_path, {"add_sound": add, "sound_audio": send}), Client(tmp_path) as client:
        info = client.upload(samples, 44100, name="noise")
        buffer = client.download(info.sound)
    assert (info.name, buffer.sample_rate) == ("noise", 44100)
    np.testing.assert_array_equal(buffer.to_array(), samples)


def test_several_threads_share_a_client(tmp_path):
    with Peer(tmp_path, {"fuse": a_fusion}), Client(tmp_path) as client:
        paths = []
        threads = [threading.Thread(target=lambda: paths.append(client.submit("fuse").wait(5).path)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert paths == ["/r.wav"] * 8


def test_events_of_all_jobs_are_published_with_sequence_numbers(tmp_path):
    with Peer(tmp_path, {"fuse": a_fusion}), Client(tmp_path) as client, Client(tmp_path) as other:
        seen = []
        stream = client.events(timeout=3)
        thread = threading.Thread(target=lambda: seen.extend(next(stream) for _ in range(6)))
        thread.start()
        while thread.is_alive():  # a subscription takes a moment to arrive
            other.submit("fuse").wait(timeout=5)
            thread.join(0.05)
        stream.close()
    sequence = [number for _, number in seen]
    assert sequence == list(range(sequence[0], sequence[0] + 6))
    assert {answer.event for answer, _ in seen} == {"accepted", "progress", "done"}


async def test_the_asynchronous_client_runs_jobs_side_by_side(tmp_path):
    with Peer(tmp_path, {"fuse": a_fusion}):
        async with AsyncClient(tmp_path) as client:
            jobs = await asyncio.gather(*(client.submit("fuse", blend=0.1 * n) for n in range(5)))
            results = await asyncio.gather(*(job.wait(timeout=5) for job in jobs))
            assert [done.seed for done in results] == [7] * 5
            assert all(job.progress.fraction == 0.75 for job in jobs)
            assert not client._waiting


async def test_garbage_from_the_daemon_is_passed_over(tmp_path):
    def noisy(call):
        return [
            (reply(call, {"state": "ready", "model": "m"}), [AudioBuffer("s16le", 1, 1, 8000, b"\0\0")]),
            reply(call, {}),
        ]

    with Peer(tmp_path, {"status": noisy}):
        async with AsyncClient(tmp_path) as client:
            assert (await client.ask("status")).state == "ready"
            assert (await client.ask("status")).state == "ready"


def test_closing_twice_and_while_events_are_read_is_harmless(tmp_path):
    with Peer(tmp_path, {}):
        client = Client(tmp_path).connect()
        stream = client.events(timeout=0.05)
        assert list(stream) == []
        client.events(timeout=1)
        client.close()
        client.close()
        assert client.connect().daemon is not None
        client.close()


def a_morph(call):
    yield event(call, "accepted", seed=7)
    for index in (1, 3, 1, 2):  # take 1 is sent again, as after a restart of the worker
        yield event(call, "take", index=index, count=3, blend=(index - 1) / 2, **RESULT)
    takes = [{"index": i, "blend": (i - 1) / 2, "sound": "ab" * 32, "path": "/r.wav"} for i in (1, 2, 3)]
    yield event(call, "done", **RESULT, takes=takes)


def test_each_take_is_told_once_as_it_comes(tmp_path):
    with Peer(tmp_path, {"morph": a_morph}), Client(tmp_path) as client:
        seen = []
        job = client.submit("morph", original="/a", reference="/b", count=3, on_take=seen.append)
        done = job.wait(timeout=5)
    assert [(take.index, take.count, take.blend) for take in seen] == [(1, 3, 0.0), (3, 3, 1.0), (2, 3, 0.5)]
    assert [take.index for take in done.takes] == [1, 2, 3]
