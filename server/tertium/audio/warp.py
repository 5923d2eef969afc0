"""Parts of sounds, made longer or shorter with their pitch kept: a clip as it sounds in a set."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from tertium.audio import files
from tertium.audio.files import Span
from tertium.audio.signal import MAX_SECONDS, MIN_SECONDS, Audio
from tertium.errors import SoundError

MOST = 8.0
"""By how many times a sound is stretched or squeezed at most; beyond, little of it would be left."""
CLEAN = 1.9
"""By how many times a sound is stretched in one pass."""
SAME = 1e-3
"""Pieces whose ratios differ by less are one piece."""
CLOSEST = 0.005
"""Seconds between two markers, at least."""
AROUND = 0.1
"""Seconds that are stretched with a piece on either side of it, so that it does not begin out of nothing."""
FADE = 0.005
"""Seconds on either side of a joint in which one piece gives way to the next."""


Markers = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Excerpt:
    """What of a sound is taken: a part, or all of it; as long as it is, brought to ``seconds``, or warped by ``markers``.

    Args:
        markers: pairs of a second of the whole sound and the second at which it sounds, both rising; the part runs from the first to the last.
    """

    span: Span = files.WHOLE
    seconds: float | None = None
    markers: Markers = ()

    @classmethod
    def warped(cls, markers: Markers) -> "Excerpt":
        """The part that warp markers tell of."""
        return cls(Span(markers[0][0], markers[-1][0]), markers=markers)

    def fit(self, part: Audio) -> Audio:
        """The part, once it is read, at the length that is wanted. Raises SoundError as :func:`to_length` and :func:`warp`."""
        if self.markers:
            begin = self.markers[0][0]
            return warp(part, [(of_file - begin, sounding) for of_file, sounding in self.markers])
        return part if self.seconds is None else to_length(part, self.seconds)

    def facts(self) -> dict[str, object]:
        """What is worth writing down; nothing for a whole sound as it is."""
        about = ({} if self.span == files.WHOLE else asdict(self.span)) | {
            "seconds": self.seconds,
            "markers": self.markers or None,
        }
        return {name: value for name, value in about.items() if value is not None}


ALL = Excerpt()


def to_length(sound: Audio, seconds: float) -> Audio:
    """The sound at another length, exactly ``round(seconds * sample_rate)`` frames, all channels moved together; a note says what was done.

    By Signalsmith Stretch (Luff, MIT), whose onsets stay where they belong. A sound that is as long already, to the frame, is left alone.

    Args:
        seconds: 0.02 … 600, and at most :data:`MOST` times longer or shorter than the sound is.

    Raises:
        SoundError: ``out_of_range``, naming ``seconds``.
    """
    if not sound.seconds / MOST <= seconds <= sound.seconds * MOST:
        low, high = max(MIN_SECONDS, sound.seconds / MOST), min(MAX_SECONDS, sound.seconds * MOST)
        raise SoundError(
            "out_of_range", f"A sound of {sound.seconds:.3f} s is not stretched to {seconds:g} s: that is more than {MOST:g} times.",
            field="seconds", value=seconds, remedy=f"Give a number from {low:.3f} to {high:.3f}, or another part of it.",
        )  # fmt: skip
    frames = round(seconds * sound.sample_rate)
    if frames == sound.frames:
        return sound
    note = f"stretched from {sound.seconds:.3f} s to {seconds:.3f} s, its pitch kept"
    return Audio(_stretched(sound, frames), sound.sample_rate, (*sound.notes, note), sound.layout)


def warp(sound: Audio, markers: Markers) -> Audio:
    """The sound with each marker where it is to sound: every piece between two markers stretched by its own ratio, and joined to the next in a short fade.

    Args:
        markers: pairs of seconds, of the sound and of what comes of it; both rise, from 0 to the end (an end short of the sound's, or a little beyond it, is taken as its end).

    Raises:
        SoundError: ``out_of_range``, naming ``markers``: a piece is stretched by more than :data:`MOST` times or too short to be one, or the whole lasts too short or too long.
    """
    rate, ratios = sound.sample_rate, _ratios(markers)
    for number, ratio in enumerate(ratios, 1):
        if not 1 / MOST <= ratio <= MOST:
            raise _unfit(f"markers {number} and {number + 1} stretch what is between them {ratio:.3g} times.", markers)
        if any(after - before < CLOSEST for before, after in zip(*markers[number - 1 : number + 1], strict=True)):
            raise _unfit(f"markers {number} and {number + 1} are less than {CLOSEST:g} s apart.", markers)
    if not MIN_SECONDS <= markers[-1][1] <= MAX_SECONDS:
        raise _unfit(f"markers end at {markers[-1][1]:.3f} s.", markers)
    if max(ratios) - min(ratios) < SAME:
        return to_length(sound, markers[-1][1])
    places = [(round(of_sound * rate), round(sounding * rate)) for of_sound, sounding in markers]
    places[-1] = (sound.frames, places[-1][1])
    pieces = [_Piece.of(sound, begin, end) for begin, end in pairwise(places)]
    fades = [0, *(_fade(before, after, round(FADE * rate)) for before, after in pairwise(pieces)), 0]
    joined = np.zeros((sound.channels, places[-1][1]))
    for piece, (rise, fall) in zip(pieces, pairwise(fades), strict=True):
        piece.add_to(joined, rise=rise, fall=fall)
    note = f"warped from {sound.seconds:.3f} s to {markers[-1][1]:.3f} s by {len(markers)} markers, its pitch kept"
    return Audio(joined.astype(np.float32), rate, (*sound.notes, note), sound.layout)


def _ratios(markers: Markers) -> list[float]:
    return [(after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(markers)]


@dataclass(frozen=True)
class _Piece:
    """What is between two markers, stretched, with what is around it.

    Args:
        samples: (channels, before + length + after).
        begin: the frame at which it is to begin.
        before, after: frames that come before and after it in ``samples``.
    """

    samples: np.ndarray
    begin: int
    before: int
    after: int

    @property
    def length(self) -> int:
        return self.samples.shape[1] - self.before - self.after

    @classmethod
    def of(cls, sound: Audio, begin: tuple[int, int], end: tuple[int, int]) -> "_Piece":
        """Between two places, each a frame of the sound and the frame at which it is to sound."""
        around, length = round(AROUND * sound.sample_rate), end[1] - begin[1]
        first, last = max(0, begin[0] - around), min(sound.frames, end[0] + around)
        ratio = length / (end[0] - begin[0])
        before, after = round((begin[0] - first) * ratio), round((last - end[0]) * ratio)
        wider = Audio(sound.samples[:, first:last], sound.sample_rate)
        return cls(_stretched(wider, before + length + after), begin[1], before, after)

    def add_to(self, joined: np.ndarray, *, rise: int, fall: int) -> None:
        """Add it, from ``rise`` frames before its beginning to ``fall`` frames after its end, in straight fades about both."""
        places = np.arange(-rise, self.length + fall)
        gain = np.ones(places.size)
        if rise:
            gain = np.minimum(gain, (places + 0.5 + rise) / (2 * rise))
        if fall:
            gain = np.minimum(gain, (self.length + fall - places - 0.5) / (2 * fall))
        joined[:, self.begin + places] += gain * self.samples[:, self.before + places]


def _fade(before: _Piece, after: _Piece, wanted: int) -> int:
    """Frames on either side of a joint for which both pieces have something to give, and which no other joint needs."""
    return min(wanted, before.length // 2, before.after, after.length // 2, after.before)


def _unfit(problem: str, markers: Markers) -> SoundError:
    return SoundError(
        "out_of_range", problem[0].upper() + problem[1:], field="markers", value=str(list(markers))[:200],
        remedy=f"Leave {CLOSEST:g} s between markers, stretch each piece by at most {MOST:g} times either way, to {MIN_SECONDS:g} to {MAX_SECONDS:g} s in all.",
    )  # fmt: skip


def _stretched(sound: Audio, frames: int) -> np.ndarray:
    """In equal ratios of less than :data:`CLEAN`: beyond that the library draws phases by chance, and the same request would not give the same sound."""
    ratio = frames / sound.frames
    passes = max(1, math.ceil(math.log(ratio) / math.log(CLEAN))) if ratio > 1 else 1
    samples = sound.samples
    for count in range(1, passes + 1):
        samples = _pass(samples, sound.sample_rate, round(sound.frames * ratio ** (count / passes)))
    return samples


def _pass(samples: np.ndarray, sample_rate: int, frames: int) -> np.ndarray:
    from python_stretch import Signalsmith  # a library in C++: only when it is needed

    stretch = Signalsmith.Stretch()
    stretch.preset(samples.shape[0], float(sample_rate))
    stretch.timeFactor = samples.shape[1] / frames  # of speed: 2 is half as long
    made = np.asarray(stretch.process(np.ascontiguousarray(samples)), dtype=np.float32)
    missing = frames - made.shape[1]  # a frame or two, of rounding
    return np.ascontiguousarray(np.pad(made, ((0, 0), (0, max(0, missing))))[:, :frames])
