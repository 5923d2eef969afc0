"""Twelve pairs of sounds that were in no training: held-out recordings and held-out instruments."""

import zlib
from dataclasses import dataclass

import numpy
import torch

from pocket.material import instruments, recordings
from pocket.material.synthesis import RATE

SECONDS = 3.0
PAIRS = (
    ("loop_safari", "Trombone"), ("Taiko Drum", "Fretless Bass"), ("tabla_ghe3", "ambi_haunted_hum"), ("drum_tom_mid_hard", "Shakuhachi"),
    ("mehackit_robot4", "Violas Tremolo"), ("Steel Drums", "Church Organ"), ("Timpani", "Vibraphone"), ("Marching Tenor", "Choir Aahs"),
    ("perc_bell2", "Sitar"), ("guit_e_slide", "Bassoon"), ("glitch_perc3", "Clarinet"), ("vinyl_rewind", "bass_voxy_c"),
)  # fmt: skip
"""Original and reference: what strikes or moves, and what sounds.

They are 0.4 to 0.7 alike. Less will not do, by geometry: an even average of two standardised spectra that correlate by r is sqrt((1 + r) / 2) like both, and nothing that is
0.93 like that average can be more than 0.93 of this like both. With r below 0.3 that is less than the 0.75 which the gate asks for.
"""


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
