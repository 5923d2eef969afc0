"""A pool of rendered training material on the disk, from which a codec's training draws crops.

    python -m pocket.material.pool WORK [--pieces 736] [--workers 2] [--no-recordings]

Writes WORK/pool/NNNN.npy, each (pieces, 2, 12 s) as 16-bit integers at 44.1 kHz. The long ones among the pieces are cut to 12 s. A later call renders only
the files that are missing.
"""

import functools
from pathlib import Path

import numpy
import torch

from pocket.material import origin, piece
from pocket.material.synthesis import RATE
from pocket.processes import mapper

FILE_PIECES = 32
PIECES = 736
SAMPLES = int(RATE * piece.SECONDS)


def make_file(number: int, *, folder: Path, with_recordings: bool, pieces: int) -> Path:
    """Render one file of a pool with so many pieces, of which a file holds :data:`FILE_PIECES`, unless it exists, and save it atomically."""
    target = folder / f"{number:04d}.npy"
    if target.exists():
        return target
    seeds = range(number * FILE_PIECES, min((number + 1) * FILE_PIECES, pieces))
    sounds = [piece.piece(seed, with_recordings=with_recordings)[0][:, :SAMPLES] for seed in seeds]
    partial = folder / f"{number:04d}.partial.npy"
    numpy.save(partial, numpy.round(numpy.clip(numpy.stack(sounds), -1, 1) * 32767).astype(numpy.int16))
    partial.rename(target)
    return target


def render(work: Path, *, pieces: int, workers: int) -> None:
    """Render the pool of a working folder, except what exists."""
    folder = work / "pool"
    folder.mkdir(parents=True, exist_ok=True)
    make = functools.partial(make_file, folder=folder, with_recordings=origin.has_recordings(work), pieces=pieces)
    with mapper(workers) as parallel:
        for path in parallel(make, range(-(-pieces // FILE_PIECES))):
            print(path.name, flush=True)


class Pool:
    """The rendered files of a working folder; those that appear later are found by :meth:`refresh`.

    Args:
        folder: WORK/pool.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._files: dict[str, numpy.ndarray] = {}
        self.refresh()

    def __len__(self) -> int:
        return sum(len(file) for file in self._files.values())

    def refresh(self) -> None:
        """Open files that are new."""
        for path in sorted(self._folder.glob("[0-9][0-9][0-9][0-9].npy")):
            if path.name not in self._files:
                self._files[path.name] = numpy.load(path, mmap_mode="r")

    def crops(self, rows: int, samples: int, generator: torch.Generator) -> torch.Tensor:
        """Return random crops (rows, 2, samples), float32, with random gain (−12 … 3 dB) and, in half of the cases, swapped channels.

        A crop that is silent is drawn again, up to eight times.
        """
        return torch.stack([self._crop(samples, generator) for _ in range(rows)])

    def _crop(self, samples: int, generator: torch.Generator) -> torch.Tensor:
        def below(end):
            return int(torch.randint(end, (), generator=generator))

        files = list(self._files.values())
        for _ in range(8):
            file = files[below(len(files))]
            row, start = below(len(file)), below(file.shape[2] - samples + 1)
            crop = torch.from_numpy(file[row, :, start : start + samples].astype(numpy.float32) / 32767)
            if crop.abs().max() > 1e-3:
                break
        gain = 10 ** ((float(torch.rand((), generator=generator)) * 15 - 12) / 20)
        return (crop.flip(0) if below(2) else crop) * gain


def main() -> None:
    options = origin.options(__doc__, pieces=PIECES)
    render(options.work, pieces=options.pieces, workers=options.workers)


if __name__ == "__main__":
    main()
