"""A file that hangs its reader blocks neither the daemon nor its shutdown."""

import os
import signal

from tests.end_to_end.daemons import Daemon, Osc, lives, running, until
from tests.sounds import two_clips


def test_a_hanging_reader_blocks_neither_other_requests_nor_the_shutdown(tmp_path):
    original, other = two_clips(tmp_path)
    daemon = Daemon(tmp_path / "home").ready()
    (reader,) = daemon.helpers()
    os.kill(reader, signal.SIGSTOP)
    with Osc(daemon.osc) as client:
        client.send("add_sound", "one", path=original)
        client.send(
            "add_sound", "two", path=other
        )  # whichever meets the process that hangs, the other is read by another
        assert client.ask("status")["state"] == "ready"
        answer = client.receive()
        assert (answer.event, answer.fields["frames"]) in (("reply", 28_800), ("reply", 26_460))
    assert daemon.stop() == 0
    assert "forced exit" not in daemon.log
    assert not lives(reader)


def test_a_killed_daemon_leaves_no_reader(tmp_path):
    daemon = Daemon(tmp_path / "home").ready()
    (reader,) = daemon.helpers()
    daemon.stop(signal.SIGKILL)
    until(lambda: not lives(reader))


def test_a_header_with_an_endless_loop_is_refused(tmp_path):
    """108 bytes on which libsndfile never returns."""
    info = b"LIST" + (28).to_bytes(4, "little") + b"INFOISFT" + (0xFFFFFFF8).to_bytes(4, "little") + bytes(16)
    form = b"fmt " + (16).to_bytes(4, "little") + b"\1\0\2\0\x44\xac\0\0\x10\xb1\2\0\4\0\x10\0"
    body = b"WAVE" + form + info + b"data" + (28).to_bytes(4, "little") + bytes(28)
    path = tmp_path / "circle.wav"
    path.write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    with running(tmp_path / "home") as daemon, Osc(daemon.osc) as client:
        for _ in range(9):
            assert client.refused("add_sound", path=str(path))["code"] == "bad_sound"
        original, _ = two_clips(tmp_path)
        assert client.ask("add_sound", path=original)["frames"] == 28_800
