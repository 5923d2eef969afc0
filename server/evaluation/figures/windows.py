"""Figure 4: the fusion window of every pair, with an instant reference and with a learned one."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import curves, plotting
from evaluation.claims import Verdict, below, share
from evaluation.fine_tunes import FineTune
from evaluation.intervals import interval
from evaluation.plan import Pair, Plan
from evaluation.tables import Row, markdown, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate

NAME, TITLE = "windows", "The fusion window"
COLUMNS = curves.COLUMNS
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()
TOLERANCE = 0.02


def fine_tunes(plan: Plan) -> list[FineTune]:
    return [plan.fine_tune(reference) for _, reference in plan.trained_pairs]


def tasks(plan: Plan) -> list[Task]:
    instant = [
        Task(NAME, " | ".join(pair), functools.partial(measure, pair=pair, fine_tune=None)) for pair in plan.pairs
    ]
    learned = [
        Task(NAME, " | ".join(pair) + ", learned", functools.partial(measure, pair=pair, fine_tune=plan.fine_tune(pair[1]))) for pair in plan.trained_pairs
    ]  # fmt: skip
    return instant + learned


def measure(bench: Bench, *, pair: Pair, fine_tune: FineTune | None) -> Findings:
    return Findings(curves.measure(bench, pair, fine_tune=fine_tune))


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    pairs = curves.grouped(tables[NAME], "original", "reference", "led_by")
    across = min(5 if len(pairs) > 8 else 4, len(pairs))
    down = -(-len(pairs) // across)
    drawn = plotting.figure(2.6 * across + 0.6, 2.3 * down + 1.1)
    panels = drawn.subplots(down, across, sharey=True, squeeze=False)
    for panel in panels.flat[len(pairs) :]:
        panel.set_visible(False)
    for panel, ((original, reference, led_by), rows) in zip(panels.flat, pairs.items(), strict=False):
        reading, x = curves.read(rows), curves.places(rows)
        panel.axvspan(reading.begin, reading.end, color="0.92", zorder=0)
        panel.axvline(reading.equilibrium, color="0.3", linewidth=1, linestyle=":")
        for column, colour, style, label in (
            ("to_original", plotting.ORIGINAL, "o-", "like the original"), ("to_reference", plotting.REFERENCE, "o-", "like the reference"),
            ("unexplained", plotting.NEITHER, "--", "unexplained by any mix of the two"),
        ):  # fmt: skip
            panel.plot(x, [row[column] for row in rows], style, color=colour, markersize=3, linewidth=1.6, label=label)
        panel.set_title(
            f"{original} into {reference}" + (" (learned)" if led_by == curves.LEARNED else ""), fontsize=9.5
        )
        panel.tick_params(labelsize=8)
        plotting.quiet(panel)
    for panel in panels[:, 0]:
        panel.set_ylabel("likeness", fontsize=9)
    for panel in list(panels.flat)[max(0, len(pairs) - across) : len(pairs)]:
        panel.set_xlabel(f"original enters at step … of {plan.steps}", fontsize=8.5)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    drawn.suptitle("Fusion windows, original into reference; shaded: the window, dotted: the equilibrium, leftmost point: the reference alone", fontsize=11)  # fmt: skip
    return {FILES[0]: drawn}


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    results = []
    for led_by, title in ((curves.INSTANT, "instant reference, with hold"), (curves.LEARNED, "learned reference")):
        readings = [
            curves.read(rows)
            for rows in curves.grouped(where(tables[NAME], led_by=led_by), "original", "reference").values()
        ]
        if not readings:
            continue
        back = interval(reading.step_back for reading in readings)
        steady = sum(reading.step_back <= TOLERANCE for reading in readings)
        text = (
            f"largest step back {back.text(3)} over {len(readings)} pairs (at most {max(reading.step_back for reading in readings):.3f}; within {TOLERANCE} in {share(steady, len(readings))}); "
            f"including the part before the window {interval(reading.step_back_anywhere for reading in readings).text(3)}"
        )
        criterion = f"held: the interval, over pairs, of the largest step back of either likeness from the beginning of the window lies below {TOLERANCE}; did not hold: above"
        results.append(Verdict(f"Within the fusion window the result moves steadily from reference to original as k grows ({title})", text, below(back, TOLERANCE), criterion))  # fmt: skip
    return results


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    before = [row["to_original"] for row in where(tables[NAME], led_by=curves.INSTANT, intervention=None)]
    body = []
    for (original, reference, led_by), rows in curves.grouped(tables[NAME], "original", "reference", "led_by").items():
        r = curves.read(rows)
        back = f"{r.step_back:.3f}" + (f" at {r.at}" if r.step_back > TOLERANCE else "")
        body.append([original, reference, led_by, f"{r.begin:.1f} … {r.end:.1f}", f"{r.equilibrium:.1f}", "yes" if r.inside else "no", r.both / 2, r.unexplained, back, f"{r.step_back_anywhere:.3f}"])  # fmt: skip
    means = []
    for led_by in (curves.INSTANT, curves.LEARNED):
        of = [curves.read(rows) for rows in curves.grouped(where(tables[NAME], led_by=led_by), "original", "reference").values()]  # fmt: skip
        shown = (
            [r.width for r in of],
            [r.equilibrium for r in of],
            [r.both / 2 for r in of],
            [r.step_back for r in of],
        )
        means.append([led_by, len(of), *(interval(column).text(digits) for column, digits in zip(shown, (1, 1, 2, 3), strict=True))])  # fmt: skip
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
        "including before the window",
    ]
    return f"""SDE of order 3, clean anchor, {plan.steps} steps. `instant`: the reference itself leads, and is held at {plan.hold:g} in the completion; `learned`: its prompt leads the model that was fine-tuned on it, and the
completion uses the null prompt alone (likeness to the reference is then likeness to the generation from the prompt alone). The window reaches from a tenth to nine tenths of the way. The paper says that the result changes gradually
within the window. The largest step back is therefore the largest decrease of the likeness to the original, or increase of that to the reference, between any two points from the beginning of the window (half of it is the distance to
the nearest monotone curve). It is also given including the part before the window: there, an instant reference is only as strong as its hold, while the reference alone is complete. Step N − 2 = {plan.steps - 2} is known to lean
back to the reference, since only the last prediction follows it; `blend` skips it. That the equilibrium lies inside the window is no evidence: the two ends of the knob are the two sounds themselves, so that
the balance must change its sign between them whatever the method does in between, and no verdict is given on it. Two sounds are never completely unlike: these have likenesses of {min(before):.2f} to {max(before):.2f} before any processing.

{markdown(head, body)}

Means over the pairs with 95 % intervals:

{markdown(["led by", "pairs", "width", "equilibrium", "likeness to each there", "largest step back"], means)}"""
