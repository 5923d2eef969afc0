"""Audio in memory: conversion of rate and channels, measurement and limiting of levels."""

import math
from dataclasses import dataclass, replace

import numpy as np
import soxr

from tertium.audio.channels import converted

MIN_SECONDS, MAX_SECONDS = 0.02, 600.0
"""Bounds of a sound's length."""
SHORTEST = 0.5
"""Shortest input of a model in seconds; shorter sounds are padded or repeated."""
OVERSAMPLING = 4
AUDIBLY_OVER = 0.05
"""dB beyond full scale that are worth a note: resampling alone may exceed full scale by less."""


@dataclass(frozen=True)
class Audio:
    """Samples that were read or computed: float32 of shape (channels, frames), full scale ±1, at ``sample_rate`` Hz.

    ``layout`` names the channels, joined with ``+`` (see :data:`tertium.audio.channels.SHARES`), if the file declares them.
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
    """Convert a sound to a rate (Hz) and a number of channels; each conversion is added to its notes.

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
    """Return the sound attenuated to full scale if it exceeds it, with a note: codecs distort louder samples."""
    peak = float(np.abs(sound.samples).max(initial=0.0))
    if peak <= 1.0:
        return sound
    over = 20 * math.log10(peak)
    notes = (f"peaks at {over:+.1f} dBFS, lowered to full scale",) if over >= AUDIBLY_OVER else ()
    return replace(sound, samples=sound.samples / np.float32(peak), notes=(*sound.notes, *notes))


def true_peak_dbtp(samples: np.ndarray) -> float:
    """Return the true peak of samples (channels, frames) in dBTP; -inf for silence.

    It is measured with four-fold oversampling (ITU-R BS.1770-5, annex 2).
    """
    if samples.size == 0:
        return -np.inf
    between = soxr.resample(np.asarray(samples, dtype=np.float64).T, 1, OVERSAMPLING, quality="VHQ")
    peak = max(float(np.abs(between).max()), float(np.abs(samples).max()))
    return 20 * np.log10(peak) if peak > 0 else -np.inf
