"""The pairs of a listening study: those of five kinds that are shipped, and a user's own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tertium.audio import files
from tertium.audio.signal import SHORTEST, conform
from tertium.errors import TertiumError

SAMPLE_RATE, CHANNELS = 44_100, 2
SECONDS = 4.0
LENGTHS = (1.0, 30.0)
OWN = "own"
"""The kind of a user's pair for which none is given."""
PRACTICE = "practice"
ASSETS = Path(__file__).parents[2] / "assets"
KIND = re.compile(r"[^\W_][\w .-]{0,39}")


@dataclass(frozen=True)
class NamedPair:
    """Two files and the kind of pair that they are."""

    kind: str
    original: Path
    reference: Path

    @property
    def name(self) -> str:
        return f"{self.original.stem} + {self.reference.stem}"


@dataclass(frozen=True)
class SoundPair:
    """A pair that was read: sounds of one length, float32, (2, frames), at ``SAMPLE_RATE``."""

    name: str
    kind: str
    original: np.ndarray
    reference: np.ndarray


def _shipped(kind: str, original: str, reference: str, folder: str = "listening") -> NamedPair:
    return NamedPair(kind, *(ASSETS / folder / f"{name}.flac" for name in (original, reference)))


PAIRS = (
    _shipped("highs", "high_melody", "robot"),
    _shipped("melodies", "scratches", "bell_melody"),
    _shipped("rhythm and drone", "safari_drums", "haunted_hum", "demo"),
    _shipped("melody and noise", "wide_melody", "noise"),
    _shipped("rhythm and space", "drums_with_melody", "moving_noise"),
)
"""The five kinds of the paper's appendix D, in its order.

highs: the original lies in the highs, the reference in all registers. melodies: a dry original in all registers, a
melodic reference with reverberation. rhythm and drone: percussion, and what sustains in the lows. melody and noise: a
wide melody, and nothing but noise. rhythm and space: percussion with a melody, and noise in a space.
"""
PRACTICE_PAIR = _shipped(PRACTICE, "practice_strokes", "practice_glass")


def own_pairs(given: Sequence[Sequence[str]]) -> tuple[NamedPair, ...]:
    """Return a user's pairs, each given as original, reference and, unless it is ``OWN``, kind.

    Raises:
        TertiumError: ``out_of_range`` for a kind that cannot be one, ``conflict`` for a pair that is given twice.
    """
    pairs = tuple(
        NamedPair((*kind, OWN)[0], *(Path(text).expanduser().absolute() for text in (original, reference)))
        for original, reference, *kind in given
    )
    for pair in pairs:
        if not KIND.fullmatch(pair.kind) or pair.kind == PRACTICE:
            raise TertiumError(
                "out_of_range", f"'{pair.kind}' cannot be the kind of a pair.", field="kind", value=pair.kind,
                remedy=f"Give up to 40 letters, digits, spaces, dots or hyphens, and not '{PRACTICE}'.",
            )  # fmt: skip
    names = [pair.name for pair in pairs]
    for name in names:
        if names.count(name) > 1:
            raise TertiumError(
                "conflict", f"Two pairs are called '{name}'.", field="pair", value=name,
                remedy="Give each pair once, and rename files of one name: results tell pairs by the names of their files.",
            )  # fmt: skip
    return pairs


def read(pair: NamedPair, *, seconds: float = SECONDS) -> SoundPair:
    """Read a pair. The original is cut to ``seconds``, the reference cut or repeated from its start to the same length.

    Raises:
        SoundError: a file cannot be read as a sound, or is silent in that part.
        TertiumError: ``out_of_range``: seconds out of range.
    """
    check_seconds(seconds)
    original, reference = (_read(path, field) for path, field in _fields(pair))
    frames = max(min(round(seconds * SAMPLE_RATE), original.shape[1]), round(SHORTEST * SAMPLE_RATE))
    fitted = (_fit(original, frames), _fit(reference, frames))
    for sound, (path, field) in zip(fitted, _fields(pair), strict=True):
        files.check(files.Audio(sound, SAMPLE_RATE), field=field, value=str(path))
    return SoundPair(pair.name, pair.kind, *fitted)


def check_seconds(seconds: float) -> None:
    """Raise TertiumError if ``seconds`` is no length for stimuli."""
    low, high = LENGTHS
    if not low <= seconds <= high:
        raise TertiumError(
            "out_of_range", f"seconds must lie between {low:g} and {high:g}; got {seconds:g}.", field="seconds", value=seconds,
            remedy=f"Give a number from {low:g} to {high:g}.",
        )  # fmt: skip


def _fields(pair: NamedPair) -> tuple[tuple[Path, str], tuple[Path, str]]:
    return (pair.original, "original"), (pair.reference, "reference")


def _read(path: Path, field: str) -> np.ndarray:
    return conform(files.read(path, field=field), sample_rate=SAMPLE_RATE, channels=CHANNELS).samples


def _fit(sound: np.ndarray, frames: int) -> np.ndarray:
    return np.ascontiguousarray(np.tile(sound, -(-frames // sound.shape[1]))[:, :frames])
