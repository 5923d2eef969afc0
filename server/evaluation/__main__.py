"""``python -m evaluation``: measure the claims and write the report."""

import argparse
import json
import os
import sys
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from pathlib import Path

from evaluation import figures, plan, report, sounds
from evaluation.claims import Verdict
from evaluation.plan import Plan
from evaluation.tasks import Findings, Workshop
from tertium.engine.models.device import choose_device
from tertium.errors import TertiumError

ROOT = Path(__file__).parents[2]


def arguments() -> argparse.ArgumentParser:
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
    parser.add_argument("--compose", action="store_true", help="measure nothing: write the page anew from the tables")
    parser.add_argument("--quick", action="store_true", help="a tiny version, to see the tool work")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes; default one a core, up to 4, and 1 on a GPU")
    parser.add_argument("--rate", type=float, help="learning rate of LoRA; default the engine's")
    parser.add_argument("--learned", type=Path, metavar="DIR", help="keep what is learned here for the next run")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Write the report; 0 when all of it was made, 1 when something failed, 2 when nothing could begin."""
    options = arguments().parse_args(argv)
    wanted = (
        plan.quick(options.model, options.device) if options.quick else Plan(model=options.model, device=options.device)
    )
    wanted = replace(wanted, rate=options.rate)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        if options.compose:
            return recompose(options.out)
        sounds.check(report.names_of(wanted))
        return measure(options, wanted)
    except KeyboardInterrupt:
        print("Interrupted; what is drawn is kept.", file=sys.stderr)
        return 130
    except (TertiumError, FileNotFoundError, BrokenExecutor) as error:
        print(f"evidence: {error}", file=sys.stderr)
        if remedy := getattr(error, "remedy", None):
            print(f"  {remedy}", file=sys.stderr)
        return 2


def measure(options: argparse.Namespace, wanted: Plan) -> int:
    """Learn, carry out the tasks, and write everything."""
    chosen = [figures.BY_NAME[name] for name in options.only or figures.BY_NAME]
    names = [figure.NAME for figure in chosen]
    jobs = options.jobs or default_jobs(options.device)
    for figure in chosen:
        for name in figure.USES:
            if figures.BY_NAME[name] not in chosen and not (options.out / f"{name}.csv").exists():
                raise FileNotFoundError(f"{figure.NAME} reads the table of {name}, which is not in {options.out}. Name both: --only {name} {figure.NAME}")  # fmt: skip
    with Workshop(wanted, jobs=jobs, learned=options.learned) as workshop:
        workshop.say(f"{len(chosen)} figures with {jobs} processes")
        workshop.teach(list(dict.fromkeys(lesson for figure in chosen for lesson in figure.lessons(wanted))))
        made: dict[str, Findings] = {}
        drawn: list[str] = []

        def keep(name: str, findings: Findings) -> None:
            made[name] = findings
            for figure in chosen:  # one that reads another's table may have been ready before it
                if name in (figure.NAME, *figure.USES) and all(
                    used in made for used in (figure.NAME, *figure.USES) if used in names
                ):
                    report.keep(options.out, figure, made[figure.NAME], wanted)
                    drawn.append(figure.NAME)
                    workshop.say(f"{figure.NAME} is drawn")

        failures = workshop.carry_out([task for figure in chosen for task in figure.tasks(wanted)], keep)
        about = report.describe(options.out, wanted, workshop.facts(), drawn, seconds=workshop.elapsed, jobs=jobs)
        verdicts = report.compose(options.out, wanted, about, [f"{f.task}: {f.message}" for f in failures])
        workshop.say(f"written: {options.out / report.PAGE}")
    tell(verdicts)
    if not (options.quick or options.only or failures):
        quote(options.out, verdicts)
    return 1 if failures else 0


def recompose(out: Path) -> int:
    """Write the page, and the table in the project's README, from the tables and settings as they are."""
    about = json.loads((out / report.SETTINGS).read_text("utf-8"))
    made = Plan.of(about["settings"])
    verdicts = report.compose(out, made, about)
    tell(verdicts)
    if not made.is_tiny:
        quote(out, verdicts)
    return 0


def quote(out: Path, verdicts: list[Verdict]) -> None:
    """Put the summary into the project's README, if this is the project's report."""
    if out.resolve() == ROOT / "report":
        done = report.splice(ROOT / "README.md", verdicts)
        marks = f"{report.BEGIN} and {report.END}"
        print(
            f"README.md: {'the summary is written' if done else f'no marks ({marks}), so no summary'}", file=sys.stderr
        )


def tell(verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        print(f"{verdict.verdict:14} {verdict.claim}\n{'':14} {verdict.measured}")


def default_jobs(device: str) -> int:
    """One a core, at most 4; 1 where a GPU computes."""
    if choose_device(device).type != "cpu":
        return 1
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


if __name__ == "__main__":
    sys.exit(main())
