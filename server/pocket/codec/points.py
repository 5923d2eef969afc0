"""Draw the points that the codec's network for phases is trained on from the pool of rendered material.

    python -m pocket.codec.points WORK

Needs WORK/pool (see ``material.pool``) and WORK/codec.safetensors. Writes WORK/points.safetensors, unless it exists: some minutes.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from pocket.codec.fit import codec_of
from pocket.material.pool import Pool
from tertium.engine.models import phase_network
from tertium.engine.models.phase_integration import centre_advance
from tertium.engine.models.pocket_codec import SpectralCodec

ROWS, FRAMES = 8, 64  # crops that are analysed at once: eight of 64 latent frames, 1.5 s
ANALYSES, POINTS = 160, 8192  # how often, and how many bins are drawn each time


@torch.no_grad()
def draw_points(
    codec: SpectralCodec, sound: torch.Tensor, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the network's inputs and targets, (count, …), at random bins of sounds (rows, 2, whole frames).

    Inputs are levels as the codec decodes them, targets are of the sounds themselves.
    """
    magnitudes, _ = codec.spectrum(codec.decode_features(codec.encode(sound)))
    levels = phase_network.levels_of(magnitudes)
    wanted, power = targets(codec, sound)
    wanted[..., phase_network.DECIBELS] -= levels
    # Loud bins are drawn more often, faint ones hardly: by the energy to the power of 0.2, above a floor.
    chances = (power + 1e-9).pow(0.2).flatten().double().cumsum(0)
    chosen = torch.rand(count, generator=generator, dtype=torch.float64) * chances[-1]
    flat = torch.searchsorted(chances, chosen).clamp(max=len(chances) - 1)
    row, spectrum, place = torch.unravel_index(flat, power.shape)
    return inputs_at(phase_network.padded(levels), row, spectrum, place), wanted[row, spectrum, place]


def inputs_at(around: torch.Tensor, row: torch.Tensor, spectrum: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Return the network's inputs (points, :data:`tertium.engine.models.phase_network.INPUTS`) at some bins.

    Args:
        around: from :func:`tertium.engine.models.phase_network.padded`.
        row, spectrum, place: indices, (points,).
    """
    height, width = phase_network.PATCH
    patches = around.unfold(1, height, 1).unfold(2, width, 1)
    return phase_network.inputs_of(patches[row, spectrum, place], place)


def targets(codec: SpectralCodec, sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what sounds (batch, 2, whole frames) should give.

    That is (batch, spectra, bins, 5), see :data:`tertium.engine.models.phase_network.DECIBELS`, but with the whole level; and the power of both channels (batch, spectra, bins).
    """
    spectra = torch.view_as_real(codec.stft(sound).transpose(-1, -2))
    real, imaginary = spectra[..., 0].contiguous(), spectra[..., 1].contiguous()
    power = real.square() + imaginary.square()
    size = (power + 1e-24).sqrt()
    advance = centre_advance(n_fft=codec.n_fft, hop=codec.hop)

    def changes(shift: tuple[int, ...], turn: torch.Tensor) -> list[torch.Tensor]:
        """Return cosine and sine of the change from the spectrum or bin before, of both channels together."""
        before = [torch.nn.functional.pad(x, shift)[..., : x.shape[-2], : x.shape[-1]] for x in (real, imaginary, size)]
        norm = (size * before[2]).sum(1) + 1e-12
        cosine = (real * before[0] + imaginary * before[1]).sum(1) / norm
        sine = (imaginary * before[0] - real * before[1]).sum(1) / norm
        return [cosine * turn.real - sine * turn.imag, cosine * turn.imag + sine * turn.real]

    along = changes((0, 0, 1, 0), advance.conj()) + changes((1, 0), torch.tensor(-1.0 + 0j))
    level = 10 * torch.log10(power.mean(1) + 10 ** (phase_network.FLOOR_DB / 10))
    return torch.stack([level, *along], -1), power.sum(1)


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
    save_points(work, codec_of(work), pool)


if __name__ == "__main__":
    main()
