"""Everything at once for some minutes, and a table of what was promised and what was kept.

    python -m benchmarks.soak [MINUTES] [--engine fake|pocket] [--seed 0] [--json FILE] [--watch]

A daemon with an engine that takes its time without a model (or with the embedded model) stands under all of :mod:`benchmarks.soak.loads`, while its
worker and, in the first half, the daemon itself are killed. Beside them, clients that have nothing to do with any of this ask for ``status`` twenty
times a second, and the same is asked of a plain echo: the part of a wait that the echo has too is the machine's. In the end the daemon is killed and
started once more, what waits is cancelled but for a few jobs, and every job that was ever accepted is looked for.

The exit status is 0 if nothing was lost, doubled, partial or answered otherwise than promised, and the daemon did not grow. Times are reported only.
It binds and sends to this machine alone, and ends all that it started, after Ctrl-C too.
"""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.soak.report import failures, figures, table
from benchmarks.soak.stage import ENGINES, Stage

LONGEST = 24 * 60.0  # minutes


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float, nargs="?", default=5.0)
    parser.add_argument("--engine", choices=ENGINES, default="fake")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--watch", action="store_true", help="log what holds the event loop up, with a stack")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it ends what it started
    program = "benchmarks.soak.serve_watched" if options.watch else "tests.end_to_end.serve"
    with tempfile.TemporaryDirectory(prefix="tertium-soak-", ignore_cleanup_errors=True) as folder:
        with Stage(Path(folder), engine=options.engine, seed=options.seed, program=program) as stage:
            stage.play(min(options.minutes, LONGEST) * 60)
            made = figures(stage, settling=stage.settle())
        if options.watch:
            held = [
                line
                for line in (Path(folder) / "home" / "log").read_text(errors="replace").splitlines()
                if "held" in line
            ]
            print("\n".join(held))
    print(table(made))
    if options.json:
        options.json.write_text(
            json.dumps({"minutes": options.minutes, "engine": options.engine, **made}, indent=1) + "\n"
        )
    failed = failures(made)
    print("\n".join(f"FAILED: {one}" for one in failed) or "passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
