"""Fit the codec's projection: the principal components of training material, with silence in their span.

    python -m pocket.codec.fit WORK [--pieces 320] [--workers 2] [--no-recordings]

Writes WORK/codec.safetensors, unless it exists.
"""

import functools
from pathlib import Path

import torch
from safetensors.torch import save_file

from pocket.material import origin, piece, recordings
from pocket.processes import mapper
from tertium.engine.models.pocket_codec import SpectralCodec

FILE = "codec.safetensors"
PIECES = 320


def moments(seed: int, *, with_recordings: bool = True) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return the sum, the sum of outer products (float64) and the number of the codec's feature vectors in one piece."""
    audio, _, _ = piece.piece(seed, with_recordings=with_recordings)
    features = SpectralCodec().features(torch.from_numpy(audio)[None])[0].double()
    return features.sum(1), features @ features.T, features.shape[1]


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


def fit(work: Path, *, pieces: int, workers: int) -> None:
    """Write the codec of a working folder, unless it exists."""
    target = work / FILE
    if target.exists():
        return print(f"{target} exists already.")
    with_recordings = origin.has_recordings(work)
    if with_recordings:
        recordings.names()  # raises early where they are missing
    total = outer = count = 0
    with mapper(workers) as parallel:
        found = parallel(functools.partial(moments, with_recordings=with_recordings), range(pieces))
        for done, (sums, outers, frames) in enumerate(found, 1):
            total, outer, count = total + sums, outer + outers, count + frames
            if done % 32 == 0:
                print(f"{done} of {pieces} pieces", flush=True)
    codec = SpectralCodec()
    silence = codec.features(torch.zeros(1, 2, 8192))[0, :, 4].double()
    codec.load_state_dict(projection(total, outer, count, silence, size=codec.encoded_channels))
    partial = target.with_suffix(".partial")
    save_file(codec.state_dict(), partial)
    partial.rename(target)
    print(f"Wrote {target}.")


def main() -> None:
    options = origin.options(__doc__, pieces=PIECES)
    fit(options.work, pieces=options.pieces, workers=options.workers)


if __name__ == "__main__":
    main()
