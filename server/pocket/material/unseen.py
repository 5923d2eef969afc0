"""Sounds that were in no training: the recordings and instruments that are held out, and synthesised sounds from seeds of their own."""

import numpy
import torch

from pocket.material import effects, instruments, recordings, synthesis
from pocket.material.synthesis import RATE

SECONDS = 6.0
_SEED = 77  # the seeds of training material begin with 20


def held_out() -> dict[str, torch.Tensor]:
    """Return the held-out recordings (2, samples) by name, at most six seconds of each."""
    return {
        name: torch.from_numpy(recordings.read(name)[:, : int(SECONDS * RATE)].copy()).float()
        for name in recordings.HELD_OUT
    }


def synthesised() -> dict[str, torch.Tensor]:
    """Return one sound (2, samples) from each maker, by the maker's name: six seconds long, with a random stereo position."""
    found = {}
    for number, maker in enumerate(synthesis.MAKERS):
        rng = numpy.random.default_rng([_SEED, number])
        sound, _ = maker(rng, int(SECONDS * RATE))
        sound, _ = effects.place(rng, sound / (numpy.abs(sound).max() + 1e-9))
        found[maker.__name__] = torch.from_numpy(numpy.array(effects.level(rng, sound), dtype=numpy.float32))
    return found


def instrument_phrases() -> dict[str, torch.Tensor]:
    """Return a phrase (2, samples) on each of the instruments that are held out, by its name: six seconds long, with a peak of 0.5.

    Raises:
        FileNotFoundError: the instruments are not installed.
    """
    found = {}
    for number, preset in enumerate(instruments.held_out()):
        sound, _ = instruments.phrase(numpy.random.default_rng([_SEED + 1, number]), int(SECONDS * RATE), preset)
        peak = numpy.abs(sound).max() + 1e-9
        found[preset.name] = torch.from_numpy(numpy.array(0.5 * sound / peak, dtype=numpy.float32))
    return found
