"""A sound of the library."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from tertium.audio.signal import true_peak_dbtp


@dataclass(frozen=True)
class Sound:
    """A sound in the library.

    Attributes:
        id: 64 hex digits.
        path: absolute path of the library's own file.
        frames, channels, sample_rate, seconds: its shape; frames are samples per channel, the rate is in Hz.
        name: a label for users.
        notes: conversions and limiting that were applied.
        created: ISO 8601, UTC.
        sidecar: absolute path of its JSON file; for a result, it contains the recipe.
        peak_dbtp: true peak of a result; None for silence and for clients' sounds.
        job: id of the job that produced a result.
        take: number among the takes of that job, if there are several.
        layout: names of the channels, if the client's file declared them; see :class:`tertium.audio.signal.Audio`.
        kept: whether a client wants it to stay; see :mod:`tertium.storage.retention`.
    """

    id: str
    path: str
    frames: int
    channels: int
    sample_rate: int
    seconds: float
    name: str
    notes: tuple[str, ...]
    created: str
    sidecar: str
    peak_dbtp: float | None = None
    job: str | None = None
    take: int | None = None
    layout: str | None = None
    kept: bool = False


def sound_id(samples: np.ndarray, sample_rate: int) -> str:
    """Return the id of samples: the SHA-256, 64 hex digits, of their shape, their rate and their values.

    The values are hashed as little-endian float32, shape (channels, frames), with -0 as 0.
    """
    digest = hashlib.sha256(f"{samples.shape[0]} {samples.shape[1]} {sample_rate}\n".encode())
    digest.update((np.ascontiguousarray(samples, dtype="<f4") + np.float32(0)).tobytes())
    return digest.hexdigest()


def result_facts(samples: np.ndarray, sample_rate: int, notes: tuple[str, ...]) -> dict:
    """Return the fields of a result that follow from its samples."""
    peak = true_peak_dbtp(samples)
    audible = bool(np.isfinite(peak))
    return {
        "id": sound_id(samples, sample_rate),
        "notes": notes if audible else (*notes, "the result is silent"),
        "peak_dbtp": float(peak) if audible else None,
        **shape(samples, sample_rate),
    }


def shape(samples: np.ndarray, sample_rate: int) -> dict:
    """Return the fields of a sound that follow from the shape of its samples."""
    channels, frames = samples.shape
    return {"frames": frames, "channels": channels, "sample_rate": int(sample_rate), "seconds": frames / sample_rate}
