"""Loops: detecting them, adding context on either side for the computation, and joining their ends again.

To a model, a loop is a sound with silence before and after it, so the ends of its output do not meet. Therefore a loop is
computed with some of its end before it and some of its beginning after it. From the output, only the loop's own length is
returned, and its end is crossfaded into the audio computed before its beginning. The next repetition follows from there
as continuously as the audio within the loop.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tertium.audio.signal import Audio
from tertium.cost_model import LOOP_CONTEXT
from tertium.errors import SoundError

FADE = 0.023
"""Seconds of the crossfade from a loop's end into the audio before its beginning."""
BESIDE = 0.05  # seconds on either side of the seam in which an attack may occur
USUAL = 0.999  # quantile of the steps within the sound; larger ones are attacks or flaws
WINDOW = 0.02  # seconds over which a level is measured
DEPTH = 60.0  # dB below the loudest level; anything fainter counts as silence
SLACK = 6.0  # dB by which the level may change more at the seam than anywhere within
FLOOR = 1e-10  # of a power, so that silence has a level


@dataclass(frozen=True)
class Seam:
    """Measurements of the seam between a sound's end and its beginning when it is repeated.

    Args:
        step: difference of the last sample and the first, the largest of all channels, full scale 1.
        usual: the largest usual step: the largest within 50 ms of either end, or the 0.999 quantile of all, whichever is larger.
        change: of the level, in dB, from the last 20 ms to the first.
        rise, fall: the largest rise and fall of the level anywhere within, in dB, 0 or more.
    """

    step: float
    usual: float
    change: float
    rise: float
    fall: float

    @property
    def meets(self) -> bool:
        """True if the ends meet: the step at the seam is no larger than usual, and the level changes there by at most
        6 dB more than within.

        The ends of a sound that begins with its only attack and dies away do not meet, nor do those of a tone cut at an
        arbitrary place. Silence at both ends meets.
        """
        return self.step <= self.usual and -self.fall - SLACK <= self.change <= self.rise + SLACK

    @property
    def reason(self) -> str:
        """The reason why the ends do not meet."""
        if self.step > self.usual:
            return f"a step of {_db(self.step)} dBFS at the seam, {_db(self.usual)} at most within"
        change, most = (self.change, self.rise) if self.change > 0 else (-self.change, self.fall)
        return f"the level {'rises' if self.change > 0 else 'falls'} by {change:.0f} dB at the seam, {most:.0f} at most within"


def seam_of(sound: Audio) -> Seam:
    """Measure the seam of a sound."""
    samples, rate = sound.samples, sound.sample_rate
    near = max(2, round(BESIDE * rate))
    steps = np.abs(np.diff(samples, axis=1)).max(0)
    changes = _changes(samples, rate)
    within = changes[1:]
    return Seam(
        step=float(np.abs(samples[:, 0] - samples[:, -1]).max()),
        usual=float(max(steps[:near].max(), steps[-near:].max(), np.quantile(steps, USUAL))),
        change=float(changes[0]),
        rise=float(within.max(initial=0.0)),
        fall=float(-within.min(initial=0.0)),
    )


def _changes(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the changes of level in dB from 20 ms before a place to 20 ms after it: first at the seam, then at
    places within.
    """
    frames = samples.shape[1]
    window = max(1, min(round(WINDOW * rate), frames // 2))
    powers = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64).mean(0))])
    places = np.arange(window, frames - window + 1, max(1, rate // 16_000))
    begins = np.concatenate([[0, frames - window], places, places - window])
    levels = 10 * np.log10(np.maximum(powers[begins + window] - powers[begins], 0.0) / window + FLOOR)
    levels = np.maximum(levels, levels.max() - DEPTH)
    after, before = levels[2 : 2 + len(places)], levels[2 + len(places) :]
    return np.concatenate([[levels[0] - levels[1]], after - before])


@dataclass(frozen=True)
class Loop:
    """A loop and the context before it during the computation.

    Args:
        frames: of the loop.
        before: frames of the loop's end that are put before it.
        sample_rate: of these frames, in Hz.
    """

    frames: int
    before: int
    sample_rate: int

    def around(self, sound: Audio) -> Audio:
        """Return the sound with context from its own repetition before and after it; layout and notes are unchanged."""
        places = np.arange(-self.before, self.frames + round(LOOP_CONTEXT * self.sample_rate)) % self.frames
        return replace(sound, samples=np.ascontiguousarray(sound.samples[:, places]))

    def at(self, sample_rate: int) -> tuple[int, int]:
        """Return the frames before the loop and the frames of the loop at another rate, rounded to the nearest."""
        return round(self.before * sample_rate / self.sample_rate), round(self.frames * sample_rate / self.sample_rate)

    def closed(self, samples: np.ndarray, sample_rate: int, frames: int) -> np.ndarray:
        """Cut the loop out of the output computed for :meth:`around`, and crossfade its end: (channels, any) →
        (channels, frames).

        The crossfade has equal power for uncorrelated signals; the gain accounts for their correlation, so identical
        signals stay unchanged.

        Args:
            samples: the output, at ``sample_rate`` Hz.
            frames: exact length of the result.
        """
        before = self.at(sample_rate)[0]
        missing = max(0, before + frames - samples.shape[1])
        samples = np.pad(samples, ((0, 0), (0, missing)))
        loop = samples[:, before : before + frames].copy()
        fade = min(round(FADE * sample_rate), frames // 2, before)
        if fade:
            end, lead = loop[:, frames - fade :], samples[:, before - fade : before]
            rising = np.arange(1, fade + 1, dtype=np.float32) / fade
            energies = float(np.sum(end * end)) * float(np.sum(lead * lead))
            alike = max(0.0, float(np.sum(end * lead)) / math.sqrt(energies)) if energies > 0 else 1.0
            gain = 1 / np.sqrt(rising**2 + (1 - rising) ** 2 + 2 * alike * rising * (1 - rising))
            loop[:, frames - fade :] = gain.astype(np.float32) * ((1 - rising) * end + rising * lead)
        return loop


@dataclass(frozen=True)
class Decision:
    """The decision whether a sound is computed as a loop.

    Args:
        loop: the loop; None if the sound is not computed as one.
        note: a note for the result, or None.
        facts: for the recipe: the value ``asked``, whether the loop is ``on``, and the measurements.
    """

    loop: Loop | None
    note: str | None
    facts: dict[str, Any]


def decide(asked: str, sound: Audio, about: Mapping[str, Any]) -> Decision:
    """Decide whether a sound is computed as a loop.

    Args:
        asked: ``on``, ``off``, or ``auto``: on if the sound's ends meet.
        sound: before its conversion to the engine's rate.
        about: the engine's facts. If the sound has the engine's rate, the loop is aligned to a latent frame of ``downsampling`` samples.

    Raises:
        SoundError: see :func:`must_fit`.
    """
    facts: dict[str, Any] = {"asked": asked, "on": False}
    if asked == "off":
        return Decision(None, None, facts)
    seam = seam_of(sound)
    facts |= {"step_dbfs": _level(seam.step), "usual_step_dbfs": _level(seam.usual)}
    facts |= {name: round(getattr(seam, name), 1) for name in ("change", "rise", "fall")}
    if asked == "auto" and not seam.meets:
        return Decision(None, f"original: not made to loop: {seam.reason}", facts)
    if asked == "on":
        must_fit(sound.seconds, about)
    elif sound.seconds > longest(about):
        return Decision(None, f"original: its ends meet, but only up to {longest(about):.1f} s are made to loop", facts)
    note = "original: its ends meet: made to loop" if asked == "auto" else "original: made to loop"
    return Decision(_loop_of(sound, about), note, facts | {"on": True})


def must_fit(seconds: float, about: Mapping[str, Any]) -> None:
    """Refuse a loop that is too long for a model with the context around it.

    Raises:
        SoundError: ``out_of_range``, naming ``loop``.
    """
    if seconds > longest(about):
        raise SoundError(
            "out_of_range", f"A loop of {seconds:.1f} s is too long: it is computed with some of itself around it.", field="loop",
            value="on", remedy=f"Give a loop of at most {math.floor(10 * longest(about)) / 10:g} s, or send loop off.",
        )  # fmt: skip


def longest(about: Mapping[str, Any]) -> float:
    """Return the length in seconds of the longest loop that a model takes, by the engine's facts."""
    return about["max_seconds"] - 2 * LOOP_CONTEXT - about.get("downsampling", 1) / about["sample_rate"]


def _loop_of(sound: Audio, about: Mapping[str, Any]) -> Loop:
    before, unit = math.ceil(LOOP_CONTEXT * sound.sample_rate), about.get("downsampling", 1)
    if sound.sample_rate == about["sample_rate"]:
        before = -(-before // unit) * unit
    return Loop(sound.frames, before, sound.sample_rate)


def _db(size: float) -> str:
    return f"{20 * math.log10(max(size, 1e-9)):.0f}"


def _level(size: float) -> float | None:
    return round(20 * math.log10(size), 1) if size > 0 else None
