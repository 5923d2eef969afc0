"""Measures of how alike two sounds are, none of which shares a codec's bands: spectra at four windows, onsets, partials, level.

Sounds are (channels, samples), float, at 44.1 kHz, and both of one shape. Correlations are over all elements and do not see a change of level.
"""

import math
import statistics

import numpy
import torch
from scipy import ndimage, signal

from pocket import metrics
from pocket.material.synthesis import RATE

WINDOWS = (256, 2048, 4096, 16384)
_RANGE_DB = 80.0
_BEFORE_ONSET = (0.025, 0.005)  # seconds before an onset between which a codec's pre-echo is measured
_PARTIAL_SIZE, _PARTIAL_HOP, _NEIGHBOURS = 8192, 2048, 41
_OUT_OF_FLOOR_DB = 6.0


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the Pearson correlation over all elements, −1 … 1; 0 where one is constant."""
    a, b = (x.double().flatten() - x.double().mean() for x in (one, other))
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale > 1e-12 else 0.0


def log_spectrum(sound: torch.Tensor, size: int) -> torch.Tensor:
    """Return decibels (channels, bins, columns), clipped at 80 dB below the loudest; Hann window of ``size`` samples, hop a quarter."""
    sound = torch.nn.functional.pad(sound.float(), (0, max(0, size - sound.shape[-1])))
    spectrum = torch.stft(
        sound, size, size // 4, window=torch.hann_window(size), pad_mode="constant", return_complex=True
    )
    decibels = 20 * torch.log10(spectrum.abs() + 1e-9)
    return decibels.clamp(min=float(decibels.max()) - _RANGE_DB)


def spectral(one: torch.Tensor, other: torch.Tensor, size: int = 2048) -> float:
    """Return the correlation of two log spectra at a window of ``size`` samples, averaged over channels; −1 … 1."""
    pairs = zip(log_spectrum(one, size), log_spectrum(other, size), strict=True)
    return statistics.mean(correlation(a, b) for a, b in pairs)


def mel(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the correlation of two log-mel spectrograms, see :func:`pocket.metrics.likeness`; −1 … 1."""
    return metrics.likeness(one, other)


def onset_envelope(sound: torch.Tensor) -> torch.Tensor:
    """Return the strength of onsets over time (columns,), one every 2.9 ms.

    The rise of the level over 12 ms, in 40 bands with equal ratios from 50 Hz to 16 kHz, each down to 50 dB below the loudest point of any; its
    positive part, averaged over bands and over 15 ms.
    """
    power = (
        torch.stft(sound.float().mean(0), 1024, 128, window=torch.hann_window(1024), return_complex=True).abs().square()
    )
    edges = 50 * (16_000 / 50) ** (torch.arange(41) / 40)
    bins = torch.linspace(0, RATE / 2, 513)
    bands = ((bins >= edges[:-1, None]) & (bins < edges[1:, None])).float()
    bands = bands[bands.sum(1) > 0]
    decibels = 10 * torch.log10(bands @ power + 1e-12)
    decibels = decibels.clamp(min=float(decibels.max()) - 50)
    rise = (decibels[:, 4:] - decibels[:, :-4]).clamp(min=0).mean(0)
    return torch.nn.functional.avg_pool1d(rise[None, None], 5, stride=1, padding=2)[0, 0]


def onsets(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the correlation of two onset envelopes, −1 … 1."""
    return correlation(onset_envelope(one), onset_envelope(other))


def partial_map(sound: torch.Tensor) -> torch.Tensor:
    """Return by how many decibels each bin (bins, columns) stands out of its neighbourhood by more than 6 dB; 0 elsewhere.

    The neighbourhood is the median over 41 bins (220 Hz) at a window of 8,192; bins more than 70 dB below the loudest count as that. Up to 8 kHz.
    """
    sound = torch.nn.functional.pad(sound.float().mean(0), (0, max(0, _PARTIAL_SIZE - sound.shape[-1])))
    window = torch.hann_window(_PARTIAL_SIZE)
    spectrum = torch.stft(sound, _PARTIAL_SIZE, _PARTIAL_HOP, window=window, pad_mode="constant", return_complex=True)
    decibels = 20 * torch.log10(spectrum.abs()[: int(8000 * _PARTIAL_SIZE / RATE)] + 1e-9)
    decibels = decibels.clamp(min=float(decibels.max()) - 70)
    floor = torch.from_numpy(ndimage.median_filter(decibels.numpy(), size=(_NEIGHBOURS, 1)))
    return (decibels - floor - _OUT_OF_FLOOR_DB).clamp(min=0)


def partials(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the correlation of two maps of partials, −1 … 1; 0 where one of the sounds has none."""
    return correlation(partial_map(one), partial_map(other))


def before_onsets(sound: torch.Tensor, result: torch.Tensor) -> float:
    """Return the change of the energy 25 to 5 ms before the sound's distinct onsets in decibels, the median over onsets; NaN without one.

    Energies below −70 dBFS count as that, so that a whisper before a click is not counted as a scream.
    """
    first, last = (int(seconds * RATE) for seconds in _BEFORE_ONSET)
    changes = []
    for onset in metrics.onsets(sound):
        if onset >= first:
            before, after = (
                x[:, onset - first : onset - last].double().square().mean() + 1e-7 for x in (sound, result)
            )
            changes.append(10 * math.log10(float(after / before)))
    return statistics.median(changes) if changes else math.nan


def modulation(sound: torch.Tensor, rate: float) -> float:
    """Return by how much the level of a steady sound is modulated at a rate in Hz, in per cent of the mean amplitude, above what is beside it.

    The first and the last quarter of a second are left out.
    """
    inner = sound.double().mean(0)[RATE // 4 : -RATE // 4]
    smooth = signal.butter(2, 200, fs=RATE, output="sos")
    amplitude = numpy.sqrt(numpy.maximum(signal.sosfiltfilt(smooth, inner.numpy() ** 2), 0))
    window = numpy.hanning(len(amplitude))
    found = (
        numpy.abs(numpy.fft.rfft((amplitude - amplitude.mean()) * window))
        * 2
        / (window.sum() * amplitude.mean() + 1e-12)
    )
    place = round(rate * len(amplitude) / RATE)
    near = numpy.concatenate([found[place - 12 : place - 3], found[place + 4 : place + 13]])
    return 100 * max(0.0, float(found[place - 2 : place + 3].max() - near.mean()))


def true_peak(sound: torch.Tensor) -> float:
    """Return the peak in dB relative to full scale, at four times the sample rate."""
    peak = numpy.abs(signal.resample_poly(sound.double().numpy(), 4, 1, axis=-1)).max()
    return 20 * math.log10(max(float(peak), 1e-9))


def level(sound: torch.Tensor) -> float:
    """Return the loudness in LUFS (ITU-R BS.1770-4, gated); −70 where everything is below the gate. A sound of less than 0.4 s is repeated to that length."""
    repeats = -(-int(0.4 * RATE) // sound.shape[-1])
    weighted = signal.sosfilt(_K_WEIGHTING, sound.double().repeat(1, repeats).numpy(), axis=-1)
    block, hop = int(0.4 * RATE), int(0.1 * RATE)
    starts = range(0, weighted.shape[-1] - block + 1, hop)
    powers = numpy.array([(weighted[:, at : at + block] ** 2).mean(-1).sum() for at in starts])
    loud = powers[powers > 10 ** ((-70 + 0.691) / 10)]
    if not len(loud):
        return -70.0
    gated = loud[loud > loud.mean() * 0.1]
    return -0.691 + 10 * math.log10(float(gated.mean()))


def _k_weighting() -> numpy.ndarray:
    """The two filters of ITU-R BS.1770-4 at 44.1 kHz, as second-order sections: a shelf of +4 dB at 1.7 kHz, and a high-pass at 38 Hz."""
    k, q, high = math.tan(math.pi * 1681.974450955533 / RATE), 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band, scale = high**0.4996667741545416, 1 + k / q + k * k
    shelf = [(high + band * k / q + k * k) / scale, 2 * (k * k - high) / scale, (high - band * k / q + k * k) / scale]
    shelf += [1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale]
    k, q = math.tan(math.pi * 38.13547087602444 / RATE), 0.5003270373238773
    scale = 1 + k / q + k * k
    return numpy.array([shelf, [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale]])


_K_WEIGHTING = _k_weighting()


def interval(values, *, rounds: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean of some values and its 95 % interval by the bootstrap over them; NaN values are left out."""
    found = numpy.array([value for value in values if not math.isnan(value)], dtype=float)
    if not len(found):
        return math.nan, math.nan, math.nan
    rng = numpy.random.default_rng(seed)
    means = found[rng.integers(len(found), size=(rounds, len(found)))].mean(1)
    low, high = numpy.quantile(means, [0.025, 0.975])
    return float(found.mean()), float(low), float(high)
