"""The demo's OSC client with a daemon that loses datagrams, and with one that refuses."""

import socket
import threading

import pytest

from tertium.cli import demo
from tertium.errors import TertiumError
from tertium_protocol.codecs.osc_answers import encode_answer
from tertium_protocol.codecs.osc_requests import decode
from tertium_protocol.messages.events import Accepted, Answer, Done, ErrorInfo, Progress

RESULT = {
    "sound": "ab" * 32,
    "path": "/x.wav",
    "frames": 6,
    "channels": 2,
    "sample_rate": 44_100,
    "seconds": 6.0,
    "intervention": 40,
}


@pytest.fixture
def answering(monkeypatch):
    """answering(scripts): the address of a socket that answers the n-th datagram with the n-th list of payloads, and the calls it received."""
    monkeypatch.setattr(demo, "REPEAT_SECONDS", 0.1)
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(("127.0.0.1", 0))
    came = []

    def serve(scripts):
        for payloads in scripts:
            datagram, sender = end.recvfrom(65_536)
            (call,) = decode(datagram)
            came.append(call)
            for payload in payloads:
                for answer in encode_answer(Answer.of(payload, id=call.id, command=call.command)):
                    end.sendto(answer, sender)

    def start(scripts):
        threading.Thread(target=serve, args=(scripts,), daemon=True).start()
        return end.getsockname(), came

    yield start
    end.close()


def test_a_lost_datagram_loses_nothing(answering):
    address, came = answering(
        [
            [],
            [Accepted(job="j"), Progress(job="j", stage="completion", fraction=0.5, seconds_left=1.0)],
            [Done(job="j", **RESULT)],
        ]
    )
    seen = []
    done = demo.fuse_over_osc(address, 0.5, lambda *progress: seen.append(progress))
    assert (done.path, done.intervention) == ("/x.wav", 40)
    assert seen == [("completion", 0.5, 1.0)]
    assert len(came) == 3 and came[0] == came[1] == came[2], "the same id is the same job"
    assert came[0].command == "fuse" and came[0].fields["blend"] == 0.5


def test_a_refusal_is_passed_on_unchanged(answering):
    address, _ = answering([[ErrorInfo(code="disk_full", message="The disk is full.", remedy="Make room.")]])
    with pytest.raises(TertiumError) as caught:
        demo.fuse_over_osc(address, 0.5, lambda *progress: None)
    assert caught.value.code == "disk_full" and str(caught.value) == "The disk is full. Make room."


def test_a_silent_daemon_is_given_up(answering, monkeypatch):
    monkeypatch.setattr(demo, "PATIENCE_SECONDS", 0.3)
    address, came = answering([[], [], []])
    with pytest.raises(TertiumError, match="No answer over OSC"):
        demo.fuse_over_osc(address, 0.5, lambda *progress: None)
    assert len(came) == 3
