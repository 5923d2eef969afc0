"""Alignment of a reference to its original: shifted in time to the original's onsets, transposed to its pitch classes,
each only where the match is sure.

The shift turns the reference in itself: what passes its end comes back at its beginning, as it does where a reference is
repeated under a longer original. A loop is aligned like a sound that is not one.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tertium.audio import loops, onsets, pitch
from tertium.audio.signal import Audio, within_full_scale

ALIGNS = ("off", "onsets", "pitch", "both")
"""What a reference is aligned by."""
SURE_ONSETS, SURE_PITCH = 0.4, 0.5
"""Smallest likeness of a match that is sure; see :class:`tertium.audio.onsets.Shift` and
:class:`tertium.audio.pitch.Transposition`."""
BETTER = 0.08
"""By how much a match must exceed the likeness of the sounds as they are."""
MARGIN = 0.3
"""Seconds of a long reference that are kept beyond what a shift can bring under the original."""
AROUND = 0.2
"""Seconds of a repeated reference before it that are transposed along with it."""
FADE_OUT, FADE_IN = 0.005, 0.001
"""Seconds before and after the joint of a turned reference whose ends do not meet."""


@dataclass(frozen=True)
class Alignment:
    """A reference that was aligned.

    Args:
        reference: with notes on what was done or, where nothing was, why not and what to do.
        facts: for the recipe: what was ``asked``; ``shift``, the seconds by which the reference begins later, negative
            for earlier, and its ``transposition`` in semitones, each 0 where it was not asked or not sure; and of each
            that was asked the likeness ``before`` and at the best match (``best``), None for sounds without onsets or
            pitches.
    """

    reference: Audio
    facts: dict[str, Any]


def align(asked: str, original: Audio, reference: Audio) -> Alignment:
    """Align a reference to its original.

    Args:
        asked: one of ``ALIGNS``.
        original, reference: with one sample rate and the same channels; the original at its own length, without anything
            before or after it.
    """
    facts: dict[str, Any] = {"asked": asked, "shift": 0.0, "transposition": 0}
    aligned = reference
    if asked in ("onsets", "both"):
        aligned = _shifted(original, aligned, facts)
    if asked in ("pitch", "both"):
        aligned = _transposed(original, aligned, facts)
    return Alignment(aligned, facts)


def _shifted(original: Audio, reference: Audio, facts: dict[str, Any]) -> Audio:
    """Return the reference shifted to the original's onsets, if the match is sure; add the facts to ``facts``."""
    within = _in_reach(reference, original.frames)
    found = onsets.best_shift(original.samples, within.samples, original.sample_rate)
    facts["onsets"] = None if found is None else _likenesses(found.unshifted, found.likeness)
    if found is None:
        return _noted(
            reference,
            "not shifted: it or the original has no clear onsets; give sounds with attacks, or align it by pitch alone",
        )
    if not _sure(found.unshifted, found.likeness, SURE_ONSETS):
        return _noted(reference, _unsure("shifted", "onsets", found.unshifted, found.likeness, SURE_ONSETS))
    facts["shift"] = found.frames / reference.sample_rate
    note = (
        f"begins {abs(facts['shift']):.3f} s {'later' if found.frames > 0 else 'earlier'}, for its onsets to match the "
        f"original's (likeness {found.likeness:.2f} instead of {found.unshifted:.2f})"
    )
    return _noted(turned(within, found.frames), note)


def _transposed(original: Audio, reference: Audio, facts: dict[str, Any]) -> Audio:
    """Return the reference transposed to the original's pitch classes, if the match is sure; add the facts to ``facts``."""
    within = _in_reach(reference, original.frames)
    under = within.samples[:, : original.frames]
    found = pitch.best_transposition(original.samples, under, original.sample_rate)
    facts["pitch"] = None if found is None else _likenesses(found.untransposed, found.likeness)
    if found is None:
        return _noted(
            reference,
            "not transposed: it or the original has no clear pitch; transpose it yourself, or align it by onsets alone",
        )
    if not _sure(found.untransposed, found.likeness, SURE_PITCH):
        return _noted(reference, _unsure("transposed", "pitch classes", found.untransposed, found.likeness, SURE_PITCH))
    facts["transposition"] = found.semitones
    note = (
        f"transposed by {found.semitones:+d} semitone{'' if abs(found.semitones) == 1 else 's'}, for its pitch classes to "
        f"match the original's (likeness {found.likeness:.2f} instead of {found.untransposed:.2f})"
    )
    # What is not repeated, or begins with an attack, would get an echo of its beginning before its end.
    repeated = within.frames < original.frames and loops.seam_of(within).meets
    moved = _transposed_as_loop(within, found.semitones) if repeated else pitch.transposed(within, found.semitones)
    return within_full_scale(_noted(moved, note))


def _transposed_as_loop(sound: Audio, semitones: int) -> Audio:
    """Return a sound transposed with some of its repetition before and after it, and its ends joined as those of a loop.

    Without it the end would fade, and not lead on to the beginning.
    """
    loop = loops.Loop(sound.frames, round(AROUND * sound.sample_rate), sound.sample_rate)
    moved = pitch.transposed(loop.around(sound), semitones)
    return replace(sound, samples=loop.closed(moved.samples, sound.sample_rate, sound.frames))


def turned(sound: Audio, frames: int) -> Audio:
    """Return a sound that begins ``frames`` frames later, negative for earlier: what passes one end comes back at the other.

    Where its ends do not meet, they are faded at the joint, so that it does not click.
    """
    place = frames % sound.frames
    if place == 0:
        return sound
    samples = np.roll(sound.samples, place, axis=1)
    if not loops.seam_of(sound).meets:
        before = min(round(FADE_OUT * sound.sample_rate), place)
        after = min(round(FADE_IN * sound.sample_rate), sound.frames - place)
        gain = np.ones(sound.frames, dtype=np.float32)
        gain[place - before : place] = np.linspace(1, 0, before + 1, dtype=np.float32)[1:]
        gain[place : place + after] = np.linspace(0, 1, after + 1, dtype=np.float32)[:-1]
        samples = samples * gain
    return replace(sound, samples=np.ascontiguousarray(samples))


def _in_reach(reference: Audio, own: int) -> Audio:
    """Return a reference without the middle that no shift brings under an original of ``own`` frames.

    A long one would otherwise be analysed and transposed as a whole.
    """
    behind = own // 2
    ahead = own + behind + round(MARGIN * reference.sample_rate)
    if reference.frames <= ahead + behind:
        return reference
    ends = [reference.samples[:, :ahead], reference.samples[:, reference.frames - behind :]]
    return replace(reference, samples=np.concatenate(ends, axis=1))


def _sure(before: float, best: float, least: float) -> bool:
    return best >= least and best - before >= BETTER


def _unsure(what: str, of: str, before: float, best: float, least: float) -> str:
    if best < least:
        return (
            f"not {what}: its {of} match the original's nowhere clearly (likeness {best:.2f} at best, {least:g} is "
            f"needed); give another part of it, or one that is {what} already"
        )
    return f"not {what}: its {of} match the original's as they are (likeness {before:.2f}, {best:.2f} at best); nothing is to be done"


def _likenesses(before: float, best: float) -> dict[str, float]:
    return {"before": round(before, 3), "best": round(best, 3)}


def _noted(sound: Audio, note: str) -> Audio:
    return replace(sound, notes=(*sound.notes, note))
