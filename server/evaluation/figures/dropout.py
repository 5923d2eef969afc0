"""The effect of null-prompt dropout in training on the prompt, the null prompt, and the window."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import curves, plotting
from evaluation.claims import Verdict, positive
from evaluation.fine_tunes import FineTune
from evaluation.intervals import difference, interval, over
from evaluation.plan import Pair, Plan
from evaluation.tables import Row, markdown, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine import operations
from tertium.engine.settings import GenerateSettings

NAME, TITLE = "dropout", "Null-prompt dropout in training"
COLUMNS = (*curves.COLUMNS, "prompt_alone", "null_alone")
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()
SAME = 0.02
UNIT = ("reference",)


def fine_tunes(plan: Plan) -> list[FineTune]:
    return [
        plan.fine_tune(reference, null_dropout=rate) for _, reference in plan.dropout_pairs for rate in plan.dropouts
    ]


def tasks(plan: Plan) -> list[Task]:
    return [
        Task(NAME, f"{' | '.join(pair)}, {rate:g}", functools.partial(measure, pair=pair, fine_tune=plan.fine_tune(pair[1], null_dropout=rate)))
        for pair in plan.dropout_pairs for rate in plan.dropouts
    ]  # fmt: skip


def measure(bench: Bench, *, pair: Pair, fine_tune: FineTune) -> Findings:
    """Measure the curve of one pair with one fine-tune, and the likeness to the reference of generations by its prompt and by the null prompt alone."""
    plan = bench.plan

    def alone(prompt: str) -> float:
        generated = [
            operations.generate(
                bench.fine_tuned(fine_tune), GenerateSettings(prompt=prompt, seconds=plan.seconds, guidance=1.0, steps=plan.steps, seed=seed)
            )
            for seed in plan.seeds[:2]
        ]  # fmt: skip
        return sum(bench.likeness_to(audio, fine_tune.reference) for audio in generated) / len(generated)

    about = {"prompt_alone": alone(fine_tune.prompt), "null_alone": alone("")}
    return Findings([row | about for row in curves.measure(bench, pair, fine_tune=fine_tune)])


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    pairs = curves.grouped(tables[NAME], "original", "reference")
    drawn = plotting.figure(11.5, 3.0 * len(pairs) + 0.9)
    panels = drawn.subplots(len(pairs), 3, squeeze=False)
    for (left, centre, right), ((original, reference), rows) in zip(panels, pairs.items(), strict=True):
        rates = values(rows, "null_dropout")
        curve = {rate: where(rows, null_dropout=rate) for rate in rates}
        left.plot(
            rates, [curve[r][0]["prompt_alone"] for r in rates], "o-", color=plotting.REFERENCE, label="its prompt"
        )
        left.plot(
            rates, [curve[r][0]["null_alone"] for r in rates], "s--", color=plotting.NEITHER, label="the null prompt"
        )
        left.set(title=f"{reference}: likeness, from noise", ylabel="likeness", ylim=(0, 1.05))
        left.legend(frameon=False, fontsize=8, loc="best")
        for place, rate in enumerate(rates):
            mine, colour = curve[rate], plotting.PALETTE[place]
            centre.plot(curves.places(mine), [r["to_original"] for r in mine], "o-", color=colour, markersize=3, linewidth=1.6, label=f"dropout {rate:g}")  # fmt: skip
            centre.plot(
                curves.places(mine), [r["to_reference"] for r in mine], "o--", color=colour, markersize=3, linewidth=1.2
            )
        centre.set(title=f"{original} into {reference}: to the original (solid), the reference (dashed)")
        readings = [curves.read(curve[rate]) for rate in rates]
        right.plot(
            rates,
            [r.both / 2 for r in readings],
            "o-",
            color=plotting.PALETTE[0],
            label="likeness to each at the equilibrium",
        )
        right.plot(
            rates,
            [r.width / plan.steps for r in readings],
            "s--",
            color=plotting.PALETTE[1],
            label="width of the window / N",
        )
        right.set(title=f"{original} into {reference}: the window", ylim=(0, 1.12))
        right.legend(frameon=False, fontsize=8, loc="upper left")
        for panel in (left, centre, right):
            panel.title.set_fontsize(9.5)
            plotting.quiet(panel)
    for panel in (panels[-1, 0], panels[-1, 2]):
        panel.set_xlabel("share of null prompts in training")
    panels[-1, 1].set_xlabel(f"original enters at step … of {plan.steps}")
    drawn.legend(
        *panels[0, 1].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(plan.dropouts),
        frameon=False,
        fontsize=9,
    )
    return {FILES[0]: drawn}


def scores(rows: Sequence[Row]) -> dict[float, tuple[float, float]]:
    """Return by rate, as means over the pairs, the sum of both likenesses at the equilibrium, and the width as a fraction of all steps."""
    found: dict[float, tuple[float, float]] = {}
    for rate in values(rows, "null_dropout"):
        readings = [
            curves.read(of) for of in curves.grouped(where(rows, null_dropout=rate), "original", "reference").values()
        ]
        found[rate] = (
            sum(r.both for r in readings) / len(readings),
            sum(r.width for r in readings) / len(readings) / rows[0]["steps"],
        )
    return found


def best(rows: Sequence[Row]) -> float:
    """Return the rate with the largest score: sum of likenesses plus width."""
    found = scores(rows)
    return max(found, key=lambda rate: sum(found[rate]))


def choice(rows: Sequence[Row]) -> str:
    """Describe the best rate, or state that the rate makes no difference, where all scores lie within :data:`SAME`."""
    totals = [sum(score) for score in scores(rows).values()]
    if max(totals) - min(totals) < SAME:
        return f"the window is the same at every rate (scores within {max(totals) - min(totals):.3f})"
    return f"the best window (width and likenesses) at {best(rows):g}"


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = tables[NAME]
    rates = values(rows, "null_dropout")
    low, high = min(rates), max(rates)
    gain = difference(where(rows, null_dropout=high), where(rows, null_dropout=low), "null_alone", UNIT)
    alone = ", ".join(over(where(rows, null_dropout=rate), "null_alone", UNIT).text() for rate in rates)
    text = f"null prompt alone, {high:g} over {low:g}: {gain.text(3, signed=True)} over {gain.count} references (at {', '.join(f'{r:g}' for r in rates)}: {alone}); {choice(rows)}"
    criterion = f"held: over the references, the interval of the likeness of the null prompt alone to the reference, at dropout {high:g} over that at {low:g}, lies above 0; did not hold: below"
    return [Verdict("Null-prompt dropout in training draws the null prompt to the reference", text, positive(gain), criterion)]  # fmt: skip


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    body = []
    for (original, reference, rate), of in curves.grouped(rows, "original", "reference", "null_dropout").items():
        r = curves.read(of)
        body.append([original, reference, f"{rate:g}", of[0]["prompt_alone"], of[0]["null_alone"], f"{r.begin:.1f} … {r.end:.1f}", f"{r.width:.1f}", f"{r.equilibrium:.1f}", r.both / 2, f"{r.step_back:.3f}"])  # fmt: skip
    means = []
    for rate in values(rows, "null_dropout"):
        of = [curves.read(each) for each in curves.grouped(where(rows, null_dropout=rate), "original", "reference").values()]  # fmt: skip
        shown = ([r.both / 2 for r in of], [r.width / plan.steps for r in of], [r.both + r.width / plan.steps for r in of])  # fmt: skip
        means.append([f"{rate:g}", *(interval(column).text() for column in shown)])
    head = ["original", "reference", "null dropout", "prompt alone", "null alone", "window", "width", "equilibrium", "likeness to each there", "largest step back"]  # fmt: skip
    return f"""Null dropout is the share of rows that are trained under the null prompt. Prompt alone and null prompt alone: likeness of generations from noise, means of {len(plan.seeds[:2])} seeds. The completion of the fusions uses the null prompt alone, without a hold.

{markdown(head, body)}

Means over the pairs; the score is the sum of both likenesses at the equilibrium, plus the width as a fraction of all steps:

{markdown(["null dropout", "likeness to each at the equilibrium", "width / N", "score"], means)}

By that score: {choice(rows)}."""
