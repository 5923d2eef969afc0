"""Pitch classes: which of the twelve a sound has, and by how many semitones another sound must be transposed to have them
too; and transposition.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tertium.audio.signal import Audio

WINDOW = 0.186  # seconds of a spectrum: partials a semitone apart are resolved from 180 Hz on
LOWEST, HIGHEST = 55.0, 2500.0
"""Hz between which partials count."""
NEIGHBOURS = 41  # bins whose median is the floor that a partial stands out of
OUT_OF_FLOOR = 2.0  # factor of amplitude
RANGE = 1e-3  # of the loudest bin; fainter partials do not count
CONCERT_A, CLASS_OF_A = 440.0, 9  # Hz; C is 0
LEAST_TONAL = 0.3
"""Smallest share of the power between ``LOWEST`` and ``HIGHEST`` in the partials of a sound that has pitches: noise
has less than 0.1, most drums have more."""
SEMITONES = range(-5, 7)
"""Transpositions that differ in their pitch classes; -6 has those of 6."""
EQUAL = 0.02
"""Correlations that differ by less are equal; of these the smallest transposition counts."""


@dataclass(frozen=True)
class Transposition:
    """The transposition with which the pitch classes of two sounds are most alike.

    Args:
        semitones: -5 … 6, by which the reference has to be transposed.
        untransposed, likeness: correlation of the profiles without and with it, -1 … 1.
    """

    semitones: int
    untransposed: float
    likeness: float


def profile(samples: np.ndarray, sample_rate: int) -> np.ndarray | None:
    """Return the weight of each pitch class from C on, (12,); None for a sound without pitches, like silence or noise.

    A partial is a peak of the mean spectrum that stands out of its neighbourhood. It weighs the square root of its
    amplitude, divided between the two pitch classes next to it.

    Args:
        samples: (channels, frames).
        sample_rate: in Hz.
    """
    size = 1 << round(math.log2(WINDOW * sample_rate))
    spectrum = _mean_spectrum(samples, size)
    peaks = _partials(spectrum, sample_rate / size)
    bins = np.arange(spectrum.size) * sample_rate / size
    power = float(np.sum(spectrum[(bins >= LOWEST) & (bins <= HIGHEST)] ** 2))
    around = np.unique(peaks[:, None] + np.arange(-2, 3))
    if not peaks.size or float(np.sum(spectrum[around] ** 2)) < LEAST_TONAL * power:
        return None
    semitones = 12 * np.log2(_interpolated(spectrum, peaks) * sample_rate / size / CONCERT_A) + CLASS_OF_A
    lower = np.floor(semitones).astype(int)
    weights, upper = np.sqrt(spectrum[peaks]), semitones - lower
    found = np.zeros(12)
    np.add.at(found, lower % 12, weights * (1 - upper))
    np.add.at(found, (lower + 1) % 12, weights * upper)
    return found


def best_transposition(original: np.ndarray, reference: np.ndarray, sample_rate: int) -> Transposition | None:
    """Return the transposition of the reference whose pitch classes are most like the original's; None if one of the
    sounds has no pitches.

    Args:
        original, reference: (channels, frames), at one sample rate in Hz.
    """
    wanted, own = (profile(samples, sample_rate) for samples in (original, reference))
    if wanted is None or own is None or wanted.std() == 0 or own.std() == 0:
        return None
    likeness = {n: float(np.corrcoef(wanted, np.roll(own, n))[0, 1]) for n in SEMITONES}
    highest = max(likeness.values())
    chosen = min((n for n in SEMITONES if likeness[n] >= highest - EQUAL), key=abs)
    return Transposition(chosen, likeness[0], likeness[chosen])


def transposed(sound: Audio, semitones: int) -> Audio:
    """Return a sound transposed by whole semitones, of the same length and with its onsets in place.

    Uses Signalsmith Stretch (Luff, MIT), which is reproducible at this length. Notes and layout are unchanged.
    """
    if semitones == 0:
        return sound
    from python_stretch import Signalsmith  # a C++ library, imported only when needed

    stretch = Signalsmith.Stretch()
    stretch.preset(sound.channels, float(sound.sample_rate))
    stretch.setTransposeSemitones(float(semitones))
    samples = np.asarray(stretch.process(np.ascontiguousarray(sound.samples)), dtype=np.float32)
    missing = max(0, sound.frames - samples.shape[1])
    return replace(sound, samples=np.ascontiguousarray(np.pad(samples, ((0, 0), (0, missing)))[:, : sound.frames]))


def _mean_spectrum(samples: np.ndarray, size: int) -> np.ndarray:
    """Return the amplitude of each bin, (size // 2 + 1,), of all channels together, averaged over time."""
    samples = np.pad(samples, ((0, 0), (0, max(0, size - samples.shape[1]))))
    pieces = sliding_window_view(samples, size, axis=1)[:, :: size // 4]
    window = np.hanning(size + 1)[:size].astype(np.float32)
    total = np.zeros(size // 2 + 1)
    for number in range(pieces.shape[1]):
        total += np.sqrt((np.abs(np.fft.rfft(pieces[:, number] * window)) ** 2).sum(0))
    return total / pieces.shape[1]


def _partials(spectrum: np.ndarray, spacing: float) -> np.ndarray:
    """Return the bins of the peaks that stand out of their neighbourhood; bins are ``spacing`` Hz apart."""
    import scipy.ndimage

    floor = scipy.ndimage.median_filter(spectrum, NEIGHBOURS, mode="nearest")
    highest = scipy.ndimage.maximum_filter1d(spectrum, 5, mode="nearest")
    out = (spectrum == highest) & (spectrum > OUT_OF_FLOOR * floor) & (spectrum > RANGE * spectrum.max())
    found = np.flatnonzero(out)
    return found[(found * spacing >= LOWEST) & (found * spacing <= HIGHEST)]


def _interpolated(spectrum: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Return the fractional bins of peaks, from the parabola through the logarithms of three bins."""
    before, at, after = (np.log(spectrum[peaks + step] + 1e-12) for step in (-1, 0, 1))
    curved = np.minimum(before - 2 * at + after, -1e-9)
    return peaks + np.clip(0.5 * (before - after) / curved, -0.5, 0.5)
