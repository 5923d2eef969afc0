"""Appendix B: sampling that uses the inverted latent and its noise map at every step, beside free sampling."""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict, positive, together
from evaluation.fine_tunes import FineTune
from evaluation.intervals import difference
from evaluation.measures import MEASURES, cells
from evaluation.plan import Plan
from evaluation.tables import Row, markdown, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine.fusion.inversion import Inversion
from tertium.engine.inputs import inversion_of, null_of
from tertium.engine.sampling import solver
from tertium.engine.settings import InvertSettings

NAME, TITLE = "noise_sampling", "Sampling with the noise map at every step (appendix B)"
COLUMNS = ("sound", "seed", "solver", "anchor", "method", "step", "noise_to_signal", "apart", *MEASURES)
FILES = (f"{NAME}.png", f"{NAME}_apart.png")
USES: tuple[str, ...] = ()
KINDS = (("SDE", "predicted"), ("SDE", "clean"), ("ODE", "predicted"))
"""Solvers and anchors. With the ODE the clean anchor has no noise map, and nothing would move."""
ETA = {"SDE": 1.0, "ODE": 0.0}
BOTH, MAP, FREE = "latent and map", "map alone", "free"
METHODS = {
    BOTH: "the inverted latent and its noise map at every step", MAP: "its noise map at every step", FREE: "free sampling under the null prompt",
}  # fmt: skip
START, SHOWN = 0.6, (0.7, 0.85, 0.97)
SECONDS_SHOWN, LATENTS_SHOWN = 2.0, 64  # of each state, to make its grain visible
UNIT = ("sound",)


def fine_tunes(plan: Plan) -> list[FineTune]:
    return []


def tasks(plan: Plan) -> list[Task]:
    return [Task(NAME, sound, functools.partial(compare, sound=sound)) for sound in plan.sounds]


def _shown(plan: Plan) -> list[int]:
    """Return the steps at which states are drawn."""
    return sorted({min(plan.paper_step(fraction), plan.paper_steps - 1) for fraction in SHOWN})


def compare(bench: Bench, *, sound: str) -> Findings:
    """Sample one sound from its inverted latents in each way, all seeds in one batch, and measure what comes out.

    The states on the way are drawn for the plan's drawn original, whose first seed alone is traced.
    """
    plan, findings, start = bench.plan, Findings(), bench.plan.paper_step(START)
    schedule, z_o = bench.model.schedule(plan.paper_steps), bench.latents(sound)
    null = null_of(bench.model, schedule, seconds=plan.seconds, null="unconditional")
    traced = sound == plan.drawn[0]
    for name, anchor in KINDS:
        eta = ETA[name]
        settings = InvertSettings(steps=plan.paper_steps, seed=plan.seed, anchor=anchor, eta=eta)
        inversion = inversion_of(bench.model, z_o, schedule, settings, null=null)
        seeds = plan.seeds if eta else plan.seeds[:1]  # the ODE adds no noise
        noise = bench.noise_of_seeds(seeds, z_o.shape[-1], each=1)
        about = {"sound": sound, "solver": name, "anchor": anchor}
        for method in METHODS:
            states = sampled(inversion, method, null=null, noise=noise, eta=eta, start=start, rows=len(seeds))
            for seed, latents in zip(seeds, states[-1], strict=True):
                shown = {"seed": seed, "method": method, "step": schedule.steps, "noise_to_signal": 0.0, "apart": None}
                findings.rows.append(about | shown | bench.measures(bench.decoded(latents[None]), sound))
            if traced:
                trace = dict(enumerate(states[:-1], start))
                findings.rows += [
                    _traced_row(about, method, plan.seeds[0], k, x[:1], inversion) for k, x in trace.items()
                ]
                for k in _shown(plan):
                    findings.plates.append(_plate(f"{name}\n{anchor}", f"{method}, step {k}", trace[k]))
        if traced:
            for k in _shown(plan):
                findings.plates.append(_plate(f"{name}\n{anchor}", f"inverted, step {k}", inversion.latent(k)))
    return findings


def sampled(
    inversion: Inversion, method: str, *, null: solver.Predict, noise: solver.Noise, eta: float, start: int, rows: int
) -> list[torch.Tensor]:
    """Return the states (rows, channels, frames) of a sampling of order 3 from the inverted latents, from point ``start`` to N.

    With a noise map the data prediction is not the network's, but what equation 1 makes of a latent x and the noise map e of its step,
    (x − σ e) / α: of the carried latents (:data:`MAP`), or of the inverted ones, which then are also carried on (:data:`BOTH`). For the
    inverted latents it is the original itself. The solver's own noise is added as ever.
    """
    schedule, predictions = inversion.schedule, ()
    x = inversion.latent(start).expand(rows, -1, -1)
    states = [x]
    for step in range(start, schedule.steps):
        if method == BOTH:
            x = inversion.latent(step).expand(rows, -1, -1)
        found = null(x, step) if method == FREE else _explained(inversion, x, step)
        predictions = (found, *predictions)[:3]
        x = solver.take_step(x, predictions, schedule, step, noise=noise, order=3, eta=eta)
        states.append(x)
    return states


def _explained(inversion: Inversion, x: torch.Tensor, step: int) -> torch.Tensor:
    """Return the data prediction of latents whose noise is the noise map of the step."""
    schedule = inversion.schedule
    return (x - schedule.sigmas[step] * inversion.noise_map(step)) / schedule.alphas[step]


def _traced_row(about: dict, method: str, seed: int, step: int, x: torch.Tensor, inversion: Inversion) -> Row:
    """Return the row of a state: its distance from the inverted latents, as an rms in units of the step's σ."""
    apart = (x - inversion.latent(step)).square().mean().sqrt() / inversion.schedule.sigmas[step]
    ratio = inversion.schedule.noise_to_signal(step)
    shown = {"seed": seed, "method": method, "step": step, "noise_to_signal": ratio, "apart": float(apart)}
    return about | shown | dict.fromkeys(MEASURES)


def _plate(row: str, column: str, x: torch.Tensor) -> Plate:
    return Plate(row, column, (x[0] / x[0].square().mean().sqrt().clamp(min=1e-9)).cpu().numpy().astype(np.float16))


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    return {FILES[0]: _draw_states(plates, plan), FILES[1]: _draw_apart(tables[NAME], plan)}


def _draw_states(plates: Sequence[Plate], plan: Plan) -> Figure:
    """Draw, for each solver and step, the inverted latents and the three samplings side by side."""
    rows = list(dict.fromkeys(plate.row for plate in plates))
    ways = ("inverted", *METHODS)
    columns = [f"{way}, step {k}" for k in _shown(plan) for way in ways]
    drawn = plotting.figure(1.2 + 1.25 * len(columns), 0.9 + 1.5 * len(rows))
    axes = drawn.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    part, image = min(SECONDS_SHOWN, plan.seconds), None
    for plate in plates:
        axis = axes[rows.index(plate.row), columns.index(plate.column)]
        columns_shown = max(1, round(plate.image.shape[1] * part / plan.seconds))
        shown = plate.image[:LATENTS_SHOWN, :columns_shown].astype(np.float32)
        image = axis.imshow(shown, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-3, vmax=3, extent=(0, part, 0, shown.shape[0]), interpolation="nearest")  # fmt: skip
        axis.tick_params(labelsize=6)
    for place, name in enumerate(columns):
        axes[0, place].set_title(name.replace(", ", "\n"), fontsize=7.5)
        axes[-1, place].set_xlabel("seconds", fontsize=7)
    for place, name in enumerate(rows):
        axes[place, 0].set_ylabel(f"{name}\n\nlatent", fontsize=7.5)
    bar = drawn.colorbar(image, ax=axes, pad=0.01, aspect=40, fraction=0.02)
    bar.set_label("multiples of each panel's rms", fontsize=7.5)
    bar.ax.tick_params(labelsize=7)
    drawn.suptitle(f"States of the sampling of “{plan.drawn[0]}” from step {plan.paper_step(START)} of {plan.paper_steps}: inverted latents; with the inverted latent and its noise map at every step; with the map alone; free", fontsize=10)  # fmt: skip
    return drawn


def _draw_apart(rows: Sequence[Row], plan: Plan) -> Figure:
    drawn = plotting.figure(10.5, 3.8)
    panels = drawn.subplots(1, len(KINDS), sharex=True)
    for panel, (name, anchor) in zip(panels, KINDS, strict=True):
        for place, method in enumerate(METHODS):
            mine = [row for row in where(rows, solver=name, anchor=anchor, method=method) if row["apart"]]
            panel.plot([r["step"] for r in mine], [r["apart"] for r in mine], color=plotting.PALETTE[place], linewidth=1.7, label=METHODS[method])  # fmt: skip
        panel.set(title=f"{name}, {anchor}", xlabel=f"step of {plan.paper_steps}", yscale="log")
        plotting.quiet(panel)
    panels[0].set_ylabel("rms distance from the inverted latents / σ")
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    drawn.suptitle("How far each sampling departs from the inverted latents (with a noise map, along the ODE, by rounding alone)", fontsize=10.5)  # fmt: skip
    return drawn


def _ends(rows: Sequence[Row], name: str, anchor: str, method: str) -> list[Row]:
    """Return the rows of the results, without those of the states on the way."""
    return [row for row in where(rows, solver=name, anchor=anchor, method=method) if row["apart"] is None]


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows, found = tables[NAME], {}
    for name, anchor in KINDS:
        if name == "SDE":
            mapped, free = (_ends(rows, name, anchor, method) for method in (MAP, FREE))
            found[anchor] = difference(mapped, free, "log_mel", UNIT)
    parts = "; ".join(f"{anchor} anchor {each.text(3, signed=True)}" for anchor, each in found.items())
    text = f"likeness with the noise map alone over free sampling, SDE: {parts}. With the inverted latent at every step too, and along the ODE, the original comes back by algebra"
    criterion = "paired by sound, means over seeds first; held: the interval lies above 0 with both anchors; in part: with one, and below with none; did not hold: it lies below 0 with one"
    return [Verdict("Along the SDE, the inversion's noise map at every step keeps the original better than free sampling does (appendix B)", text, together([positive(each) for each in found.values()]), criterion)]  # fmt: skip


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    body = [
        [f"{name}, {anchor}", METHODS[method], *cells(_ends(rows, name, anchor, method), UNIT)] for name, anchor in KINDS for method in METHODS
    ]  # fmt: skip
    steps = [*_shown(plan), plan.paper_steps - 1]
    apart = []
    for name, anchor in KINDS:
        for method in METHODS:
            trace = {row["step"]: row["apart"] for row in where(rows, solver=name, anchor=anchor, method=method) if row["apart"] is not None}  # fmt: skip
            shown = [f"{trace[k]:.3g}" if k in trace else "" for k in steps]
            apart.append([f"{name}, {anchor}", METHODS[method], *shown])
    heads = [f"apart at step {k}" for k in steps]
    return f"""The appendix shows “the interpolations in the sampling process that utilize the inverted latent and its corresponding noise map at each step”. Here the network's noise prediction is replaced at every step by the
inversion's noise map e, so that the data prediction is (x − σ e) / α, from step {plan.paper_step(START)} of N = {plan.paper_steps} at order 3: with the inverted latents put in at every step as well; with the noise map alone, on the latents that
are carried on; and, beside both, free sampling, in which the network predicts under the null prompt. The solver adds its own noise along the SDE. With the inverted latent at every step the prediction is the
original itself, and along the ODE the noise map leads back along the inversion: both give the original by algebra, and are no evidence. Along the SDE with the map alone, nothing removes the noise that the solver adds; what it adds does not depend on the map, so that both
anchors end alike. Likeness of the results on {len(values(rows, "sound"))} sounds.

{markdown(["solver, anchor", "sampling", *MEASURES.values()], body)}

The distance of the states of “{plan.drawn[0]}” from the inverted latents, in units of σ:

{markdown(["solver, anchor", "sampling", *heads], apart)}"""
