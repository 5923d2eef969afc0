"""The daemon over OSC: real datagrams and a real worker process with a fake engine."""

import json
import time
from pathlib import Path

import pytest
import soundfile

from tertium_protocol import COMMANDS
from tertium_protocol.codecs import osc_requests
from tests.end_to_end.daemons import Osc, running
from tests.sounds import tone


def test_a_fusion_is_accepted_makes_progress_and_is_done_once(client, clips):
    client.send("fuse", 7, original=clips[0], reference=clips[1], steps=30, seed=5)
    answers = client.events(7)
    assert [answers[0].event, answers[-1].event] == ["accepted", "done"]
    assert {answer.event for answer in answers[1:-1]} <= {"progress"}
    assert len({answer.fields["job"] for answer in answers}) == 1
    fractions = [answer.fields["fraction"] for answer in answers[1:-1]]
    assert fractions == sorted(fractions)
    done = answers[-1].fields
    shape = (done["frames"], done["sample_rate"], done["channels"])
    assert shape == (28800, 48000, 2), "length and sample rate of the original"
    assert done["peak_dbtp"] <= -1.0
    assert (done["seed"], done["steps"], done["model"]) == (5, 30, "fake")
    assert "original: mono, given to both channels" in json.loads(done["notes"])
    info = soundfile.info(done["path"])
    assert (info.frames, info.samplerate) == (28800, 48000)
    assert client.silent()


@pytest.mark.parametrize(
    ("rate", "channels", "notes"),
    [
        (8000, 1, ("mono, given to both channels", "resampled from 8000 Hz to 44100 Hz")),
        (192000, 2, ("resampled from 192000 Hz",)),
        (44100, 8, ("8 channels, taken for FL FR FC LFE BL BR SL SR and mixed down to stereo",)),
    ],
)
def test_unusual_originals_are_converted_with_a_note(client, clips, tmp_path, rate, channels, notes):
    frames = round(0.7 * rate) + 1
    sound = tone(100, seconds=1, sample_rate=rate, channels=channels)[:, :frames]
    soundfile.write(tmp_path / "unusual.wav", sound.T, rate, subtype="FLOAT")
    id = f"unusual {rate} {channels}"
    client.send("fuse", id, original=str(tmp_path / "unusual.wav"), reference=clips[1], steps=2)
    done = client.events(id)[-1].fields
    assert (done["frames"], done["sample_rate"]) == (frames, rate)
    assert all(words in done["notes"] for words in notes), done["notes"]


def test_the_recipe_reproduces_the_sound(client, clips):
    client.send("fuse", "recall", original=clips[0], reference=clips[1], blend=0.25, hold=0.5)
    done = client.events("recall")[-1].fields
    recall = json.loads(Path(done["recall"]).read_text())["recall"]
    assert recall["command"] == "fuse"
    assert recall["fields"]["seed"] == done["seed"]
    assert (recall["fields"]["blend"], recall["fields"]["hold"], recall["fields"]["steps"]) == (0.25, 0.5, 50)
    assert recall["fields"]["original"] == recall["sounds"]["original"]["id"]
    assert recall["sounds"]["original"]["id"] != recall["sounds"]["reference"]["id"]
    assert recall["model"]["fingerprint"] == "f" * 64
    assert {"tertium", "python", "torch", "numpy"} <= recall["versions"].keys()
    client.send(recall["command"], "recalled", **recall["fields"])
    assert client.events("recalled")[-1].fields["sound"] == done["sound"]


@pytest.mark.parametrize(
    ("seconds", "note"),
    [(0.8, "shorter than the original, repeated from its start"), (0.5, "longer than the original, cut")],
)
def test_the_fitting_of_a_reference_of_another_length_is_noted(client, clips, tmp_path, seconds, note):
    path = str(tmp_path / "another.wav")
    soundfile.write(path, tone(100, seconds=seconds).T, 44100)
    client.send("fuse", f"fit {seconds}", original=path, reference=clips[1], steps=1)
    assert f"reference: {note}" in client.events(f"fit {seconds}")[-1].fields["notes"]


def test_the_same_seed_gives_the_same_sound(client, clips):
    results = []
    for id in ("same-1", "same-2"):
        client.send("fuse", id, original=clips[0], reference=clips[1], seed=9, steps=2)
        results.append(client.events(id)[-1].fields)
    assert results[0]["sound"] == results[1]["sound"]
    assert results[0]["path"] != results[1]["path"]


def test_a_repeated_request_is_the_same_job(client, daemon, clips):
    request = {"original": clips[0], "reference": clips[1], "steps": 3}
    client.send("fuse", 4711, **request)
    client.send("fuse", 4711, **request)
    first = client.events(4711)
    with Osc(daemon.osc) as another:  # any client may repeat it
        another.send("fuse", 4711, **request)
        again = another.events(4711)
    assert [answer.event for answer in again] == ["accepted", "done"]
    assert again[-1].fields == first[-1].fields
    jobs = [job for job in _items(client, "jobs") if job["job"] == first[0].fields["job"]]
    assert len(jobs) == 1
    # A patch that counts its request ids from 0 each day sends other requests under old ids.
    client.send("fuse", 4711, **(request | {"steps": 4}))
    other = client.events(4711)
    assert other[-1].event == "done"
    assert other[-1].fields["job"] != first[-1].fields["job"]


def test_the_id_of_a_job_that_has_not_ended_cannot_be_reused(tmp_path, clips):
    request = {"original": clips[0], "reference": clips[1], "steps": 50}
    with running(tmp_path / "home", step=0.2) as slow, Osc(slow.osc) as client:
        client.send("fuse", 4712, **request)
        job = client.events(4712, last=("accepted",))[-1].fields["job"]
        client.send("fuse", 4712, **(request | {"steps": 4}))
        refused = client.events(4712, last=("error",))[-1].fields
        assert (refused["code"], refused["field"]) == ("conflict", "id")
        assert "which has not ended" in refused["message"]
        client.ask("cancel", job=job)


def test_ids_are_returned_unchanged(client):
    for id in (12, 1.5, "näme"):
        client.send("status", id)
        answer = client.receive()
        assert (answer.id, type(answer.id)) == (id, type(id))


def test_immediate_commands_do_not_wait_for_a_running_job(client):
    client.send("generate", "long", prompt="step=0.05", steps=40, seconds=0.5)
    client.events("long", last=("progress",))
    status = client.ask("status")
    assert (status["state"], status["queued"]) == ("busy", 0)
    client.ask("cancel", job=status["job"])
    assert client.events("long")[-1].event == "cancelled"


def test_a_running_job_stops_within_a_step(client):
    client.send("generate", "stop me", prompt="step=0.1", steps=500, seconds=0.5)
    job = client.events("stop me", last=("progress",))[0].fields["job"]
    client.send("cancel", "c", job=job)
    last = client.events("stop me")[-1]
    assert last.event == "cancelled"
    found = client.ask("job", job=job)
    assert found["state"] == "cancelled" and found["fraction"] < 0.5, "of fifty seconds"
    assert client.silent()


def test_a_queued_job_is_cancelled_at_once_and_never_runs(client):
    client.send("generate", "running", prompt="step=0.05", steps=20, seconds=0.5)
    client.events("running", last=("progress",))
    client.send("generate", "queued", prompt="x", seconds=0.5)
    job = client.events("queued", last=("accepted",))[0].fields["job"]
    assert client.ask("cancel", job=job)["state"] == "cancelled"
    assert client.events("running")[-1].event == "done"
    assert "result" not in client.ask("job", job=job)


def test_the_newest_of_a_slot_wins(client):
    client.send("generate", "before", prompt="step=0.05", steps=20, seconds=0.5)
    client.events("before", last=("progress",))
    for id in ("one", "two", "three"):
        client.send("generate", id, prompt="x", steps=2, seconds=0.5, slot="deck A")
    answers = []
    while len([answer for answer in answers if answer.event in ("done", "cancelled")]) < 4:
        answers.append(client.receive())
    ends = {answer.id: answer for answer in answers if answer.event in ("done", "cancelled")}
    assert {id: ends[id].event for id in ("one", "two", "three")} == {
        "one": "cancelled",
        "two": "cancelled",
        "three": "done",
    }
    assert "slot deck A" in ends["one"].fields["reason"]


def test_a_fusion_runs_before_a_generation(client, clips):
    client.send("generate", "first", prompt="step=0.05", steps=20, seconds=0.5)
    client.events("first", last=("progress",))
    client.send("generate", "generated", prompt="x", steps=2, seconds=0.5)
    client.events("generated", last=("accepted",))
    client.send("fuse", "fused", original=clips[0], reference=clips[1], steps=2)
    ends = []
    while len(ends) < 3:
        answer = client.receive()
        ends += [answer.id] if answer.event == "done" else []
    assert ends == ["first", "fused", "generated"]


def test_a_deadline_chooses_the_steps_that_fit_or_is_refused(client):
    client.send("generate", "measure the pace", prompt="step=0.02", guidance=1, steps=20, seconds=1)
    client.events("measure the pace")
    for id in ("again 1", "again 2", "again 3"):
        client.send("generate", id, prompt="step=0.02", guidance=1, steps=20, seconds=1)
        client.events(id)
    client.send("generate", "in time", prompt="step=0.02", guidance=1, steps=500, seconds=1, deadline=3)
    answers = client.events("in time")
    done = answers[-1].fields
    assert 4 <= done["steps"] < 500
    assert answers[0].fields["steps"] == done["steps"]
    assert "steps instead of 500" in done["notes"]
    refused = client.refused("generate", prompt="step=0.02", steps=500, seconds=30, deadline=0.05)
    assert (refused["code"], refused["field"]) == ("deadline", "deadline")
    assert "takes at least" in refused["message"]


def test_progress_comes_at_most_twenty_times_a_second(client):
    client.send("generate", "often", prompt="step=0.002", steps=400, seconds=0.5)
    began = time.monotonic()
    answers = client.events("often")
    seconds = time.monotonic() - began
    assert len([answer for answer in answers if answer.event == "progress"]) <= 20 * seconds + 1


def test_answers_go_to_the_port_that_hello_names(daemon):
    with Osc(daemon.osc) as sender, Osc(daemon.osc) as listener:
        sender.send("hello", "h", reply_port=listener.port, client="test")
        hello = listener.receive()
        assert (hello.id, hello.fields["pid"], hello.fields["osc"]) == (
            "h",
            daemon.process.pid,
            f"127.0.0.1:{daemon.osc[1]}",
        )
        sender.send("status", "s")
        assert listener.receive().id == "s"
        assert sender.silent()


def test_the_daemons_own_port_cannot_be_named(client, daemon):
    assert client.refused("hello", reply_port=daemon.osc[1])["code"] == "conflict"
    assert client.ask("status")["version"]


def test_subscribers_get_the_events_of_every_job_until_they_unsubscribe(daemon, client):
    with Osc(daemon.osc) as listener:
        assert listener.ask("subscribe", seconds=60)["seconds"] == 60
        client.send("generate", "for all", prompt="x", steps=2, seconds=0.5)
        client.events("for all")
        events = listener.events("for all")
        assert (events[0].event, events[-1].event) == ("accepted", "done")
        listener.ask("subscribe", seconds=0)
        client.send("generate", "for few", prompt="x", steps=2, seconds=0.5)
        client.events("for few")
        assert listener.silent()


def test_a_bundle_of_requests_is_answered(client):
    calls = [osc_requests.encode_call("status", id, {}) for id in ("a", "b")]
    bundle = b"#bundle\0" + (1).to_bytes(8, "big") + b"".join(len(call).to_bytes(4, "big") + call for call in calls)
    client.socket.sendto(bundle, client.address)
    assert {client.receive().id for _ in calls} == {"a", "b"}


def test_a_sound_is_added_once_and_found_by_the_beginning_of_its_id(client, clips):
    sound = client.ask("add_sound", path=clips[0])
    assert sound == client.ask("add_sound", path=clips[0])
    assert (sound["name"], sound["sample_rate"]) == ("original", 48000)
    assert client.ask("sound", sound=sound["sound"][:12])["path"] == sound["path"]
    assert sound["sound"] in [item["sound"] for item in _items(client, "sounds")]


def test_a_part_of_a_clip_at_the_length_at_which_it_sounds_is_fused(client, clips):
    original, reference = clips
    part = client.ask("add_sound", path=original, start=0.0, end=0.5, seconds=0.75)
    assert part["frames"] == 36000 and "stretched from 0.500 s to 0.750 s" in part["notes"]
    client.send("fuse", "part", original=part["sound"], reference=reference, steps=5)
    assert client.events("part")[-1].fields["frames"] == 36000
    warped = client.ask("add_sound", path=original, markers="[[0, 0], [0.2, 0.4], [0.6, 0.9]]")
    assert warped["frames"] == 43200 and "warped from 0.600 s to 0.900 s by 3 markers" in warped["notes"]
    refused = client.refused("add_sound", path=original, start=7.0)
    assert (refused["code"], refused["field"], refused["remedy"]) == (
        "out_of_range", "start", "Give a number of seconds from 0 to 0.6.",
    )  # fmt: skip
    assert "lasts 0.600 s" in refused["message"]


def test_the_commands_describe_themselves(client):
    assert [item["name"] for item in _items(client, "commands")] == list(COMMANDS)
    assert [item["name"] for item in _items(client, "models")] == ["fake", "gated"]
    assert _items(client, "checkpoints") == []


def _items(client, command):
    client.send(command, "list", **({"limit": 500} if command in ("jobs", "sounds") else {}))
    answers = client.events("list", last=("reply", "error"))
    assert answers[-1].event == "reply", answers[-1]
    return [answer.fields for answer in answers[:-1]]


@pytest.mark.parametrize(
    ("command", "request_", "field", "expected"),
    [
        ("fuse", {"reference": 1}, "hold", 0.2),  # a reference that is a sound needs a hold
        ("fuse", {"prompt": "hum"}, "hold", 0.0),
        ("fuse", {"reference": 1, "hold": 0.0}, "hold", 0.0),
        ("invert", {"steps": 20}, "reconstruct_from", 18),
        ("invert", {"reconstruct_from": 0}, "reconstruct_from", 0),
    ],
)
def test_defaults_that_depend_on_the_request_are_in_the_recipe(client, clips, command, request_, field, expected):
    sounds = {
        name: clips[index] for name, index in (("original", 0), ("reference", 1)) if name in {"original", *request_}
    }
    id = f"defaults-{command}-{sorted(request_.items())}"[:64]
    client.send(command, id, **(request_ | sounds))
    done = client.events(id)[-1]
    assert done.event == "done", done
    assert json.loads(Path(done.fields["recall"]).read_text())["recall"]["fields"][field] == expected


def test_a_reference_may_be_spelled_in_every_way_in_which_an_original_may(daemon, client, clips):
    for scheme in ("file://", ""):
        client.send("fuse", f"spelled {scheme}", original=clips[0], reference=scheme + clips[1], steps=1)
        assert client.events(f"spelled {scheme}")[-1].event == "done"
