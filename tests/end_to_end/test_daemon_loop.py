"""Loops, kicks and loud files through the whole daemon with the embedded model."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from tertium_protocol.client import Client, RemoteError
from tests.end_to_end.daemons import Osc, running
from tests.end_to_end.test_daemon_pocket import ORIGINAL, REFERENCE, _spectrum

QUICK = {"steps": 16, "seed": 1}


@pytest.fixture(scope="module")
def pocket(tmp_path_factory):
    with running(tmp_path_factory.mktemp("home"), engine="tertium.worker.torch_engine", model="pocket") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """Paths of a bar of the drums at two sample rates, of its first hit with its tail, and of the drums at two levels."""
    folder = tmp_path_factory.mktemp("bars")
    drums = soundfile.read(ORIGINAL, dtype="float32")[0]
    sounds = {"bar": (drums[44_100 : 3 * 44_100], 44_100)}
    sounds["bar48"] = (soxr.resample(drums, 44_100, 48_000, "VHQ")[48_000 : 3 * 48_000], 48_000)
    hit = drums[55_125:68_355] * np.linspace(1, 0, 13_230)[:, None] ** 2  # 0.3 s
    sounds["kick"] = (hit.astype(np.float32), 44_100)
    sounds["loud"] = (drums * (10 ** (12 / 20) / np.abs(drums).max()), 44_100)
    sounds["full"] = (drums / np.abs(drums).max(), 44_100)
    for name, (samples, rate) in sounds.items():
        soundfile.write(folder / f"{name}.wav", samples, rate, subtype="FLOAT")
    return {name: str(folder / f"{name}.wav") for name in sounds}


def ends(path):
    samples = soundfile.read(path, dtype="float32")[0]
    within = np.abs(np.diff(samples, axis=0)).max()
    return samples, 20 * np.log10(np.abs(samples[0] - samples[-1]).max() / within)


def recalled(done):
    return json.loads(Path(done.recall).read_text())["recall"]


@pytest.mark.parametrize("name", ["bar", "bar48"])
def test_a_bar_loops_by_default_and_not_with_loop_off(pocket, bars, name):
    with Client(pocket.home) as client:
        results = {
            loop: client.submit(
                "fuse", original=bars[name], reference=REFERENCE, loop=loop, strength="paper", **QUICK
            ).wait()
            for loop in ("auto", "on", "off")
        }
        again = recalled(results["auto"])
        assert again["fields"]["loop"] == "on"
        assert again["decided"]["loop"]["asked"] == "auto"
        assert client.submit(again["command"], **again["fields"]).wait().sound == results["auto"].sound
    assert "original: its ends meet: made to loop" in results["auto"].notes
    assert results["auto"].sound == results["on"].sound != results["off"].sound
    frames = soundfile.info(bars[name]).frames
    seams = {loop: ends(done.path) for loop, done in results.items()}
    assert {len(samples) for samples, _ in seams.values()} == {frames}
    # With the strength "even" there is hardly a seam either way, since most of the original's own loop is kept.
    # dB of the step at the seam over the largest step within, which is at an attack.
    assert seams["on"][1] < -12 and seams["off"][1] > seams["on"][1] + 6, (seams["on"][1], seams["off"][1])


def test_a_result_at_another_sample_rate_loops_too(pocket, bars):
    with Client(pocket.home) as client:
        done = client.submit("fuse", original=bars["bar"], reference=REFERENCE, sample_rate=96_000, **QUICK).wait()
    samples, seam = ends(done.path)
    assert len(samples) == 192_000
    assert seam < -6


def test_every_take_of_a_morph_loops_and_its_recipe_is_a_fusion(pocket, bars):
    with Client(pocket.home) as client:
        done = client.submit("morph", original=bars["bar"], reference=REFERENCE, count=3, **QUICK).wait()
        for take in done.takes:
            assert ends(take.path)[1] < -6
        again = recalled(done)
        assert (again["command"], again["fields"]["loop"]) == ("fuse", "on")


def test_a_variation_and_a_prompt_loop_too(pocket, bars):
    with Client(pocket.home) as client:
        for command, more in (("vary", {"strength": 0.5}), ("fuse", {"prompt": "bell metallic"})):
            done = client.submit(command, original=bars["bar"], **more, **QUICK).wait()
            assert ends(done.path)[1] < -6


def test_a_checkpoint_fuses_into_a_loop(pocket, bars):
    with Client(pocket.home) as client:
        client.submit("learn", reference=REFERENCE, prompt="a hum", steps=3, batch=1, name="hummed", seconds=1.3).wait()
        done = client.submit("fuse", original=bars["bar"], reference="hummed", blend=0.4, **QUICK).wait()
    assert len(ends(done.path)[0]) == 88_200
    assert ends(done.path)[1] < -6


def test_over_osc_loop_is_a_word(pocket, bars):
    with Osc(pocket.osc) as osc:
        osc.send("fuse", "l", original=bars["kick"], reference=REFERENCE, steps=4, loop="off")
        assert osc.events("l")[-1].event == "done"
        assert osc.refused("fuse", original=bars["kick"], reference=REFERENCE, loop="maybe")["field"] == "loop"


def test_a_kick_is_not_a_loop_and_keeps_its_length(pocket, bars):
    with Client(pocket.home) as client:
        done = client.submit("fuse", original=bars["kick"], reference=REFERENCE, **QUICK).wait()
        assert (done.frames, done.sample_rate) == (13_230, 44_100)
        assert any(note.startswith("original: not made to loop: the level rises") for note in done.notes)
        for command, fields in (("vary", {}), ("invert", {}), ("window", {"reference": REFERENCE, "points": 4})):
            assert client.submit(command, original=bars["kick"], **fields, **QUICK).wait().frames == 13_230
        takes = client.submit("morph", original=bars["kick"], reference=REFERENCE, count=2, **QUICK).wait().takes
        assert {soundfile.info(take.path).frames for take in takes} == {13_230}


def test_a_kick_as_reference_repeats_every_three_tenths_of_a_second(pocket, bars):
    with Client(pocket.home) as client:
        done = client.submit("fuse", original=REFERENCE, reference=bars["kick"], blend=0.0, loop="off", **QUICK).wait()
    assert "reference: lasts 0.300 s, repeated to 0.600 s" in done.notes
    samples = soundfile.read(done.path, dtype="float32")[0].mean(1)
    energy = (samples[: len(samples) // 441 * 441].reshape(-1, 441) ** 2).mean(1)[:570]
    periods = energy.reshape(-1, 30)  # of 0.3 s
    assert np.corrcoef(periods)[0].min() > 0.9


def test_a_file_beyond_full_scale_fuses_like_the_same_file_at_full_scale(pocket, bars):
    with Client(pocket.home) as client:
        loud, full = (
            client.submit("fuse", original=bars[name], reference=REFERENCE, **QUICK).wait() for name in ("loud", "full")
        )
    assert "original: peaks at +12.0 dBFS, lowered to full scale" in loud.notes
    assert not [note for note in full.notes if "full scale" in note]
    assert loud.peak_dbtp <= -1.0
    one, other = (soundfile.read(done.path, dtype="float32")[0] for done in (loud, full))
    assert np.corrcoef(_spectrum(one), _spectrum(other))[0, 1] > 0.999


def test_a_loop_too_long_for_its_margins_is_refused(pocket, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.full((round(47.3 * 8000), 2), 0.1), 8000)
    with Client(pocket.home) as client, pytest.raises(RemoteError) as caught:
        client.submit("fuse", original=str(tmp_path / "long.wav"), reference=REFERENCE, loop="on", steps=2)
    assert (caught.value.code, caught.value.field) == ("out_of_range", "loop")
    assert caught.value.remedy == "Give a loop of at most 46.8 s, or send loop off."
