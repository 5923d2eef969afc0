"""What any fusion must stand beside: sum, geometric mean of spectra, channel vocoder, interpolated latents, and a network that only shrinks.

Sounds are (2, samples), float, at 44.1 kHz.
"""

from collections.abc import Sequence

import torch

from pocket.material.synthesis import RATE
from tertium.engine.models.loaded_model import LoadedModel
from tertium.engine.sampling.schedule import Schedule
from tertium.engine.sampling.solver import Predict

WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Weights of the original at which latents are interpolated."""
_SIZE, _HOP, _BANDS = 2048, 512, 48


def waveform_sum(original: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return the sum of two sounds, both brought to the reference's power."""
    return 0.5 * (original * (_rms(reference) / _rms(original)) + reference)


def geometric_mean(original: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return the geometric mean of two magnitude spectra, which is the average of their decibels, with the phases of their sum."""
    one, other = (_stft(x / _rms(x)) for x in (original, reference))
    phases = torch.polar(torch.ones_like(one.abs()), (one + other).angle())
    return _istft((one.abs() * other.abs()).sqrt() * phases, original.shape[1]) * _rms(reference)


def channel_vocoder(original: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return the reference under the original's band levels: 48 bands with equal ratios from 80 Hz to 16 kHz, smoothed over 12 ms."""
    edges = 80 * (16_000 / 80) ** (torch.arange(_BANDS + 1) / _BANDS)
    place = torch.bucketize(torch.linspace(0, RATE / 2, _SIZE // 2 + 1), edges).clamp(1, _BANDS) - 1
    bank = torch.nn.functional.one_hot(place, _BANDS).float()
    own, wanted = _stft(reference), _stft(original)
    levels = [torch.einsum("kn,ckt->cnt", bank, spectrum.abs().square()) for spectrum in (own, wanted)]
    gains = (levels[1] / (levels[0] + 1e-6 * levels[0].max())).sqrt().clamp(max=100)
    return _istft(own * torch.einsum("kn,cnt->ckt", bank, gains), reference.shape[1])


def interpolations(
    model: LoadedModel, z_o: torch.Tensor, z_r: torch.Tensor, *, samples: int, weights: Sequence[float] = WEIGHTS
) -> list[torch.Tensor]:
    """Return the decoded interpolations of two sounds' latents, (1, channels, frames), at each weight of the original."""
    return [model.decode(torch.lerp(z_r, z_o, weight), samples=samples)[0] for weight in weights]


def shrinker(schedule: Schedule, mean: torch.Tensor, variance: torch.Tensor) -> Predict:
    """Return the data prediction of a model that knows only the mean and the variance of each latent channel: the Wiener filter.

    With x = alpha z + sigma noise it is mean + alpha variance / (alpha² variance + sigma²) (x − alpha mean).

    Args:
        mean, variance: (1, channels, 1), see :func:`statistics`.
    """

    def predict(x: torch.Tensor, step: int) -> torch.Tensor:
        alpha, sigma = schedule.alphas[step], schedule.sigmas[step]
        return mean + alpha * variance / (alpha**2 * variance + sigma**2) * (x - alpha * mean)

    return predict


def statistics(latents: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and variance, (1, channels, 1), over all frames of some latents (1, channels, frames)."""
    every = torch.cat(list(latents), dim=-1)
    return every.mean(-1, keepdim=True), every.var(-1, keepdim=True).clamp(min=1e-6)


def _rms(sound: torch.Tensor) -> torch.Tensor:
    return sound.square().mean().sqrt().clamp(min=1e-6)


def _stft(sound: torch.Tensor) -> torch.Tensor:
    return torch.stft(sound, _SIZE, _HOP, window=torch.hann_window(_SIZE), pad_mode="constant", return_complex=True)


def _istft(spectrum: torch.Tensor, samples: int) -> torch.Tensor:
    return torch.istft(spectrum, _SIZE, _HOP, window=torch.hann_window(_SIZE), length=samples)
