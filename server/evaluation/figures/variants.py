"""Window curves with other orders, eta and anchors, and the width of the window at each order."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import curves, plotting
from evaluation.claims import Verdict, positive
from evaluation.figures import windows
from evaluation.fine_tunes import FineTune
from evaluation.intervals import Interval, interval
from evaluation.plan import Pair, Plan
from evaluation.tables import Row, markdown
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate

NAME, TITLE = "variants", "The window by order, eta and anchor"
COLUMNS = curves.COLUMNS
FILES = (f"{NAME}.png",)
USES = (windows.NAME,)
ORDERS = (1, 2, 3)
OTHERS = ((1.0, "predicted"), (1.0, "forward"), (1.0, "stochastic"), (0.0, "clean"), (0.0, "predicted"))
"""Pairs of eta and anchor, besides eta 1 with the clean anchor."""
DRAWN = 3  # curves of each kind in the picture


def fine_tunes(plan: Plan) -> list[FineTune]:
    return windows.fine_tunes(plan)


def tasks(plan: Plan) -> list[Task]:
    found = []
    for order in ORDERS[:-1]:  # the windows figure has the last
        found += [_task(pair, None, order=order) for pair in plan.pairs]
        found += [_task(pair, plan.fine_tune(pair[1]), order=order) for pair in plan.trained_pairs]
    for eta, anchor in OTHERS:
        found += [_task(pair, None, eta=eta, anchor=anchor) for pair in plan.varied]
    return found


def _task(pair: Pair, fine_tune: FineTune | None, **chosen: object) -> Task:
    label = (
        " | ".join(pair)
        + (", learned" if fine_tune else "")
        + "".join(f", {name} {value}" for name, value in chosen.items())
    )
    return Task(NAME, label, functools.partial(measure, pair=pair, fine_tune=fine_tune, chosen=chosen))


def measure(bench: Bench, *, pair: Pair, fine_tune: FineTune | None, chosen: dict) -> Findings:
    return Findings(curves.measure(bench, pair, fine_tune=fine_tune, **chosen))


def _by_order(tables: dict[str, list[Row]]) -> dict[tuple, dict[int, list[Row]]]:
    """Return the curve of each order by (original, reference, led by), for pairs that have all orders."""
    found: dict[tuple, dict[int, list[Row]]] = {}
    for row in [*tables[NAME], *tables[windows.NAME]]:
        if row["eta"] == 1 and row["anchor"] == "clean":
            found.setdefault((row["original"], row["reference"], row["led_by"]), {}).setdefault(
                row["order"], []
            ).append(row)
    return {pair: dict(sorted(orders.items())) for pair, orders in found.items() if len(orders) == len(ORDERS)}


def _by_anchor(tables: dict[str, list[Row]]) -> dict[tuple, dict[str, list[Row]]]:
    """Return the curves of each eta and anchor by (original, reference), for pairs that have several."""
    found: dict[tuple, dict[str, list[Row]]] = {}
    for row in [*tables[windows.NAME], *tables[NAME]]:
        if row["order"] == 3 and row["led_by"] == curves.INSTANT:
            label = f"{'SDE' if row['eta'] == 1 else 'ODE'}, {row['anchor']}"
            found.setdefault((row["original"], row["reference"]), {}).setdefault(label, []).append(row)
    return {pair: ways for pair, ways in found.items() if len(ways) > 1}


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    orders, anchors = _by_order(tables), _by_anchor(tables)
    columns = [
        [(pair, ways) for pair, ways in orders.items() if pair[2] == curves.INSTANT][:DRAWN],
        [(pair, ways) for pair, ways in orders.items() if pair[2] == curves.LEARNED][:DRAWN],
        list(anchors.items())[:DRAWN],
    ]
    down = max(map(len, columns))
    drawn = plotting.figure(11.5, 2.7 * down + 1.2)
    panels = drawn.subplots(down, 3, squeeze=False)
    for across, (column, one) in enumerate(zip(columns, (_draw_orders, _draw_orders, _draw_anchors), strict=True)):
        for panel, (pair, ways) in zip(panels[:, across], column, strict=False):
            one(panel, ways, plan)
            panel.set_title(
                f"{pair[0]} into {pair[1]}" + (" (learned)" if pair[2:] == (curves.LEARNED,) else ""), fontsize=9.5
            )
            plotting.quiet(panel)
        for panel in panels[len(column) :, across]:
            panel.set_axis_off()
    handles, labels = panels[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower left", ncols=3, frameon=False, fontsize=9, title="the two columns on the left: to the original (solid), to the reference (dashed)", title_fontsize=9)  # fmt: skip
    handles, labels = panels[0, 2].get_legend_handles_labels()
    drawn.legend(
        handles,
        labels,
        loc="outside lower right",
        ncols=3,
        frameon=False,
        fontsize=9,
        title="the column on the right: order 3",
        title_fontsize=9,
    )
    drawn.suptitle("The window by order of the solver (left, centre), and by anchor, SDE and ODE (right)", fontsize=11)
    return {FILES[0]: drawn}


def _draw_orders(panel, ways: dict[int, list[Row]], plan: Plan) -> None:
    for place, (order, rows) in enumerate(ways.items()):
        colour, x = plotting.PALETTE[place], curves.places(rows)
        panel.plot(
            x,
            [row["to_original"] for row in rows],
            "o-",
            color=colour,
            markersize=3,
            linewidth=1.6,
            label=f"order {order}",
        )
        panel.plot(x, [row["to_reference"] for row in rows], "o--", color=colour, markersize=3, linewidth=1.2)
    panel.set_xlabel(f"original enters at step … of {plan.steps}", fontsize=8.5)
    panel.set_ylabel("likeness", fontsize=9)


def _draw_anchors(panel, ways: dict[str, list[Row]], plan: Plan) -> None:
    for place, (label, rows) in enumerate(ways.items()):
        style = "o-" if label.startswith("SDE") else "s--"
        panel.plot([r["to_reference"] for r in rows], [r["to_original"] for r in rows], style, color=plotting.PALETTE[place], markersize=3, linewidth=1.3, label=label)  # fmt: skip
    panel.set_xlabel("likeness to the reference", fontsize=8.5)
    panel.set_ylabel("likeness to the original", fontsize=9)


def gained(tables: dict[str, list[Row]], value: str, *, led_by: str | None = None) -> dict[int, Interval]:
    """Return by order, 1 or 2, how much more a value of :class:`evaluation.curves.Reading` is at order 3, paired, over the pairs.

    Args:
        value: "width" or "equilibrium", in steps.
        led_by: only curves led by this; None for all.
    """
    of = [ways for pair, ways in _by_order(tables).items() if led_by in (None, pair[2])]
    readings = [{order: getattr(curves.read(rows), value) for order, rows in ways.items()} for ways in of]
    return {order: interval(each[3] - each[order] for each in readings) for order in ORDERS[:-1]}


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    if not _by_order(tables):
        return []
    widths, early = gained(tables, "width"), gained(tables, "equilibrium")
    kinds = [(led_by, gained(tables, "width", led_by=led_by)[1]) for led_by in (curves.INSTANT, curves.LEARNED)]
    split = ", ".join(f"{led_by} {each.text(signed=True)}" for led_by, each in kinds if each.count)
    text = f"width at order 3 over order 1 {widths[1].text(signed=True)} steps ({split}), over order 2 {widths[2].text(signed=True)}"
    criterion = "paired differences over the pairs; held: the interval of the width at order 3 over that at order 1 lies above 0; did not hold: below"
    later = f"equilibrium at order 3 over order 1 {early[1].text(signed=True)} steps, over order 2 {early[2].text(signed=True)}"
    rule = "paired differences over the pairs; the paper says that the inserted latents dominate less at order 3, so that the equilibrium must lie later; held: the interval of order 3 over order 1 lies above 0; did not hold: below"
    return [
        Verdict("Higher orders give a wider window", text, positive(widths[1]), criterion),
        Verdict("At order 3 the original has to enter later than at order 1 to weigh as much (appendix C)", later, positive(early[1]), rule),
    ]  # fmt: skip


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    body = []
    for (original, reference, led_by), ways in _by_order(tables).items():
        readings = [curves.read(rows) for rows in ways.values()]
        body.append([original, reference, led_by, *(f"{r.width:.1f}" for r in readings), *(f"{r.equilibrium:.1f}" for r in readings), *(r.both / 2 for r in readings)])  # fmt: skip
    head = [
        "original",
        "reference",
        "led by",
        *(f"{what}, order {o}" for what in ("width", "equilibrium", "likeness to each there") for o in ORDERS),
    ]
    other = []
    for (original, reference), ways in _by_anchor(tables).items():
        for label, rows in ways.items():
            r = curves.read(rows)
            other.append(
                [original, reference, label, f"{r.width:.1f}", f"{r.equilibrium:.1f}", r.both / 2, f"{r.step_back:.3f}"]
            )
    paired = []
    for led_by in (curves.INSTANT, curves.LEARNED):
        found = [gained(tables, value, led_by=led_by) for value in ("width", "equilibrium")]
        paired.append([led_by, found[0][1].count, *(each[order].text(signed=True) for each in found for order in ORDERS[:-1])])  # fmt: skip
    heads = [f"{value}, order 3 over {order}" for value in ("width", "equilibrium") for order in ORDERS[:-1]]
    return f"""The width is measured from a tenth to nine tenths of the way, in steps of {plan.steps}. Differences paired by pair, with 95 % intervals:

{markdown(["led by", "pairs", *heads], paired)}

{markdown(head, body)}

With other anchors, and with the ODE (order 3, instant reference held at {plan.hold:g}):

{markdown(["original", "reference", "solver, anchor", "width", "equilibrium", "likeness to each there", "largest step back"], other)}"""
