"""The stimuli of a listening study: made by a daemon, through one codec, of one length and one loudness.

Every sound that a listener hears has passed the model's codec once: the fusion and the interpolation by their nature,
the sum, the vocoder and the two sounds themselves in a round trip. Otherwise the codec's traces would tell the methods
apart, and likeness to a sound would be likeness to a better recording of it (the paper compares in the same way,
appendix E).
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from tertium.audio import baselines, levels, signal
from tertium.cli.listening.pairs import SAMPLE_RATE, SoundPair
from tertium.errors import SoundError
from tertium_protocol.client import Client

METHODS = ("fusion", "interpolation", "sum", "vocoder")
PARENTS = ("original", "reference")
LOUDNESS_LUFS = -20.0
"""The most that a set has: less where a peak would exceed ``levels.CEILING_DBTP``. Nothing is limited, which can be heard."""
MODEL_LUFS, MODEL_PEAK_DBTP = -23.0, -7.0
"""Loudness and highest true peak at which sounds enter the model: with room, so that no result needs the limiter."""
MARGIN_DB = 0.05
"""What the peaks leave to the ceiling, so that rounding to 16 bits cannot exceed it."""
FADE = 0.02  # seconds at the end, alike in all: a cut sound would click
Run = Callable[[str, dict[str, Any]], np.ndarray]
"""Runs one command of the protocol with its fields, and returns the result (channels, frames)."""


@dataclass(frozen=True)
class Settings:
    """How fusions are made.

    Args:
        blend: 0 … 1, of the fusion; the place of the interpolation.
        steps: 1 … 500.
        seed: 0 … 2^31 - 1.
    """

    blend: float = 0.5
    steps: int = 50
    seed: int = 1


@dataclass(frozen=True)
class StimulusSet:
    """The sounds of one pair, as FLAC files of 16 bits, all of the same length and loudness.

    Args:
        pair, kind: of the pair.
        sounds: by ``PARENTS`` and ``METHODS``.
        loudness: of each sound, in LUFS.
    """

    pair: str
    kind: str
    sounds: Mapping[str, bytes]
    loudness: float


def make(client: Client, pair: SoundPair, settings: Settings, *, run: Run) -> StimulusSet:
    """Make the stimuli of a pair with the daemon of ``client``.

    Raises:
        RemoteError, JobCancelled, NoAnswer, NoDaemon: a job failed.
        SoundError: ``bad_sound``: a stimulus is silent.
    """
    original, reference = (for_model(sound) for sound in (pair.original, pair.reference))
    sent = {
        "original": original,
        "reference": reference,
        "sum": baselines.waveform_sum(original, reference),
        "vocoder": baselines.channel_vocoder(original, reference, SAMPLE_RATE),
    }
    ids = {name: client.upload(for_model(sound), SAMPLE_RATE, name=name).sound for name, sound in sent.items()}
    sounds = {name: run("fuse", round_trip_fields(id)) for name, id in ids.items()}
    both = {name: ids[name] for name in PARENTS}
    sounds["fusion"] = run("fuse", both | fusion_fields(settings))
    sounds["interpolation"] = run("fuse", both | interpolation_fields(settings.blend))
    return finished(pair.name, pair.kind, {name: sounds[name] for name in (*PARENTS, *METHODS)})


def fusion_fields(settings: Settings) -> dict[str, Any]:
    """Return the fields of the fusion, without its sounds. Its place is named: a measured window would move it."""
    return {
        "blend": settings.blend, "place": settings.blend, "steps": settings.steps, "seed": settings.seed, "loop": "off",
        "level": "natural",
    }  # fmt: skip


def interpolation_fields(blend: float) -> dict[str, Any]:
    """Return the fields of a fusion that is the decoded interpolation of the two sounds' latents.

    Held by the reference alone (``hold`` 1), a completion ends at the reference's latents, and the model adds nothing;
    what moves a fusion to its place then gives (1 - blend) z_r + blend z_o, if no spread is put back.
    """
    return {"blend": blend, "place": blend, "hold": 1.0, "spread": 0.0, "steps": 1, "seed": 0, "loop": "off", "level": "natural"}  # fmt: skip


def round_trip_fields(sound: str) -> dict[str, Any]:
    """Return the fields of a fusion that is a sound as the model's codec renders it: the original's end of the knob."""
    return {
        "original": sound, "reference": sound, "blend": 1.0, "steps": 1, "seed": 0, "loop": "off", "level": "natural",
    }  # fmt: skip


def finished(pair: str, kind: str, sounds: Mapping[str, np.ndarray]) -> StimulusSet:
    """Return sounds (2, frames) as a set: faded out, brought to one loudness, and encoded.

    Raises:
        SoundError: ``bad_sound``: one of them is silent, or not as long as the others.
    """
    frames = {sound.shape[1] for sound in sounds.values()}
    if len(frames) != 1:
        lengths = ", ".join(f"{name} {sound.shape[1]}" for name, sound in sounds.items())
        raise SoundError(
            "bad_sound", f"The sounds of '{pair}' differ in length ({lengths} frames).", field="pair", value=pair,
            remedy="Report it: every result should be as long as its original.",
        )  # fmt: skip
    faded = {name: _faded(sound) for name, sound in sounds.items()}
    loudness = common_loudness(pair, faded)
    return StimulusSet(
        pair, kind, {name: flac(_at_loudness(sound, loudness)) for name, sound in faded.items()}, loudness
    )


def common_loudness(pair: str, sounds: Mapping[str, np.ndarray]) -> float:
    """Return the loudness in LUFS to which all sounds can be brought by gain alone: ``LOUDNESS_LUFS``, or as much as their peaks allow.

    Raises:
        SoundError: ``bad_sound``: one of them is silent.
    """
    most = LOUDNESS_LUFS
    for name, sound in sounds.items():
        own = levels.loudness_lufs(sound, SAMPLE_RATE)
        if not math.isfinite(own):
            raise SoundError(
                "bad_sound", f"The {name} of '{pair}' is silent.", field="pair", value=pair,
                remedy="Choose louder sounds, or two that share a part of the spectrum.",
            )  # fmt: skip
        most = min(most, own + levels.CEILING_DBTP - MARGIN_DB - signal.true_peak_dbtp(sound))
    return most


def flac(sound: np.ndarray) -> bytes:
    """Return a sound (channels, frames) as a FLAC file of 16 bits, which every current browser plays."""
    memory = io.BytesIO()
    soundfile.write(memory, sound.T, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return memory.getvalue()


def for_model(sound: np.ndarray) -> np.ndarray:
    """Return a sound at the level at which the model gets it. What never reaches the loudness gate keeps its level."""
    loudness, peak = levels.loudness_lufs(sound, SAMPLE_RATE), signal.true_peak_dbtp(sound)
    wanted = MODEL_LUFS - loudness if math.isfinite(loudness) else 0.0
    return sound * np.float32(10 ** (min(wanted, MODEL_PEAK_DBTP - peak) / 20))


def _at_loudness(sound: np.ndarray, loudness: float) -> np.ndarray:
    return sound * 10 ** ((loudness - levels.loudness_lufs(sound, SAMPLE_RATE)) / 20)


def _faded(sound: np.ndarray) -> np.ndarray:
    count = round(FADE * SAMPLE_RATE)
    faded = np.array(sound, dtype=np.float64)
    faded[:, -count:] *= np.linspace(1, 0, count)
    return faded
