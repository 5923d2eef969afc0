"""What the model sees in training: sounds as they are, and mixtures of two as an intervention makes them, whose third sound it is to find.

A completion starts from a weighted average of two sounds' latents with noise, under the null prompt. A model that has seen single sounds alone answers that with their
average. Here half of the rows are such mixtures, and their target is a third sound (:mod:`pocket.material.third_sounds`), so that what an intervention makes is known
to the model, and its completion leads away from the average.
"""

from dataclasses import dataclass

import torch

from pocket.material.third_sounds import third_sound
from tertium.engine.models.pocket_codec import SpectralCodec

NULL_CHANCE = 0.3
WEIGHTS = (0.1, 0.9)


@dataclass(frozen=True)
class Batch:
    """Rows to train on.

    Args:
        start: what noise is added to, (rows, channels, frames).
        target: what the model is to predict, of the same shape; the start itself where a sound is alone.
        null: whether a row is under the null prompt, bool, (rows, 1, 1).
    """

    start: torch.Tensor
    target: torch.Tensor
    null: torch.Tensor

    @property
    def mixed(self) -> torch.Tensor:
        """Whether a row is a mixture, bool, (rows, 1, 1)."""
        return (self.start != self.target).flatten(1).any(1)[:, None, None]


def examples(codec: SpectralCodec, latents: torch.Tensor, generator: torch.Generator) -> Batch:
    """Return a batch whose first half are mixtures of both halves of the latents (rows, channels, frames), under the null prompt.

    How far a mixture is on its way to its third sound is drawn for each row, since a completion passes through all of this way. Of the other rows,
    each is under the null prompt with a probability of ``NULL_CHANCE``.
    """
    rows, mixed = latents.shape[0], latents.shape[0] // 2
    null = torch.rand(rows, 1, 1, generator=generator).to(latents.device) < NULL_CHANCE
    start, target = latents.clone(), latents.clone()
    if mixed:
        original, reference = latents[:mixed], latents[mixed : 2 * mixed]
        low, high = WEIGHTS
        weight = (low + (high - low) * torch.rand(mixed, 1, 1, generator=generator)).to(latents.device)
        target[:mixed] = third_sound(codec, original, reference, weight)
        distance = torch.rand(mixed, 1, 1, generator=generator).sqrt().to(latents.device)
        start[:mixed] = torch.lerp(target[:mixed], torch.lerp(reference, original, weight), distance)
        null[:mixed] = True
    return Batch(start, target, null)
