"""Window curves with other orders, eta and anchors, and the width of the window at each order."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import curves, plotting
from evaluation.claims import Verdict, grade, share
from evaluation.figures import windows
from evaluation.fine_tunes import FineTune
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
OTHERS_PAIRS = 3  # number of pairs measured with those
MOST = 0.75


def fine_tunes(plan: Plan) -> list[FineTune]:
    return windows.fine_tunes(plan)


def tasks(plan: Plan) -> list[Task]:
    found = []
    for order in ORDERS[:-1]:  # the windows figure has the last
        found += [_task(pair, None, order=order) for pair in plan.varied]
        found += [_task(pair, plan.fine_tune(pair[1]), order=order) for pair in plan.trained_pairs]
    for eta, anchor in OTHERS:
        found += [_task(pair, None, eta=eta, anchor=anchor) for pair in plan.varied[:OTHERS_PAIRS]]
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
        [(pair, ways) for pair, ways in orders.items() if pair[2] == curves.INSTANT],
        [(pair, ways) for pair, ways in orders.items() if pair[2] == curves.LEARNED],
        list(anchors.items()),
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


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    found = _by_order(tables)
    if not found:
        return []
    widths = {pair: [curves.read(rows).width for rows in ways.values()] for pair, ways in found.items()}
    means = [sum(column) / len(widths) for column in zip(*widths.values(), strict=True)]
    wider = sum(of[2] > of[0] for of in widths.values())
    learned = [of for pair, of in widths.items() if pair[2] == curves.LEARNED]
    text = f"width at orders 1, 2, 3: {', '.join(f'{m:.1f}' for m in means)} steps; order 3 wider than 1 in {share(wider, len(widths))} pairs"
    if learned:
        text += f" (learned: {share(sum(of[2] > of[0] for of in learned), len(learned))})"
    criterion = f"held: the mean width rises from order 1 to 2 to 3, and order 3 is wider than order 1 in {MOST:.0%} of the pairs or more; in part: the mean of order 3 is above that of order 1"
    whole = means[0] < means[1] < means[2] and wider >= MOST * len(widths)
    return [Verdict("Higher orders give a wider window", text, grade(whole, means[2] > means[0]), criterion)]


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
    return f"""The width is measured from a tenth to nine tenths of the way, in steps of {plan.steps}.

{markdown(head, body)}

With other anchors, and with the ODE (order 3, instant reference held at {plan.hold:g}):

{markdown(["original", "reference", "solver, anchor", "width", "equilibrium", "likeness to each there", "largest step back"], other)}"""
