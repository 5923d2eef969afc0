"""Plots: frequencies at the right height, one scale for all sounds."""

import struct

import numpy as np
import pytest

from tertium.plots import spectrogram
from tests.sounds import tone


@pytest.mark.parametrize("frequency", [60, 440, 1000, 9000])
@pytest.mark.parametrize("sample_rate", [22_050, 96_000])
def test_a_tone_is_brightest_in_its_band(frequency, sample_rate):
    power = spectrogram.band_power(tone(frequency, seconds=1, sample_rate=sample_rate), sample_rate)
    brightest = power[:, power.shape[1] // 2].argmax()
    assert abs(brightest + 0.5 - spectrogram._position(frequency)) <= 1
    assert power.shape == (spectrogram.BANDS, pytest.approx(125, abs=8))


def test_the_plot_is_a_png_with_one_panel_per_sound(tmp_path):
    sounds = [
        ("original", tone(), 44_100),
        ("reference", tone(channels=1), 8_000),
        ("silence", np.zeros((2, 44_100)), 44_100),
    ]
    spectrogram.plot_sounds(tmp_path / "a.png", sounds)
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    assert width > 3 * height > 900
    with pytest.raises(FileExistsError):
        spectrogram.plot_sounds(tmp_path / "a.png", sounds)
