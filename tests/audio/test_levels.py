"""Loudness, the true-peak limiter, and the safe level of results."""

import math

import numpy as np
import pytest

from tertium.audio.levels import CEILING_DBTP, MOST_LIMITED, RELEASE, limited, loudness_lufs, make_safe
from tertium.audio.signal import true_peak_dbtp
from tertium.errors import SoundError
from tests.sounds import tone

RATE = 48_000


def sine(decibels, *, seconds=3.0, hertz=997.0, rate=RATE):
    wave = 10 ** (decibels / 20) * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.stack([wave, wave]).astype(np.float32)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_the_loudness_of_the_standards_own_tone(rate):
    """EBU Tech 3341, case 1: a stereo sine of 1 kHz at -23 dBFS has -23 LUFS."""
    assert loudness_lufs(sine(-23.0, rate=rate, hertz=1000.0), rate) == pytest.approx(-23.0, abs=0.1)


def test_gates_leave_out_pauses():
    """EBU Tech 3341, case 3: what is 13 LU quieter beside it does not count."""
    parts = [sine(-36.0, seconds=10), sine(-23.0, seconds=60), sine(-36.0, seconds=10)]
    assert loudness_lufs(np.concatenate(parts, axis=1), RATE) == pytest.approx(-23.0, abs=0.1)


def test_sounds_shorter_than_a_block_are_measured_as_if_repeated():
    short = sine(-20.0, seconds=0.1, hertz=1000.0)
    assert loudness_lufs(short, RATE) == pytest.approx(loudness_lufs(sine(-20.0, hertz=1000.0), RATE), abs=0.1)
    assert loudness_lufs(np.zeros((2, 100), np.float32), RATE) == -math.inf
    assert loudness_lufs(np.zeros((2, 0), np.float32), RATE) == -math.inf


def test_a_peak_is_limited_and_what_is_far_from_it_stays_bit_for_bit():
    quiet = sine(-12.0)
    loud = quiet.copy()
    loud[:, 70_000:70_200] *= 6
    safe, taken = limited(loud, RATE)
    assert CEILING_DBTP - 0.1 < true_peak_dbtp(safe) <= CEILING_DBTP
    assert taken == pytest.approx(20 * math.log10(6) - 12 - CEILING_DBTP, abs=0.5)
    np.testing.assert_array_equal(safe[:, :69_000], loud[:, :69_000])
    after = 70_200 + round(8 * RELEASE * RATE)
    np.testing.assert_allclose(safe[:, after:], loud[:, after:], atol=1e-3)


def test_the_limiter_turns_both_channels_alike_and_without_steps():
    sound = sine(-12.0)
    sound[0, 70_000:70_200] *= 6
    safe, _ = limited(sound, RATE)
    audible = np.abs(sound[1]) > 0.05
    gain = np.ones(sound.shape[1])
    gain[audible] = safe[1, audible] / sound[1, audible]
    assert gain[70_000:70_200].min() < 0.8, "the right channel is lowered for a peak in the left"
    known = np.flatnonzero(audible)
    moves = np.abs(np.diff(gain[known])) / np.diff(known)
    assert moves.max() < 0.01, "no step that would click"


@pytest.mark.parametrize("seed", range(4))
def test_any_sound_ends_below_the_ceiling(seed):
    rng = np.random.default_rng(seed)
    sound = (rng.standard_normal((2, 20_000)) * rng.uniform(0.1, 20)).astype(np.float32)
    assert true_peak_dbtp(limited(sound, RATE)[0]) <= CEILING_DBTP
    assert true_peak_dbtp(make_safe(sound, RATE)[0]) <= CEILING_DBTP


def test_what_is_below_the_ceiling_stays():
    quiet = tone(peak=0.01)
    same, taken = limited(quiet, RATE)
    np.testing.assert_array_equal(same, quiet)
    assert taken == 0.0
    assert make_safe(quiet, RATE)[1] == ()


def test_a_little_over_is_limited_and_a_lot_is_lowered_first():
    over = np.concatenate([sine(-12.0), sine(2.0, seconds=0.05), sine(-12.0)], axis=1)
    safe, notes = make_safe(over, RATE)
    assert -1.1 < true_peak_dbtp(safe) <= CEILING_DBTP
    np.testing.assert_array_equal(safe[:, :100_000], over[:, :100_000])
    assert len(notes) == 1 and notes[0].startswith("peaks limited by 3.") and notes[0].endswith("true peak at -1 dBTP")
    far = over * np.float32(10)
    safe, notes = make_safe(far, RATE)
    assert -1.1 < true_peak_dbtp(safe) <= CEILING_DBTP
    assert notes[0].startswith("lowered by 17.") and ", and peaks limited by 6." in notes[0], notes
    assert MOST_LIMITED == 6.0


def test_a_model_that_fails_is_not_passed_off_as_silence():
    samples = tone()
    samples[0, 7] = np.nan
    with pytest.raises(SoundError, match="not finite") as refused:
        make_safe(samples, RATE)
    assert refused.value.code == "internal"
