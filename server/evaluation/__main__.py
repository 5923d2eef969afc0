"""``python -m evaluation``: measure the claims and write the report."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from pathlib import Path

from evaluation import figures, plan, report, sounds
from evaluation.claims import Verdict
from evaluation.figures import FigureModule
from evaluation.plan import Plan
from evaluation.tasks import Findings, TaskRunner
from tertium.engine.models.device import choose_device
from tertium.errors import TertiumError

ROOT = Path(__file__).parents[2]


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation", description="Measure the claims of the method and write a report."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report"), metavar="DIR", help="where to write; default report"
    )
    parser.add_argument("--model", default="pocket", help="name or folder; default pocket")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps; default auto")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=figures.BY_NAME,
        metavar="NAME",
        help=f"measure only these: {', '.join(figures.BY_NAME)}",
    )
    parser.add_argument("--compose", action="store_true", help="measure nothing: write the page again from the tables")
    parser.add_argument("--quick", action="store_true", help="a tiny version, to test the tool")
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="number of processes; default one for each core, at most 4, and 1 on a GPU",
    )
    parser.add_argument("--rate", type=float, help="learning rate of LoRA; default the engine's")
    parser.add_argument("--learned", type=Path, metavar="DIR", help="store the fine-tunes here for the next run")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Write the report; return 0 if all of it was written, 1 if a task failed, 2 if nothing could start, 130 if interrupted."""
    options = arguments().parse_args(argv)
    wanted = (
        plan.quick(options.model, options.device) if options.quick else Plan(model=options.model, device=options.device)
    )
    wanted = replace(wanted, rate=options.rate)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        if options.compose:
            return recompose(options.out)
        sounds.check(report.sound_names(wanted))
        return measure(options, wanted)
    except KeyboardInterrupt:
        print("Interrupted; the figures drawn so far remain.", file=sys.stderr)
        return 130
    except (TertiumError, FileNotFoundError, BrokenExecutor) as error:
        print(f"evaluation: {error}", file=sys.stderr)
        if remedy := getattr(error, "remedy", None):
            print(f"  {remedy}", file=sys.stderr)
        return 2


def measure(options: argparse.Namespace, wanted: Plan) -> int:
    """Train the fine-tunes, run the tasks, and write everything.

    Raises:
        FileNotFoundError: the table of a figure that a chosen one uses is missing.
    """
    chosen = [figures.BY_NAME[name] for name in options.only or figures.BY_NAME]
    jobs = options.jobs or default_jobs(options.device)
    check_used_tables(options.out, chosen)
    with TaskRunner(wanted, jobs=jobs, store=options.learned) as runner:
        runner.log(f"{len(chosen)} figures with {jobs} processes")
        runner.train(list(dict.fromkeys(fine_tune for figure in chosen for fine_tune in figure.fine_tunes(wanted))))
        writer = FigureWriter(options.out, chosen, wanted, runner.log)
        failures = runner.run([task for figure in chosen for task in figure.tasks(wanted)], writer.add)
        about = report.describe(options.out, wanted, runner.facts(), writer.drawn, seconds=runner.elapsed, jobs=jobs)
        verdicts = report.compose(options.out, wanted, about, [f"{f.task}: {f.message}" for f in failures])
        runner.log(f"written: {options.out / report.PAGE}")
    print_verdicts(verdicts)
    if not (options.quick or options.only or failures):
        write_summary(options.out, verdicts)
    return 1 if failures else 0


def check_used_tables(out: Path, chosen: Sequence[FigureModule]) -> None:
    """Check that tables which the chosen figures use are chosen too, or in the folder. Raises FileNotFoundError."""
    for figure in chosen:
        for name in figure.USES:
            if figures.BY_NAME[name] not in chosen and not (out / f"{name}.csv").exists():
                raise FileNotFoundError(
                    f"{figure.NAME} reads the table of {name}, which is not in {out}. Name both: --only {name} {figure.NAME}"
                )


class FigureWriter:
    """Writes each figure as soon as its findings, and those of the figures it uses, are complete.

    Args:
        out: folder of the report.
        chosen: the figures that are measured in this run.
        log: prints a line of progress.

    Attributes:
        drawn: names of the figures that have been written.
    """

    def __init__(self, out: Path, chosen: Sequence[FigureModule], plan: Plan, log: Callable[[str], None]):
        self._out, self._chosen, self._plan, self._log = out, chosen, plan, log
        self._findings: dict[str, Findings] = {}
        self.drawn: list[str] = []

    def add(self, name: str, findings: Findings) -> None:
        """Add the findings of a figure; write it, and those that waited for its table."""
        self._findings[name] = findings
        names = [figure.NAME for figure in self._chosen]
        for figure in self._chosen:
            needed = [each for each in (figure.NAME, *figure.USES) if each in names]
            if name in (figure.NAME, *figure.USES) and all(each in self._findings for each in needed):
                report.write_figure(self._out, figure, self._findings[figure.NAME], self._plan)
                self.drawn.append(figure.NAME)
                self._log(f"{figure.NAME} is drawn")


def recompose(out: Path) -> int:
    """Write the page, and the table in the project's README, from the stored tables and settings."""
    about = json.loads((out / report.SETTINGS).read_text("utf-8"))
    measured = Plan.of(about["settings"])
    verdicts = report.compose(out, measured, about)
    print_verdicts(verdicts)
    if not measured.is_tiny:
        write_summary(out, verdicts)
    return 0


def write_summary(out: Path, verdicts: list[Verdict]) -> None:
    """Write the summary into the project's README, if this is the project's own report."""
    if out.resolve() == ROOT / "report":
        written = report.splice(ROOT / "README.md", verdicts)
        marks = f"{report.BEGIN} and {report.END}"
        print(
            f"README.md: {'the summary is written' if written else f'no marks ({marks}), so no summary'}",
            file=sys.stderr,
        )


def print_verdicts(verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        print(f"{verdict.verdict:14} {verdict.claim}\n{'':14} {verdict.measured}")


def default_jobs(device: str) -> int:
    """Return the number of processes: one for each core, at most 4; 1 on a GPU."""
    if choose_device(device).type != "cpu":
        return 1
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


if __name__ == "__main__":
    sys.exit(main())
