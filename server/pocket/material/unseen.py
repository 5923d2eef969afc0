"""Sounds that no training heard: the recordings that are held out, and synthesised ones from seeds of their own."""

import numpy
import torch

from pocket.material import effects, recordings, synthesis
from pocket.material.synthesis import RATE

SECONDS = 6.0
_SEED = 77  # training draws from seeds that begin with 20


def held_out() -> dict[str, torch.Tensor]:
    """The recordings (2, samples) that are held out, by name, at most six seconds of each."""
    return {
        name: torch.from_numpy(recordings.read(name)[:, : int(SECONDS * RATE)].copy()).float()
        for name in recordings.HELD_OUT
    }


def synthesised() -> dict[str, torch.Tensor]:
    """One sound (2, samples) of each maker, by the maker's name, six seconds long, somewhere in the stereo field."""
    found = {}
    for number, maker in enumerate(synthesis.MAKERS):
        rng = numpy.random.default_rng([_SEED, number])
        sound, _ = maker(rng, int(SECONDS * RATE))
        sound, _ = effects.place(rng, sound / (numpy.abs(sound).max() + 1e-9))
        found[maker.__name__] = torch.from_numpy(numpy.array(effects.level(rng, sound), dtype=numpy.float32))
    return found
