"""Fit the codec's projection: the principal components of training material, with silence in their span.

    python -m pocket.codec.fit WORK

Needs WORK/pool (see ``material.pool``). Writes WORK/codec.safetensors, unless it exists: a minute.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from pocket.material.pool import Pool
from pocket.material.synthesis import RATE
from tertium.engine.models.pocket_codec import SpectralCodec

FILE = "codec.safetensors"
LATENTS, BANDS = 160, 288  # the bands are one bin wide up to 1.9 kHz
CROPS, SECONDS = 160, 6.0


def projection(
    total: torch.Tensor, outer: torch.Tensor, count: int, silence: torch.Tensor, *, size: int
) -> dict[str, torch.Tensor]:
    """Return the projection onto ``size`` uncorrelated dimensions, whose mean square is 1 on average.

    The first axis runs from the mean to silence, so that silence is in the span and decodes to itself; the others are the principal
    components of the remainder, orthogonal to it. Each dimension is then scaled so that its spread is the square root of the original
    one. Of all scalings with the same power, this one minimises the error in decibels that an equal small error in every latent causes. With
    dimensions of equal spread, residual noise in the first one, which is loudness, would be audible as flutter.

    Args:
        total, outer, count: moments of the features, of width d, see :func:`moments`.
        silence: features of silence, (d,).
    """
    mean = total / count
    covariance = outer / count - torch.outer(mean, mean)
    axis = torch.nn.functional.normalize(silence - mean, dim=0)
    beside = torch.eye(len(mean), dtype=mean.dtype) - torch.outer(axis, axis)
    principal = torch.linalg.eigh(beside @ covariance @ beside).eigenvectors[:, -(size - 1) :]
    span = torch.cat([axis[:, None], principal], dim=1)
    values, turn = torch.linalg.eigh(span.T @ covariance @ span)
    values, turn = values.flip(0), turn.flip(1)
    spread = values.sqrt()
    wide = spread.sqrt() / spread.mean().sqrt()
    encoder = (span @ turn * (wide / spread)).T
    decoder = span @ turn * (spread / wide)
    return {"mean": mean.float(), "encoder": encoder.float().contiguous(), "decoder": decoder.float().contiguous()}


@torch.no_grad()
def fit(pool: Pool, *, latents: int = LATENTS, bands: int = BANDS, crops: int = CROPS) -> SpectralCodec:
    """Return a codec whose projection is fitted to crops of the pool, with both spectra of a latent frame treated alike.

    The covariance is averaged with that of the frames whose two spectra are exchanged. So sums and differences of the two are separate components, and a steady
    sound, whose difference is zero, decodes to two equal spectra: nothing can flutter at the rate of the latent frames.
    """
    codec, generator = SpectralCodec(latent_channels=latents, bands=bands), torch.Generator().manual_seed(5)
    total = outer = count = 0
    for _ in range(-(-crops // 4)):
        features = codec.features(pool.crops(min(4, crops), int(SECONDS * RATE), generator))
        features = features.permute(1, 0, 2).flatten(1).double()
        for each in (features, exchanged(codec, features)):
            total, outer, count = total + each.sum(1), outer + each @ each.T, count + each.shape[1]
    silence = codec.features(torch.zeros(1, 2, 8192))[0, :, 4].double()
    codec.load_state_dict(projection(total, outer, count, silence, size=latents), strict=False)
    return codec


def exchanged(codec: SpectralCodec, features: torch.Tensor) -> torch.Tensor:
    """Return features (width, frames) with the two spectra of each frame exchanged."""
    bands = features[: -codec.groups].unflatten(0, (2, codec.stack, codec.bands)).flip(1).flatten(0, 2)
    return torch.cat([bands, features[-codec.groups :]])


def codec_of(work: Path) -> SpectralCodec:
    """Return the codec of a working folder, which is fitted to the folder's pool and saved the first time."""
    path = work / FILE
    if not path.exists():
        partial = path.with_suffix(".partial")
        save_file(fit(Pool(work / "pool")).state_dict(), partial)
        partial.rename(path)
    tensors = load_file(path)
    codec = SpectralCodec(latent_channels=len(tensors["encoder"]), bands=BANDS)
    codec.load_state_dict(tensors, strict=False)
    return codec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    codec_of(parser.parse_args().work)


if __name__ == "__main__":
    main()
