"""Train the embedded model from scratch: fit the codec, render the dataset, train, export. Steps that are done already are skipped.

Call it again to continue after an interruption, or with a larger --minutes to train longer.
"""

import argparse
import sys
from pathlib import Path

import torch

from pocket.codec import fit, points, train_phases
from pocket.material import dataset, instruments, origin, pool, provenance
from pocket.model import export, train


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pocket", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, metavar="WORK", help="working folder; is created, or continued")
    parser.add_argument(
        "--minutes", type=float, default=60, help="of training in all, earlier calls included; default 60"
    )
    parser.add_argument(
        "--pieces", type=int, default=dataset.PIECES, help=f"of training material; default {dataset.PIECES}"
    )
    parser.add_argument(
        "--codec-pieces", type=int, default=pool.PIECES, help=f"to fit the codec to; default {pool.PIECES}"
    )
    parser.add_argument(
        "--phase-minutes",
        type=float,
        default=train_phases.MINUTES,
        help=f"of training the codec's network; default {train_phases.MINUTES:.0f}",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that render material; default 2")
    parser.add_argument("--no-recordings", action="store_true", help="synthesised sounds only; needs no package")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where to export; default WORK/export")
    train.add_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Do all steps that are not done yet; return 2 if the recordings are missing."""
    options = arguments().parse_args(argv)
    origin.begin(options.work, with_recordings=not options.no_recordings)
    try:
        if not options.no_recordings:
            provenance.sources()  # the export needs them: a failure now is better than one after hours of training
            instruments.soundfont()
        pool.render(options.work, pieces=options.codec_pieces, workers=options.workers)
        points.save_points(options.work, fit.codec_of(options.work), pool.Pool(options.work / "pool"))
        train_phases.network_of(options.work, minutes=options.phase_minutes)
        dataset.render(options.work, pieces=options.pieces, workers=options.workers)
    except FileNotFoundError as error:
        print(f"pocket: {error}", file=sys.stderr)
        return 2
    train_rest(options)
    export.export(options.work, options.to or options.work / "export")
    return 0


def train_rest(options: argparse.Namespace) -> None:
    """Train for what is left of the minutes, resuming from the checkpoint if there is one."""
    torch.set_num_threads(options.threads)
    resume = (options.work / "checkpoint.pt").exists()
    run = train.start(options.work, torch.device(options.device), resume=resume)
    left = options.minutes - run.seconds / 60
    if left > 0 or not resume:
        train.train_with(options, run, minutes=left)
    else:
        print(f"Trained for {run.seconds / 60:.1f} min already; a larger --minutes trains longer.")


if __name__ == "__main__":
    sys.exit(main())
