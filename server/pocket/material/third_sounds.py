"""Third sounds of two in the codec's decibels: what the completion of a fusion is trained towards.

What enters a completion is a weighted average of two sounds' latents, hence of their decibels, in which an attack or a partial that only one of them has stands out half
as far. A third sound keeps the average as its ground, but lets attacks and partials stand out as far as in the sound that has them.
"""

import torch

from tertium.engine.models.pocket_codec import SpectralCodec

SLOW, WIDE, BROAD = 33, 25, 9
"""The ground of a sound is its average over 33 spectra (0.38 s). What rises above that, averaged over 9 bands, are its attacks; what the ground has above its average over
25 bands are its partials."""
STRENGTH = 1.3
"""By how much attacks and partials are restored: at 1 as far as in their sound. On the gate's pairs, decoded at the balance, a strength of 1 is 0.95 like the
interpolation and 0.82 like both sounds, 1.3 is 0.93 and 0.80 (the interpolation itself 0.83), 1.5 is 0.91 and 0.78."""
FURTHEST_DB = 25.0


def third_sound(
    codec: SpectralCodec, original: torch.Tensor, reference: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Return latents (rows, channels, frames) of third sounds.

    Args:
        original, reference: latents of the two sounds, (rows, channels, frames).
        weight: of the original, 0 … 1, (rows, 1, 1). At 0 and 1 the result is one of the two sounds.
    """
    one, other = (codec.decode_features(latents) for latents in (original, reference))
    features = torch.lerp(other, one, weight)
    added = _restored(codec, one, other, weight[..., None]) * (STRENGTH * 4 * weight * (1 - weight))[..., None].sqrt()
    features[:, : -codec.groups] += codec.stacked(added)
    return codec.project(features)


def _restored(codec, one, other, weight):
    """Return the decibels by which attacks and partials stand out further than in the average, (rows, 2, bands, spectra)."""
    attacks, partials = zip(*(_contrasts(codec.levels(features)) for features in (one, other)), strict=True)
    further = torch.where(attacks[0].abs() > attacks[1].abs(), *attacks) - torch.lerp(attacks[1], attacks[0], weight)
    clearer = torch.maximum(*partials) - torch.lerp(partials[1], partials[0], weight)
    return further + clearer


def _contrasts(levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the attacks and the partials of levels in decibels, (…, bands, spectra)."""
    ground = _average(levels, SLOW, -1)
    return tuple(
        x.clamp(-FURTHEST_DB, FURTHEST_DB)
        for x in (_average(levels - ground, BROAD, -2), ground - _average(ground, WIDE, -2))
    )


def _average(values: torch.Tensor, width: int, dim: int) -> torch.Tensor:
    """Return a moving average along a dimension; its first and last values go on beyond the ends."""
    turned = values.movedim(dim, -1)
    padded = torch.nn.functional.pad(
        turned.reshape(-1, 1, turned.shape[-1]), (width // 2, width // 2), mode="replicate"
    )
    return torch.nn.functional.avg_pool1d(padded, width, 1).reshape(turned.shape).movedim(-1, dim)
