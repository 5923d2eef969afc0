"""Appendix C: interventions at five steps, with solvers of order 1, 2 and 3."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict
from evaluation.fine_tunes import FineTune
from evaluation.plan import Plan
from evaluation.tables import Row, markdown, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine.fusion.similarity import log_mel, log_mel_correlation, unexplained
from tertium.engine.pair import prepare
from tertium.engine.settings import FuseSettings

NAME, TITLE = "orders", "Orders 1, 2, 3 × five interventions (appendix C)"
COLUMNS = (
    "original",
    "reference",
    "order",
    "drawn",
    "paper_timestep",
    "intervention",
    "to_original",
    "to_reference",
    "unexplained",
)
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()
PAPER, PAPER_STEPS = (0, 80, 120, 140, 180), 200


def fine_tunes(plan: Plan) -> list[FineTune]:
    return [plan.fine_tune(plan.drawn[1])]


def tasks(plan: Plan) -> list[Task]:
    return [Task(NAME, f"order {order}", functools.partial(measure, order=order)) for order in (1, 2, 3)]


def measure(bench: Bench, *, order: int) -> Findings:
    """Measure fusions of one pair with a learned reference at the paper's five timesteps, counted from the noisiest step, and (in the table only) from the end."""
    plan, (original, reference), findings = bench.plan, bench.plan.drawn, Findings()
    fine_tune = plan.fine_tune(reference)
    wanted = [(step, True, plan.step(step / PAPER_STEPS)) for step in PAPER]
    wanted += [(step, False, plan.steps - plan.step(step / PAPER_STEPS)) for step in PAPER]
    settings = FuseSettings(
        strength="paper",
        spread=0.0,
        steps=plan.steps,
        order=order,
        seed=plan.seed,
        prompt=fine_tune.prompt,
        intervention=0,
    )
    pair = prepare(bench.fine_tuned(fine_tune), bench.sound(original), None, settings)
    audio = {k: bench.decoded(latents) for k, latents in pair.morphed([k for _, _, k in wanted]).items()}
    for step, drawn, k in wanted:
        power = bench.power(audio[k])
        to = [log_mel_correlation(log_mel(power), log_mel(bench.power_of(name))) for name in (original, reference)]
        findings.rows.append({
            "original": original, "reference": reference, "order": order, "drawn": int(drawn), "paper_timestep": step, "intervention": k,
            "to_original": to[0], "to_reference": to[1], "unexplained": unexplained(power, bench.power_of(original), bench.power_of(reference)),
        })  # fmt: skip
        if drawn:
            findings.plates.append(bench.plate(f"order {order}", _column(step, k, plan), audio[k]))
    findings.plates.append(bench.plate(f"order {order}", f"original: {original}", bench.round_trip(original)))
    return findings


def _column(step: int, k: int, plan: Plan) -> str:
    return f"step {k} of {plan.steps} ({step} of {PAPER_STEPS})"


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    notes = {
        (f"order {row['order']}", _column(row["paper_timestep"], row["intervention"], plan)): f"o {row['to_original']:.2f}  r {row['to_reference']:.2f}"
        for row in where(tables[NAME], drawn=1)
    }  # fmt: skip
    title = f"{plan.drawn[0]} into {plan.drawn[1]} (learned), by the step at which the original enters; likeness to original (o) and reference (r)"
    return {FILES[0]: plotting.plate(plates, title=title, seconds=plan.seconds, notes=notes)}


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    return []  # the variants figure decides the claim on the width, over several pairs


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    parts = []
    for drawn in (1, 0):
        mine = where(rows, drawn=drawn)
        head = [
            "order",
            *(f"{row['paper_timestep']} → step {row['intervention']}" for row in where(mine, order=mine[0]["order"])),
        ]
        body = [
            [order, *(f"{row['to_original']:.2f}, {row['to_reference']:.2f}" for row in where(mine, order=order))]
            for order in values(mine, "order")
        ]
        parts.append(markdown(head, body))
    ending = where(rows, drawn=1, paper_timestep=PAPER[-1])
    span = {
        drawn: max(r["to_original"] for r in where(rows, drawn=drawn))
        - min(r["to_original"] for r in where(rows, drawn=drawn))
        for drawn in (1, 0)
    }
    reached = ", ".join(f"{row['to_original']:.2f} at order {row['order']}" for row in ending)
    return f"""The reference is the learned {plan.drawn[1]}, led by its prompt and completed by the null prompt. The paper's five timesteps are 0, 80, 120, 140, 180 of {PAPER_STEPS}. The text of its section 4.3 (as the timestep
decreases, the result approaches the original) counts from the end; but its plate ends beside the original with 180, and says that the inserted latents keep most features there: that counts from the
noisiest step. The plate here counts from the noisiest step, k = N · timestep / {PAPER_STEPS}; likeness to original, reference:

{parts[0]}

Counted from the end, k = N − N · timestep / {PAPER_STEPS}:

{parts[1]}

Over the plate the likeness to the original spans {span[1]:.2f}, and ends at {reached}. Counted from the end it spans {span[0]:.2f}, where timestep 0 is the original itself."""
