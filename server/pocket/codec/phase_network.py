"""The network of the trained decoder: how the phases of decoded spectra change, from the levels around each bin.

Both changes are local: they depend on the levels around a bin. So the network sees a patch of decoded levels around each bin, and is the same for all bins. For exact
magnitudes of a Gaussian window a fixed linear map of the patch would do (Průša, Balazs and Søndergaard 2017); these are averaged over bands, and the network learns
what can be said all the same. It learns by regression on single bins of training material; no sound is made in training.
"""

import torch
from torch import nn

FLOOR_DB = -90.0
DECIBELS, ALONG_TIME, ALONG_FREQUENCY = 0, slice(1, 3), slice(3, 5)
"""Places in the last dimension of what the network predicts and is trained towards, five real numbers for each bin:

- the level of both channels together in decibels, less the decoded one;
- the phase change since the spectrum before, less that of the bin's centre, as cosine and sine times a length of 0 … 1;
- the phase change since the bin below, less that of an impulse in the middle of the window; as above.
"""
TIMES, BINS = 3, 8
"""A patch extends over so many spectra and bins to either side."""
INPUTS = (2 * TIMES + 1) * (2 * BINS + 1) + 2
_CHUNK = 64  # spectra whose patches are in memory at a time


class PhaseNetwork(nn.Module):
    """The network: three layers on a patch of levels.

    Args:
        width: of the two hidden layers.
    """

    def __init__(self, width: int = 128):
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(
            nn.Linear(INPUTS, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 5)
        )
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return predictions (…, 5), see :data:`DECIBELS`, for inputs (…, :data:`INPUTS`) from :func:`inputs_at` or :func:`all_inputs`."""
        out = self.layers(inputs).float()
        return torch.cat([10 * out[..., :1], out[..., 1:]], -1)


def levels_of(magnitudes: torch.Tensor) -> torch.Tensor:
    """Return decibels (batch, spectra, bins) of both channels together, at least :data:`FLOOR_DB`, of magnitudes (batch, 2, bins, spectra)."""
    power = magnitudes.square().mean(1).transpose(1, 2)
    return 10 * torch.log10(power + 10 ** (FLOOR_DB / 10))


def padded(levels: torch.Tensor) -> torch.Tensor:
    """Return levels (batch, spectra, bins) with a margin of silence before and after, and of mirrored bins above and below."""
    levels = torch.nn.functional.pad(levels, (BINS, BINS), mode="reflect")
    return torch.nn.functional.pad(levels, (0, 0, TIMES, TIMES), value=FLOOR_DB)


def inputs_at(around: torch.Tensor, row: torch.Tensor, spectrum: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Return the network's inputs (points, :data:`INPUTS`) at some bins.

    They are the levels around a bin, less its own, in units of 20 dB; then its own level, and the logarithm of its frequency.

    Args:
        around: from :func:`padded`.
        row, spectrum, place: indices, (points,).
    """
    patches = around.unfold(1, 2 * TIMES + 1, 1).unfold(2, 2 * BINS + 1, 1)
    return _inputs(patches[row, spectrum, place].flatten(1), place)


def all_inputs(around: torch.Tensor) -> torch.Tensor:
    """Return the network's inputs (batch, spectra, bins, :data:`INPUTS`) at all bins; see :func:`inputs_at`."""
    patches = around.unfold(1, 2 * TIMES + 1, 1).unfold(2, 2 * BINS + 1, 1).flatten(-2)
    return _inputs(patches, torch.arange(patches.shape[2]).expand(patches.shape[:-1]))


def _inputs(patches: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    own = patches[..., patches.shape[-1] // 2, None]
    pitch = torch.log2(1 + place[..., None].to(own.dtype) / 64)
    return torch.cat([(patches - own) / 20, own / 40 + 1, pitch - 2], -1)


def loss(found: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the loss of predictions (points, 5), and its parts: mean difference in decibels, and mean squared errors of the phase changes."""
    off = found - wanted
    level = off[:, DECIBELS].abs().mean()
    time, frequency = (off[:, part].square().sum(1).mean() for part in (ALONG_TIME, ALONG_FREQUENCY))
    parts = {"decibels": level.item(), "along time": time.item(), "along frequency": frequency.item()}
    return level / 10 + time + frequency, parts


@torch.no_grad()
def predict(network: PhaseNetwork, levels: torch.Tensor, *, precision: torch.dtype = torch.bfloat16) -> torch.Tensor:
    """Return the network's predictions (batch, spectra, bins, 5) for decoded levels (batch, spectra, bins).

    Args:
        precision: of the products, as in training; processors without bfloat16 are faster with float32.
    """
    around, count = padded(levels), levels.shape[1]
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        parts = [
            network(all_inputs(around[:, first : min(first + _CHUNK, count) + 2 * TIMES]))
            for first in range(0, count, _CHUNK)
        ]
    return torch.cat(parts, 1)
