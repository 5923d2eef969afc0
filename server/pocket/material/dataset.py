"""Render training material and keep its latents and captions, in shards.

    python -m pocket.material.dataset WORK [--pieces 1536] [--workers 2]

Writes WORK/shards/NNNN.safetensors (one tensor "0" … "31" a piece, (128, frames), float16, captions in the metadata). A further call makes
only the shards that are missing. Needs WORK/codec.safetensors.
"""

import argparse
import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pocket.material import piece
from tertium.engine.models.pocket_codec import SpectralCodec

SHARD = 32


@dataclass(frozen=True)
class Item:
    """Latents (128, frames), their caption, and the kind of piece they are."""

    latents: torch.Tensor
    caption: str
    kind: str


def make_shard(job: tuple[Path, int]) -> Path:
    """Render pieces 32 * number … and write them; the file appears only when it is whole."""
    torch.set_num_threads(1)
    work, number = job
    target = work / "shards" / f"{number:04d}.safetensors"
    if target.exists():
        return target
    codec = SpectralCodec()
    codec.load_state_dict(load_file(work / "codec.safetensors"))
    latents, about = {}, []
    for place in range(SHARD):
        audio, caption, kind = piece.piece(number * SHARD + place)
        latents[str(place)] = codec.encode(torch.from_numpy(audio)[None])[0].half().contiguous()
        about.append([caption, kind])
    partial = target.with_suffix(".partial")
    save_file(latents, partial, metadata={"captions": json.dumps(about)})
    partial.rename(target)
    return target


def read_shards(work: Path, known: frozenset[str] = frozenset()) -> tuple[list[Item], frozenset[str]]:
    """The items of all shards that are not ``known`` yet, and the names of all shards."""
    items, names = [], set(known)
    for path in sorted((work / "shards").glob("*.safetensors")):
        if path.name in known:
            continue
        with safe_open(path, "pt") as shard:
            about = json.loads(shard.metadata()["captions"])
            items += [
                Item(shard.get_tensor(str(place)).float(), caption, kind) for place, (caption, kind) in enumerate(about)
            ]
        names.add(path.name)
    return items, frozenset(names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--pieces", type=int, default=1536)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    (options.work / "shards").mkdir(parents=True, exist_ok=True)
    jobs = [(options.work, number) for number in range(-(-options.pieces // SHARD))]
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        for done, path in enumerate(pool.imap(make_shard, jobs), 1):
            print(f"{path.name}: {done} of {len(jobs)} shards", flush=True)


if __name__ == "__main__":
    main()
