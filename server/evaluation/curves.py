"""The curve of a pair: likeness to both sounds over the step of the intervention, as rows, and what is read from it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.fine_tunes import Lesson
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
    lesson: Lesson | None = None,
    order: int = 3,
    eta: float = 1.0,
    anchor: Anchor = "clean",
) -> list[Row]:
    """The rows of one curve, from the reference alone (no intervention) to the original alone.

    Args:
        lesson: of the reference, which then leads by its prompt with no hold; None for the reference as it is, held as the plan says.
    """
    plan, (original, reference) = bench.plan, pair
    hold = 0.0 if lesson else plan.hold
    settings = WindowSettings(
        steps=plan.steps, order=order, eta=eta, anchor=anchor, seed=plan.seed, points=plan.points, hold=hold,
        prompt=lesson.prompt if lesson else None,
    )  # fmt: skip
    model = bench.taught(lesson) if lesson else bench.model
    found = window.measure(model, bench.sound(original), None if lesson else bench.sound(reference), settings)
    shared = {
        "original": original, "reference": reference, "led_by": LEARNED if lesson else INSTANT,
        "null_dropout": lesson.null_dropout if lesson else None, "order": order, "eta": eta, "anchor": anchor, "hold": hold, "steps": plan.steps,
    }  # fmt: skip
    ends = {"begin": found.begin, "end": found.end, "equilibrium": found.equilibrium}
    return [
        {
            **shared, "intervention": p.intervention, "noise_to_signal": p.noise_to_signal, "to_original": p.original, "to_reference": p.reference,
            "latent_to_original": p.latent_original, "latent_to_reference": p.latent_reference, "unexplained": p.unexplained, **ends,
        }
        for p in found.points
    ]  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """What a curve says.

    Args:
        begin, end, equilibrium: interventions, see :class:`tertium.engine.window.Window`.
        both: the sum of the likenesses to both sounds at the equilibrium, on straight lines between the points.
        step_back: from where the window begins, the largest fall of the likeness to the original, or rise of that to the reference, from any
            point to any later one. Half of it is how far the nearest monotone curve lies at its farthest.
        at: the intervention at which that step back ends; None where there is none.
        step_back_anywhere: the same over the whole curve, from the reference alone on.
        unexplained: the largest along the curve.
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
        """In steps."""
        return self.end - self.begin

    @property
    def inside(self) -> bool:
        """Whether the equilibrium lies in the window."""
        return self.begin <= self.equilibrium <= self.end


def read(rows: Sequence[Row]) -> Reading:
    """Read one curve; its rows in their order."""
    first, inner = rows[0], [row for row in rows if row["intervention"] is not None]
    back, at = _step_back([row for row in inner if row["intervention"] >= first["begin"]])
    return Reading(
        begin=first["begin"], end=first["end"], equilibrium=first["equilibrium"],
        both=_at(inner, first["equilibrium"], "to_original") + _at(inner, first["equilibrium"], "to_reference"),
        step_back=back, at=at, step_back_anywhere=_step_back(rows)[0], unexplained=max(row["unexplained"] for row in rows),
    )  # fmt: skip


def _step_back(rows: Sequence[Row]) -> tuple[float, int | None]:
    """The largest fall of the likeness to the original, or rise of that to the reference, from any row to a later one; and where it ends."""
    found = [
        (max(one["to_original"] - other["to_original"], other["to_reference"] - one["to_reference"]), other["intervention"])
        for i, one in enumerate(rows) for other in rows[i + 1 :]
    ]  # fmt: skip
    back, at = max(found, key=lambda each: each[0], default=(0.0, None))
    return (back, at) if back > 0 else (0.0, None)


def _at(rows: Sequence[Row], place: float, column: str) -> float:
    """A column's value at an intervention, on a straight line between its neighbours."""
    for one, other in itertools.pairwise(rows):
        if one["intervention"] <= place <= other["intervention"]:
            part = (place - one["intervention"]) / (other["intervention"] - one["intervention"])
            return one[column] + part * (other[column] - one[column])
    return rows[0][column] if place < rows[0]["intervention"] else rows[-1][column]


def grouped(rows: Sequence[Row], *columns: str) -> dict[tuple, list[Row]]:
    """Curves by the values of columns, in order of their coming."""
    found: dict[tuple, list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[column] for column in columns), []).append(row)
    return found


def places(rows: Sequence[Row]) -> list[float]:
    """Where points are drawn: the reference alone stands a little before the first intervention."""
    steps = [row["intervention"] for row in rows[1:]]
    return [steps[0] - 0.06 * (steps[-1] - steps[0]), *steps]
