"""Figure 4: the fusion window of every pair, led by the reference as it is and by a learned one."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import curves, plotting
from evaluation.claims import Verdict, grade, share
from evaluation.fine_tunes import Lesson
from evaluation.plan import Pair, Plan
from evaluation.tables import Row, markdown, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate

NAME, TITLE = "windows", "The fusion window"
COLUMNS = curves.COLUMNS
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()
TOLERANCE, MOST = 0.02, 0.75


def lessons(plan: Plan) -> list[Lesson]:
    return [plan.lesson(reference) for _, reference in plan.taught_pairs]


def tasks(plan: Plan) -> list[Task]:
    instant = [Task(NAME, " | ".join(pair), functools.partial(measured, pair=pair, lesson=None)) for pair in plan.pairs]
    learned = [
        Task(NAME, " | ".join(pair) + ", learned", functools.partial(measured, pair=pair, lesson=plan.lesson(pair[1]))) for pair in plan.taught_pairs
    ]  # fmt: skip
    return instant + learned


def measured(bench: Bench, *, pair: Pair, lesson: Lesson | None) -> Findings:
    return Findings(curves.measure(bench, pair, lesson=lesson))


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    found = curves.grouped(tables[NAME], "original", "reference", "led_by")
    across = min(5 if len(found) > 8 else 4, len(found))
    down = -(-len(found) // across)
    drawn = plotting.figure(2.6 * across + 0.6, 2.3 * down + 1.1)
    panels = drawn.subplots(down, across, sharey=True, squeeze=False)
    for panel in panels.flat[len(found) :]:
        panel.set_visible(False)
    for panel, ((original, reference, led_by), rows) in zip(panels.flat, found.items(), strict=False):
        reading, x = curves.read(rows), curves.places(rows)
        panel.axvspan(reading.begin, reading.end, color="0.92", zorder=0)
        panel.axvline(reading.equilibrium, color="0.3", linewidth=1, linestyle=":")
        for column, colour, style, label in (
            ("to_original", plotting.ORIGINAL, "o-", "like the original"), ("to_reference", plotting.REFERENCE, "o-", "like the reference"),
            ("unexplained", plotting.NEITHER, "--", "of neither: what no mix of the two explains"),
        ):  # fmt: skip
            panel.plot(x, [row[column] for row in rows], style, color=colour, markersize=3, linewidth=1.6, label=label)
        panel.set_title(
            f"{original} into {reference}" + (" (learned)" if led_by == curves.LEARNED else ""), fontsize=9.5
        )
        panel.tick_params(labelsize=8)
        plotting.quiet(panel)
    for panel in panels[:, 0]:
        panel.set_ylabel("likeness", fontsize=9)
    for panel in list(panels.flat)[max(0, len(found) - across) : len(found)]:
        panel.set_xlabel(f"original enters at step … of {plan.steps}", fontsize=8.5)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    drawn.suptitle("Fusion windows, original into reference; shaded: the window, dotted: the equilibrium, leftmost point: the reference alone", fontsize=11)  # fmt: skip
    return {FILES[0]: drawn}


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    made = []
    for led_by, title in ((curves.INSTANT, "the reference as it is, held"), (curves.LEARNED, "a learned reference")):
        readings = [
            curves.read(rows)
            for rows in curves.grouped(where(tables[NAME], led_by=led_by), "original", "reference").values()
        ]
        if not readings:
            continue
        steady = sum(reading.step_back <= TOLERANCE for reading in readings)
        inside = sum(reading.inside for reading in readings)
        worst = max(reading.step_back for reading in readings)
        anywhere = max(reading.step_back_anywhere for reading in readings)
        of = len(readings)
        text = f"monotone in {share(steady, of)} pairs (largest step back {worst:.2f}; with what lies before the window {anywhere:.2f}), equilibrium inside in {share(inside, of)}"
        criterion = f"held: in every pair, from where the window begins, no step back of either likeness above {TOLERANCE}, and the equilibrium within the window; in part: each of the two in {MOST:.0%} of the pairs"
        result = grade(steady == inside == of, min(steady, inside) >= MOST * of)
        made.append(Verdict(f"Fusion window: within it the result goes steadily from reference to original as k grows, the equilibrium inside ({title})", text, result, criterion))  # fmt: skip
    return made


def tell(tables: dict[str, list[Row]], plan: Plan) -> str:
    before = [row["to_original"] for row in where(tables[NAME], led_by=curves.INSTANT, intervention=None)]
    body = []
    for (original, reference, led_by), rows in curves.grouped(tables[NAME], "original", "reference", "led_by").items():
        r = curves.read(rows)
        back = f"{r.step_back:.3f}" + (f" at {r.at}" if r.step_back > TOLERANCE else "")
        body.append([original, reference, led_by, f"{r.begin:.1f} … {r.end:.1f}", f"{r.equilibrium:.1f}", "yes" if r.inside else "no", r.both / 2, r.unexplained, back, f"{r.step_back_anywhere:.3f}"])  # fmt: skip
    head = [
        "original",
        "reference",
        "led by",
        "window",
        "equilibrium",
        "inside",
        "likeness to each there",
        "unexplained, at most",
        "largest step back",
        "with what lies before the window",
    ]
    return f"""SDE of order 3, clean anchor, {plan.steps} steps. `instant`: the reference leads as it is and is held at {plan.hold:g} in the completion; `learned`: its prompt leads the model that learned it, and the
completion has the null prompt alone (its likeness to the reference is to what the prompt alone makes). The window is where a tenth to nine tenths of the way is gone. The paper says that the result goes over gradually within the window; so the largest step back is
the largest fall of the likeness to the original, or rise of that to the reference, between any two points from where the window begins (half of it is how far the nearest monotone curve is off). What lies before the
window is told beside it: there, an instant reference is only as strong as its hold, while the reference alone is whole. Step N − 2 = {plan.steps - 2} is known to lean
back to the reference: after it only the last prediction follows; `blend` passes it over. Two sounds are never wholly unlike: these are {min(before):.2f} to {max(before):.2f} alike before anything is done with them.

{markdown(head, body)}"""
