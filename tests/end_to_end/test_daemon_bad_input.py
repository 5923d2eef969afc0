"""Faulty and malicious input: each request gets a typed error with field, value and remedy, and the daemon continues."""

import contextlib
import json
import os
import random
import struct
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tertium_protocol.client import Client, RemoteError
from tertium_protocol.codecs import osc_requests
from tests.end_to_end.daemons import PATIENCE, Osc, running
from tests.sounds import tone, two_clips


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of unusable files that the daemon may read."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "noise.wav").write_bytes(random.Random(0).randbytes(5000))
    soundfile.write(folder / "whole.wav", tone().T, 44100)
    (folder / "cut.wav").write_bytes((folder / "whole.wav").read_bytes()[:40000])
    soundfile.write(folder / "silent.wav", np.zeros((44100, 2)), 44100)
    soundfile.write(folder / "nan.wav", np.where(np.arange(44100) == 7, np.nan, 0.1), 44100, subtype="FLOAT")
    soundfile.write(folder / "short.wav", tone(seconds=0.003).T, 44100)
    with soundfile.SoundFile(folder / "long.flac", "w", 8000, 1) as long:
        for _ in range(180):
            long.write(np.full(8000 * 60, 0.1))
    os.mkfifo(folder / "pipe.wav")
    (folder / "out.wav").symlink_to("/etc/hostname")
    return folder


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("missing.wav", "unknown_sound"), ("empty.wav", "bad_sound"), ("noise.wav", "bad_sound"), ("cut.wav", "bad_sound"),
        ("silent.wav", "bad_sound"), ("nan.wav", "bad_sound"), ("short.wav", "bad_sound"), ("long.flac", "bad_sound"),
        ("pipe.wav", "path_refused"), ("out.wav", "bad_sound"), (".", "path_refused"), ("/dev/zero", "path_refused"),
    ],
)  # fmt: skip
def test_an_unusable_file_is_refused_with_its_field_and_a_remedy(client, files, clips, name, code):
    path = os.path.join(files, name)
    error = client.refused("fuse", original=path, reference=clips[1])
    assert (error["code"], error["field"], error["value"]) == (code, "original", path)
    assert error["remedy"]
    error = client.refused("fuse", original=clips[0], reference=path)
    assert (error["code"], error["field"]) == (code, "reference")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("pipe.wav", "path_refused", "is a pipe, not a file."), (".", "path_refused", "is a folder, not a file."),
        ("missing.safetensors", "unknown_checkpoint", "There is no file"), ("whole.wav", "bad_message", "is not a checkpoint"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_imported_is_refused_without_delay(client, files, name, code, words):
    error = client.refused("import_checkpoint", path=os.path.join(files, name))
    assert (error["code"], error["field"]) == (code, "path")
    assert words in error["message"] and error["remedy"]
    assert client.ask("status")["state"]


@pytest.mark.parametrize(
    ("command", "fields", "code", "field", "words"),
    [
        ("fuze", {}, "unknown_command", "command", "Did you mean fuse?"),
        ("fuse", {"orginal": "x"}, "unknown_field", "orginal", "Did you mean original?"),
        ("fuse", {}, "missing_field", "original", "Send original"),
        ("generate", {"prompt": "x", "steps": "many"}, "bad_type", "steps", "whole number"),
        ("generate", {"prompt": "x", "steps": 501}, "out_of_range", "steps", "1 to 500"),
        ("fuse", {"original": "x", "prompt": "p", "blend": 0.5, "intervention": 3}, "conflict", "blend", "Send one"),
        ("fuse", {"original": "abcdef0123456789", "prompt": "p"}, "unknown_sound", "original", "add it again"),
        ("cancel", {"job": "nobody"}, "unknown_job", "job", "accepted event"),
        ("sound_audio", {"sound": "00000000"}, "unknown_command", "command", "ZeroMQ"),
        ("generate", {"prompt": "x", "seconds": 47.6}, "out_of_range", "seconds", "0.5 to 47.5"),
        ("generate", {"prompt": "x", "guidance": 1, "negative": "noise"}, "conflict", "negative", "raise its guidance"),
        ("fuse", {"original": "relative/file.wav", "prompt": "p"}, "path_refused", "original", "whole path"),
    ],
)
def test_a_wrong_request_is_refused_with_field_and_remedy(client, command, fields, code, field, words):
    error = client.refused(command, **fields)
    assert (error["code"], error["field"]) == (code, field)
    assert words in error["remedy"]


@pytest.mark.parametrize(
    ("command", "fields", "field", "words"),
    [
        ("fuse", {"completion_guidance": 3.0}, "completion_guidance", "Give completion_prompt"),
        ("fuse", {"negative": "noise"}, "negative", "raise its guidance"),
        ("morph", {"negative": "noise", "completion_prompt": "rain"}, "negative", "raise its guidance"),
        ("vary", {"negative": "noise", "guidance": 4.0}, "negative", "Give a prompt"),
    ],
)
def test_a_guidance_without_effect_is_refused(client, clips, command, fields, field, words):
    pair = {"original": clips[0]} | ({} if command == "vary" else {"reference": clips[1]})
    error = client.refused(command, **pair, **fields)
    assert (error["code"], error["field"]) == ("conflict", field)
    assert "has no effect" in error["message"] and words in error["remedy"]


@pytest.mark.parametrize("command", ["fuse", "morph", "window"])
def test_an_alignment_without_a_reference_sound_is_refused(daemon, client, clips, command):
    error = client.refused(command, original=clips[0], prompt="p", align="onsets")
    assert (error["code"], error["field"], error["value"]) == ("conflict", "align", "onsets")
    assert (
        error["message"]
        == "align has no effect where the prompt leads: only a reference that is a sound can be aligned."
    )
    assert error["remedy"] == "Give a sound as the reference, or leave align out."
    with Client(daemon.home) as learner:
        learner.submit("learn", reference=clips[1], prompt="a tone", name=f"for {command}", steps=2).wait()
    error = client.refused(command, original=clips[0], reference=f"for {command}", align="both")
    assert (error["code"], error["field"], error["value"]) == ("conflict", "align", "both")
    assert error["message"].startswith("align has no effect where the checkpoint leads: ")
    client.send(command, f"{command} as it is", original=clips[0], prompt="p", align="off", steps=4)
    assert client.events(f"{command} as it is")[-1].event == "done"


def test_a_completion_is_guided_by_its_own_prompt(client, clips):
    fields = {"completion_prompt": "rain", "completion_guidance": 3.0, "negative": "noise"}
    client.send("fuse", "guided", original=clips[0], reference=clips[1], steps=4, **fields)
    done = client.events("guided")[-1].fields
    recalled = json.loads(Path(done["recall"]).read_text())["recall"]["fields"]
    assert {name: recalled[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("prompt", "code", "words"),
    [
        ("memory", "out_of_memory", "shorter sound"),
        ("device-memory", "out_of_memory", "shorter sound"),
        ("disk", "disk_full", "Make room"),
        ("nan", "internal", "another seed"),
        ("mistake", "internal", "log"),
    ],
)
def test_a_job_that_goes_wrong_fails_with_a_remedy_and_the_worker_lives_on(daemon, client, prompt, code, words):
    worker = daemon.worker()
    client.send("generate", prompt, prompt=prompt, steps=2, seconds=0.5)
    failed = client.events(prompt)[-1]
    assert (failed.event, failed.fields["code"]) == ("failed", code)
    assert words in failed.fields["remedy"]
    assert client.ask("job", job=failed.fields["job"])["error"]["code"] == code
    client.send("generate", f"after {prompt}", prompt="x", steps=1, seconds=0.5)
    assert client.events(f"after {prompt}")[-1].event == "done"
    assert daemon.worker() == worker


def test_a_result_that_cannot_be_encoded_fails_its_job(daemon, client, clips):
    with Client(daemon.home) as other:
        with pytest.raises(
            RemoteError, match="The result cannot be encoded as a message: .* The daemon's log has"
        ) as caught:
            other.submit("generate", prompt="unsaid", steps=2, seconds=0.5).wait(PATIENCE)
        assert caught.value.code == "internal"
        events = []
        training = other.submit("learn", on_progress=events.append, reference=clips[1], prompt="unsaid", steps=3)
        with pytest.raises(
            RemoteError, match="cannot be encoded as a message"
        ):  # the sound at its end cannot be encoded either
            training.wait(PATIENCE)
        assert not [event for event in events if event.stage == "learn"], "progress may be omitted, the end may not"
        states = {job.state for job in other.ask("jobs").jobs if job.job == training.id}
        assert states == {"failed"}, "the state agrees with the event"
        assert Path(other.submit("generate", prompt="x", steps=1, seconds=0.5).wait(PATIENCE).path).is_file()
    assert daemon.process.poll() is None


def test_ten_thousand_mutated_datagrams_do_not_keep_the_next_from_its_answer(daemon, client):
    rng = random.Random(20261123)
    seeds = [
        osc_requests.encode_call("fuse", 1, {"original": "/x.wav", "reference": "/y.wav", "blend": 0.5, "steps": 20}),
        osc_requests.encode_call("status", "id", {}),
        osc_requests.encode_call("jobs", 1.5, {"limit": 3}),
        b"#bundle\0" + (1).to_bytes(8, "big") + struct.pack(">i", 20) + osc_requests.encode_call("status", "x", {}),
        b"#bundle\0" + (2**62).to_bytes(8, "big") + struct.pack(">i", -4),
        b"/" + b"*" * 63 + b"\0,s\0\0",
    ]
    worker, before = daemon.worker(), len(daemon.log)
    for number in range(10_000):
        client.socket.sendto(_mutated(rng, rng.choice(seeds)), client.address)
        if number % 100 == 99:  # so that the socket's buffer does not overflow on a busy machine
            _ping(client, f"ping {number}")
    assert daemon.worker() == worker
    assert daemon.process.poll() is None
    assert "Traceback" not in daemon.log[before:]


def test_a_flood_at_full_speed_keeps_another_client_waiting_for_less_than_a_second(daemon, client):
    rng, call = (
        random.Random(7),
        osc_requests.encode_call("fuse", 1, {"original": "/x.wav", "reference": "/y.wav", "steps": 20}),
    )
    flood = [_mutated(rng, call) for _ in range(10_000)]
    before = len(daemon.log)
    with Osc(daemon.osc) as flooding:
        for datagram in flood:
            flooding.socket.sendto(datagram, flooding.address)
        client.socket.settimeout(1)
        assert client.ask("status")["state"]
    assert len(daemon.log[before:].splitlines()) < 500


def test_datagrams_that_are_answers_get_none(client):
    for event in ("error", "reply", "done", "item"):
        client.socket.sendto(osc_requests.encode_message(f"/tertium/{event}", [1, "code", "x"]), client.address)
    assert client.silent()


def test_what_clients_send_cannot_forge_lines_of_the_log(daemon, client):
    client.refused("generate", prompt="x", slot="a\n12:00:00.000  all is well\x1b[2J", stepz=1)
    client.refused("sound", sound="/tmp/\n12:00:00.000  all is well")
    assert "\n12:00:00.000  all is well" not in daemon.log
    assert "\x1b" not in daemon.log


def _mutated(rng, datagram):
    broken = bytearray(datagram)
    for _ in range(rng.randint(1, 6)):
        kind = rng.randrange(4)
        at = rng.randrange(len(broken) + 1)
        if kind == 0 and at < len(broken):
            broken[at] = rng.randrange(256)
        elif kind == 1:
            broken[at:at] = rng.randbytes(rng.choice((1, 2, 4, 60)))
        elif kind == 2:
            del broken[at : at + rng.choice((1, 4, 9))]
        else:
            broken[at : at + 4] = struct.pack(">i", rng.choice((-1, 0, 1, 2**31 - 1, -(2**31))))
    return bytes(broken)


def _ping(client, id):
    """Request the status until it is answered: a busy machine may lose a datagram, which is then repeated, as clients do."""
    end = time.monotonic() + PATIENCE
    client.socket.settimeout(2)
    while time.monotonic() < end:
        client.send("status", id)
        with contextlib.suppress(TimeoutError):
            while True:
                datagram, _ = client.socket.recvfrom(65536)
                if id.encode() in datagram and b"/tertium/reply" in datagram:
                    return
    raise AssertionError(f"no answer to {id} within {PATIENCE} s")


def test_on_a_full_disk_jobs_fail_with_a_remedy_and_leave_nothing(tmp_path, clips):
    with running(tmp_path, file_limit=150_000) as daemon, Osc(daemon.osc) as client:
        assert (
            client.refused("fuse", original=clips[1], prompt="x")["code"] == "disk_full"
        )  # no room for a copy of 0.2 MB
        client.send("generate", "too large", prompt="x", steps=2, seconds=0.5)
        failed = client.events("too large")[-1]
        assert (failed.event, failed.fields["code"]) == ("failed", "disk_full")
        assert "Make room" in failed.fields["remedy"]
        assert list((tmp_path / "results").iterdir()) == []
        assert list((tmp_path / "sounds").iterdir()) == []
        client.send("generate", "small", prompt="x", steps=2, seconds=0.5, sample_rate=8000)
        assert client.events("small")[-1].event == "done"


def test_only_files_in_allowed_folders_are_read_and_urls_and_unicode_forms_are_accepted(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    two_clips(inside), two_clips(outside)
    decomposed = unicodedata.normalize("NFD", "Größe.wav")
    (inside / "original.wav").rename(inside / decomposed)
    with running(tmp_path / "home", roots=[str(inside)]) as daemon, Osc(daemon.osc) as client:
        asked = f"file://{inside}/" + unicodedata.normalize("NFC", "Größe.wav")
        assert client.ask("add_sound", path=asked)["frames"] == 28_800
        refused = client.refused("add_sound", path=str(outside / "original.wav"))
        assert refused["code"] == "path_refused" and "--roots" in refused["remedy"]
    with running(tmp_path / "home", roots=[]) as daemon, Osc(daemon.osc) as client:
        assert client.ask("add_sound", path=str(outside / "original.wav"))["frames"] == 28_800


def test_a_folder_that_is_allowed_may_be_read_at_once_and_after_the_next_start(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    path = two_clips(outside)[0]
    with running(tmp_path / "home", roots=[str(inside)]) as daemon, Osc(daemon.osc) as client:
        token = daemon.facts["token"]
        assert client.refused("allow", path=str(outside))["message"] == "allow over OSC needs the daemon's token."
        refused = client.refused("allow", path=path, token=token)
        assert (refused["code"], refused["message"]) == ("path_refused", f"There is no folder '{path}'.")
        assert client.refused("add_sound", path=path)["code"] == "path_refused"
        assert client.ask("allow", path=str(outside), token=token) == {"path": str(outside), "walls": 1}
        assert client.ask("add_sound", path=path)["frames"] == 28_800
    with running(tmp_path / "home", roots=[str(inside)]) as daemon, Osc(daemon.osc) as client:
        assert client.ask("add_sound", path=path)["frames"] == 28_800
