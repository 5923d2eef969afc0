"""A sound of the library, and the JSON sidecar that describes it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tertium.audio.signal import true_peak_dbtp

SCHEMA = 1  # of the sidecars
ADDED = ("job", "take", "layout")  # fields that older sidecars lack


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


def sound_id(samples: np.ndarray, sample_rate: int) -> str:
    """Return the id of samples: the SHA-256, 64 hex digits, of their shape, their rate and their values.

    The values are hashed as little-endian float32, shape (channels, frames), with -0 as 0.
    """
    digest = hashlib.sha256(f"{samples.shape[0]} {samples.shape[1]} {sample_rate}\n".encode())
    digest.update((np.ascontiguousarray(samples, dtype="<f4") + np.float32(0)).tobytes())
    return digest.hexdigest()


def as_json(content: dict) -> bytes:
    """Return the text of a sidecar."""
    return json.dumps(content, indent=2, ensure_ascii=False, default=str).encode()


def exists(sound: Sound) -> bool:
    """Return whether the sound's file exists."""
    return os.path.exists(sound.path)


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


def read_sidecar(sidecar: Path) -> Sound | None:
    """Return the sound that a sidecar describes; None if the sidecar is damaged or the sound is missing."""
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        about = {name: content[name] for name in Sound.__dataclass_fields__ if name not in ("sidecar", *ADDED)}
        about |= {name: content.get(name) for name in ADDED}
        about["notes"] = tuple(about["notes"])
        _must_be_typed(about)
        sound = Sound(**about | {"path": str(sidecar.parent / Path(content["path"]).name), "sidecar": str(sidecar)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return sound if exists(sound) else None


def _must_be_typed(about: dict) -> None:
    """Refuse fields of a sidecar that are not what they must be. Raises ValueError."""
    texts, whole = ("id", "path", "name", "created"), ("frames", "channels", "sample_rate")
    sound = (
        all(isinstance(about[name], str) for name in texts)
        and all(isinstance(about[name], int) and about[name] > 0 for name in whole)
        and isinstance(about["seconds"], int | float)
        and all(isinstance(note, str) for note in about["notes"])
        and isinstance(about["peak_dbtp"], int | float | None)
        and isinstance(about["take"], int | None)
        and all(isinstance(about[name], str | None) for name in ("job", "layout"))
    )
    if not sound:
        raise ValueError("not the sidecar of a sound")
