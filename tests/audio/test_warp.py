"""Stretched and warped sounds: exact length, onsets in place, constant pitch, and errors beyond the limits."""

import numpy as np
import pytest

from tertium.audio import warp
from tertium.audio.signal import Audio
from tertium.errors import SoundError
from tests.sounds import tone

RATE = 44_100


def clicks(times, *, seconds):
    """Return short bursts of noise at the times (s), different in the two channels: float32 (2, frames)."""
    samples = np.zeros((2, round(seconds * RATE)), np.float32)
    burst = np.random.default_rng(0).normal(size=(2, 400)).astype(np.float32) * np.linspace(1, 0, 400, dtype=np.float32)
    for at in times:
        first = round(at * RATE)
        samples[:, first : first + 400] += 0.5 * burst
    return samples


def pitch(samples):
    """Return the frequency of the loudest partial in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return spectrum.argmax() * RATE / samples.size


@pytest.mark.parametrize("seconds", [0.5, 1.4999, 2.0, 2.7183, 6.0])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_the_length_is_exact_and_the_pitch_is_kept(seconds, channels):
    sound = Audio(tone(440, seconds=2.0, channels=channels), RATE)
    result = warp.to_length(sound, seconds)
    assert result.samples.shape == (channels, round(seconds * RATE)) and result.samples.dtype == np.float32
    assert abs(pitch(result.samples[0]) - 440) < 4


def test_onsets_stay_where_they_belong():
    times = (0.25, 1.0, 1.5, 2.5)
    result = warp.to_length(Audio(clicks(times, seconds=3.0), RATE), 3.75).samples[0]
    for at in times:
        around = slice(round((at * 1.25 - 0.1) * RATE), round((at * 1.25 + 0.1) * RATE))
        middle = (np.arange(result.size)[around] * result[around] ** 2).sum() / (result[around] ** 2).sum() / RATE
        assert abs(middle - at * 1.25) < 0.03


@pytest.mark.parametrize("seconds", [0.6, 3.7, 3.9, 12.0])
def test_the_result_is_reproducible(seconds):
    sound = Audio(clicks((0.1, 0.9, 1.4), seconds=2.0), RATE)
    first, second = (warp.to_length(sound, seconds).samples for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_stretching_is_noted_and_an_equal_length_is_left_alone():
    sound = Audio(tone(seconds=2.0), RATE, ("resampled",))
    assert warp.to_length(sound, 3.0).notes == ("resampled", "stretched from 2.000 s to 3.000 s, its pitch kept")
    assert warp.to_length(sound, 2.0 + 0.4 / RATE) is sound


@pytest.mark.parametrize("seconds", [0.51, 40.0])
def test_a_length_out_of_reach_is_refused(seconds):
    with pytest.raises(SoundError) as caught:
        warp.to_length(Audio(tone(seconds=4.8), RATE), seconds)
    error = caught.value
    assert (error.code, error.field, error.value) == ("out_of_range", "seconds", seconds)
    assert error.message == f"A sound of 4.800 s cannot be stretched to {seconds:g} s: that is more than 8 times."
    assert error.remedy == "Give a number from 0.600 to 38.400, or another part of it."


MARKERS = [(0.0, 0.0), (0.5, 0.8), (1.5, 1.4), (3.0, 3.2)]


def test_each_marker_sounds_where_it_is_to_sound():
    times = (0.25, 0.5, 1.0, 1.5, 2.25)
    result = warp.warp(Audio(clicks(times, seconds=3.0), RATE), MARKERS)
    assert result.samples.shape == (2, round(3.2 * RATE))
    for at in times:
        sounding = np.interp(at, *zip(*MARKERS, strict=True))
        around = slice(round((sounding - 0.1) * RATE), round((sounding + 0.1) * RATE))
        energy = result.samples[0][around] ** 2
        middle = (np.arange(result.frames)[around] * energy).sum() / energy.sum() / RATE
        assert abs(middle - sounding) < 0.03
    assert result.notes == ("warped from 3.000 s to 3.200 s by 4 markers, its pitch kept",)


def test_pieces_join_without_a_click_or_a_hole():
    result = warp.warp(Audio(tone(330, seconds=3.0), RATE), MARKERS).samples[0]
    assert abs(pitch(result) - 330) < 4
    steepest = 0.5 * 2 * np.pi * 330 / RATE  # of the tone itself
    assert np.abs(np.diff(result)).max() < 1.5 * steepest
    level = np.sqrt(np.convolve(result**2, np.ones(441) / 441, "valid"))[RATE // 4 : -RATE // 4]
    assert level.min() > 0.1, "two pieces may be out of phase for the 10 ms of a joint, but not silent"


def test_pieces_of_one_ratio_are_one():
    sound = Audio(tone(seconds=2.0), RATE)
    even = warp.warp(sound, [(0.0, 0.0), (0.7, 0.84), (2.0, 2.4)])
    np.testing.assert_array_equal(even.samples, warp.to_length(sound, 2.4).samples)


def test_many_markers_of_a_short_sound():
    places = [(n / 16, n / 16 + 0.02 * (n % 2)) for n in range(17)]
    result = warp.warp(Audio(tone(seconds=1.0, channels=1), RATE), places)
    assert (
        result.samples.shape == (1, RATE) and np.isfinite(result.samples).all() and np.abs(result.samples).max() < 0.75
    )


@pytest.mark.parametrize(
    ("markers", "message"),
    [
        ([(0, 0), (0.1, 1.0), (3, 3)], "Markers 1 and 2 stretch what is between them 10 times."),
        ([(0, 0), (0.05, 0.008), (0.1, 0.016)], "Markers end at 0.016 s."),
        ([(0, 0), (1, 1), (1.001, 1.002), (3, 3)], "Markers 2 and 3 are less than 0.005 s apart."),
    ],
)
def test_markers_out_of_reach_are_refused(markers, message):
    with pytest.raises(SoundError) as caught:
        warp.warp(Audio(tone(seconds=3.0), RATE), markers)
    assert (caught.value.code, caught.value.field, caught.value.message) == ("out_of_range", "markers", message)
    assert (
        caught.value.remedy
        == "Leave 0.005 s between markers, stretch each piece by at most 8 times either way, to 0.02 to 600 s in all."
    )
