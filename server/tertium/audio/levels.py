"""Loudness by ITU-R BS.1770-5, a true-peak limiter with look-ahead, and the safe level of what is stored.

SciPy and pyloudnorm are imported where they are used: the daemon's process stores nothing, and starts faster without.
"""

import math
import warnings

import numpy as np
import soxr

from tertium.audio.signal import OVERSAMPLING, true_peak_dbtp
from tertium.errors import SoundError

CEILING_DBTP = -1.0
"""Highest true peak of a result."""
MOST_LIMITED = 6.0
"""dB that the limiter takes from peaks; what goes beyond is taken from the whole sound, which would be squashed else."""

GATE_SECONDS = 0.4
"""Length of the blocks that the loudness is measured in; shorter sounds are repeated to it."""
LOOK_AHEAD = 0.005  # seconds in which the limiter's gain falls before a peak
RELEASE = 0.05  # seconds in which it rises afterwards
ROUNDING_DB = 1e-3  # so that rounding to float32 or 24 bits cannot exceed the ceiling


def loudness_lufs(samples: np.ndarray, sample_rate: int) -> float:
    """Return the integrated loudness of samples (channels, frames) in LUFS, with both gates of BS.1770-5, section 2.

    -inf for silence, and for what never reaches -70 LUFS. Channels beyond five are left out.
    """
    import pyloudnorm

    least = math.ceil(GATE_SECONDS * sample_rate) + 1
    if samples.shape[1] == 0:
        return -math.inf
    if samples.shape[1] < least:
        samples = np.tile(samples, -(-least // samples.shape[1]))
    meter = pyloudnorm.Meter(sample_rate, block_size=GATE_SECONDS)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # the mean of no blocks, where all of them are gated
        return float(meter.integrated_loudness(np.asarray(samples[:5].T, dtype=np.float64)))


def limited(samples: np.ndarray, sample_rate: int, *, ceiling_dbtp: float = CEILING_DBTP) -> tuple[np.ndarray, float]:
    """Limit the true peak of samples (channels, frames); what is below the ceiling stays as it is, sample by sample.

    The gain is one for all channels: it falls within ``LOOK_AHEAD`` before a peak and rises within ``RELEASE`` after it.

    Returns:
        The samples as float32, and the largest reduction in dB, 0 where nothing exceeded the ceiling.
    """
    ceiling = 10 ** ((ceiling_dbtp - ROUNDING_DB) / 20)
    peaks = _peaks(samples)
    if samples.shape[1] == 0 or float(peaks.max()) <= ceiling:
        return np.asarray(samples, dtype=np.float32), 0.0
    gain = _smoothed(np.minimum(1.0, ceiling / np.maximum(peaks, 1e-20)), sample_rate)
    quieter = np.asarray(samples * gain, dtype=np.float32)
    rest = true_peak_dbtp(quieter) - ceiling_dbtp  # the gain moves between samples: what that leaves is taken from all
    if rest > -ROUNDING_DB / 2:
        quieter = quieter * np.float32(10 ** (-(rest + ROUNDING_DB) / 20))
    return quieter, float(-20 * np.log10(gain.min()) + max(rest, 0.0))


def make_safe(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Bring samples (channels, frames) to a true peak of at most ``CEILING_DBTP``; quieter ones stay unchanged.

    Peaks are limited by up to ``MOST_LIMITED`` dB; the rest of what exceeds the ceiling is taken from the whole sound.

    Returns:
        The samples as float32, and a note on what was done if anything was.

    Raises:
        SoundError: ``internal`` if samples are not finite: the model failed, and replacing them by silence would hide it.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if not np.isfinite(samples).all():
        raise SoundError(
            "internal", "The model made values that are not finite (NaN or infinity).",
            remedy="Try another seed, or start the daemon with --precision fp32.",
        )  # fmt: skip
    peak = true_peak_dbtp(samples)
    if peak <= CEILING_DBTP:
        return samples, ()
    lowered = max(0.0, peak - CEILING_DBTP - MOST_LIMITED)
    safe, taken = limited(samples * np.float32(10 ** (-lowered / 20)), sample_rate)
    whole = f"lowered by {lowered:.1f} dB, and " if lowered else ""
    return safe, (f"{whole}peaks limited by {taken:.1f} dB to keep its true peak at {CEILING_DBTP:g} dBTP",)


def _peaks(samples: np.ndarray) -> np.ndarray:
    """Return the true peak around each frame (frames,): of the samples and of the four between it and the next."""
    import scipy.ndimage

    frames = samples.shape[1]
    between = np.abs(soxr.resample(np.asarray(samples, dtype=np.float64).T, 1, OVERSAMPLING, quality="VHQ")).max(axis=1)
    between = np.pad(between, (0, max(0, frames * OVERSAMPLING - len(between))))[: frames * OVERSAMPLING]
    peaks = np.maximum(between.reshape(frames, OVERSAMPLING).max(axis=1), np.abs(samples).max(axis=0))
    return scipy.ndimage.maximum_filter1d(peaks, 3)  # what lies between two frames concerns both


def _smoothed(gain: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return a smooth gain (frames,) that is nowhere above ``gain``, for peaks that are known ahead.

    It is the mean of the minimum over the time that the mean takes in, so that it cannot exceed the gain at its centre.
    """
    import scipy.ndimage

    ahead = max(1, round(LOOK_AHEAD * sample_rate))
    size = 2 * ahead + 1
    held = scipy.ndimage.minimum_filter1d(gain, size, mode="nearest")
    weights = np.hanning(size + 2)[1:-1]
    smooth = scipy.ndimage.convolve1d(held, weights / weights.sum(), mode="nearest")
    return 1.0 - _decaying(1.0 - smooth, RELEASE * sample_rate)


def _decaying(reduction: np.ndarray, frames: float) -> np.ndarray:
    """Return the reduction with its falls slowed to an exponential decay of ``frames`` frames."""
    with np.errstate(divide="ignore"):
        rising = np.log(np.maximum(reduction, 0.0)) + np.arange(len(reduction)) / frames
    return np.exp(np.maximum.accumulate(rising) - np.arange(len(reduction)) / frames)
