"""Phases from their changes: what :mod:`tertium.engine.models.phase_network` predicts, added up from spectrum to spectrum."""

import torch

from tertium.engine.models.phase_network import ALONG_FREQUENCY, ALONG_TIME

_NEIGHBOURHOOD = 7  # bins over which the phases of one spectrum are held together
_TOGETHER, _FRESH, _CHANCE = 8.0, 0.5, 0.21  # weights in `integrate`, chosen on ten crops of training material


def integrate(magnitudes: torch.Tensor, predicted: torch.Tensor, advance: torch.Tensor) -> torch.Tensor:
    """Return unit phasors (batch, bins, spectra) whose changes are those predicted.

    A spectrum's phases continue those of the one before, as far as that was loud in a bin and the change is sure. What
    continues in a neighbourhood of bins turns the phases added up along frequency into place; where nothing continues,
    as at an attack, these stand alone. Where nothing is sure, as in noise, chance decides, always in the same way.

    It is a recursion over spectra, with hardly any work in each: it belongs on the CPU, where the tensors must be.

    Args:
        magnitudes: of both channels together, (batch, spectra, bins).
        predicted: (batch, spectra, bins, 5), see :data:`tertium.engine.models.phase_network.DECIBELS`.
        advance: from :func:`centre_advance`, (bins,).
    """
    time, frequency = (
        torch.view_as_complex(predicted[..., part].contiguous()) for part in (ALONG_TIME, ALONG_FREQUENCY)
    )
    time, frequency = (change / change.abs().clamp(min=1.0) for change in (time, frequency))
    # Drawn spectrum by spectrum and for one row, so that a row does not depend on others, nor a sound on what follows.
    chance = torch.randn(*magnitudes.shape[1:], 2, generator=torch.Generator().manual_seed(1)).to(magnitudes)
    chance = torch.view_as_complex(chance) * (_CHANCE * magnitudes * (1 - torch.maximum(time.abs(), frequency.abs())))
    steady = time * advance
    contour = torch.polar(frequency.abs(), torch.cumsum((-frequency).angle().double(), -1).to(magnitudes))
    window = torch.hann_window(_NEIGHBOURHOOD + 2, periodic=False)[1:-1].to(magnitudes)
    state, found = torch.zeros_like(contour[:, 0]), []
    for at in range(magnitudes.shape[1]):
        shape, going_on = contour[:, at], state * steady[:, at]
        offset = shape.conj() * going_on
        alone = _FRESH * magnitudes[:, at] * _unit(offset.sum(-1, keepdim=True) + 1e-9)
        phase = _unit(going_on + shape * (_TOGETHER * _smooth(offset, window) + alone) + chance[:, at])
        state = phase * magnitudes[:, at]
        found.append(phase)
    return torch.stack(found, -1)


def centre_advance(*, n_fft: int, hop: int) -> torch.Tensor:
    """Return by how much the phase at each bin's centre turns from one spectrum to the next, as unit phasors (bins,)."""
    turns = torch.remainder(torch.arange(n_fft // 2 + 1) * hop / n_fft, 1.0)
    return torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)


def _smooth(values: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Return complex values (batch, bins) averaged over neighbouring bins."""
    parts = torch.view_as_real(values).movedim(-1, 1).flatten(0, 1)[:, None]
    smooth = torch.nn.functional.conv1d(parts, (window / window.sum())[None, None], padding=len(window) // 2)
    return torch.view_as_complex(smooth[:, 0].unflatten(0, (-1, 2)).movedim(1, -1).contiguous())


def _unit(values: torch.Tensor) -> torch.Tensor:
    return values / values.abs().clamp(min=1e-12)
