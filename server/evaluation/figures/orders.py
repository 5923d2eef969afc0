"""Appendix C: originals reconstructed under a prompt, with their inverted latents entering at five steps, by solvers of order 1, 2 and 3."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict, positive
from evaluation.fine_tunes import FineTune
from evaluation.intervals import Interval, by_unit, difference, over
from evaluation.measures import MEASURES
from evaluation.plan import Plan
from evaluation.tables import Row, markdown, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine.fusion.reference_phase import Memory
from tertium.engine.pair import prepare
from tertium.engine.settings import FuseSettings

NAME, TITLE = "orders", "Orders 1, 2, 3 × five interventions (appendix C)"
COLUMNS = ("original", "prompt", "order", "drawn", "paper_timestep", "intervention", *MEASURES)
FILES = (f"{NAME}.png", f"{NAME}_curves.png")
USES: tuple[str, ...] = ()
ORDERS = (1, 2, 3)
PAPER, PAPER_STEPS = (0, 80, 120, 140, 180), 200
UNIT = ("original",)
_MEMORY = 400 << 20  # bytes: two prompts' samplings at three orders, which all originals share


def fine_tunes(plan: Plan) -> list[FineTune]:
    return []


def tasks(plan: Plan) -> list[Task]:
    return [Task(NAME, original, functools.partial(measure, original=original)) for original in plan.sounds]


@functools.lru_cache(maxsize=1)
def _memory(bench: Bench) -> Memory:
    return Memory(_MEMORY)


def measure(bench: Bench, *, original: str) -> Findings:
    """Reconstruct one original under its prompt at the paper's five timesteps, counted from the noisiest step, and (in the table only) from the end."""
    plan, findings, prompt = bench.plan, Findings(), bench.plan.prompt_of(original)
    wanted = [(step, True, plan.paper_step(step / PAPER_STEPS)) for step in PAPER]
    wanted += [(step, False, plan.paper_steps - plan.paper_step(step / PAPER_STEPS)) for step in PAPER]
    guidance = bench.model.default_guidance
    for order in ORDERS:
        settings = FuseSettings(
            strength="paper", spread=0.0, steps=plan.paper_steps, order=order, seed=plan.seed, prompt=prompt, guidance=guidance,
            completion_prompt=prompt, completion_guidance=guidance, intervention=0,
        )  # fmt: skip
        pair = prepare(bench.model, bench.sound(original), None, settings, memory=_memory(bench))
        audio = {k: bench.decoded(latents) for k, latents in pair.morphed([k for _, _, k in wanted]).items()}
        found = {k: bench.measures(sound, original) for k, sound in audio.items()}
        for step, drawn, k in wanted:
            findings.rows.append({
                "original": original, "prompt": prompt, "order": order, "drawn": int(drawn), "paper_timestep": step, "intervention": k, **found[k],
            })  # fmt: skip
            if drawn and original == plan.sounds[0]:
                findings.plates.append(bench.plate(f"order {order}", _column(step, k, plan), audio[k]))
        if original == plan.sounds[0]:
            findings.plates.append(bench.plate(f"order {order}", f"original: {original}", bench.round_trip(original)))
    return findings


def _column(step: int, k: int, plan: Plan) -> str:
    return f"step {k} of {plan.paper_steps} ({step} of {PAPER_STEPS})"


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    shown = where(tables[NAME], drawn=1, original=plan.sounds[0])
    notes = {
        (f"order {row['order']}", _column(row["paper_timestep"], row["intervention"], plan)): f"likeness {row['log_mel']:.2f}"
        for row in shown
    }  # fmt: skip
    title = f"{plan.sounds[0]} reconstructed under “{plan.prompt_of(plan.sounds[0])}”, by the step at which it enters; likeness to it"
    return {
        FILES[0]: plotting.plate(plates, title=title, seconds=plan.seconds, notes=notes),
        FILES[1]: _draw_curves(tables[NAME], plan),
    }


def _draw_curves(rows: Sequence[Row], plan: Plan) -> Figure:
    drawn = plotting.figure(9.5, 4.0)
    panels = drawn.subplots(1, 2)
    steps = sorted(values(rows, "intervention"))
    for place, order in enumerate(ORDERS):
        mine = [where(rows, order=order, intervention=step) for step in steps]
        shift = 0.6 * (place - 1)
        shown = ((panels[0], "log_mel"), (panels[1], "spectral_16384"))
        for panel, column in shown:
            found = [over(of, column, UNIT) for of in mine]
            plotting.with_intervals(panel, [s + shift for s in steps], found, color=plotting.PALETTE[place], label=f"order {order}")  # fmt: skip
    for panel, name in zip(panels, ("log_mel", "spectral_16384"), strict=True):
        panel.set(xlabel=f"original enters at step … of {plan.paper_steps}", ylabel=f"likeness to the original ({MEASURES[name]})")  # fmt: skip
        plotting.quiet(panel)
    panels[0].legend(frameon=False, fontsize=9)
    drawn.suptitle("Reconstruction under a prompt by the step at which the original enters: means over originals, 95 % intervals", fontsize=10.5)  # fmt: skip
    return drawn


def gained(rows: Sequence[Row], order: int, column: str) -> Interval:
    """Return how much more of the original there is at an order than at order 3, over the originals.

    That is a measure's gain over timestep 0, where the prompt alone leads, averaged over the four later timesteps of the plate: what a
    prompt's sound has in common with an original anyway is another at each order, and the same for all originals under it.
    """
    return difference(_gains(rows, order, column), _gains(rows, 3, column), column, UNIT)


def _gains(rows: Sequence[Row], order: int, column: str) -> list[Row]:
    """Return rows with an original's gain at an order."""
    mine = where(rows, drawn=1, order=order)
    alone = by_unit(where(mine, paper_timestep=PAPER[0]), column, UNIT)
    entered = by_unit([row for row in mine if row["paper_timestep"] != PAPER[0]], column, UNIT)
    return [{"original": key[0], column: entered[key] - alone[key]} for key in entered]


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = tables[NAME]
    found = {order: gained(rows, order, "log_mel") for order in ORDERS[:-1]}
    parts = ", ".join(f"at order {order} {each.text(3, signed=True)}" for order, each in found.items())
    text = f"gain of likeness to the original over that at order 3: {parts} ({found[1].count} originals)"
    criterion = "the gain over timestep 0, where the prompt alone leads, mean over the four later timesteps, paired by original; held: the interval of order 1 over order 3 lies above 0; did not hold: below"
    return [Verdict("The inserted original dominates a reconstruction under a prompt less at order 3 than at order 1 (appendix C)", text, positive(found[1]), criterion)]  # fmt: skip


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    parts = []
    for drawn in (1, 0):
        mine = where(rows, drawn=drawn)
        steps = {row["paper_timestep"]: row["intervention"] for row in mine}
        body = [
            [order, *(over(where(mine, order=order, paper_timestep=step), "log_mel", UNIT).text() for step in steps)]
            for order in values(mine, "order")
        ]
        parts.append(markdown(["order", *(f"{step} → step {k}" for step, k in steps.items())], body))
    paired = [
        [f"order {order} over order 3", *(gained(rows, order, name).text(3, signed=True) for name in MEASURES)] for order in ORDERS[:-1]
    ]  # fmt: skip
    return f"""Originals reconstructed, without any reference: sampling under a prompt at the model's default guidance, into which the original's inverted latents enter at one step (clean anchor, SDE, N = {plan.paper_steps}, strength `paper`,
one seed), and which ends under the same prompt; {len(values(rows, "original"))} originals, {len(values(rows, "prompt"))} prompts. The paper's five timesteps are 0, 80, 120, 140, 180 of {PAPER_STEPS}. The text of its section 4.3 (as the timestep
decreases, the result approaches the original) counts from the end; but its plate ends beside the original with 180, and says that the inserted latents keep most features there: that counts from the
noisiest step. The plate here counts from the noisiest step, k = N · timestep / {PAPER_STEPS}; log-mel likeness to the original:

{parts[0]}

Counted from the end, k = N − N · timestep / {PAPER_STEPS}, where timestep 0 is the original itself:

{parts[1]}

Differences between orders, paired by original: the gain over timestep 0, where the prompt alone leads, mean over the four later timesteps, counted from the noisiest step.

{markdown(["difference", *MEASURES.values()], paired)}"""
