"""Conversion of sounds to the engine's input format, and of its output to the requested format, with notes on the
conversions.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tertium.audio import alignment
from tertium.audio.alignment import Alignment
from tertium.audio.loops import Loop
from tertium.audio.signal import SHORTEST, Audio, conform, within_full_scale
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.library import Sound

SAME_LENGTH = 0.01
"""Seconds by which the lengths of reference and original may differ without a note."""


def fitted(sound: Audio, role: str, about: Mapping[str, Any], loop: Loop | None = None) -> Audio:
    """Return a sound in the engine's input format: at its rate, with its channels, within full scale, and long enough.

    Args:
        role: ``original`` or ``reference``.
        about: the engine's facts.
        loop: if the sound is computed as a loop: context is added before and after it.
    """
    whole = sound if loop is None else loop.around(sound)
    conformed = conform(whole, sample_rate=about["sample_rate"], channels=about["channels"])
    return _long_enough(within_full_scale(conformed), role)


def aligned(
    asked: str, sounds: Mapping[str, Audio], given: Mapping[str, Sound], loop: tuple[int, int] | None
) -> Alignment:
    """Return the reference aligned to as much of the original as the result has; see :func:`tertium.audio.alignment.align`.

    Args:
        asked: what it is aligned by.
        sounds, given, loop: as in :func:`tertium.worker.loudness_law.of_sounds`.
    """
    whole = sounds["original"]
    first, frames = loop or (0, round(given["original"].seconds * whole.sample_rate))
    original = replace(whole, samples=whole.samples[:, first : first + frames])
    return alignment.align(asked, original, sounds["reference"])


def as_requested(output: Audio, *, sample_rate: int, frames: int, loop: Loop | None = None) -> Audio:
    """Return the engine's output at a rate (Hz) and with exactly ``frames`` frames, closed if it is a loop.

    Cutting or padding corrects resampling, whose length may be a frame off.
    """
    conformed = conform(output, sample_rate=sample_rate, channels=output.channels)
    if loop is not None:
        return Audio(loop.closed(conformed.samples, sample_rate, frames), sample_rate)
    samples = conformed.samples[:, :frames]
    missing = frames - samples.shape[1]
    return Audio(np.pad(samples, ((0, 0), (0, missing))) if missing else samples, sample_rate)


def are_mono(sounds: Mapping[str, Audio]) -> bool:
    """Return whether an original and a reference have equal channels, both of them.

    Args:
        sounds: by role, in the engine's input format.
    """
    return {"original", "reference"} <= sounds.keys() and all(
        np.array_equal(sound.samples, np.broadcast_to(sound.samples[:1], sound.samples.shape))
        for sound in sounds.values()
    )


def as_mono(output: Audio) -> Audio:
    """Return a sound whose channels are all the mean of its channels: a codec may tell apart what was equal."""
    mean = output.samples.mean(0, keepdims=True, dtype=np.float32)
    return replace(output, samples=np.ascontiguousarray(np.broadcast_to(mean, output.samples.shape)))


def _long_enough(sound: Audio, role: str) -> Audio:
    """Extend a sound to the shortest input of a model: a reference is repeated, an original padded with silence that
    is cut off later.
    """
    least = math.ceil(SHORTEST * sound.sample_rate)
    if sound.frames >= least:
        return sound
    if role == "reference":
        samples = np.tile(sound.samples, -(-least // sound.frames))
        note = f"lasts {sound.seconds:.3f} s, repeated to {samples.shape[1] / sound.sample_rate:.3f} s"
    else:
        note = f"lasts {sound.seconds:.3f} s, computed with silence after it up to {SHORTEST:g} s"
        samples = np.pad(sound.samples, ((0, 0), (0, least - sound.frames)))
    return Audio(samples, sound.sample_rate, (*sound.notes, note))


def notes_on(sounds: Mapping[str, Audio], given: Mapping[str, Sound], checkpoint: Checkpoint | None) -> list[str]:
    """Return notes on the sounds of a job: on conversions, and on a reference whose length differs from the original's.

    Args:
        sounds: by role, in the engine's input format.
        given: by role, as they are in the library.
        checkpoint: the learned reference, if one leads.
    """
    notes = [f"{role}: {note}" for role, sound in sounds.items() for note in sound.notes]
    original = given.get("original")
    reference = checkpoint or given.get("reference")
    if original is None or reference is None or abs(reference.seconds - original.seconds) <= SAME_LENGTH:
        return notes
    longer = reference.seconds > original.seconds
    change = "longer than the original, cut" if longer else "shorter than the original, repeated from its start"
    learned = "" if checkpoint is None else f"learned at {checkpoint.seconds:.2f} s, "
    return [*notes, f"reference: {learned}{change}"]
