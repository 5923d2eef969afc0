"""Similarity of sounds: log-mel correlation, latent correlation, and the share that no mix of two sounds explains."""

import math

import torch

BANDS = 96
LOWEST, HIGHEST = 40.0, 16_000.0  # Hz
WINDOW_SECONDS, HOP_SECONDS = 0.046, 0.0115
RANGE_DB = 80.0


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the Pearson correlation over all elements, -1 … 1; 0 where one of the tensors is constant.

    Args:
        one, other: of the same shape, such as latents (1, channels, frames), on any device.
    """
    flat = (tensor.flatten().cpu().double() for tensor in (one, other))  # in this order: not every device has float64
    a, b = (numbers - numbers.mean() for numbers in flat)
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale > 1e-12 else 0.0


def mel_power(audio: torch.Tensor, sample_rate: int) -> torch.Tensor:
    """Return the power in ``BANDS`` mel bands: (channels, bands, columns), one column every 11.5 ms.

    The bands are triangles evenly spaced on the mel scale of O'Shaughnessy, 2595 log10(1 + f / 700), from 40 Hz to
    16 kHz or half the sample rate.

    Args:
        audio: (channels, samples).
        sample_rate: in Hz.
    """
    size = 2 ** round(math.log2(max(64.0, WINDOW_SECONDS * sample_rate)))
    hop = max(1, round(HOP_SECONDS * sample_rate))
    padded = torch.nn.functional.pad(audio.float(), (0, max(0, size - audio.shape[-1])))
    spectrum = torch.stft(
        padded, size, hop, window=torch.hann_window(size), center=True, pad_mode="constant", return_complex=True
    )
    return _triangles(size, sample_rate) @ spectrum.abs().square()


def log_mel(power: torch.Tensor) -> torch.Tensor:
    """Convert :func:`mel_power` to decibels, limited to 80 dB below the loudest point."""
    loudest = max(float(power.max()), 1e-20)
    return 10.0 * torch.log10((power / loudest).clamp_min(10.0 ** (-RANGE_DB / 10)))


def log_mel_correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the correlation of two log-mel spectrograms, averaged over channels.

    Args:
        one, other: from :func:`log_mel`, of the same shape.
    """
    pairs = [correlation(a, b) for a, b in zip(one, other, strict=True)]
    return sum(pairs) / len(pairs)


def unexplained(result: torch.Tensor, original: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the share of a result that no mix of the two sounds explains, 0 … 1.

    It is 0 for any mix with a filter on each sound, and 1 for an unrelated sound.

    In each mel band the power over time is fitted by a * original + b * reference, with a and b not negative, by least
    squares; the residual counts by its share of the squares. Powers are compared rather than samples, because the
    samples of an inverted sound have phases of their own.

    Args:
        result, original, reference: from :func:`mel_power`, of the same shape.
    """
    x, o, r = (power.double().flatten(0, 1) for power in (result, original, reference))
    whole = x.square().sum(-1)
    oo, rr, mixed = o.square().sum(-1), r.square().sum(-1), (o * r).sum(-1)
    xo, xr = (x * o).sum(-1), (x * r).sum(-1)
    # Each sound alone, then both where that fit has no negative weight; the best of these is the constrained optimum.
    best = torch.maximum(_explained(xo, oo), _explained(xr, rr))
    determinant = oo * rr - mixed.square()
    solvable = determinant > 1e-9 * oo * rr
    safe = torch.where(solvable, determinant, torch.ones_like(determinant))
    a, b = (xo * rr - xr * mixed) / safe, (xr * oo - xo * mixed) / safe
    both = torch.where(solvable & (a >= 0) & (b >= 0), a * xo + b * xr, torch.zeros_like(best))
    total = float(whole.sum())
    return max(0.0, 1.0 - float(torch.maximum(best, both).sum()) / total) if total > 0 else 0.0


def _explained(product: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    """Return the squares that one sound explains alone. Both arguments are not negative, hence neither is its weight."""
    return torch.where(square > 0, product.square() / square.clamp_min(1e-300), torch.zeros_like(square))


def _triangles(size: int, sample_rate: int) -> torch.Tensor:
    """Return (bands, size // 2 + 1) weights; each band's weights sum to 1, or are all 0."""
    frequencies = torch.linspace(0.0, sample_rate / 2, size // 2 + 1)
    low, high = (_mel(torch.tensor(f)) for f in (LOWEST, min(HIGHEST, sample_rate / 2)))
    centres = torch.linspace(float(low), float(high), BANDS + 2)
    place = (_mel(frequencies)[None] - centres[1:-1, None]) / (centres[1] - centres[0])
    weights = (1.0 - place.abs()).clamp_min(0.0)
    return weights / weights.sum(-1, keepdim=True).clamp_min(1e-9)


def _mel(frequency: torch.Tensor) -> torch.Tensor:
    return 2595.0 * torch.log10(1.0 + frequency / 700.0)
