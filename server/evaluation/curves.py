"""The curve of a pair: likeness to both sounds as a function of the intervention, as rows, and the values read from it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.fine_tunes import FineTune
from evaluation.plan import Pair
from evaluation.tables import Row
from evaluation.workbench import Bench
from tertium.engine import window
from tertium.engine.fusion.inversion import Anchor
from tertium.engine.settings import WindowSettings

INSTANT, LEARNED = "instant", "learned"
COLUMNS = (
    "original", "reference", "led_by", "null_dropout", "order", "eta", "anchor", "hold", "steps", "intervention", "noise_to_signal",
    "to_original", "to_reference", "latent_to_original", "latent_to_reference", "unexplained", "begin", "end", "equilibrium",
)  # fmt: skip


def measure(
    bench: Bench,
    pair: Pair,
    *,
    fine_tune: FineTune | None = None,
    order: int = 3,
    eta: float = 1.0,
    anchor: Anchor = "clean",
) -> list[Row]:
    """Return the rows of one curve, from the reference alone (no intervention) to the original alone.

    Args:
        fine_tune: of the reference, which then leads by its prompt without a hold; None for an instant reference, with the plan's hold.
    """
    plan, (original, reference) = bench.plan, pair
    hold = 0.0 if fine_tune else plan.hold
    settings = WindowSettings(
        strength="paper", spread=0.0,
        steps=plan.steps, order=order, eta=eta, anchor=anchor, seed=plan.seed, points=plan.points, hold=hold,
        prompt=fine_tune.prompt if fine_tune else None,
    )  # fmt: skip
    model = bench.fine_tuned(fine_tune) if fine_tune else bench.model
    curve = window.measure(model, bench.sound(original), None if fine_tune else bench.sound(reference), settings)
    shared = {
        "original": original, "reference": reference, "led_by": LEARNED if fine_tune else INSTANT,
        "null_dropout": fine_tune.null_dropout if fine_tune else None, "order": order, "eta": eta, "anchor": anchor, "hold": hold, "steps": plan.steps,
    }  # fmt: skip
    ends = {"begin": curve.begin, "end": curve.end, "equilibrium": curve.equilibrium}
    return [
        {
            **shared, "intervention": p.intervention, "noise_to_signal": p.noise_to_signal, "to_original": p.original, "to_reference": p.reference,
            "latent_to_original": p.latent_original, "latent_to_reference": p.latent_reference, "unexplained": p.unexplained, **ends,
        }
        for p in curve.points
    ]  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """The values read from a curve.

    Args:
        begin, end, equilibrium: interventions, see :class:`tertium.engine.window.Window`.
        both: the sum of the likenesses to both sounds at the equilibrium, interpolated linearly between the points.
        step_back: the largest decrease of the likeness to the original, or increase of that to the reference, from any point to any
            later one, beginning where the window begins. Half of it is the largest distance to the nearest monotone curve.
        at: the intervention at which that step back ends; None if there is none.
        step_back_anywhere: the same over the whole curve, beginning with the reference alone.
        unexplained: the maximum along the curve.
    """

    begin: float
    end: float
    equilibrium: float
    both: float
    step_back: float
    at: int | None
    step_back_anywhere: float
    unexplained: float

    @property
    def width(self) -> float:
        """The width of the window in steps."""
        return self.end - self.begin

    @property
    def inside(self) -> bool:
        """True if the equilibrium lies in the window."""
        return self.begin <= self.equilibrium <= self.end


def read(rows: Sequence[Row]) -> Reading:
    """Read one curve from its rows, in order of the intervention."""
    first, inner = rows[0], [row for row in rows if row["intervention"] is not None]
    back, at = _step_back([row for row in inner if row["intervention"] >= first["begin"]])
    return Reading(
        begin=first["begin"], end=first["end"], equilibrium=first["equilibrium"],
        both=_at(inner, first["equilibrium"], "to_original") + _at(inner, first["equilibrium"], "to_reference"),
        step_back=back, at=at, step_back_anywhere=_step_back(rows)[0], unexplained=max(row["unexplained"] for row in rows),
    )  # fmt: skip


def _step_back(rows: Sequence[Row]) -> tuple[float, int | None]:
    """Return the largest decrease of the likeness to the original, or increase of that to the reference, from any row to a later one, and the
    intervention at which it ends."""
    steps = [
        (max(one["to_original"] - other["to_original"], other["to_reference"] - one["to_reference"]), other["intervention"])
        for i, one in enumerate(rows) for other in rows[i + 1 :]
    ]  # fmt: skip
    back, at = max(steps, key=lambda each: each[0], default=(0.0, None))
    return (back, at) if back > 0 else (0.0, None)


def _at(rows: Sequence[Row], place: float, column: str) -> float:
    """Return a column's value at an intervention, interpolated linearly."""
    for one, other in itertools.pairwise(rows):
        if one["intervention"] <= place <= other["intervention"]:
            part = (place - one["intervention"]) / (other["intervention"] - one["intervention"])
            return one[column] + part * (other[column] - one[column])
    return rows[0][column] if place < rows[0]["intervention"] else rows[-1][column]


def grouped(rows: Sequence[Row], *columns: str) -> dict[tuple, list[Row]]:
    """Group rows into curves by the values of columns, in order of first appearance."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def places(rows: Sequence[Row]) -> list[float]:
    """Return the horizontal positions of points; the reference alone is placed slightly before the first intervention."""
    steps = [row["intervention"] for row in rows[1:]]
    return [steps[0] - 0.06 * (steps[-1] - steps[0]), *steps]
