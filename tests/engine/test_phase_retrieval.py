"""Phases integrated along the tree, for sounds whose phases follow from their magnitudes."""

import math

import pytest
import torch

from tertium.engine.models.phase_retrieval import integrate
from tertium.engine.models.pocket_codec import SpectralCodec

RATE, N_FFT, HOP = 44100, 2048, 512


def tone():
    t = torch.arange(RATE) / RATE
    return 0.5 * torch.sin(2 * math.pi * 441.3 * t) + 0.2 * torch.sin(2 * math.pi * 2000 * t)


def clicks():
    sound = torch.zeros(RATE)
    sound[4000::12000] = 1.0
    return sound


def sweep():
    t = torch.arange(RATE) / RATE
    return 0.5 * torch.sin(2 * math.pi * (300 * t + 800 * t.square()))


def spectrum(sound):
    codec = SpectralCodec()
    return codec, codec.stft(torch.nn.functional.pad(sound, (0, -len(sound) % 1024))[None])


@pytest.mark.parametrize(("sound", "most"), [(tone, 0.03), (clicks, 0.45), (sweep, 0.1)])
def test_the_sound_has_the_magnitudes_that_it_was_made_from(sound, most):
    codec, true = spectrum(sound())
    magnitudes = true.abs()
    back = codec.stft(codec.istft(magnitudes * integrate(magnitudes, n_fft=N_FFT, hop=HOP, faintest=3e-5)))
    assert ((back.abs() - magnitudes).norm() / magnitudes.norm()).item() < most


def test_rows_are_apart_and_the_result_is_always_the_same():
    _, true = spectrum(sweep())
    rows = torch.cat([true.abs(), 0.1 * true.abs().flip(-1)])
    both = integrate(rows, n_fft=N_FFT, hop=HOP, faintest=3e-5)
    assert torch.equal(both, integrate(rows, n_fft=N_FFT, hop=HOP, faintest=3e-5))
    torch.testing.assert_close(both[1:], integrate(rows[1:], n_fft=N_FFT, hop=HOP, faintest=3e-5))
    torch.testing.assert_close(both.abs(), torch.ones_like(both.abs()))


@pytest.mark.parametrize("shape", [(1, 1025, 1), (2, 1, 3), (1, 1025, 2)])
def test_silence_and_the_smallest_spectrograms_have_phases_too(shape):
    assert torch.isfinite(torch.view_as_real(integrate(torch.zeros(shape), n_fft=N_FFT, hop=HOP, faintest=3e-5))).all()
    assert integrate(torch.rand(shape), n_fft=N_FFT, hop=HOP, faintest=3e-5).shape == shape


def test_phases_follow_the_carrier_of_a_steady_bin():
    magnitudes = torch.zeros(1, 5, 4)
    magnitudes[0, 2] = 1.0
    found = integrate(magnitudes, n_fft=8, hop=2, faintest=1e-3)[0, 2].angle()
    turns = torch.remainder(torch.diff(found) - 2 * math.pi * 2 * 2 / 8, 2 * math.pi)
    assert torch.minimum(turns, 2 * math.pi - turns).max() < 1e-5
