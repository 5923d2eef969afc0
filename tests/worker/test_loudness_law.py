"""The loudness law: targets between the sounds, gains, limits and notes."""

import math

import numpy as np
import pytest

from tertium.audio.levels import loudness_lufs
from tertium.audio.signal import Audio, true_peak_dbtp
from tertium.worker import loudness_law
from tertium.worker.loudness_law import MOST_RAISED, levelled, near_silence, target_lufs
from tertium_protocol.messages import shared_fields

RATE = 44_100


def noise(lufs, *, seconds=3.0, seed=0):
    samples = np.random.default_rng(seed).standard_normal((2, round(seconds * RATE))).astype(np.float32)
    return Audio(samples * np.float32(10 ** ((lufs - loudness_lufs(samples, RATE)) / 20)), RATE)


def test_the_levels_are_the_protocols():
    assert loudness_law.LEVELS == shared_fields.LEVELS


@pytest.mark.parametrize(
    ("level", "place", "wanted"),
    [
        ("line", 0.0, -30.0),
        ("line", 0.25, -27.0),
        ("line", 1.0, -18.0),
        ("original", 0.25, -18.0),
        ("natural", 0.5, None),
    ],
)
def test_a_level_is_on_the_line_between_the_sounds(level, place, wanted):
    assert target_lufs(level, place, {"original": -18.0, "reference": -30.0}) == wanted


def test_silent_and_unknown_sounds_do_not_count():
    assert target_lufs("line", 0.2, {"original": -18.0}) == -18.0
    assert target_lufs("line", 0.2, {"original": -18.0, "reference": -math.inf}) == -18.0
    assert target_lufs("line", 0.2, {"original": -math.inf, "reference": -25.0}) == -25.0
    assert target_lufs("line", 0.2, {"original": -math.inf}) is None
    assert target_lufs("line", 0.2, {}) is None


@pytest.mark.parametrize("natural", [-45.0, -30.0, -12.0])
def test_a_result_gets_its_loudness_and_says_so(natural):
    done = levelled(noise(natural), -20.0)
    assert loudness_lufs(done.sound.samples, RATE) == pytest.approx(-20.0, abs=0.2)
    assert done.loudness == pytest.approx(-20.0, abs=0.2) and done.gain_db == pytest.approx(-20.0 - natural, abs=0.3)
    word = "lowered" if natural > -20 else "raised"
    assert done.sound.notes == (f"{word} by {abs(done.gain_db):.1f} dB to {done.loudness:.1f} LUFS",)


def test_a_small_change_is_reported_but_needs_no_note():
    done = levelled(noise(-23.0), -20.0)
    assert done.facts["gain_db"] == pytest.approx(3.0, abs=0.3) and done.sound.notes == ()


def test_a_result_at_its_level_stays_bit_for_bit():
    sound = noise(-20.0)
    done = levelled(sound, loudness_lufs(sound.samples, RATE))
    assert done.sound is not None and done.sound.notes == () and done.gain_db == 0.0
    np.testing.assert_array_equal(done.sound.samples, sound.samples)


def test_peaks_are_limited_not_the_whole_sound_lowered():
    sound = noise(-40.0)
    sound.samples[:, 60_000:60_040] *= 12
    done = levelled(sound, -20.0)
    assert true_peak_dbtp(done.sound.samples) <= -1.0
    assert done.loudness == pytest.approx(-20.0, abs=0.5)


def test_a_result_whose_peaks_allow_no_more_says_how_far_it_is_from_its_level():
    clicks = np.zeros((2, 3 * RATE), np.float32)
    clicks[:, ::4410] = 0.1
    done = levelled(Audio(clicks, RATE), -10.0)
    assert true_peak_dbtp(done.sound.samples) <= -1.0
    assert "LU below the level of its sounds: its peaks allow no more" in done.sound.notes[0]


def test_near_silence_is_raised_only_so_far():
    done = levelled(noise(-66.0), -20.0)
    assert done.gain_db == MOST_RAISED
    assert done.sound.notes[0].endswith("16.0 LU below the level of its sounds: no more than 30 dB")


def test_silence_and_what_is_not_finite_pass():
    silent = Audio(np.zeros((2, RATE), np.float32), RATE)
    assert levelled(silent, -20.0).facts == {"gain_db": 0.0, "loudness": None}
    broken = noise(-20.0)
    broken.samples[0, 5] = np.nan
    assert not np.isfinite(levelled(broken, -20.0).sound.samples).all(), "the library refuses it"


def test_near_silence_of_louder_sounds_is_told_with_what_to_turn():
    assert near_silence(-20.0, {"original": -18.0}, command="vary") == ()
    assert near_silence(-60.0, {"original": -70.0}, command="vary") == ()
    assert near_silence(-60.0, {}, command="generate") == ()
    told = "the model made near-silence (-60 LUFS) of louder sounds: "
    assert near_silence(-60.0, {"original": -18.0}, command="vary") == (
        told + "lower the strength, or try another seed",
    )
    assert near_silence(-60.0, {"original": -18.0}, command="fuse") == (told + "try another blend or another seed",)
