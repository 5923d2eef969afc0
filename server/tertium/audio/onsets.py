"""Onsets: where a sound rises, and by how much another sound must be shifted so that it rises there too.

A sound of any length is taken as periodic, since a reference is repeated under a longer original. An onset at a sound's
beginning therefore counts where the sound begins louder than it ends.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

HOP = 0.0029
"""Seconds from one value of an envelope to the next: the precision of a shift."""
SPAN = 8  # hops in a spectrum's window
RISING = 4  # hops over which a level rises
SMOOTH = 5  # hops over which an envelope is averaged
BANDS, LOWEST, HIGHEST = 24, 50.0, 16_000.0  # Hz
DEPTH = 50.0  # dB below the loudest band; anything fainter counts as that
FAINTEST = 1e-10  # power of a spectrum's bin, at full scale 1, that counts as silence
LEAST_RISE = 1.0  # dB, averaged over bands, of the strongest onset of a sound that has onsets
LEAST_CONTRAST = 3.0
"""Smallest ratio of the highest value of an envelope to its mean for a sound that has onsets: noise has about 2."""
ALIKE = 0.03
"""Likenesses that differ by less are equal: of the shifts by one period of a rhythm or more, the smallest counts."""
CHUNK = 2048  # spectra that are computed at once, which bounds the memory


@dataclass(frozen=True)
class Shift:
    """The shift at which the onsets of two sounds are most alike.

    Args:
        frames: by which the reference has to begin later, negative for earlier.
        unshifted, likeness: correlation of the onset envelopes without and with it, -1 … 1.
    """

    frames: int
    unshifted: float
    likeness: float


def hop_of(sample_rate: int) -> int:
    """Return the frames from one value of an envelope to the next at a sample rate in Hz."""
    return max(1, round(HOP * sample_rate))


def envelope(samples: np.ndarray, sample_rate: int, *, begin: int, count: int) -> np.ndarray:
    """Return the strength of the onsets of a periodic sound, (count,), in dB: one value each :func:`hop_of` frames.

    It is the rise of the level over 12 ms, averaged over those of 24 bands with equal ratios from 50 Hz to 16 kHz that the
    spectrum resolves, and over 15 ms.

    Args:
        samples: (channels, frames), the period.
        begin: frame of the first value; any number, negative too.
    """
    hop, before = hop_of(sample_rate), RISING + SMOOTH // 2
    levels = _levels(samples, sample_rate, begin=begin - before * hop, count=count + 2 * before)
    rises = np.maximum(levels[:, RISING:] - levels[:, :-RISING], 0.0).mean(0)
    return sliding_window_view(rises, SMOOTH).mean(1)[:count]


def best_shift(original: np.ndarray, reference: np.ndarray, sample_rate: int) -> Shift | None:
    """Return the shift of the reference at which its onsets are most like the original's; None if one of the sounds has
    none, like silence, noise or a steady tone.

    The reference is repeated or cut to the original's length. It is shifted by at most half of the shorter sound's length
    either way.

    Args:
        original, reference: (channels, frames), at one sample rate in Hz.
    """
    hop, own, period = hop_of(sample_rate), original.shape[1], reference.shape[1]
    count, most = own // hop, min(own, period) // (2 * hop)
    if count < SPAN:
        return None
    wanted = envelope(original, sample_rate, begin=0, count=count)
    laid = envelope(reference, sample_rate, begin=-most * hop, count=count + 2 * most)
    if not (_has_onsets(wanted) and _has_onsets(laid)):
        return None
    likeness = _correlations(wanted, laid)[::-1]  # the first is that of the earliest reference
    chosen = _nearest_peak(likeness, most)
    return Shift((chosen - most) * hop, float(likeness[most]), float(likeness[chosen]))


def _levels(samples: np.ndarray, sample_rate: int, *, begin: int, count: int) -> np.ndarray:
    """Return the levels in dB, (bands, count), of the power of all channels around each value's frame."""
    hop = hop_of(sample_rate)
    size = SPAN * hop
    window = np.hanning(size + 1)[:size].astype(np.float32)
    edges = LOWEST * (HIGHEST / LOWEST) ** (np.arange(BANDS + 1) / BANDS)
    bins = np.fft.rfftfreq(size, 1 / sample_rate)
    bank = ((bins >= edges[:-1, None]) & (bins < edges[1:, None])).astype(np.float64)
    bank = bank[bank.any(1)]
    powers = np.empty((bank.shape[0], count))
    for first in range(0, count, CHUNK):
        many = min(CHUNK, count - first)
        places = begin + first * hop - size // 2 + np.arange((many - 1) * hop + size)
        pieces = sliding_window_view(samples[:, places % samples.shape[1]], size, axis=1)[:, ::hop]
        powers[:, first : first + many] = bank @ (np.abs(np.fft.rfft(pieces * window)) ** 2).sum(0).T
    levels = 10 * np.log10(powers + FAINTEST * size)
    return np.maximum(levels, levels.max() - DEPTH)


def _has_onsets(strengths: np.ndarray) -> bool:
    return bool(strengths.max() >= max(LEAST_RISE, LEAST_CONTRAST * strengths.mean()))


def _correlations(wanted: np.ndarray, laid: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of ``wanted`` with each part of ``laid`` of its length, 0 for a constant part."""
    count = wanted.size
    size = 1 << (laid.size + count - 1).bit_length()
    centred = wanted - wanted.mean()
    products = np.fft.irfft(np.fft.rfft(laid, size) * np.fft.rfft(centred, size).conj(), size)[: laid.size - count + 1]
    sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (laid, laid**2))
    means, powers = ((totals[count:] - totals[:-count]) / count for totals in (sums, squares))
    deviations = np.sqrt(np.maximum(powers - means**2, 0.0))
    scale = count * centred.std() * deviations
    return np.where(scale > 1e-9, products / np.maximum(scale, 1e-9), 0.0)


def _nearest_peak(likeness: np.ndarray, middle: int) -> int:
    """Return the peak nearest to ``middle`` among those that are as high as the highest."""
    padded = np.concatenate([[-np.inf], likeness, [-np.inf]])
    peaks = np.flatnonzero((likeness >= padded[:-2]) & (likeness >= padded[2:]))
    high = peaks[likeness[peaks] >= likeness.max() - ALIKE]
    return int(high[np.abs(high - middle).argmin()])
