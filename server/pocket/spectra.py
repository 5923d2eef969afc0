"""Render training material and keep its latents with the spectra that they should decode to, in shards.

    python -m pocket.spectra WORK [--pieces 512]

Writes WORK/spectra/NNNN.safetensors of 16 pieces ("0 latents" (128, frames), "0 magnitudes" and "0 plain" (2, bins, 2 frames), natural
logarithms, "0 coherence" and "0 decoded" (12, frames), …; float16), the first 12 s of each. A further call makes only what is missing. Needs WORK/codec.safetensors.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from pocket.material import piece as material
from pocket.material.synthesis import RATE
from tertium.engine.models.pocket_codec import FAINTEST, SpectralCodec

SHARD = 16


@dataclass(frozen=True)
class Piece:
    """One sound: its latents (128, frames); log magnitudes (2, bins, 2 * frames), in nepers, as they are and as plain decoding has them; coherence
    (12, frames) likewise."""

    latents: torch.Tensor
    magnitudes: torch.Tensor
    plain: torch.Tensor
    coherence: torch.Tensor
    decoded: torch.Tensor


def load_codec(work: Path) -> SpectralCodec:
    """The codec with the projection that was fitted in WORK."""
    codec = SpectralCodec()
    codec.load_state_dict(load_file(work / "codec.safetensors"))
    return codec


def analyse(codec: SpectralCodec, sound: torch.Tensor) -> Piece:
    """A sound (2, samples) as the piece of which its latents should be decoded to."""
    padded = torch.nn.functional.pad(sound, (0, -sound.shape[-1] % codec.downsampling_ratio))[None]
    features = codec.features(padded)
    latents = codec.encode(padded)
    decoded = codec.decode_features(latents)
    plain = codec.spectrum(decoded)[0].clamp(min=FAINTEST).log()
    groups = slice(-codec.groups, None)
    return Piece(latents[0], codec.log_magnitudes(padded)[0], plain[0], features[0, groups], decoded[0, groups])


def read(work: Path, known: set[str]) -> list[Piece]:
    """The pieces of all shards that are not ``known`` yet; their names are added to it."""
    pieces = []
    for path in sorted((work / "spectra").glob("*.safetensors")):
        if path.name not in known:
            tensors = load_file(path)
            pieces += [
                Piece(*(tensors[f"{place} {name}"] for name in Piece.__dataclass_fields__)) for place in range(SHARD)
            ]
            known.add(path.name)
    return pieces


def make_shard(work: Path, codec: SpectralCodec, number: int) -> None:
    """Render pieces 16 * number …; the file appears only when it is whole."""
    target = work / "spectra" / f"{number:04d}.safetensors"
    if target.exists():
        return
    tensors = {}
    for place in range(SHARD):
        audio, _, _ = material.piece(number * SHARD + place)
        piece = analyse(codec, torch.from_numpy(audio[:, : int(material.SECONDS * RATE)]))
        tensors |= {f"{place} {name}": getattr(piece, name).half().contiguous() for name in Piece.__dataclass_fields__}
    partial = target.with_suffix(".partial")
    save_file(tensors, partial)
    partial.rename(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--pieces", type=int, default=512)
    options = parser.parse_args()
    torch.set_num_threads(1)
    (options.work / "spectra").mkdir(parents=True, exist_ok=True)
    codec = load_codec(options.work)
    for number in range(-(-options.pieces // SHARD)):
        make_shard(options.work, codec, number)
        print(f"{(number + 1) * SHARD} pieces", flush=True)


if __name__ == "__main__":
    main()
