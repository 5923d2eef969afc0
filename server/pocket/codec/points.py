"""Fit the codec with 256 latents to the pool of rendered material, and draw the points that its decoder is trained on.

    python -m pocket.codec.points WORK

Needs WORK/pool (see ``material.pool``). Writes WORK/codec256.safetensors and WORK/points.safetensors, unless they exist: some minutes.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from pocket.codec import decoder, phase_network
from pocket.codec.fit import projection
from pocket.material.pool import Pool
from pocket.material.synthesis import RATE
from tertium.engine.models.pocket_codec import SpectralCodec

LATENTS = 256
FIT_CROPS, FIT_SECONDS = 160, 6.0
ROWS, FRAMES = 8, 64  # crops that are analysed at once: eight of 64 latent frames, 1.5 s
ANALYSES, POINTS = 20, 16384  # how often, and how many bins are drawn each time


class FineCodec(SpectralCodec):
    """The codec with 288 bands, one bin wide up to 1.9 kHz."""

    bands = 288


@torch.no_grad()
def fit_codec(
    pool: Pool, *, latents: int = LATENTS, crops: int = FIT_CROPS, kind: type[SpectralCodec] = FineCodec
) -> SpectralCodec:
    """Return a codec whose projection is fitted to crops of the pool, with both spectra of a latent frame treated alike.

    The covariance is averaged with that of the frames whose two spectra are exchanged. So sums and differences of the two are separate components, and a steady
    sound, whose difference is zero, decodes to two equal spectra: nothing can flutter at the rate of the latent frames.
    """
    codec, generator = kind(latent_channels=latents), torch.Generator().manual_seed(5)
    total = outer = count = 0
    for _ in range(-(-crops // 4)):
        features = codec.features(pool.crops(min(4, crops), int(FIT_SECONDS * RATE), generator))
        features = features.permute(1, 0, 2).flatten(1).double()
        for each in (features, exchanged(codec, features)):
            total, outer, count = total + each.sum(1), outer + each @ each.T, count + each.shape[1]
    silence = codec.features(torch.zeros(1, 2, 8192))[0, :, 4].double()
    codec.load_state_dict(projection(total, outer, count, silence, size=latents))
    return codec


def exchanged(codec: SpectralCodec, features: torch.Tensor) -> torch.Tensor:
    """Return features (width, frames) with the two spectra of each frame exchanged."""
    bands = features[: -codec.groups].unflatten(0, (2, codec.stack, codec.bands)).flip(1).flatten(0, 2)
    return torch.cat([bands, features[-codec.groups :]])


def codec_of(work: Path, pool: Pool | None) -> SpectralCodec:
    """Return the codec of a working folder, which is fitted to the pool and saved the first time."""
    path = work / "codec256.safetensors"
    if not path.exists():
        save_file(fit_codec(pool).state_dict(), path)
    codec = FineCodec(latent_channels=LATENTS)
    codec.load_state_dict(load_file(path))
    return codec


@torch.no_grad()
def draw_points(
    codec: SpectralCodec, sound: torch.Tensor, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the network's inputs and targets, (count, …), at random bins of sounds (rows, 2, whole frames).

    Inputs are levels as the codec decodes them, targets are of the sounds themselves.
    """
    magnitudes, _ = codec.spectrum(codec.decode_features(codec.encode(sound)))
    levels = phase_network.levels_of(magnitudes)
    wanted, power = decoder.targets(codec, sound)
    wanted[..., phase_network.DECIBELS] -= levels
    # Loud bins are drawn more often, faint ones hardly: by the energy to the power of 0.2, above a floor.
    chances = (power + 1e-9).pow(0.2).flatten().double().cumsum(0)
    chosen = torch.rand(count, generator=generator, dtype=torch.float64) * chances[-1]
    flat = torch.searchsorted(chances, chosen).clamp(max=len(chances) - 1)
    row, spectrum, place = torch.unravel_index(flat, power.shape)
    return phase_network.inputs_at(phase_network.padded(levels), row, spectrum, place), wanted[row, spectrum, place]


def save_points(work: Path, codec: SpectralCodec, pool: Pool, *, analyses: int = ANALYSES) -> None:
    """Draw inputs and targets from the pool and save them in half precision, unless the file exists."""
    path = work / "points.safetensors"
    if path.exists():
        return
    generator = torch.Generator().manual_seed(3)
    crops = (pool.crops(ROWS, FRAMES * codec.downsampling_ratio, generator) for _ in range(analyses))
    found = [draw_points(codec, sound, POINTS, generator) for sound in crops]
    save_file({name: torch.cat([x[at] for x in found]).half() for at, name in enumerate(("inputs", "wanted"))}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    pool = Pool(work / "pool")
    save_points(work, codec_of(work, pool), pool)


if __name__ == "__main__":
    main()
