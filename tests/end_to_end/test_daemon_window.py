"""morph and window through the daemon: takes sent as they are ready, a saved curve, and blend calibrated by it."""

import json
from pathlib import Path

import pytest
import soundfile

from tertium_protocol.client import Client
from tests.end_to_end.daemons import Osc, running


def test_takes_are_sent_as_they_are_ready_and_then_together(client, clips):
    client.send("morph", "m1", original=clips[0], reference=clips[1], count=4, steps=8, seed=5)
    events = client.events("m1")
    takes = [event.fields for event in events if event.event == "take"]
    assert [events[0].event, events[-1].event] == ["accepted", "done"]
    assert [take["index"] for take in takes] == [1, 4, 2, 3]
    assert {take["count"] for take in takes} == {4}
    assert [take.get("intervention") for take in takes] == [None, 8, 3, 5]
    done = events[-1].fields
    listed = json.loads(done["takes"])
    assert [take["index"] for take in listed] == [1, 2, 3, 4]
    assert {take["path"] for take in listed} == {take["path"] for take in takes}
    assert done["sound"] == listed[1]["sound"]  # the one in the middle
    for take in takes:
        info = soundfile.info(take["path"])
        assert (info.samplerate, info.frames) == (48000, soundfile.info(clips[0]).frames)
        assert Path(take["path"]).stem.endswith(f"take {take['index']}")
        recall = json.loads(Path(take["recall"]).read_text())["recall"]
        assert (recall["command"], recall["decided"]["index"]) == ("fuse", take["index"])


def test_a_repeated_morph_gets_its_takes_and_a_poller_sees_them(tmp_path, clips):
    with running(tmp_path / "home", step=0.4) as daemon, Osc(daemon.osc) as osc, Osc(daemon.osc) as late:
        request = {"original": clips[0], "reference": clips[1], "count": 6, "steps": 6, "seed": 1}
        osc.send("morph", "slow", **request)
        first = osc.events("slow", last=("take",))
        late.send("morph", "slow", **request)
        again = late.events("slow", last=("progress",))
        assert [event.event for event in again][:2] == ["accepted", "take"]
        assert again[1].fields["path"] == first[-1].fields["path"]
        job = late.ask("job", job=first[0].fields["job"])
        assert json.loads(job["takes"])[0]["index"] == 1
        late.ask("cancel", job=first[0].fields["job"])
        assert osc.events("slow")[-1].event == "cancelled"
        assert Path(first[-1].fields["path"]).exists()  # a take that was sent is not deleted


def test_a_worker_that_dies_under_a_morph_leaves_every_take_once_in_the_result(daemon, clips):
    with Client(daemon.home) as client:
        indices = []
        job = client.submit(
            "morph", original=clips[0], prompt="die-once=3", count=5, steps=6, on_take=lambda take: indices.append(take.index)
        )  # fmt: skip
        done = job.wait()
    assert [take.index for take in done.takes] == [1, 2, 3, 4, 5]
    assert sorted(indices) == [1, 2, 3, 4, 5]


def test_takes_with_the_same_intervention_have_a_note(client, clips):
    client.send("morph", "few", original=clips[0], reference=clips[1], count=6, steps=2, strength="paper")
    notes = json.loads(client.events("few")[-1].fields["notes"])
    assert any("enter at the same step: more steps would tell them apart" in note for note in notes)
    client.send("morph", "even", original=clips[0], reference=clips[1], count=6, steps=2)
    assert not any("same step" in note for note in json.loads(client.events("even")[-1].fields["notes"]))


def test_a_window_is_measured_once_and_then_calibrates_blend(daemon, clips):
    pair = {"original": clips[0], "reference": clips[1]}
    with Client(daemon.home) as client:
        before = client.submit("fuse", **pair, blend=0.4, steps=8).wait()
        assert not any("measured" in note for note in before.notes)
        first = client.submit("window", **pair, steps=8, points=4).wait()
        again = client.submit("window", **pair, steps=8, points=4).wait()
        other = client.submit("window", **pair, steps=6, points=4).wait()
        after = client.submit("fuse", **pair, blend=0.4, steps=8).wait()
        at_the_end = client.submit("fuse", **pair, blend=1.0, steps=8).wait()
        morph = client.submit("morph", **pair, count=2, steps=8).wait()
        held = client.submit("fuse", **pair, blend=0.4, hold=0.1, steps=8).wait()
    assert (first.intervention, first.window.equilibrium) == (3, 3.0)
    assert [point.intervention for point in first.window.points] == [None, 4, 8]
    assert json.loads(Path(first.window.path).read_text())["window"]["ratios"] == [2.0, 1.0, 0.5]
    assert again.window == first.window
    assert "the window was measured before" in again.notes
    assert (other.window.steps, other.window.path) == (6, first.window.path)
    for result in (after, morph):
        assert "blend goes by the measured window of this pair" in result.notes
        assert json.loads(Path(result.recall).read_text())["recall"]["decided"]["ratios"] == [2.0, 1.0, 0.5]
    fields = json.loads(Path(after.recall).read_text())["recall"]["fields"]
    assert "blend" not in fields and fields["intervention"] == after.intervention, "independent of later windows"
    recalls = [json.loads(Path(take.path).with_suffix(".json").read_text())["recall"] for take in morph.takes]
    assert [recall["command"] for recall in recalls] == ["fuse", "fuse"], (
        "a take is a fusion, independent of later windows"
    )
    assert "count" not in recalls[0]["fields"] and recalls[0]["fields"]["blend"] == 0.0
    assert recalls[1]["fields"]["intervention"] == 8 and "blend" not in recalls[1]["fields"]
    for result in (at_the_end, held):
        assert not any("measured" in note for note in result.notes)


@pytest.mark.parametrize("command", ["morph", "window"])
def test_a_wrong_request_is_refused_before_any_work(command, client, clips):
    assert client.refused(command, original=clips[0])["code"] == "missing_field"
    error = client.refused(command, original=clips[0], reference="no such")
    assert (error["code"], error["field"]) == ("unknown_checkpoint", "reference")


def test_an_unused_prompt_has_a_note(client, clips):
    client.send("window", "w9", original=clips[0], reference=clips[1], prompt="hum", steps=4)
    assert any("prompt not used" in note for note in json.loads(client.events("w9")[-1].fields["notes"]))
