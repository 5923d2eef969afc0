"""TertiumMorph, rendered by the real servers and measured: on a take it is that take to the sample, between takes it keeps the power, and it never clicks."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import signal

from tests.supercollider import jack, sclang
from tests.supercollider.takes import FRAMES, RATE, SHORT, write_takes

HERE = Path(__file__).parent
QUIET = -60.0  # dB of full scale: what a click may be at most
SERVERS = [pytest.param(name, marks=jack.needs(name)) for name in ("scsynth", "supernova")]
pytestmark = jack.needs("sclang", "scsynth")


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """A folder with the takes, and with the scores that sclang wrote for them."""
    folder = tmp_path_factory.mktemp("morph")
    write_takes(folder)
    (folder / "sclang").mkdir()
    sclang.run(HERE / "morph_nrt.scd", folder / "sclang", environment={"TERTIUM_TEST_FOLDER": str(folder)}).check()
    return folder


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("name", "count", "channels"), [("noise", 5, 2), ("mono", 3, 1)])
def test_on_a_take_it_is_that_take_to_the_sample(scores, server, name, count, channels):
    heard = rendered(scores, f"ends_{name}", server, channels)
    begin = _begin(scores, server)
    for index in range(count):
        at = np.arange(_frames(0.4 * index + 0.25), _frames(0.4 * index + 0.39))
        np.testing.assert_array_equal(heard[at], _take(scores, name, index)[(at - begin) % FRAMES])


@pytest.mark.parametrize("name", ["jumps", "jumps_32"])
def test_however_the_position_jumps_nothing_clicks(scores, name):
    assert clicks(rendered(scores, name)) < QUIET


def test_a_click_would_have_been_heard(scores):
    assert clicks(rendered(scores, "jumps_bare")) > QUIET + 20


@pytest.mark.parametrize("rate", ["control", "audio"])
def test_a_position_that_moves_by_itself_does_not_click(scores, rate):
    heard = rendered(scores, f"moved_{rate}")
    assert clicks(heard) < QUIET
    at = np.arange(_frames(1.9), _frames(2.15))  # it was set to 1 since
    np.testing.assert_array_equal(heard[at], _take(scores, "low", 7)[at % FRAMES])


def test_the_position_on_a_bus_is_followed(scores):
    heard = rendered(scores, "moved_control")  # from half way up to 1 and down to 0, each in a quarter of a second
    at = np.arange(_frames(0.1), _frames(1.5), 512)
    pitches = [_strongest(heard[a : a + 4096, 0], _take(scores, "low", 0)[:, 0].size) for a in at]
    assert min(pitches) < 150 and max(pitches) > 300


@pytest.mark.parametrize("server", SERVERS)
def test_other_takes_are_swapped_in_at_the_same_phase_without_a_click(scores, server):
    heard = rendered(scores, "swaps", server)
    assert clicks(heard) < QUIET
    begin = _begin(scores, server)
    for name, since, until, phase in (
        ("low", 0.1, 0.39, lambda at: (at - begin) % FRAMES),
        ("low", 0.5, 0.79, lambda at: (at - begin) % FRAMES),
        ("short", 0.9, 1.19, lambda at: (at - begin) % SHORT),
    ):
        at = np.arange(_frames(since), _frames(until))
        np.testing.assert_array_equal(heard[at], _take(scores, name, 0)[phase(at)])


def test_a_swap_leaves_no_gap(scores):
    heard = rendered(scores, "swaps")
    power = signal.oaconvolve(heard[:, 0] ** 2, np.full(1024, 1 / 1024), "valid")
    level = np.sqrt(np.maximum(power, 0))
    inside = level[_frames(0.1) : _frames(2.35)]
    assert inside.min() > 0.7 * np.median(inside)


def test_takes_can_begin_anew_when_they_are_swapped(scores):
    heard = rendered(scores, "swaps")
    take, period = _take(scores, "low", 0), FRAMES // 150
    found = _place_of(heard[_frames(1.8) : _frames(1.8) + 4000], take)
    assert abs((found - 0.2 * RATE + period / 2) % period - period / 2) <= 64, "to within a block of the server"


def test_takes_that_have_nothing_in_common_keep_their_power_all_along(scores):
    levels = _levels(rendered(scores, "level_apart"))
    assert np.ptp(levels) < 0.3


def test_takes_that_are_the_same_gain_what_equal_power_implies_and_no_more(scores):
    heard, take = rendered(scores, "level_alike"), _take(scores, "alike", 0)
    levels = _levels(heard)
    assert levels[0] == pytest.approx(levels[8], abs=0.1) and levels[0] == pytest.approx(levels[16], abs=0.1)
    assert levels[4] - levels[0] == pytest.approx(20 * np.log10(np.sqrt(2)), abs=0.1)
    assert np.abs(heard).max() <= np.sqrt(2) * np.abs(take).max() * 1.0001


def test_told_that_the_takes_are_the_same_it_is_never_louder_than_they(scores):
    heard, take = rendered(scores, "level_alike_told"), _take(scores, "alike", 0)
    at = np.arange(_frames(0.01), _frames(3.3))
    np.testing.assert_allclose(heard[at], take[at % FRAMES], atol=1e-6)


def test_without_a_loop_it_plays_once_to_the_last_sample(scores):
    heard, take = rendered(scores, "once"), _take(scores, "noise", 0)
    np.testing.assert_array_equal(heard[:FRAMES], take)
    assert not heard[FRAMES:].any()


def test_it_is_never_made_louder_than_its_takes(scores):
    np.testing.assert_array_equal(rendered(scores, "once_loud"), rendered(scores, "once"))


def test_a_seam_hides_where_the_loop_begins_anew(scores):
    heard, take, led = rendered(scores, "seam"), _take(scores, "cut", 0), _frames(0.02)
    np.testing.assert_array_equal(heard[5000 : FRAMES - 3 * led], take[5000 + led : FRAMES - 2 * led])
    second = slice(FRAMES - led, FRAMES - led + 20000)
    np.testing.assert_array_equal(heard[second], take[led : led + 20000])
    assert clicks(heard) < QUIET < clicks(rendered(scores, "seam_none"))


def test_the_rate_goes_for_all_takes_and_backwards_too(scores):
    heard, take = rendered(scores, "speed"), _take(scores, "noise", 0)
    np.testing.assert_array_equal(heard[:20000], take[:40000:2])
    back = _frames(0.7)
    found = _place_of(heard[back : back + 1000][::-1], take)
    np.testing.assert_array_equal(heard[back : back + 1000][::-1], take[found : found + 1000])


def test_a_file_of_another_rate_keeps_its_pitch(scores):
    heard = rendered(scores, "resampled")
    assert _strongest(heard[_frames(0.1) : _frames(0.8), 0], RATE) == pytest.approx(441, abs=1)


def test_in_a_synthdef_the_position_is_taken_sample_by_sample(scores):
    heard = rendered(scores, "ugen")
    takes = [_take(scores, "noise", index) for index in range(3)]
    end = np.arange(_frames(1.05), _frames(1.25))
    np.testing.assert_array_equal(heard[end], takes[2][end])
    place = np.arange(RATE)[:, None] / RATE * 2
    gains = [_equal_power(1 - np.abs(place - index)) for index in range(3)]
    meant = sum(gain * take[:RATE] for gain, take in zip(gains, takes, strict=True))
    np.testing.assert_allclose(heard[100 : RATE - 100], meant[100 : RATE - 100], atol=2e-4)


def rendered(folder, name, server="scsynth", channels=2):
    """What a server makes of a score: (frames, channels), float32."""
    out = folder / f"{name}-{server}.wav"
    if not out.exists():
        (folder / ".local/share/SuperCollider/synthdefs").mkdir(parents=True, exist_ok=True)
        run = subprocess.run(
            [server, "-N", str(folder / f"{name}.osc"), "_", str(out), str(RATE), "WAV", "float", "-i", "0", "-o", str(channels)],
            capture_output=True, text=True, timeout=120, env=os.environ | {"HOME": str(folder)},
        )  # fmt: skip
        assert out.exists(), run.stdout + run.stderr
        assert "FAILURE" not in run.stdout, run.stdout
    return soundfile.read(out, dtype="float32", always_2d=True)[0]


def clicks(heard):
    """The loudest that there is above 4 kHz, in dB of full scale: the takes have nothing there, and a click has."""
    high = signal.firwin(1025, 4000, fs=RATE, pass_zero=False, window=("kaiser", 12))
    return 20 * np.log10(np.abs(signal.oaconvolve(heard, high[:, None], "same", axes=0)).max() + 1e-12)


def _take(folder, name, index):
    return soundfile.read(folder / f"{name}_{index}.wav", dtype="float32", always_2d=True)[0]


def _frames(seconds):
    return int(seconds * RATE)


def _begin(folder, server):
    """The frame at which what was sent for time 0 begins to sound; in supernova that is the second block."""
    return int(np.flatnonzero(rendered(folder, "once", server).any(1))[0])


def _levels(heard):
    """RMS in dB at each of 17 positions, each held for 0.2 s."""
    return [10 * np.log10(np.mean(heard[_frames(0.2 * i + 0.02) : _frames(0.2 * i + 0.18)] ** 2)) for i in range(17)]


def _strongest(samples, size):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * size))
    return np.argmax(spectrum) * RATE / (8 * size)


def _place_of(part, whole):
    """Where a part lies in a whole, in frames."""
    return int(np.argmax(signal.correlate(whole[:, 0], part[:, 0], "valid")))


def _equal_power(place, snap=0.001):
    x = np.clip(place * (1 + 2 * snap) - snap, 0, 1)
    return np.sin(np.pi / 2 * x * x * (3 - 2 * x))
