"""A pretrained embedding of sounds, if the package ``aisfx`` is installed: a second opinion that shares nothing with any codec.

``aisfx`` 0.1.2 ships the weights (CC BY 4.0) of Ma and Lerch, "Representation Learning for the Automatic Indexing of Sound Effects
Libraries" (ISMIR 2022): nine convolutional layers, trained to tell the categories of sound effects apart. It demands old versions of
numpy and librosa, so it is installed without its dependencies (``make embedding``), nothing of its code is imported, and only its file of
weights is read, with ``weights_only=True``. The network is written out here.
"""

import functools
import importlib.metadata
import importlib.util
from pathlib import Path

import numpy
import torch
from torch.nn import functional

PACKAGE = "aisfx"
_SIZE, _HOP, _BANDS, _RATE = 2048, 1024, 96, 44_100
_HIGHEST = 9.457798957824707  # the largest value of the spectra in its training, by which they are scaled
_BLOCK = 100  # columns, 2.3 s
_POOLS = (2, 2, 2, 1)


def version() -> str | None:
    """Return the installed version of ``aisfx``; None if it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def likeness(one: torch.Tensor, other: torch.Tensor) -> float | None:
    """Return the correlation of the embeddings of two sounds, −1 … 1; None without ``aisfx``.

    Args:
        one, other: (channels, samples) of one length, at 44.1 kHz.
    """
    weights = _weights()
    if weights is None:
        return None
    a, b = (embedded(sound, weights).flatten() for sound in (one, other))
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


@torch.no_grad()
def embedded(sound: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the embeddings (blocks, 512) of a sound (channels, samples) at 44.1 kHz: blocks of 2.3 s, half of which overlaps."""
    spectrum = mel(sound).T
    if len(spectrum) < _BLOCK:
        spectrum = functional.pad(spectrum, (0, 0, 0, _BLOCK - len(spectrum)))
    starts = sorted({*range(0, len(spectrum) - _BLOCK + 1, _BLOCK // 2), len(spectrum) - _BLOCK})
    x = torch.stack([spectrum[start : start + _BLOCK] for start in starts])[:, None]
    for number, pool in enumerate(_POOLS, 1):
        for layer in (1, 2):
            name = f"embedding_net.conv_block{number}."
            norm = [weights[f"{name}bn{layer}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
            x = functional.relu(
                functional.batch_norm(functional.conv2d(x, weights[f"{name}conv{layer}.weight"], padding=1), *norm)
            )
        x = functional.max_pool2d(x, pool)
    return x.mean(3).amax(2)


def mel(sound: torch.Tensor) -> torch.Tensor:
    """Return the spectrum (96, columns) that the network was trained on: log10(10⁴ power + 1) in mel bands up to 22.05 kHz, the peak at 1."""
    mono = sound.float().mean(0)
    mono = mono / mono.abs().max().clamp(min=1e-9)
    power = (
        torch.stft(mono, _SIZE, _HOP, window=torch.hann_window(_SIZE), pad_mode="constant", return_complex=True)
        .abs()
        .square()
    )
    return torch.log10(_bands() @ power * 1e4 + 1) / _HIGHEST


@functools.cache
def _bands() -> torch.Tensor:
    """Triangles evenly spaced on the mel scale 2595 log10(1 + f / 700) from 0 to 22.05 kHz, the weights of each summing to 1."""
    edges = 700 * (10 ** (torch.linspace(0, 2595 * float(numpy.log10(1 + _RATE / 1400)), _BANDS + 2) / 2595) - 1)
    bins = torch.linspace(0, _RATE / 2, _SIZE // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = torch.minimum(rising, falling).clamp(min=0)
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-9)


@functools.cache
def _weights() -> dict[str, torch.Tensor] | None:
    """The weights of the embedding; None without ``aisfx``. Found without importing the package, whose imports may be missing."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / "models" / "checkpoint.pth"
    # Besides tensors the file holds a few numpy integers; nothing else is allowed.
    numbers = [(numpy._core.multiarray.scalar, "numpy.core.multiarray.scalar"), numpy.dtype, numpy.dtypes.Int64DType]
    with torch.serialization.safe_globals(numbers):
        weights, _ = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value.float() for name, value in weights.items() if name.startswith("embedding_net.")}
