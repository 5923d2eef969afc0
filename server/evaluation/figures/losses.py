"""The loss of every training job of the report, step by step."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict
from evaluation.figures import dropout, prompt
from evaluation.fine_tunes import FineTune
from evaluation.plan import Plan
from evaluation.tables import Row, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate

NAME, TITLE = "losses", "The loss of every training job"
COLUMNS = ("lesson", "reference", "method", "null_dropout", "step", "loss")
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()


def fine_tunes(plan: Plan) -> list[FineTune]:
    return list(dict.fromkeys([*prompt.fine_tunes(plan), *dropout.fine_tunes(plan)]))


def tasks(plan: Plan) -> list[Task]:
    return [Task(NAME, label(one), functools.partial(collect, fine_tune=one)) for one in fine_tunes(plan)]


def label(fine_tune: FineTune) -> str:
    return f"{fine_tune.reference}, {fine_tune.method}, null dropout {fine_tune.null_dropout:g}"


def collect(bench: Bench, *, fine_tune: FineTune) -> Findings:
    about = {
        "lesson": label(fine_tune),
        "reference": fine_tune.reference,
        "method": fine_tune.method,
        "null_dropout": fine_tune.null_dropout,
    }
    return Findings([{**about, "step": step, "loss": loss} for step, loss in enumerate(bench.losses(fine_tune))])


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    rows = tables[NAME]
    drawn = plotting.figure(8.5, 4.6)
    panel = drawn.subplots()
    references = values(rows, "reference")
    for name in values(rows, "lesson"):
        mine = where(rows, lesson=name)
        smooth = running_mean([row["loss"] for row in mine], max(1, len(mine) // 15))
        dropouts = sorted(values(where(rows, reference=mine[0]["reference"], method="lora"), "null_dropout"))
        style = "--" if mine[0]["method"] == "full" else "-"
        faint = (
            0.35 + 0.65 * (dropouts.index(mine[0]["null_dropout"]) + 1) / len(dropouts)
            if mine[0]["method"] == "lora"
            else 1.0
        )
        colour = plotting.PALETTE[references.index(mine[0]["reference"]) % len(plotting.PALETTE)]
        panel.plot(range(1, len(smooth) + 1), smooth, style, color=colour, alpha=faint, linewidth=1.6, label=name)
    plotting.quiet(panel)
    panel.set(title="Training loss (running mean); fainter: less null dropout", xlabel="step of the optimiser", ylabel="mean squared error", yscale="log")  # fmt: skip
    drawn.legend(loc="outside right upper", frameon=False, fontsize=8)
    return {FILES[0]: drawn}


def running_mean(numbers: Sequence[float], width: int) -> list[float]:
    """Return for each position the mean of the last ``width`` numbers, or of as many as there are."""
    return [sum(numbers[max(0, i + 1 - width) : i + 1]) / min(i + 1, width) for i in range(len(numbers))]


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    return []


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    return f"The rows of a batch cover the noise levels evenly, so the loss varies little from step to step; the curves are running means over {max(1, plan.training_steps // 15)} steps."
