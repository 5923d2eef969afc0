"""The sum and the channel vocoder: powers, band levels, and agreement with those that the embedded model is judged by."""

import numpy as np
import pytest
import torch

from pocket.gate import baselines as judged_by
from tertium.audio import baselines
from tests.sounds import tone

RATE = 44_100


def noise(seed: int, seconds: float = 1.0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE))).astype(np.float32)


def power(sound: np.ndarray) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64)))


def test_both_sounds_are_as_strong_in_the_sum():
    low, high = tone(200, seconds=1, peak=0.05), tone(3000, seconds=1, peak=0.8)
    summed = baselines.waveform_sum(low, high)
    spectrum = np.abs(np.fft.rfft(summed[0])) ** 2
    assert spectrum[150:250].sum() == pytest.approx(spectrum[2950:3050].sum(), rel=0.01)
    assert summed.dtype == np.float32 and summed.shape == low.shape


def test_the_vocoder_gives_the_carrier_the_band_levels_of_the_original():
    pulsed = noise(1) * (np.arange(RATE) // 11_025 % 2)  # a quarter of a second on, a quarter off
    result = baselines.channel_vocoder(pulsed.astype(np.float32), noise(2), RATE)
    quiet, loud = result[:, 2048:9000], result[:, 13_200:20_000]
    assert power(loud) == pytest.approx(power(pulsed[:, 13_200:20_000]), rel=0.2)
    assert power(quiet) < 1e-3 * power(loud)


def test_a_sound_under_its_own_bands_is_itself():
    sound = noise(3)
    result = baselines.channel_vocoder(sound, sound, RATE)
    assert np.abs(result - sound).max() < 0.01 * np.abs(sound).max()


def test_a_silent_carrier_stays_finite():
    silent = np.zeros((2, RATE), dtype=np.float32)
    assert np.isfinite(baselines.channel_vocoder(noise(4), silent, RATE)).all()
    assert np.isfinite(baselines.waveform_sum(silent, noise(4))).all()


@pytest.mark.parametrize("seed", [5, 6])
def test_they_are_the_baselines_that_the_embedded_model_is_judged_by(seed):
    one, other = noise(seed) + tone(220, seconds=1), noise(seed + 10) * np.linspace(0, 1, RATE, dtype=np.float32)
    pair = torch.from_numpy(one), torch.from_numpy(other)
    summed = judged_by.waveform_sum(*pair).numpy()
    assert np.abs(baselines.waveform_sum(one, other) - summed).max() < 1e-5
    vocoded = judged_by.channel_vocoder(*pair).numpy()
    inner = slice(4096, -4096)  # the two inverse transforms differ where windows do not overlap entirely
    difference = np.abs(baselines.channel_vocoder(one, other, RATE) - vocoded)[:, inner]
    assert difference.max() < 1e-3 * np.abs(vocoded).max()
