"""Parts of sounds, made longer or shorter with their pitch kept: a clip as it sounds in a set."""

import math
from dataclasses import asdict, dataclass

import numpy as np

from tertium import audio
from tertium.audio import Audio, Span
from tertium.errors import SoundError

MOST = 8.0
"""By how many times a sound is stretched or squeezed at most; beyond, little of it would be left."""
CLEAN = 1.9
"""By how many times a sound is stretched in one pass."""


@dataclass(frozen=True)
class Excerpt:
    """What of a sound is taken: a part, or all of it; as long as it is, or brought to ``seconds``."""

    span: Span = audio.WHOLE
    seconds: float | None = None

    def fit(self, part: Audio) -> Audio:
        """The part, once it is read, at the length that is wanted. Raises SoundError as :func:`to_length`."""
        return part if self.seconds is None else to_length(part, self.seconds)

    def facts(self) -> dict[str, float]:
        """What is worth writing down; nothing for a whole sound as it is."""
        about = ({} if self.span == audio.WHOLE else asdict(self.span)) | {"seconds": self.seconds}
        return {name: value for name, value in about.items() if value is not None}


ALL = Excerpt()


def to_length(sound: Audio, seconds: float) -> Audio:
    """The sound at another length, exactly ``round(seconds * sample_rate)`` frames, all channels moved together; a note says what was done.

    By Signalsmith Stretch (Luff, MIT), whose onsets stay where they belong. A sound that is as long already, to the frame, is left alone.

    Args:
        seconds: 0.5 … 600, and at most :data:`MOST` times longer or shorter than the sound is.

    Raises:
        SoundError: ``out_of_range``, naming ``seconds``.
    """
    if not sound.seconds / MOST <= seconds <= sound.seconds * MOST:
        low, high = max(audio.MIN_SECONDS, sound.seconds / MOST), min(audio.MAX_SECONDS, sound.seconds * MOST)
        raise SoundError(
            "out_of_range", f"A sound of {sound.seconds:.3f} s is not stretched to {seconds:g} s: that is more than {MOST:g} times.",
            field="seconds", value=seconds, remedy=f"Give a number from {low:.3f} to {high:.3f}, or another part of it.",
        )  # fmt: skip
    frames = round(seconds * sound.sample_rate)
    if frames == sound.frames:
        return sound
    note = f"stretched from {sound.seconds:.3f} s to {seconds:.3f} s, its pitch kept"
    return Audio(_stretched(sound, frames), sound.sample_rate, (*sound.notes, note))


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
