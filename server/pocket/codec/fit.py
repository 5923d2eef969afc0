"""Fit the codec's projection: principal components of training material, with silence in their span.

    python -m pocket.codec.fit WORK [--pieces 320] [--workers 2]

Writes WORK/codec.safetensors. A second call finds it and does nothing.
"""

import argparse
import multiprocessing
from pathlib import Path

import torch
from safetensors.torch import save_file

from pocket.material import piece
from tertium.engine.models.pocket_codec import SpectralCodec


def moments(seed: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Sum, sum of outer products (float64) and number of the codec's features in one piece."""
    torch.set_num_threads(1)
    audio, _, _ = piece.piece(seed)
    features = SpectralCodec().features(torch.from_numpy(audio)[None])[0].double()
    return features.sum(1), features @ features.T, features.shape[1]


def fit(
    total: torch.Tensor, outer: torch.Tensor, count: int, silence: torch.Tensor, *, size: int
) -> dict[str, torch.Tensor]:
    """The projection onto ``size`` uncorrelated dimensions, of mean square 1 on the whole.

    The first axis runs from the mean to silence, so that silence is in the span and decodes to itself; the others are principal components
    of what is left beside it. Each dimension is then scaled so that its spread is the square root of what it was. Of all scalings of one
    power this makes the same small error in every latent cost the fewest decibels: were they all made equally wide, what is left of the
    noise in the first dimension, loudness, would be heard as a flutter.

    Args:
        total, outer, count: moments of the features, of width d.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--pieces", type=int, default=320)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    target = options.work / "codec.safetensors"
    if target.exists():
        return print(f"{target} is there already.")
    options.work.mkdir(parents=True, exist_ok=True)
    total = outer = count = 0
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        for done, (sums, outers, frames) in enumerate(pool.imap_unordered(moments, range(options.pieces)), 1):
            total, outer, count = total + sums, outer + outers, count + frames
            if done % 32 == 0:
                print(f"{done} of {options.pieces} pieces", flush=True)
    codec = SpectralCodec()
    silence = codec.features(torch.zeros(1, 2, 8192))[0, :, 4].double()
    codec.load_state_dict(fit(total, outer, count, silence, size=codec.encoded_channels))
    save_file(codec.state_dict(), target)
    print(f"Wrote {target}.")


if __name__ == "__main__":
    main()
