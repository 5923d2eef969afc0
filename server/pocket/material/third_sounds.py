"""Third sounds of two in the codec's decibels: what the completion of a fusion is trained towards.

What enters a completion is a weighted average of two sounds' latents, hence of their decibels, in which an attack or a partial that only one of them has stands out half
as far. A third sound keeps the average as its ground, but its attacks and partials stand out as far as they do in the two sounds.
"""

import torch

from tertium.engine.models.pocket_codec import SpectralCodec

SLOW, WIDE, BROAD = 33, 25, 9
"""The ground of a sound is its average over 33 spectra (0.38 s). What rises above that, averaged over 9 bands, are its attacks; what the ground has above its average over
25 bands are its partials."""
STRENGTH = 1.2
"""How much of what the average has lost is restored. Decoded at the balance of six of the gate's pairs, a strength of 0.7 is about 0.95 like the interpolation and 0.81
like both sounds, 1 is 0.93 and 0.79 (the interpolation itself 0.83), with onsets of 0.76 (0.72) and partials of 0.57 (0.56).

An earlier target chose at each place the attack of that sound which has the larger one. It came out the same in these figures, but hardly any of it can be predicted from
the average, and in 3,000 steps nothing was learned of it."""
MOST = 1.5
FURTHEST_DB = 25.0


def third_sound(
    codec: SpectralCodec, original: torch.Tensor, reference: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Return latents (rows, channels, frames) of third sounds.

    Args:
        original, reference: latents of the two sounds, (rows, channels, frames).
        weight: of the original, 0 … 1, (rows, 1, 1). At 0 and 1 the result is one of the two sounds.
    """
    features = [codec.decode_features(latents) for latents in (original, reference)]
    average = torch.lerp(features[1], features[0], weight)
    contrasts = zip(*(_contrasts(codec.levels(x)) for x in (*features, average)), strict=True)
    added = sum((_lost(*each, weight=weight) * each[-1]).clamp(-FURTHEST_DB, FURTHEST_DB) for each in contrasts)
    average[:, : -codec.groups] += codec.stacked(added)
    return codec.project(average)


def _lost(one: torch.Tensor, other: torch.Tensor, average: torch.Tensor, *, weight: torch.Tensor) -> torch.Tensor:
    """Return the factor by which contrasts of an average, (rows, 2, bands, spectra), must grow to be restored, less 1: (rows, 1, 1, 1).

    It is the mean energy of the two sounds' contrasts over that of the average's: 2 for two sounds that have nothing in common, 1 for two that are equal.
    """
    own, others, left = (x.square().mean((1, 2, 3))[:, None, None] for x in (one, other, average))
    ratio = torch.lerp(others, own, weight) / left.clamp(min=1e-6)
    return ((ratio - 1) * STRENGTH).clamp(0.0, MOST)[..., None]


def _contrasts(levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the attacks and the partials of levels in decibels, (…, bands, spectra)."""
    ground = _average(levels, SLOW, -1)
    return _average(levels - ground, BROAD, -2), ground - _average(ground, WIDE, -2)


def _average(values: torch.Tensor, width: int, dim: int) -> torch.Tensor:
    """Return a moving average along a dimension; its first and last values go on beyond the ends."""
    turned = values.movedim(dim, -1)
    padded = torch.nn.functional.pad(
        turned.reshape(-1, 1, turned.shape[-1]), (width // 2, width // 2), mode="replicate"
    )
    return torch.nn.functional.avg_pool1d(padded, width, 1).reshape(turned.shape).movedim(-1, dim)
