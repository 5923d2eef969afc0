"""Against shrinking: each channel of a fusion gets the mean and the spread that its place between the two sounds asks for.

What enters the completion is a weighted sum of the two sounds' latents, whose spread is below either parent's where
they are unrelated, and a null model that knows little of them shrinks it further, towards the mean of all sounds: the
result is too quiet and too even. This is beyond the paper, which leaves the latents as they are.
"""

import torch

LEAST = 1e-6  # spread of a channel below which it is constant: there is nothing to widen


def widened(
    latents: torch.Tensor, *, reference: torch.Tensor, original: torch.Tensor, place: float, amount: float
) -> torch.Tensor:
    """Move the mean and the standard deviation over time of each channel towards those between the two sounds.

    Args:
        latents: of the fusion, (batch, channels, frames).
        reference, original: latents of the two sounds, of the same shape.
        place: 0 (the reference's mean and spread) … 1 (the original's); between them, the straight line.
        amount: 0 (the latents as they are) … 1 (exactly the mean and the spread of the place).

    Raises:
        ValueError: place or amount out of range.
    """
    for name, value in (("place", place), ("amount", amount)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} must lie between 0 and 1; got {value}")
    if amount == 0.0:
        return latents
    (mean, spread), (mean_r, spread_r), (mean_o, spread_o) = map(_statistics, (latents, reference, original))
    wanted = torch.lerp(spread_r, spread_o, place)
    gain = torch.where(spread > LEAST, wanted / spread.clamp_min(LEAST), torch.ones_like(spread))
    target = (latents - mean) * gain + torch.lerp(mean_r, mean_o, place)
    return torch.lerp(latents, target, amount)


def _statistics(latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean and the standard deviation over time, (batch, channels, 1) each."""
    return latents.mean(-1, keepdim=True), latents.std(-1, correction=0, keepdim=True)
