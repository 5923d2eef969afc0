"""Evenness: a fusion is moved to its place between the two sounds, keeping what the model added.

Of the latents of a fusion, a weighted sum of the two sounds' explains one part, with weights that the paper's sampling
leaves to the schedule and the model. Here they become those that the place on the knob asks for. The other part, the
novelty, is what makes a fusion more than an interpolation: it is kept, and raised where a channel has less spread than
its place between the two sounds asks for. Towards the ends of the knob it fades, so that these are exactly the two
sounds. All of this is beyond the paper.
"""

import torch

FADE = 0.1
"""The part of the knob at either end over which the novelty fades in."""
MOST = 1.5
"""The most by which novelty is raised: beyond it, sounds turn into haze (measured at 3)."""
LEAST = 1e-6  # spread of a channel below which it is constant
WIDEST = 3.0


def placed(
    latents: torch.Tensor, *, reference: torch.Tensor, original: torch.Tensor, place: float, spread: float
) -> torch.Tensor:
    """Move a fusion to its place between the two sounds: latents of the same shape.

    Args:
        latents: of the fusion, (1, channels, frames).
        reference, original: latents of the two sounds, of the same shape.
        place: 0 (the result is the reference) … 1 (it is the original).
        spread: 0 (moved alone) … 1 (each channel also has the spread over time that its place asks for).

    Raises:
        ValueError: place or spread out of range.
    """
    for name, value in (("place", place), ("spread", spread)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} must lie between 0 and 1; got {value}")
    line = torch.lerp(reference, original, place)
    novelty = _unexplained(latents, reference, original) * min(1.0, place / FADE, (1.0 - place) / FADE)
    moved = line + novelty
    if spread == 0.0:
        return moved
    wanted = torch.lerp(_deviation(reference), _deviation(original), place)
    return torch.lerp(moved, _filled(line, novelty, wanted), spread)


def _unexplained(latents: torch.Tensor, reference: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Return what no weighted sum of two sounds explains of latents, by least squares over all elements."""
    rest = latents
    # One after the other, the second without what the first explains: two numbers read by the device alone.
    first = original
    second = reference - _along(reference, first)
    for direction in (first, second):
        rest = rest - _along(rest, direction)
    return rest


def _along(latents: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """Return the part of latents that lies along a direction."""
    return direction * ((latents * direction).sum() / direction.square().sum().clamp_min(LEAST))


def _filled(line: torch.Tensor, novelty: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the line with the novelty raised, at most by ``MOST``, until each channel has the wanted deviation; the rest is widened."""
    middle = line.mean(-1, keepdim=True)
    base, added = line - middle, novelty - novelty.mean(-1, keepdim=True)
    # deviation(base + gain * added) = wanted: a quadratic equation in the gain, of which the larger root is not below 0.
    square, mixed = added.square().mean(-1, keepdim=True), (base * added).mean(-1, keepdim=True)
    rest = base.square().mean(-1, keepdim=True) - wanted.square()
    root = (mixed.square() - square * rest).clamp_min(0.0).sqrt()
    gain = ((root - mixed) / square.clamp_min(LEAST**2)).clamp(0.0, MOST)
    filled = base + added * gain
    deviation = _deviation(filled)
    widening = torch.where(deviation > LEAST, wanted / deviation.clamp_min(LEAST), torch.ones_like(deviation))
    return middle + filled * widening.clamp_max(WIDEST)


def _deviation(latents: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation over time, (batch, channels, 1)."""
    return latents.std(-1, correction=0, keepdim=True)
