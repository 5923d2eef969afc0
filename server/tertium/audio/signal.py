"""Audio in memory: its rate and channels, its level, and what makes it safe for ears."""

import math
from dataclasses import dataclass, replace

import numpy as np
import soxr

from tertium.audio.channels import converted
from tertium.errors import SoundError

MIN_SECONDS, MAX_SECONDS = 0.02, 600.0
"""Lengths that a sound may have."""
SHORTEST = 0.5
"""Seconds that models take; what is shorter is padded or repeated."""
OVERSAMPLING = 4
AUDIBLY_OVER = 0.05
"""dB beyond full scale from which on a note says so: resampling alone may go a hair beyond."""


@dataclass(frozen=True)
class Audio:
    """Samples as they were read or made: float32 of shape (channels, frames), full scale ±1, at ``sample_rate`` Hz.

    ``layout`` says which channel is which, by names joined with ``+`` (:data:`tertium.audio.channels.SHARES`), where the file told.
    """

    samples: np.ndarray
    sample_rate: int
    notes: tuple[str, ...] = ()
    layout: str | None = None

    @property
    def channels(self) -> int:
        return self.samples.shape[0]

    @property
    def frames(self) -> int:
        return self.samples.shape[1]

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def conform(audio: Audio, *, sample_rate: int, channels: int) -> Audio:
    """Bring a sound to a rate (Hz) and a number of channels; what was done is added to its notes.

    Rate: soxr, very high quality. Channels: :func:`tertium.audio.channels.converted`.
    """
    notes = list(audio.notes)
    samples = audio.samples
    if audio.channels != channels:
        samples, note = converted(samples, channels, audio.layout)
        notes.append(note)
    if audio.sample_rate != sample_rate:
        samples = soxr.resample(samples.T, audio.sample_rate, sample_rate, quality="VHQ").T
        notes.append(f"resampled from {audio.sample_rate} Hz to {sample_rate} Hz")
    return Audio(np.ascontiguousarray(samples, dtype=np.float32), sample_rate, tuple(notes))


def within_full_scale(sound: Audio) -> Audio:
    """The sound with no sample beyond full scale, lowered as a whole where there is one, which its notes say: codecs distort what is louder."""
    peak = float(np.abs(sound.samples).max(initial=0.0))
    if peak <= 1.0:
        return sound
    over = 20 * math.log10(peak)
    said = (f"peaks at {over:+.1f} dBFS, lowered to full scale",) if over >= AUDIBLY_OVER else ()
    return replace(sound, samples=sound.samples / np.float32(peak), notes=(*sound.notes, *said))


def true_peak_dbtp(samples: np.ndarray) -> float:
    """True peak of samples (channels, frames) in dBTP, over four times as many points (ITU-R BS.1770-5, annex 2); -inf for silence."""
    if samples.size == 0:
        return -np.inf
    between = soxr.resample(np.asarray(samples, dtype=np.float64).T, 1, OVERSAMPLING, quality="VHQ")
    peak = max(float(np.abs(between).max()), float(np.abs(samples).max()))
    return 20 * np.log10(peak) if peak > 0 else -np.inf


def make_safe(
    samples: np.ndarray, sample_rate: int, *, ceiling_dbtp: float = -1.0
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Samples (channels, frames) whose true peak is at most ``ceiling_dbtp``, lowered as a whole if need be and never raised.

    Returns:
        The samples as float32, and notes that say by how much they were lowered.

    Raises:
        SoundError: ``internal`` if there are values that are not numbers: then a model failed, and silence would hide it.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if not np.isfinite(samples).all():
        raise SoundError(
            "internal", "The model made values that are not numbers (NaN or infinity).",
            remedy="Try another seed, or start the daemon with --precision fp32.",
        )  # fmt: skip
    peak = true_peak_dbtp(samples)
    if peak <= ceiling_dbtp:
        return samples, ()
    lowered = ceiling_dbtp - peak
    # A hair more, so that rounding to float32 or to 24 bits cannot lift it over the ceiling again.
    safe = samples * np.float32(10 ** ((lowered - 1e-3) / 20))
    return safe, (f"lowered by {-lowered:.1f} dB to keep its true peak at {ceiling_dbtp:g} dBTP",)
