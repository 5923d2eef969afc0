"""The daemon over ZeroMQ: the Python client, plain sockets, buffers, events, and invalid frames."""

import json
import random

import numpy as np
import pytest
import zmq

from tertium_protocol import PROTOCOL_VERSION
from tertium_protocol.client import Client, JobCancelled, RemoteError
from tertium_protocol.codecs import zeromq
from tertium_protocol.codecs.envelope import Call
from tests.end_to_end.daemons import running
from tests.sounds import tone


@pytest.fixture
def python(daemon):
    with Client(daemon.home) as client:
        yield client


@pytest.fixture
def dealer(daemon):
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger, socket.rcvtimeo = 0, 20000
        socket.connect(daemon.facts["zmq"])
        yield socket


def test_sounds_are_uploaded_and_downloaded_as_buffers(python):
    samples = tone(250, seconds=0.7)
    original = python.upload(samples, 44100, name="given")
    assert (original.name, original.frames) == ("given", samples.shape[1])
    np.testing.assert_array_equal(python.download(original.sound).to_array(), samples)
    reference = python.upload(tone(300), 44100)
    events = []
    job = python.submit(
        "fuse", original=original.sound, reference=reference.sound[:10], steps=5, on_progress=events.append
    )
    result = job.wait()
    assert result.frames == samples.shape[1]
    assert events
    assert python.download(result.sound).frames == result.frames


def test_an_inversion_saves_its_latents(python):
    sound = python.upload(tone(250), 44100)
    result = python.submit("invert", original=sound.sound, steps=4).wait()
    from safetensors.numpy import load_file

    assert load_file(result.latents)["latents"].shape == (5, 4, 8)


def test_waiting_for_a_cancelled_job_raises(python):
    job = python.submit("generate", prompt="step=0.05", steps=200, seconds=0.5)
    job.cancel()
    with pytest.raises(JobCancelled, match="by request"):
        job.wait()


def test_errors_name_field_value_and_remedy(python):
    with pytest.raises(RemoteError) as refused:
        python.ask("sound", sound="/etc/../dev/null")
    assert (refused.value.code, refused.value.field, refused.value.value) == (
        "path_refused",
        "sound",
        "/etc/../dev/null",
    )
    assert "path of a file" in refused.value.remedy
    with pytest.raises(RemoteError) as refused:
        python.ask("job", job="nosuch")
    assert refused.value.code == "unknown_job"
    with pytest.raises(RemoteError) as refused:
        python.submit("fuse", original=python.upload(tone(), 44100).sound, reference="lerned")
    assert (refused.value.code, refused.value.field) == ("unknown_checkpoint", "reference")


def test_events_are_published_with_sequence_numbers_that_have_no_gaps(daemon, python):
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger, subscriber.rcvtimeo = 0, 20000
        subscriber.subscribe(b"tertium.")
        subscriber.connect(daemon.facts["events"])
        job, events = None, []
        while not events:  # until the subscription is effective
            job = python.submit("generate", prompt="x", steps=3, seconds=0.5)
            job.wait()
            if subscriber.poll(200):
                events.append(zeromq.decode_event(subscriber.recv_multipart()))
        job = python.submit("generate", prompt="x", steps=3, seconds=0.5)
        while (events[-1][0].event, events[-1][0].fields["job"]) != ("done", job.id):
            events.append(zeromq.decode_event(subscriber.recv_multipart()))
    numbers = [sequence for _, sequence in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert next(answer.event for answer, _ in events if answer.fields["job"] == job.id) == "accepted"


def test_a_req_socket_is_served_too(daemon):
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger, socket.rcvtimeo = 0, 20000
        socket.connect(daemon.facts["zmq"])
        socket.send_multipart(zeromq.encode_call(Call("status", 1)))
        answer, _ = zeromq.decode_answer(socket.recv_multipart())
        assert (answer.id, answer.event) == (1, "reply")


def test_invalid_frames_are_refused_and_the_next_request_is_answered(dealer):
    rng = random.Random(1)
    good = zeromq.encode_call(Call("status", "mutated"))[0]
    parts = [[b""], [b"{"], [b"[]"], [b"\xff\xfe"], [b"{}"] * 20, [b"[" * 60000], [good, b"\0" * 1000], [b"1" * 70000]]
    for _ in range(300):
        broken = bytearray(good)
        for _ in range(rng.randint(1, 5)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        parts.append([bytes(broken)])
    for one in parts:
        dealer.send_multipart(one)
    dealer.send_multipart(zeromq.encode_call(Call("status", "after")))
    answers = []
    while not answers or answers[-1].id != "after":
        answers.append(zeromq.decode_answer(dealer.recv_multipart())[0])
    assert answers[-1].event == "reply"
    assert "bad_message" in {answer.fields.get("code") for answer in answers[:-1]}


def test_over_tcp_each_request_needs_the_token(tmp_path):
    with running(tmp_path, zmq="tcp://127.0.0.1:0") as daemon:
        assert (daemon.home / "daemon.json").stat().st_mode & 0o077 == 0
        with Client(daemon.home) as client:
            assert client.ask("status").version
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.linger, socket.rcvtimeo = 0, 20000
            socket.connect(daemon.facts["zmq"])
            for token in (None, "guess", "gué"):
                socket.send_multipart(zeromq.encode_call(Call("shutdown", 1, token=token)))
                answer, _ = zeromq.decode_answer(socket.recv_multipart())
                assert (answer.event, answer.fields["code"], answer.fields["field"]) == (
                    "error",
                    "not_allowed",
                    "token",
                )


def test_the_error_for_a_header_of_another_version_names_the_supported_one(dealer):
    dealer.send(json.dumps({"tertium": "2.0", "id": 3, "command": "status"}).encode())
    answer, _ = zeromq.decode_answer(dealer.recv_multipart())
    assert (answer.id, answer.fields["code"]) == (3, "bad_message")
    assert f"speaks {PROTOCOL_VERSION}" in answer.fields["message"]
