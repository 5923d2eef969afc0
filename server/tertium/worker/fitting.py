"""Sounds brought to what an engine takes, and what it made brought to what was asked for; what was done is said."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tertium.audio.loops import Loop
from tertium.audio.signal import SHORTEST, Audio, conform, within_full_scale
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.library import Sound

SAME_LENGTH = 0.01
"""Seconds by which a reference may be shorter or longer than the original before it is worth a word."""


def fitted(sound: Audio, role: str, about: Mapping[str, Any], loop: Loop | None = None) -> Audio:
    """The samples of a sound as an engine takes them: at its rate, with its channels, within full scale, and long enough.

    Args:
        role: ``original`` or ``reference``.
        about: what the engine says of itself.
        loop: what the sound is computed as: then what precedes and follows it is around it.
    """
    whole = sound if loop is None else loop.around(sound)
    conformed = conform(whole, sample_rate=about["sample_rate"], channels=about["channels"])
    return _long_enough(within_full_scale(conformed), role)


def as_asked(made: Audio, *, sample_rate: int, frames: int, loop: Loop | None = None) -> Audio:
    """What was made at a rate and of exactly so many frames, closed if it is a loop; resampling alone may be a frame off."""
    conformed = conform(made, sample_rate=sample_rate, channels=made.channels)
    if loop is not None:
        return Audio(loop.closed(conformed.samples, sample_rate, frames), sample_rate)
    samples = conformed.samples[:, :frames]
    missing = frames - samples.shape[1]
    return Audio(np.pad(samples, ((0, 0), (0, missing))) if missing else samples, sample_rate)


def _long_enough(sound: Audio, role: str) -> Audio:
    """A sound that models take: what is too short is repeated as a whole if it is to lead, and else followed by silence, which is cut off again."""
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


def told(sounds: Mapping[str, Audio], given: Mapping[str, Sound], checkpoint: Checkpoint | None) -> list[str]:
    """What there is to say of the sounds of a job: what was converted, and whether what leads is as long as the original.

    Args:
        sounds: by role, as the engine gets them.
        given: the same, as they are.
        checkpoint: what was learned, if that leads.
    """
    said = [f"{role}: {note}" for role, sound in sounds.items() for note in sound.notes]
    original = given.get("original")
    leads = checkpoint or given.get("reference")
    if original is None or leads is None or abs(leads.seconds - original.seconds) <= SAME_LENGTH:
        return said
    longer = leads.seconds > original.seconds
    done = "longer than the original, cut" if longer else "shorter than the original, repeated from its start"
    return [
        *said,
        f"reference: {done}" if checkpoint is None else f"reference: learned at {checkpoint.seconds:.2f} s, {done}",
    ]
