"""The loudness law: a result is as loud as its place between its two sounds asks for, whatever the model made of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tertium.audio.levels import CEILING_DBTP, MOST_LIMITED, limited, loudness_lufs
from tertium.audio.signal import Audio, true_peak_dbtp
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.library import Sound

LEVELS = ("line", "original", "natural")
"""``line``: on the straight line, in LUFS, between the two sounds; ``original``: as loud as the original; ``natural``: as
the model made it."""
MOST_RAISED = 30.0
"""dB by which a result is raised at most: what needs more is near-silence, whose noise would be raised with it."""
NEAR_SILENCE = -50.0  # LUFS
REMEDIES = {
    "vary": "lower the strength, or try another seed",
    "invert": "reconstruct from a later step, or try another seed",
}
"""What to turn after near-silence, by command."""
TRIES = 4  # at the gain with which the limited result has the wanted loudness
EXACT = 0.1  # LU
NOTED = 6.0
"""dB from which on a change of level is worth a note; each is reported in the result's fields."""


@dataclass(frozen=True)
class Levelled:
    """A result at its level.

    Args:
        sound: with notes on what was done.
        gain_db: what it was raised by, before its peaks were limited; negative if it was lowered.
        loudness: its integrated loudness in LUFS; None for silence.
        natural: the loudness of what the model made, in LUFS; -inf for silence.
    """

    sound: Audio
    gain_db: float
    loudness: float | None
    natural: float

    @property
    def facts(self) -> dict[str, float | None]:
        """The fields of the protocol's result."""
        return {"gain_db": round(self.gain_db, 2), "loudness": self.loudness and round(self.loudness, 2)}


def of_sounds(
    fitted: Mapping[str, Audio], given: Mapping[str, Sound], loop: tuple[int, int] | None, checkpoint: Checkpoint | None
) -> dict[str, float]:
    """Return the loudness of a job's sounds by role, in LUFS: of as much of each as the result has.

    Args:
        fitted: by role, in the engine's input format.
        given: by role, as they are in the library.
        loop: frames before the loop and frames of the loop within the fitted original, if it is one.
        checkpoint: the learned reference, if one leads.
    """
    found = {}
    first, frames = 0, None
    if (original := given.get("original")) is not None:
        whole = fitted["original"]
        first, frames = loop or (0, round(original.seconds * whole.sample_rate))
        found["original"] = loudness_lufs(whole.samples[:, first : first + frames], whole.sample_rate)
    if (reference := fitted.get("reference")) is not None:
        found["reference"] = loudness_lufs(reference.samples[:, :frames], reference.sample_rate)
    elif checkpoint is not None and checkpoint.loudness is not None:
        found["reference"] = checkpoint.loudness
    return found


def target_lufs(level: str, place: float, loudness: Mapping[str, float]) -> float | None:
    """Return the loudness that a result should have in LUFS; None if it stays as it is.

    Args:
        level: one of ``LEVELS``.
        place: between the reference (0) and the original (1).
        loudness: of ``original`` and, if it is known, ``reference``, in LUFS. A silent one does not count.
    """
    audible = {role: value for role, value in loudness.items() if math.isfinite(value)}
    if level == "natural" or not audible:
        return None
    original = audible.get("original", next(iter(audible.values())))
    if level == "original":
        return original
    reference = audible.get("reference", original)
    return reference + place * (original - reference)


def levelled(sound: Audio, target: float | None) -> Levelled:
    """Return a result raised or lowered to a loudness in LUFS, its peaks limited; unchanged if the target is None.

    A result whose peaks would have to be limited by more than ``MOST_LIMITED`` dB stays quieter, which is noted.
    """
    natural = loudness_lufs(sound.samples, sound.sample_rate)
    if target is None or not math.isfinite(natural):
        return Levelled(sound, 0.0, natural if math.isfinite(natural) else None, natural)
    most = min(MOST_RAISED, CEILING_DBTP + MOST_LIMITED - true_peak_dbtp(sound.samples))
    gain, samples, loudness = 0.0, sound.samples, natural
    for _ in range(TRIES):  # limiting takes some loudness, which a little more gain gives back
        before, gain = gain, min(gain + target - loudness, most)
        if abs(gain - before) <= EXACT:
            break
        samples, _ = limited(sound.samples * np.float32(10 ** (gain / 20)), sound.sample_rate)
        loudness = loudness_lufs(samples, sound.sample_rate)
    notes = (*sound.notes, *_notes(gain, loudness, target))
    return Levelled(replace(sound, samples=samples, notes=notes), gain, loudness, natural)


def near_silence(natural: float, loudness: Mapping[str, float], *, command: str) -> tuple[str, ...]:
    """Return a note with a remedy if the model made near-silence of sounds that are louder.

    Args:
        natural: loudness of what the model made, in LUFS.
        loudness: of the given sounds, in LUFS.
        command: that made it.
    """
    remedy = REMEDIES.get(command, "try another blend or another seed")
    if natural >= NEAR_SILENCE or max(loudness.values(), default=-math.inf) < NEAR_SILENCE:
        return ()
    return (f"the model made near-silence ({natural:.0f} LUFS) of louder sounds: {remedy}",)


def _notes(gain: float, loudness: float, target: float) -> tuple[str, ...]:
    short = target - loudness
    if abs(gain) < NOTED and short <= 1.0:
        return ()
    turned = f"{'raised' if gain > 0 else 'lowered'} by {abs(gain):.1f} dB to {loudness:.1f} LUFS"
    if short <= 1.0:
        return (turned,)
    why = "its peaks allow no more" if gain < MOST_RAISED - EXACT else f"no more than {MOST_RAISED:g} dB"
    return (f"{turned}, {short:.1f} LU below the level of its sounds: {why}",)
