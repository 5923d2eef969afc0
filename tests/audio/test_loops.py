"""Loops: which sounds count as loops, the context around them, and the joining of their ends."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tertium import cost_model
from tertium.audio import loops
from tertium.audio.loops import Loop
from tertium.audio.signal import Audio
from tertium.cli import parser
from tertium.cost_model import CostModel
from tertium.errors import SoundError
from tertium.storage.library import Library
from tertium.storage.window_cache import WindowCache
from tertium.worker.renderer import Renderer
from tests.sounds import tone
from tests.specs import spec
from tests.worker.fake_engine import FakeEngine
from tests.worker.test_renderer import silent

RATE = 44_100
ABOUT = {"sample_rate": RATE, "downsampling": 1024, "max_seconds": 47.5}


def places(seconds=2.0):
    return np.arange(round(seconds * RATE)) / RATE


def sine(frequency, seconds=2.0):
    return 0.5 * np.sin(2 * np.pi * frequency * places(seconds))


def noise(seconds=2.0):
    return 0.1 * np.random.default_rng(1).normal(size=round(seconds * RATE))


def kicks(*begins, seconds=2.0):
    samples, one = np.zeros(round(seconds * RATE)), np.sin(2 * np.pi * 60 * places(0.25)) * np.exp(-25 * places(0.25))
    for begin in begins:
        at = round(begin * RATE)
        samples[at : at + len(one)] += one[: len(samples) - at]
    return samples


def mono(samples, rate=RATE):
    return Audio(np.atleast_2d(samples).astype(np.float32), rate)


@pytest.mark.parametrize(
    ("sound", "meets"),
    [
        (sine(220), True),
        (sine(220.13), False),  # cut within a period
        (kicks(0, 0.5, 1, 1.5), True),
        (kicks(0), False),  # begins with its only attack and dies away
        (kicks(0.5), True),  # silence meets silence
        (noise(), True),
        (noise() * np.exp(-3 * places()), False),
        (noise() * places() ** 2, False),
        (sine(220.13) * np.minimum(1, np.minimum(places(), places()[::-1]) / 0.5), True),
    ],
    ids=["periods", "cut", "beat", "one-shot", "silence", "noise", "dying", "swelling", "faded"],
)
def test_whose_ends_meet(sound, meets):
    decision = loops.decide("auto", mono(sound), ABOUT)
    assert (decision.loop is not None) == decision.facts["on"] == meets
    assert decision.note.startswith("original: its ends meet" if meets else "original: not made to loop: ")


def test_what_is_asked_for_is_done_whatever_the_ends_are():
    cut = mono(sine(220.13))
    assert loops.decide("off", mono(sine(220)), ABOUT) == loops.Decision(None, None, {"asked": "off", "on": False})
    decision = loops.decide("on", cut, ABOUT)
    assert decision.loop == Loop(cut.frames, 13 * 1024, RATE)
    assert decision.facts["step_dbfs"] == pytest.approx(-6.0, abs=1)
    assert decision.facts["usual_step_dbfs"] < -35


def test_why_not_is_said_in_figures():
    assert loops.decide("auto", mono(sine(220.13)), ABOUT).note == (
        "original: not made to loop: a step of -6 dBFS at the seam, -36 at most within"
    )
    assert loops.decide("auto", mono(kicks(0)), ABOUT).note == (
        "original: not made to loop: the level rises by 60 dB at the seam, 0 at most within"
    )


def test_a_loop_that_leaves_no_room_is_none_or_refused():
    about = ABOUT | {"max_seconds": 2.5}
    decision = loops.decide("auto", mono(sine(220)), about)
    assert decision.loop is None
    assert decision.note == "original: its ends meet, but only up to 1.9 s are made to loop"
    with pytest.raises(SoundError) as caught:
        loops.decide("on", mono(sine(220)), about)
    assert (caught.value.code, caught.value.field) == ("out_of_range", "loop")
    assert caught.value.remedy == "Give a loop of at most 1.8 s, or send loop off."


@pytest.mark.parametrize("frames", [882, 7000, 88_200])
@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 192_000])
def test_what_is_around_is_the_loop_itself(frames, rate):
    sound = mono(np.arange(frames), rate)
    loop = loops.decide("on", sound, ABOUT | {"sample_rate": rate}).loop
    around = loop.around(sound).samples[0]
    assert (around == (np.arange(len(around)) - loop.before) % frames).all()
    assert loop.before >= 0.3 * rate
    assert len(around) - loop.before - frames == round(0.3 * rate)
    assert loop.before % 1024 == 0, "the loop begins with a latent frame"


@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050])
def test_an_output_that_repeats_already_is_not_changed(rate):
    sound = mono(sine(220), 44_100)
    loop = loops.decide("on", sound, ABOUT).loop
    frames = round(sound.frames * rate / 44_100)
    wave = 0.5 * np.sin(2 * np.pi * 220 * (np.arange(3 * rate) - loop.at(rate)[0]) / rate)
    closed = loop.closed(wave[None].astype(np.float32), rate, frames)
    assert closed.shape == (1, frames)
    assert closed[0] == pytest.approx(wave[loop.at(rate)[0] :][:frames], abs=1e-5)


def test_ends_that_differ_are_joined_at_the_level_that_they_have():
    sound = mono(noise())
    loop = loops.decide("on", sound, ABOUT).loop
    rng = np.random.default_rng(2)
    computed = 0.1 * rng.normal(size=(2, loop.before + sound.frames + 13_230)).astype(np.float32)
    closed = loop.closed(computed, RATE, sound.frames)
    assert (closed[:, :-1014] == computed[:, loop.before :][:, : sound.frames - 1014]).all(), (
        "only the last 23 ms differ"
    )
    assert (closed[:, -1] == computed[:, loop.before - 1]).all(), (
        "the last frame is the one computed before the beginning"
    )
    assert np.sqrt((closed[:, -1014:] ** 2).mean()) == pytest.approx(0.1, rel=0.1)


def test_an_output_that_is_too_short_is_padded():
    assert Loop(1000, 100, RATE).closed(np.ones((2, 1050), np.float32), RATE, 1000).shape == (2, 1000)


@pytest.fixture
def renderer(tmp_path):
    return Renderer(FakeEngine("fake"), Library(tmp_path), WindowCache(tmp_path / "cache"))


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("command", ["fuse", "vary", "morph"])
def test_results_are_as_long_as_the_loop_and_say_what_it_was(tmp_path, renderer, rate, command):
    library = Library(tmp_path)
    frames = round(0.7371 * rate)  # not a whole number of latent frames
    wave = 0.5 * np.sin(2 * np.pi * 8 * np.arange(frames) / frames)  # eight whole periods, so its ends meet
    original = library.add_samples(np.stack([wave, wave]).astype(np.float32), rate)
    for asked, on in (("auto", True), ("on", True), ("off", False)):
        pair = {} if command == "vary" else {"reference": original.id}
        job = spec(command, original=original.id, seconds=original.seconds, steps=3, loop=asked, name=asked, **pair)
        result, _ = renderer.make(job, (), silent)
        assert result["frames"] == frames
        assert [note for note in result["notes"] if "loop" in note] == {
            "auto": ["original: its ends meet: made to loop"], "on": ["original: made to loop"], "off": [],
        }[asked]  # fmt: skip
        recipe = json.loads(Path(result["recall"]).read_text())["recall"]
        assert recipe["fields"]["loop"] == ("on" if on else "off"), "the recipe records the decision"
        assert "around" not in recipe["fields"]
        assert (recipe["decided"]["loop"]["asked"], recipe["decided"]["loop"]["on"]) == (asked, on)
        assert soundfile.info(result["path"]).frames == frames


def test_a_job_accepted_before_loops_existed_is_computed_without_one(tmp_path, renderer):
    library = Library(tmp_path)
    original = library.add_samples(tone(220), RATE)
    result, _ = renderer.make(spec("vary", original=original.id, seconds=original.seconds, steps=3), (), silent)
    recipe = json.loads(Path(result["recall"]).read_text())["recall"]
    assert (recipe["fields"]["loop"], recipe["decided"]["loop"]) == ("off", {"asked": "off", "on": False})


def test_a_loop_shorter_than_models_take_is_repeated_and_not_filled_with_silence(tmp_path, renderer):
    library = Library(tmp_path)
    beat = library.add_samples(np.stack([sine(40, 0.25)] * 2).astype(np.float32), RATE)
    job = spec("vary", original=beat.id, seconds=beat.seconds, steps=3, loop="auto")
    result, _ = renderer.make(job, (), silent)
    assert result["frames"] == beat.frames
    assert not [note for note in result["notes"] if "silence" in note]


def test_what_is_around_is_counted_in_time():
    speed, fields = CostModel(0.2, 0.01), {"seconds": 6.0, "steps": 50, "reference": "r"}
    plain, auto, on = (spec("fuse", **fields, loop=loop) for loop in ("off", "auto", "on"))
    for looped in (auto, on):
        whole = cost_model.estimate(speed, plain, {})
        assert cost_model.estimate(speed, looped, {}) == pytest.approx(whole * 6.6 / 6)
        assert cost_model.steps_within(speed, looped, {}, 3.0) < cost_model.steps_within(speed, plain, {}, 3.0)


@pytest.mark.parametrize("command", ["fuse", "morph", "vary"])
def test_the_command_line_has_a_switch(command):
    given = ["a.wav"] if command == "vary" else ["a.wav", "b.wav"]
    asked = [
        parser.request_fields(parser.build().parse_args([command, *given, *switch])).get("loop")
        for switch in ([], ["--loop"], ["--no-loop"])
    ]
    assert asked == [None, "on", "off"]
