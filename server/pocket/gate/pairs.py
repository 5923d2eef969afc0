"""Twelve pairs of sounds that were in no training: held-out recordings and held-out instruments."""

import zlib
from dataclasses import dataclass

import numpy
import torch

from pocket.material import instruments, recordings
from pocket.material.synthesis import RATE

SECONDS = 4.0
PAIRS = (
    ("loop_safari", "ambi_haunted_hum"), ("Marching Tenor", "Choir Aahs"), ("tabla_ghe3", "Church Organ"), ("Taiko Drum", "ambi_glass_rub"),
    ("mehackit_robot4", "Clarinet"), ("Kalimba", "Violas Tremolo"), ("vinyl_rewind", "Trombone"), ("Steel Drums", "Shakuhachi"),
    ("glitch_perc3", "Vibraphone"), ("drum_tom_mid_hard", "Sitar"), ("guit_e_slide", "Bassoon"), ("Timpani", "bass_voxy_c"),
)  # fmt: skip
"""Original and reference: what strikes or moves, and what sounds."""


@dataclass(frozen=True)
class SoundPair:
    """A pair of sounds, each (2, samples), float32, at 44.1 kHz and of one length, normalised to a peak of 0.5.

    Args:
        original, reference: their names; ``words`` describe the reference, as a prompt to learn it under.
    """

    original: str
    reference: str
    words: str
    sounds: tuple[torch.Tensor, torch.Tensor]

    @property
    def title(self) -> str:
        return f"{self.original} into {self.reference}"


def load(count: int = len(PAIRS), *, seconds: float = SECONDS) -> list[SoundPair]:
    """Return the first ``count`` pairs.

    Raises:
        FileNotFoundError: the recordings or the instruments are not installed.
    """
    return [
        SoundPair(original, reference, _words(reference), (sound(original, seconds), sound(reference, seconds)))
        for original, reference in PAIRS[:count]
    ]


def sound(name: str, seconds: float) -> torch.Tensor:
    """Return a held-out recording, repeated or cut to the length, or a phrase on a held-out instrument that only its name decides."""
    count = int(seconds * RATE)
    presets = {preset.name: preset for preset in instruments.held_out()}
    if name in presets:
        # A checksum rather than hash(), which differs from process to process.
        audio, _ = instruments.phrase(numpy.random.default_rng([79, zlib.crc32(name.encode())]), count, presets[name])
    else:
        audio = recordings.read(name)
        audio = numpy.tile(audio, -(-count // audio.shape[1]))[:, :count]
    return torch.from_numpy(numpy.array(audio / (numpy.abs(audio).max() + 1e-9) * 0.5, dtype=numpy.float32))


def _words(name: str) -> str:
    presets = {preset.name: preset for preset in instruments.held_out()}
    return " ".join(instruments.words(presets[name]) if name in presets else recordings.words(name))
