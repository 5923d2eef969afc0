"""Loops: whether a sound closes on itself, what comes around it while it is computed, and how its ends are joined again.

A model that gets a loop as it is takes what is before and after it for silence, and its ends do not meet any more. So a loop is computed with
some of its end before it and some of its beginning after it; of what comes out, only its own length is kept, and at its end, the sound is led over
to what was computed before its beginning: there the next round follows as it does within.
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
"""Seconds over which its end is led over to what comes before its beginning."""
BESIDE = 0.05  # seconds on either side of the seam, in which an attack may be
USUAL = 0.999  # of the steps within: what is larger is an attack, or a flaw
WINDOW = 0.02  # seconds over which a level is taken
DEPTH = 60.0  # dB below the loudest that count: what is fainter is silence
SLACK = 6.0  # dB by which the level may change more at the seam than anywhere within
FLOOR = 1e-10  # of a power, so that silence has a level


@dataclass(frozen=True)
class Seam:
    """How a sound's end and its beginning meet when it is repeated.

    Args:
        step: from the last sample to the first, the largest of all channels, full scale 1.
        usual: the largest step that is usual: within 50 ms of either end, or among all but a thousandth of those within.
        change: of the level, in dB, from the last 20 ms to the first.
        rise, fall: the most by which the level rises and falls anywhere within, in dB, 0 or more.
    """

    step: float
    usual: float
    change: float
    rise: float
    fall: float

    @property
    def meets(self) -> bool:
        """Whether it closes on itself: the step at the seam is one as there are within, and the level changes there by 6 dB at most more
        than it does within. A sound that begins with its only attack and dies away does not, nor does a tone that was cut anywhere; silence meets silence."""
        return self.step <= self.usual and -self.fall - SLACK <= self.change <= self.rise + SLACK

    @property
    def told(self) -> str:
        """Why it does not close on itself."""
        if self.step > self.usual:
            return f"a step of {_db(self.step)} dBFS at the seam, {_db(self.usual)} at most within"
        change, most = (self.change, self.rise) if self.change > 0 else (-self.change, self.fall)
        return f"the level {'rises' if self.change > 0 else 'falls'} by {change:.0f} dB at the seam, {most:.0f} at most within"


def seam_of(sound: Audio) -> Seam:
    """Measure how a sound's ends meet."""
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
    """By how many dB the level of the next 20 ms is above that of the last 20 ms: first at the seam, then at places within."""
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
    """A loop, and what comes around it while it is computed.

    Args:
        frames: of the loop.
        before: frames of its end that come before it.
        sample_rate: of these, in Hz.
    """

    frames: int
    before: int
    sample_rate: int

    def around(self, sound: Audio) -> Audio:
        """The sound with what comes before and after it when it is repeated, by its layout and notes unchanged."""
        places = np.arange(-self.before, self.frames + round(LOOP_CONTEXT * self.sample_rate)) % self.frames
        return replace(sound, samples=np.ascontiguousarray(sound.samples[:, places]))

    def at(self, sample_rate: int) -> tuple[int, int]:
        """Frames before the loop, and of it, at another rate; to the nearest."""
        return round(self.before * sample_rate / self.sample_rate), round(self.frames * sample_rate / self.sample_rate)

    def closed(self, samples: np.ndarray, sample_rate: int, frames: int) -> np.ndarray:
        """The loop, of exactly so many frames, out of what was made of :meth:`around`: (channels, any) at a rate in Hz → (channels, frames).

        The fade has equal power, as far as the two are not alike: what is the same in both stays as it is.
        """
        before = self.at(sample_rate)[0]
        missing = max(0, before + frames - samples.shape[1])
        samples = np.pad(samples, ((0, 0), (0, missing)))
        made = samples[:, before : before + frames].copy()
        fade = min(round(FADE * sample_rate), frames // 2, before)
        if fade:
            end, lead = made[:, frames - fade :], samples[:, before - fade : before]
            rising = np.arange(1, fade + 1, dtype=np.float32) / fade
            energies = float(np.sum(end * end)) * float(np.sum(lead * lead))
            alike = max(0.0, float(np.sum(end * lead)) / math.sqrt(energies)) if energies > 0 else 1.0
            gain = 1 / np.sqrt(rising**2 + (1 - rising) ** 2 + 2 * alike * rising * (1 - rising))
            made[:, frames - fade :] = gain.astype(np.float32) * ((1 - rising) * end + rising * lead)
        return made


@dataclass(frozen=True)
class Decision:
    """Whether a sound is treated as a loop.

    Args:
        loop: as what; None if it is not.
        note: what there is to say of it; None for nothing.
        facts: for the recall: what was ``asked``, whether it is ``on``, and what was measured.
    """

    loop: Loop | None
    note: str | None
    facts: dict[str, Any]


def decide(asked: str, sound: Audio, about: Mapping[str, Any]) -> Decision:
    """Settle whether a sound is computed as a loop.

    Args:
        asked: ``on``, ``off``, or ``auto``: where its ends meet.
        sound: as it is, before it is brought to the engine's rate.
        about: what the engine says of itself. The loop begins with a latent frame, of ``downsampling`` samples, where it has the engine's rate.

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
        return Decision(None, f"original: not made to loop: {seam.told}", facts)
    if asked == "on":
        must_fit(sound.seconds, about)
    elif sound.seconds > longest(about):
        return Decision(None, f"original: its ends meet, but only up to {longest(about):.1f} s are made to loop", facts)
    said = "its ends meet: made to loop" if asked == "auto" else "made to loop"
    return Decision(_placed(sound, about), f"original: {said}", facts | {"on": True})


def must_fit(seconds: float, about: Mapping[str, Any]) -> None:
    """Refuse a loop that cannot have what comes around it.

    Raises:
        SoundError: ``out_of_range``, naming ``loop``.
    """
    if seconds > longest(about):
        raise SoundError(
            "out_of_range", f"A loop of {seconds:.1f} s is too long: it is computed with some of itself around it.", field="loop",
            value="on", remedy=f"Give a loop of at most {math.floor(10 * longest(about)) / 10:g} s, or send loop off.",
        )  # fmt: skip


def longest(about: Mapping[str, Any]) -> float:
    """Seconds of the longest loop that a model takes, by what the engine says of itself."""
    return about["max_seconds"] - 2 * LOOP_CONTEXT - about.get("downsampling", 1) / about["sample_rate"]


def _placed(sound: Audio, about: Mapping[str, Any]) -> Loop:
    before, unit = math.ceil(LOOP_CONTEXT * sound.sample_rate), about.get("downsampling", 1)
    if sound.sample_rate == about["sample_rate"]:
        before = -(-before // unit) * unit
    return Loop(sound.frames, before, sound.sample_rate)


def _db(size: float) -> str:
    return f"{20 * math.log10(max(size, 1e-9)):.0f}"


def _level(size: float) -> float | None:
    return round(20 * math.log10(size), 1) if size > 0 else None
