"""Phase retrieval from magnitudes: the phase gradient that they imply, integrated from loud bins to faint ones.

The method is phase gradient heap integration (Průša, Balazs and Søndergaard 2017, "A noniterative method for
reconstruction of phase from STFT magnitude"). Its heap proceeds from bin to neighbouring bin, always from the loudest
reached so far. Its paths are those of the maximum spanning tree of the grid, where an edge weighs as much as the
fainter of its bins. This module finds the same tree by Borůvka's contraction, all components at once, without a heap
and without a loop over bins.
"""

import math

import torch

HANN_GAMMA = 0.25645  # of n_fft²: the Gaussian nearest to a Hann window (Průša and others, table I)


def integrate(magnitudes: torch.Tensor, *, n_fft: int, hop: int, faintest: float) -> torch.Tensor:
    """Return unit phasors for magnitudes (batch, bins, spectra), of the same shape and on their device.

    The magnitudes are of spectra under a Hann window of ``n_fft`` samples, ``hop`` samples apart.

    Phases refer to the beginning of each window. Each connected part above ``faintest`` starts with phase 0 at one of
    its bins, and so does every bin below ``faintest``. Deterministic. Rows are processed one after another, with about
    200 bytes of memory per bin of one row.

    Args:
        magnitudes: not negative.
        faintest: above 0; the phase is not propagated through smaller magnitudes.
    """
    rows = [_row(row[None].cpu(), n_fft=n_fft, hop=hop, faintest=faintest) for row in magnitudes]
    phase = torch.stack(rows).to(magnitudes.dtype).to(magnitudes.device)  # in this order: not every device has float64
    return torch.polar(torch.ones_like(phase), phase)


def _row(magnitudes: torch.Tensor, *, n_fft: int, hop: int, faintest: float) -> torch.Tensor:
    """Return phases (bins, spectra) within one turn, for magnitudes (1, bins, spectra)."""
    logs = magnitudes.double().clamp(min=faintest).log()
    along_time, along_frequency = gradient(logs, n_fft=n_fft, hop=hop)
    bins = torch.arange(logs.shape[-2], dtype=logs.dtype)[:, None]
    carrier = 2 * math.pi * torch.remainder(bins * hop / n_fft, 1.0)
    steps = (
        (along_time[..., 1:] + along_time[..., :-1]) / 2 + carrier,
        (along_frequency[:, 1:] + along_frequency[:, :-1]) / 2 - math.pi,
    )
    phase = _sum_along_tree(magnitudes, steps, faintest=faintest).reshape(logs.shape[1:])
    return torch.remainder(phase, 2 * math.pi)


def gradient(logs: torch.Tensor, *, n_fft: int, hop: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the phase gradient relative to a steady wave in the middle of each bin.

    It follows from log magnitudes (batch, bins, spectra), in nepers.

    Equations 17 and 18 of Průša and others, for phases referred to the middle of each window: radians from one spectrum
    to the next, and radians from one bin to the next.
    """
    gamma = HANN_GAMMA * n_fft**2
    return hop * n_fft / gamma * _slope(logs, -2), -gamma / (hop * n_fft) * _slope(logs, -1)


def sharpness(magnitudes: torch.Tensor, *, n_fft: int, hop: int, faintest: float) -> torch.Tensor:
    """Return how closely each place resembles a partial or an attack, from magnitudes (batch, bins, spectra).

    The result is from 0, where the spectrum is flat, to 1, for a sine or an impulse.

    Under a Gaussian window the log magnitude of a sine is a parabola across bins, and that of an impulse a parabola
    across spectra; their curvatures follow from the window. The result is the greater of the two curvatures relative to
    these, averaged over 9 bins and 5 spectra by energy.
    """
    logs = magnitudes.clamp(min=faintest).log()
    energy = magnitudes.square() + faintest**2
    gamma = HANN_GAMMA * n_fft**2
    found = []
    for axis, of_window in ((-2, 2 * math.pi * gamma / n_fft**2), (-1, 2 * math.pi * hop**2 / gamma)):
        curvature = torch.zeros_like(logs)
        length = logs.shape[axis] - 2
        if length > 0:
            middle = curvature.narrow(axis, 1, length)
            middle += 2 * logs.narrow(axis, 1, length) - logs.narrow(axis, 0, length) - logs.narrow(axis, 2, length)
        found.append(_around(curvature * energy) / _around(energy) / of_window)
    return torch.maximum(*found).clamp(0, 1)


def _around(values: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(values[:, None], (9, 5), stride=1, padding=(4, 2))[:, 0]


def _slope(values: torch.Tensor, axis: int) -> torch.Tensor:
    """Return central differences, one-sided at the ends."""
    if values.shape[axis] < 2:
        return torch.zeros_like(values)
    return torch.gradient(values, dim=axis)[0]


def _sum_along_tree(
    magnitudes: torch.Tensor, steps: tuple[torch.Tensor, torch.Tensor], *, faintest: float
) -> torch.Tensor:
    """Return the phases of all bins, flattened, integrated along the maximum spanning tree of each connected part.

    Along the edges of the tree they differ by the steps. In each round every component is hooked to a neighbour by its
    heaviest edge. Components hooked together become one component of the next round, whose edges carry the phase
    difference between the first bins of the components that they join.
    """
    ones, others, differences, keys = _edges(magnitudes, steps, faintest=faintest)
    count, levels = magnitudes.numel(), []
    while len(keys):
        heaviest = torch.full((count,), -1, dtype=torch.int64)
        heaviest.scatter_reduce_(0, ones, keys, "amax").scatter_reduce_(0, others, keys, "amax")
        hook, shift = torch.arange(count), torch.zeros(count, dtype=differences.dtype)
        forth, back = keys == heaviest[ones], keys == heaviest[others]
        forth &= ~(back & (ones < others))  # where both chose the same edge one stays unhooked, to avoid a cycle
        back &= ~(forth & back)
        hook[ones[forth]], shift[ones[forth]] = others[forth], -differences[forth]
        hook[others[back]], shift[others[back]] = ones[back], differences[back]
        hook, shift = _find_roots(hook, shift)
        roots = hook == torch.arange(count)
        component = (torch.cumsum(roots, 0) - 1)[hook]
        levels.append((component, shift))
        differences = differences - shift[others] + shift[ones]
        ones, others, count = component[ones], component[others], int(roots.sum())
        outer = ones != others
        ones, others, differences, keys = ones[outer], others[outer], differences[outer], keys[outer]
    phase = torch.zeros(count, dtype=steps[0].dtype)
    for component, shift in reversed(levels):
        phase = shift + phase[component]
    return phase


def _edges(magnitudes, steps, *, faintest):
    """Return the edges in time and in frequency between bins above the faintest: (from, to, phase difference, key).

    Keys are distinct, and greater where both bins are louder.
    """
    number = torch.arange(magnitudes.numel()).reshape(magnitudes.shape)
    pairs = [(number[..., :-1], number[..., 1:]), (number[:, :-1], number[:, 1:])]
    ones, others = (torch.cat([pair[side].flatten() for pair in pairs]) for side in (0, 1))
    differences = torch.cat([step.flatten() for step in steps])
    flat = magnitudes.float().flatten()
    weights = torch.minimum(flat[ones], flat[others])
    audible = torch.nonzero(weights > faintest)[:, 0]
    # The bits of positive floats sort like the floats; the edge's number in the lower bits makes keys distinct.
    keys = (weights[audible].view(torch.int32).long() << 32) | audible
    return ones[audible], others[audible], differences[audible], keys


def _find_roots(hook: torch.Tensor, shift: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Follow each pointer to the end of its chain and sum the shifts on the way, by pointer doubling."""
    while True:
        further = hook[hook]
        if torch.equal(further, hook):
            return hook, shift
        shift, hook = shift + shift[hook], further
