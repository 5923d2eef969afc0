"""Sounds at another length: exact to the frame, onsets in their places, pitch kept, and the limits said."""

import numpy as np
import pytest

from tertium import excerpts
from tertium.audio import Audio
from tertium.errors import SoundError
from tests.server.sounds import tone

RATE = 44_100


def clicks(times, *, seconds):
    """Short bursts of noise at the times (s), in two unlike channels: float32 (2, frames)."""
    samples = np.zeros((2, round(seconds * RATE)), np.float32)
    burst = np.random.default_rng(0).normal(size=(2, 400)).astype(np.float32) * np.linspace(1, 0, 400, dtype=np.float32)
    for at in times:
        first = round(at * RATE)
        samples[:, first : first + 400] += 0.5 * burst
    return samples


def pitch(samples):
    """Frequency of the loudest partial, Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return spectrum.argmax() * RATE / samples.size


@pytest.mark.parametrize("seconds", [0.5, 1.4999, 2.0, 2.7183, 6.0])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_the_length_is_exact_and_the_pitch_is_kept(seconds, channels):
    sound = Audio(tone(440, seconds=2.0, channels=channels), RATE)
    made = excerpts.to_length(sound, seconds)
    assert made.samples.shape == (channels, round(seconds * RATE)) and made.samples.dtype == np.float32
    assert abs(pitch(made.samples[0]) - 440) < 4


def test_onsets_stay_where_they_belong():
    times = (0.25, 1.0, 1.5, 2.5)
    made = excerpts.to_length(Audio(clicks(times, seconds=3.0), RATE), 3.75).samples[0]
    for at in times:
        around = slice(round((at * 1.25 - 0.1) * RATE), round((at * 1.25 + 0.1) * RATE))
        middle = (np.arange(made.size)[around] * made[around] ** 2).sum() / (made[around] ** 2).sum() / RATE
        assert abs(middle - at * 1.25) < 0.03


@pytest.mark.parametrize("seconds", [0.6, 3.7, 3.9, 12.0])
def test_the_same_is_made_every_time(seconds):
    sound = Audio(clicks((0.1, 0.9, 1.4), seconds=2.0), RATE)
    first, second = (excerpts.to_length(sound, seconds).samples for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_note_says_what_was_done_and_nothing_is_done_for_nothing():
    sound = Audio(tone(seconds=2.0), RATE, ("resampled",))
    assert excerpts.to_length(sound, 3.0).notes == ("resampled", "stretched from 2.000 s to 3.000 s, its pitch kept")
    assert excerpts.to_length(sound, 2.0 + 0.4 / RATE) is sound


@pytest.mark.parametrize("seconds", [0.51, 40.0])
def test_a_length_out_of_reach_is_refused(seconds):
    with pytest.raises(SoundError) as caught:
        excerpts.to_length(Audio(tone(seconds=4.8), RATE), seconds)
    error = caught.value
    assert (error.code, error.field, error.value) == ("out_of_range", "seconds", seconds)
    assert error.message == f"A sound of 4.800 s is not stretched to {seconds:g} s: that is more than 8 times."
    assert error.remedy == "Give a number from 0.600 to 38.400, or another part of it."
