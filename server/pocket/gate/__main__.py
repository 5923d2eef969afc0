"""The gate that a new embedded model must pass, on twelve pairs of sounds that were in no training.

    python -m pocket.gate [MODEL] [--pairs 12] [--learned 3] [--seeds 2] [--steps 50] [--csv FILE]

MODEL is a folder, such as WORK/export. The shipped model is measured first, so that one sees where the other stands; without MODEL it is measured alone.
Printed are, for each method, means over the pairs with 95 % intervals (bootstrap over pairs), then the verdicts. The exit status is 1 if a verdict of the
last model is no.

Columns: likeness (log-mel, level removed) to the original, to the reference, to the lesser of both and to the fusion; onsets against the original's, partials
against the reference's (see ``likeness``); level in LU against the middle of the two sounds.
"""

import argparse
import csv
import sys
from pathlib import Path

import torch

from pocket.gate import baselines, measure, pairs, verdict
from tertium.engine.models.loaded_model import load_model


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pocket.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="folder of the model to judge; default: only the shipped one"
    )
    parser.add_argument("--pairs", type=int, default=len(pairs.PAIRS))
    parser.add_argument(
        "--learned", type=int, default=3, help="for how many pairs the reference is learned too; default 3"
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=pairs.SECONDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--csv", type=Path, help="a line for each model, pair and method")
    return parser


def judge(name: str, options: argparse.Namespace) -> tuple[bool, list[list]]:
    """Measure a model and print its tables; return whether it passes, and the lines for the file."""
    model = load_model(name, device="cpu")
    found = pairs.load(options.pairs, seconds=options.seconds)
    spread = baselines.statistics([model.encode(sound) for pair in found for sound in pair.sounds])
    settings = measure.Options(steps=options.steps, seeds=options.seeds)
    rows, figures, lines = [], [], []
    for number, pair in enumerate(found):
        of_pair, judged = measure.compare(model, pair, spread, settings, learn=number < options.learned)
        rows.append(of_pair)
        figures.append(judged)
        lines += [[name, pair.title, method, *values.values()] for method, values in of_pair.items()]
        print(f"{number + 1} of {len(found)}: {pair.title}", file=sys.stderr, flush=True)
    print(f"## {name}\n\n{verdict.table(rows)}\n")
    verdicts = verdict.verdicts(figures)
    print("\n".join([verdict.bound(figures), "", *verdict.sentences(verdicts)]) + "\n", flush=True)
    return all(each.passed for each in verdicts), lines


def main(argv: list[str] | None = None) -> int:
    """Judge the shipped model and then MODEL; return 1 if the last one fails."""
    options = arguments().parse_args(argv)
    torch.set_num_threads(options.threads)
    passed, lines = judge("pocket", options)
    if options.model:
        passed, more = judge(options.model, options)
        lines += more
    if options.csv:
        with options.csv.open("w", newline="") as file:
            csv.writer(file).writerows([["model", "pair", "method", *verdict.COLUMNS], *lines])
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
