"""Excerpts of sounds, stretched or warped at constant pitch, as a clip sounds in a Live set."""

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
"""Largest factor by which a sound is stretched or compressed; beyond it the result has little in common with the
sound."""
CLEAN = 1.9
"""Largest factor by which a sound is stretched in one pass."""
SAME = 1e-3
"""Pieces whose ratios differ by less are stretched as one."""
CLOSEST = 0.005
"""Smallest distance of two markers in seconds."""
AROUND = 0.1
"""Seconds of context that are stretched along with a piece on either side, so that it does not start from silence."""
FADE = 0.005
"""Seconds of the crossfade on either side of a joint."""


Markers = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Excerpt:
    """A part of a sound, or all of it: at its own length, stretched to ``seconds``, or warped by ``markers``.

    Args:
        markers: pairs of a time in the whole sound and the time at which it is to sound, in seconds, both increasing. The
            part extends from the first marker to the last.
    """

    span: Span = files.WHOLE
    seconds: float | None = None
    markers: Markers = ()

    @classmethod
    def warped(cls, markers: Markers) -> "Excerpt":
        """Return the part that warp markers cover."""
        return cls(Span(markers[0][0], markers[-1][0]), markers=markers)

    def fit(self, part: Audio) -> Audio:
        """Stretch or warp the part, once it has been read. Raises SoundError as :func:`to_length` and :func:`warp`."""
        if self.markers:
            begin = self.markers[0][0]
            return warp(part, [(of_file - begin, sounding) for of_file, sounding in self.markers])
        return part if self.seconds is None else to_length(part, self.seconds)

    def facts(self) -> dict[str, object]:
        """Return the fields to record; none for a whole, unchanged sound."""
        about = ({} if self.span == files.WHOLE else asdict(self.span)) | {
            "seconds": self.seconds,
            "markers": self.markers or None,
        }
        return {name: value for name, value in about.items() if value is not None}


ALL = Excerpt()


def to_length(sound: Audio, seconds: float) -> Audio:
    """Stretch a sound to exactly ``round(seconds * sample_rate)`` frames, all channels together; a note describes it.

    Uses Signalsmith Stretch (Luff, MIT), which keeps onsets in place. A sound that has this length already is returned unchanged.

    Args:
        seconds: 0.02 … 600, and at most :data:`MOST` times longer or shorter than the sound.

    Raises:
        SoundError: ``out_of_range``, naming ``seconds``.
    """
    if not sound.seconds / MOST <= seconds <= sound.seconds * MOST:
        low, high = max(MIN_SECONDS, sound.seconds / MOST), min(MAX_SECONDS, sound.seconds * MOST)
        raise SoundError(
            "out_of_range", f"A sound of {sound.seconds:.3f} s cannot be stretched to {seconds:g} s: that is more than {MOST:g} times.",
            field="seconds", value=seconds, remedy=f"Give a number from {low:.3f} to {high:.3f}, or another part of it.",
        )  # fmt: skip
    frames = round(seconds * sound.sample_rate)
    if frames == sound.frames:
        return sound
    note = f"stretched from {sound.seconds:.3f} s to {seconds:.3f} s, its pitch kept"
    return Audio(_stretched(sound, frames), sound.sample_rate, (*sound.notes, note), sound.layout)


def warp(sound: Audio, markers: Markers) -> Audio:
    """Warp a sound so that each marker sounds at its time: the pieces between markers are stretched one by one and
    crossfaded.

    Args:
        markers: pairs of a time in the sound and a time in the result, in seconds; both increase from 0 to the end. The last
            marker stands for the sound's end, even if it differs a little from it.

    Raises:
        SoundError: ``out_of_range``, naming ``markers``: a piece is stretched by more than :data:`MOST` times or is too
            short, or the result is too short or too long.
    """
    ratios = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(markers)]
    _must_be_in_range(markers, ratios)
    if max(ratios) - min(ratios) < SAME:
        return to_length(sound, markers[-1][1])
    note = f"warped from {sound.seconds:.3f} s to {markers[-1][1]:.3f} s by {len(markers)} markers, its pitch kept"
    return Audio(_warped(sound, markers), sound.sample_rate, (*sound.notes, note), sound.layout)


def _must_be_in_range(markers: Markers, ratios: Sequence[float]) -> None:
    for number, ratio in enumerate(ratios, 1):
        if not 1 / MOST <= ratio <= MOST:
            raise _unfit(f"markers {number} and {number + 1} stretch what is between them {ratio:.3g} times.", markers)
        if any(after - before < CLOSEST for before, after in zip(*markers[number - 1 : number + 1], strict=True)):
            raise _unfit(f"markers {number} and {number + 1} are less than {CLOSEST:g} s apart.", markers)
    if not MIN_SECONDS <= markers[-1][1] <= MAX_SECONDS:
        raise _unfit(f"markers end at {markers[-1][1]:.3f} s.", markers)


def _warped(sound: Audio, markers: Markers) -> np.ndarray:
    rate = sound.sample_rate
    places = [(round(of_sound * rate), round(sounding * rate)) for of_sound, sounding in markers]
    places[-1] = (sound.frames, places[-1][1])
    pieces = [_Piece.of(sound, begin, end) for begin, end in pairwise(places)]
    fades = [0, *(_fade(before, after, round(FADE * rate)) for before, after in pairwise(pieces)), 0]
    joined = np.zeros((sound.channels, places[-1][1]))
    for piece, (rise, fall) in zip(pieces, pairwise(fades), strict=True):
        piece.add_to(joined, rise=rise, fall=fall)
    return joined.astype(np.float32)


@dataclass(frozen=True)
class _Piece:
    """The stretched audio between two markers, with context on either side.

    Args:
        samples: (channels, before + length + after).
        begin: frame of the result at which the piece begins.
        before, after: frames of context before and after the piece in ``samples``.
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
        """Stretch the audio between two places, each a frame of the sound and the frame at which it is to sound."""
        around, length = round(AROUND * sound.sample_rate), end[1] - begin[1]
        first, last = max(0, begin[0] - around), min(sound.frames, end[0] + around)
        ratio = length / (end[0] - begin[0])
        before, after = round((begin[0] - first) * ratio), round((last - end[0]) * ratio)
        wider = Audio(sound.samples[:, first:last], sound.sample_rate)
        return cls(_stretched(wider, before + length + after), begin[1], before, after)

    def add_to(self, joined: np.ndarray, *, rise: int, fall: int) -> None:
        """Add the piece to ``joined``, with linear fades from ``rise`` frames before to after its beginning, and
        likewise ``fall`` at its end.
        """
        places = np.arange(-rise, self.length + fall)
        gain = np.ones(places.size)
        if rise:
            gain = np.minimum(gain, (places + 0.5 + rise) / (2 * rise))
        if fall:
            gain = np.minimum(gain, (self.length + fall - places - 0.5) / (2 * fall))
        joined[:, self.begin + places] += gain * self.samples[:, self.before + places]


def _fade(before: _Piece, after: _Piece, wanted: int) -> int:
    """Return the frames on either side of a joint that both pieces cover, and that no other joint's crossfade uses."""
    return min(wanted, before.length // 2, before.after, after.length // 2, after.before)


def _unfit(problem: str, markers: Markers) -> SoundError:
    return SoundError(
        "out_of_range", problem[0].upper() + problem[1:], field="markers", value=str(list(markers))[:200],
        remedy=f"Leave {CLOSEST:g} s between markers, stretch each piece by at most {MOST:g} times either way, to {MIN_SECONDS:g} to {MAX_SECONDS:g} s in all.",
    )  # fmt: skip


def _stretched(sound: Audio, frames: int) -> np.ndarray:
    """Stretch a sound in passes of equal ratios below :data:`CLEAN`: beyond it the library uses random phases, and
    results would not be reproducible.
    """
    ratio = frames / sound.frames
    passes = max(1, math.ceil(math.log(ratio) / math.log(CLEAN))) if ratio > 1 else 1
    samples = sound.samples
    for count in range(1, passes + 1):
        samples = _pass(samples, sound.sample_rate, round(sound.frames * ratio ** (count / passes)))
    return samples


def _pass(samples: np.ndarray, sample_rate: int, frames: int) -> np.ndarray:
    from python_stretch import Signalsmith  # a C++ library, imported only when needed

    stretch = Signalsmith.Stretch()
    stretch.preset(samples.shape[0], float(sample_rate))
    stretch.timeFactor = samples.shape[1] / frames  # a factor of speed: 2 halves the length
    output = np.asarray(stretch.process(np.ascontiguousarray(samples)), dtype=np.float32)
    missing = frames - output.shape[1]  # a frame or two, by rounding
    return np.ascontiguousarray(np.pad(output, ((0, 0), (0, max(0, missing))))[:, :frames])
