"""Render training material and save its latents and captions, in shards.

    python -m pocket.material.dataset WORK [--pieces 3072] [--workers 2] [--no-recordings]

Writes WORK/shards/NNNN.safetensors (one tensor "0" … "31" for each piece, (256, frames), float16; captions in the metadata). A later call
renders only shards that are missing or hold fewer pieces than asked for. Needs WORK/codec.safetensors.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pocket.codec.fit import codec_of
from pocket.material import origin, piece, recordings
from pocket.processes import mapper

SHARD = 32
PIECES = 3072


@dataclass(frozen=True)
class Item:
    """Latents (256, frames), their caption, and the kind of piece they are."""

    latents: torch.Tensor
    caption: str
    kind: str


@dataclass(frozen=True)
class ShardJob:
    """A shard to render: its number, and how many pieces it is to hold, at most :data:`SHARD`."""

    work: Path
    number: int
    pieces: int

    @property
    def target(self) -> Path:
        return self.work / "shards" / f"{self.number:04d}.safetensors"

    def is_done(self) -> bool:
        """Return whether the file holds these pieces already."""
        if not self.target.exists():
            return False
        with safe_open(self.target, "pt") as shard:
            return len(shard.keys()) >= self.pieces


def make_shard(job: ShardJob) -> Path:
    """Render the pieces 32 * number … and save them atomically."""
    if job.is_done():
        return job.target
    codec = codec_of(job.work)
    with_recordings = origin.has_recordings(job.work)
    latents, about = {}, []
    for place in range(job.pieces):
        audio, caption, kind = piece.piece(job.number * SHARD + place, with_recordings=with_recordings)
        latents[str(place)] = codec.encode(torch.from_numpy(audio)[None])[0].half().contiguous()
        about.append([caption, kind])
    partial = job.target.with_suffix(".partial")
    save_file(latents, partial, metadata={"captions": json.dumps(about)})
    partial.rename(job.target)
    return job.target


def render(work: Path, *, pieces: int, workers: int) -> None:
    """Render the first ``pieces`` pieces of training material, except what exists."""
    (work / "shards").mkdir(parents=True, exist_ok=True)
    jobs = [ShardJob(work, first // SHARD, min(SHARD, pieces - first)) for first in range(0, pieces, SHARD)]
    missing = [job for job in jobs if not job.is_done()]
    if not missing:
        return print(f"{work / 'shards'} has its {pieces} pieces already.")
    if origin.has_recordings(work):
        recordings.names()  # raises early where they are missing
    with mapper(workers) as parallel:
        for done, path in enumerate(parallel(make_shard, missing), 1):
            print(f"{path.name}: {done} of {len(missing)} shards", flush=True)


def read_shards(work: Path, known: frozenset[str] = frozenset()) -> tuple[list[Item], frozenset[str]]:
    """Return the items of all shards whose names are not in ``known``, and the names of all shards."""
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
    options = origin.options(__doc__, pieces=PIECES)
    render(options.work, pieces=options.pieces, workers=options.workers)


if __name__ == "__main__":
    main()
