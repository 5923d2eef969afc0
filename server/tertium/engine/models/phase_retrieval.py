"""Phases for a spectrogram that has none: its gradient, which the magnitudes imply, summed up from loud bins to faint ones.

The idea is phase gradient heap integration (Průša, Balazs and Søndergaard 2017, "A noniterative method for reconstruction of phase from STFT magnitude").
Its heap goes from bin to neighbouring bin, always on from the loudest reached so far. The paths that it takes are those of the maximum
spanning tree of the grid, where an edge weighs as much as the fainter of its bins; that tree is found here by Borůvka's contraction,
all components at once, which needs no heap and no loop over bins.
"""

import math

import torch

HANN_GAMMA = 0.25645  # of n_fft²: the Gaussian nearest to a Hann window (Průša and others, table I)


def integrate(magnitudes: torch.Tensor, *, n_fft: int, hop: int, faintest: float) -> torch.Tensor:
    """Unit phasors for magnitudes (batch, bins, spectra) under a Hann window of n_fft samples, hop apart; of the same shape, on their device.

    Phases are counted from the beginning of each window. Parts that are nowhere joined by bins above ``faintest`` begin with phase 0
    at one of their bins each, and so do all bins below it. Deterministic. One row after another: about 200 bytes a bin of one row.

    Args:
        magnitudes: not negative.
        faintest: above 0; magnitudes below it carry no phase on.
    """
    rows = [_row(row[None].cpu(), n_fft=n_fft, hop=hop, faintest=faintest) for row in magnitudes]
    phase = torch.stack(rows).to(magnitudes.dtype).to(magnitudes.device)  # in this order: not every device has float64
    return torch.polar(torch.ones_like(phase), phase)


def _row(magnitudes: torch.Tensor, *, n_fft: int, hop: int, faintest: float) -> torch.Tensor:
    """Phases (bins, spectra) within a turn, of magnitudes (1, bins, spectra)."""
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
    """How phases differ from those of a steady wave in the middle of each bin, from log magnitudes (batch, bins, spectra), in nepers.

    Equations 17 and 18 of Průša and others, for phases counted from the middle of each window: radians from one spectrum to the next, and
    radians from one bin to the next.
    """
    gamma = HANN_GAMMA * n_fft**2
    return hop * n_fft / gamma * _slope(logs, -2), -gamma / (hop * n_fft) * _slope(logs, -1)


def sharpness(magnitudes: torch.Tensor, *, n_fft: int, hop: int, faintest: float) -> torch.Tensor:
    """How much like a partial or like an attack each place looks, 0 … 1, of magnitudes (batch, bins, spectra): 0 for a plain, 1 for a sine or an impulse.

    A sine under a Gaussian window is a parabola across bins of log magnitude, and an impulse one across spectra; their curvatures follow from
    the window. The greater of the two curvatures beside these counts, its mean over 9 bins and 5 spectra by energy.
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
    """Central differences; one-sided at the ends."""
    if values.shape[axis] < 2:
        return torch.zeros_like(values)
    return torch.gradient(values, dim=axis)[0]


def _sum_along_tree(
    magnitudes: torch.Tensor, steps: tuple[torch.Tensor, torch.Tensor], *, faintest: float
) -> torch.Tensor:
    """Phases of all bins, flat, that differ by the steps along the edges of the maximum spanning tree of each connected part.

    Each round every component is hooked to a neighbour by its heaviest edge; those that are hooked together become one component of the
    next round, and its edges keep the difference of phase between the first bins of the components that they join.
    """
    ones, others, differences, keys = _edges(magnitudes, steps, faintest=faintest)
    count, levels = magnitudes.numel(), []
    while len(keys):
        heaviest = torch.full((count,), -1, dtype=torch.int64)
        heaviest.scatter_reduce_(0, ones, keys, "amax").scatter_reduce_(0, others, keys, "amax")
        hook, shift = torch.arange(count), torch.zeros(count, dtype=differences.dtype)
        forth, back = keys == heaviest[ones], keys == heaviest[others]
        forth &= ~(back & (ones < others))  # both chose this edge: one of them stays, or they would go round
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
    """Bins joined in time and in frequency, above the faintest: (from, to, difference of phase, key), keys distinct and greater where both are louder."""
    number = torch.arange(magnitudes.numel()).reshape(magnitudes.shape)
    pairs = [(number[..., :-1], number[..., 1:]), (number[:, :-1], number[:, 1:])]
    ones, others = (torch.cat([pair[side].flatten() for pair in pairs]) for side in (0, 1))
    differences = torch.cat([step.flatten() for step in steps])
    flat = magnitudes.float().flatten()
    weights = torch.minimum(flat[ones], flat[others])
    audible = torch.nonzero(weights > faintest)[:, 0]
    # The bits of positive floats are in the floats' order; below them the edge's number, so that no two are equal.
    keys = (weights[audible].view(torch.int32).long() << 32) | audible
    return ones[audible], others[audible], differences[audible], keys


def _find_roots(hook: torch.Tensor, shift: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each pointer on to the end of its chain, and the shifts summed on the way: by doubling."""
    while True:
        further = hook[hook]
        if torch.equal(further, hook):
            return hook, shift
        shift, hook = shift + shift[hook], further
