"""How the phases of decoded spectra change, from the levels around each bin: a small trained network.

Vocos (Siuzdak 2023, arXiv 2306.00814) predicts the phase of every bin. From latents that describe magnitudes this cannot
work for a steady tone: its latents do not change, so a network that is the same at all times answers with a constant
phase, which is a tone at a multiple of the frame rate. Hence this network predicts how a phase *changes*, from one
spectrum to the next and from one bin to the next, as two complex numbers whose lengths say how sure they are (cf.
Masuyama and others 2020, "Phase reconstruction based on recurrent phase unwrapping").
:mod:`tertium.engine.models.phase_integration` adds these changes up.

Both changes are local: for exact magnitudes under a Gaussian window, a fixed linear map of the levels around a bin gives
them (Průša, Balazs and Søndergaard 2017). Decoded levels are averaged over bands, and the network knows what can be
said all the same. It is the same for all bins.
"""

import torch
from torch import nn

FLOOR_DB = -90.0
DECIBELS, ALONG_TIME, ALONG_FREQUENCY = 0, slice(1, 3), slice(3, 5)
"""Places in the last dimension of a prediction, five real numbers for each bin:

- the level of both channels together in decibels, less the decoded one;
- the phase change since the spectrum before, less that of the bin's centre, as cosine and sine times a length of 0 … 1;
- the phase change since the bin below, less that of an impulse in the middle of the window; as above.
"""
CHANGES = slice(1, 5)
TIMES, BINS = 3, 8
"""A patch extends over so many spectra and bins to either side."""
PATCH = (2 * TIMES + 1, 2 * BINS + 1)
INPUTS = PATCH[0] * PATCH[1] + 2
_CHUNK = 128  # spectra whose hidden layers are in memory at a time
_UNIT_DB = 20.0
_FLAT_DB = (2.0, 3.0)  # deviation of levels around a bin up to which they are noise, and from which they are not
_LEVEL, _PITCH = -2, -1  # places of a bin's own level and of its frequency among the inputs


class PhaseNetwork(nn.Module):
    """The network: layers on a patch of levels.

    Args:
        width: of the hidden layers.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        self.width = width
        self.first = nn.Linear(INPUTS, width)
        self.rest = nn.Sequential(
            nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 5)
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return predictions (…, 5), see :data:`DECIBELS`, of inputs (…, :data:`INPUTS`) from :func:`inputs_of`."""
        return _in_decibels(self.rest(self.first(inputs)))

    def everywhere(self, levels: torch.Tensor) -> torch.Tensor:
        """Return predictions (batch, spectra, bins, 5) of levels (batch, spectra, bins) in decibels.

        The first layer is a convolution here, so that no patch is written out.
        """
        around, count = padded(levels), levels.shape[1]
        parts = [
            self._chunk(around[:, first : min(first + _CHUNK, count) + 2 * TIMES]) for first in range(0, count, _CHUNK)
        ]
        return torch.cat(parts, 1)

    def _chunk(self, around: torch.Tensor) -> torch.Tensor:
        weight = self.first.weight
        kernel = weight[:, :_LEVEL].reshape(-1, 1, *PATCH) / _UNIT_DB
        hidden = torch.nn.functional.conv2d(around[:, None], kernel, self.first.bias).permute(0, 2, 3, 1)
        own = around[:, TIMES:-TIMES, BINS:-BINS, None]
        # The patch is less the bin's own level, see `inputs_of`; what is constant over a patch comes out of the sum.
        hidden = hidden + own * (weight[:, _LEVEL] / (2 * _UNIT_DB) - kernel.sum((1, 2, 3))) + weight[:, _LEVEL]
        places = torch.arange(own.shape[2], device=own.device)[:, None]
        return _in_decibels(self.rest(hidden + _pitch(places, own) * weight[:, _PITCH]))


def levels_of(magnitudes: torch.Tensor) -> torch.Tensor:
    """Return decibels (batch, spectra, bins) of both channels together from magnitudes (batch, 2, bins, spectra).

    They are at least :data:`FLOOR_DB`.
    """
    power = magnitudes.square().mean(1).transpose(1, 2)
    return 10 * torch.log10(power + 10 ** (FLOOR_DB / 10))


def certainty(levels: torch.Tensor) -> torch.Tensor:
    """Return how far the phases of decoded levels (batch, spectra, bins) can be known at all, 0 … 1, of the same shape.

    Where the levels around a bin are flat, they are those of averaged noise, of which the network has seen too little to
    answer that it does not know. Phases that follow from them would be alike in every spectrum: noise would hum.
    """
    off = (levels[:, None] - _around(levels[:, None])).square()
    rough = _around(off).clamp(min=1e-6).sqrt()[:, 0]
    return ((rough - _FLAT_DB[0]) / (_FLAT_DB[1] - _FLAT_DB[0])).clamp(0, 1)


def _around(values: torch.Tensor) -> torch.Tensor:
    """Return averages over 5 spectra and 9 bins of (batch, 1, spectra, bins)."""
    return torch.nn.functional.avg_pool2d(values, (5, 9), 1, (2, 4), count_include_pad=False)


def padded(levels: torch.Tensor) -> torch.Tensor:
    """Return levels (batch, spectra, bins) with silence before and after, and with mirrored bins above and below."""
    levels = torch.nn.functional.pad(levels, (BINS, BINS), mode="reflect")
    return torch.nn.functional.pad(levels, (0, 0, TIMES, TIMES), value=FLOOR_DB)


def inputs_of(patches: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Return the network's inputs (…, :data:`INPUTS`).

    They are the levels around a bin, less its own, in units of 20 dB; then its own level, and the logarithm of its
    frequency.

    Args:
        patches: levels in decibels, (…, :data:`PATCH`), with the bin in the middle.
        place: of the bin in its spectrum, (…).
    """
    flat = patches.flatten(-2)
    own = flat[..., flat.shape[-1] // 2, None]
    return torch.cat([(flat - own) / _UNIT_DB, own / (2 * _UNIT_DB) + 1, _pitch(place[..., None], own)], -1)


def _pitch(place: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return torch.log2(1 + place.to(like.dtype) / 64) - 2


def _in_decibels(out: torch.Tensor) -> torch.Tensor:
    return torch.cat([10 * out[..., :1], out[..., 1:]], -1)
