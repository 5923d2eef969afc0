"""Appendix B: the noise maps derived from an inversion, (x_s − α_s z_o) / σ_s, and those along a sampling from it."""

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import ALGEBRA, NOT, Verdict
from evaluation.fine_tunes import FineTune
from evaluation.plan import Plan
from evaluation.tables import Row, markdown, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine.inputs import inversion_of, noise_of, null_of
from tertium.engine.sampling import solver
from tertium.engine.sampling.schedule import Schedule
from tertium.engine.settings import InvertSettings

NAME, TITLE = "noise_maps", "Derived noise maps (appendix B)"
COLUMNS = ("sound", "solver", "anchor", "phase", "step", "noise_to_signal", "rms")
FILES = (f"{NAME}.png", f"{NAME}_norms.png")
USES: tuple[str, ...] = ()
SOLVERS = {"SDE": 1.0, "ODE": 0.0}
ANCHORS = ("predicted", "forward", "stochastic", "clean")
INVERSION, SAMPLING, RECURSION = "inversion", "sampling", "recursion"
SHOWN = (0.4, 0.6, 0.8, 0.98)
START = 0.4
SECONDS_SHOWN, LATENTS_SHOWN = 2.0, 64  # of each map, to make its grain visible
FLAT, SLOPE = 1e-3, 1e-2


def fine_tunes(plan: Plan) -> list[FineTune]:
    return []


def tasks(plan: Plan) -> list[Task]:
    return [Task(NAME, name, functools.partial(derive, name=name)) for name in SOLVERS]


def derive(bench: Bench, *, name: str) -> Findings:
    """Return the noise maps of one sound for each anchor, and those along the sampling from a middle step under the null prompt."""
    plan, findings, sound = bench.plan, Findings(), bench.plan.drawn[0]
    z_o, schedule = bench.latents(sound), bench.model.schedule(plan.steps)
    null = null_of(bench.model, schedule, seconds=plan.seconds, null="unconditional")
    for anchor in ANCHORS:
        settings = InvertSettings(steps=plan.steps, seed=plan.seed, anchor=anchor, eta=SOLVERS[name])
        inversion = inversion_of(bench.model, z_o, schedule, settings, null=null)
        maps = {k: inversion.noise_map(k) for k in range(schedule.last_noisy + 1) if schedule.alphas[k]}
        sampled = _sampled(bench, null, inversion, settings)
        found = {INVERSION: maps, SAMPLING: sampled}
        if anchor == "predicted":
            found[RECURSION] = recursed(z_o, inversion.latent(schedule.last_noisy), schedule, eta=settings.eta)
        for phase, of in found.items():
            findings.rows += [
                {"sound": sound, "solver": name, "anchor": anchor, "phase": phase, "step": k, "noise_to_signal": schedule.noise_to_signal(k), "rms": float(e.square().mean().sqrt())}
                for k, e in of.items()
            ]  # fmt: skip
        row = f"{name}\n{anchor}"
        for k in _steps(plan, SHOWN):
            findings.plates.append(_plate(row, f"inverted, step {k}", maps[k]))
        for k in _steps(plan, (SHOWN[1], SHOWN[-1])):
            findings.plates.append(_plate(row, f"along sampling, step {k}", sampled[k]))
    return findings


def recursed(z_o: torch.Tensor, x: torch.Tensor, schedule: Schedule, *, eta: float) -> dict[int, torch.Tensor]:
    """Return by step the noise maps of equations 3 (eta 1) and 5 (eta 0), applied recursively from the state ``x`` at the last noisy step, in float64.

    The inversion itself uses the closed form; this shows that both agree.
    """
    z_o, x, alphas, sigmas = z_o.double(), x.double(), schedule.alphas, schedule.sigmas
    maps = {}
    for s in range(schedule.last_noisy, -1, -1):
        if s < schedule.last_noisy:
            h = schedule.lam(s + 1) - schedule.lam(s)
            x = sigmas[s] / sigmas[s + 1] * math.exp(eta * h) * (x + alphas[s + 1] * math.expm1(-(1 + eta) * h) * z_o)
        maps[s] = (x - alphas[s] * z_o) / sigmas[s]
        if not alphas[s]:
            del maps[s]
    return maps


def _steps(plan: Plan, fractions: Sequence[float]) -> list[int]:
    """Return the steps at fractions of the schedule, limited to the last step that has noise on every schedule."""
    return [min(plan.step(fraction), plan.steps - 1) for fraction in fractions]


def _sampled(bench: Bench, null: solver.Predict, inversion, settings: InvertSettings) -> dict[int, torch.Tensor]:
    """Return by step (x_s − α_s z_o) / σ_s of the states of a sampling that starts from the inverted latents."""
    schedule, z_o, start = inversion.schedule, inversion.z_o, bench.plan.step(START)
    maps: dict[int, torch.Tensor] = {}

    def predict(x: torch.Tensor, step: int) -> torch.Tensor:
        maps[step] = (x - schedule.alphas[step] * z_o) / schedule.sigmas[step]
        return null(x, step)

    noise = noise_of(bench.model, settings, z_o.shape[-1])
    solver.sample(
        predict, inversion.latent(start), schedule, noise=noise, order=settings.order, eta=settings.eta, start=start
    )
    return maps


def _plate(row: str, column: str, noise_map: torch.Tensor) -> Plate:
    return Plate(row, column, noise_map[0].clamp(-1e4, 1e4).cpu().numpy().astype(np.float16))


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    return {FILES[0]: _draw_maps(plates, plan), FILES[1]: _draw_norms(tables[NAME], plan)}


def _draw_maps(plates: Sequence[Plate], plan: Plan) -> Figure:
    rows = [
        row for row in dict.fromkeys(plate.row for plate in plates) if row not in ("ODE\nforward", "ODE\nstochastic")
    ]
    columns = list(dict.fromkeys(plate.column for plate in plates))
    drawn = plotting.figure(1.2 + 1.9 * len(columns), 0.9 + 1.15 * len(rows))
    axes = drawn.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    image = None
    for plate in plates:
        if plate.row not in rows:
            continue
        axis = axes[rows.index(plate.row), columns.index(plate.column)]
        part = min(SECONDS_SHOWN, plan.seconds)
        values_ = plate.image[:LATENTS_SHOWN, : max(1, round(plate.image.shape[1] * part / plan.seconds))].astype(
            np.float32
        )
        size = float(np.sqrt(np.square(values_).mean()))
        image = axis.imshow(values_ / max(size, 1e-9), origin="lower", aspect="auto", cmap="RdBu_r", vmin=-3, vmax=3, extent=(0, part, 0, values_.shape[0]), interpolation="nearest")  # fmt: skip
        axis.text(0.02, 0.95, f"rms {size:.3g}", transform=axis.transAxes, va="top", fontsize=7.5, bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.5})  # fmt: skip
        axis.tick_params(labelsize=7)
    for place, name in enumerate(columns):
        axes[0, place].set_title(name, fontsize=9)
        axes[-1, place].set_xlabel("seconds", fontsize=8)
    for place, name in enumerate(rows):
        axes[place, 0].set_ylabel(f"{name}\n\nlatent", fontsize=8)
    bar = drawn.colorbar(image, ax=axes, pad=0.01, aspect=40, fraction=0.02)
    bar.set_label("multiples of each panel's rms", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    drawn.suptitle(f"Derived noise maps (x − α z) / σ of “{plan.drawn[0]}”: grain is noise, lines are sound", fontsize=11)  # fmt: skip
    return drawn


def _draw_norms(rows: Sequence[Row], plan: Plan) -> Figure:
    drawn = plotting.figure(9.5, 4.2)
    panels = drawn.subplots(1, 2, sharex=True)
    for panel, name in zip(panels, SOLVERS, strict=True):
        for place, anchor in enumerate(ANCHORS):
            for phase, style in ((INVERSION, "-"), (SAMPLING, "--")):
                mine = [row for row in where(rows, solver=name, anchor=anchor, phase=phase) if row["rms"] > 0]
                panel.plot([r["step"] for r in mine], [r["rms"] for r in mine], style, color=plotting.PALETTE[place], linewidth=1.7, label=f"{anchor}, {phase}" if mine else None)  # fmt: skip
        panel.set(
            title=name, xlabel=f"step (0 = noisiest, of {plan.steps})", ylabel="rms of the noise map", yscale="log"
        )
        plotting.quiet(panel)
    handles = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    drawn.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    drawn.suptitle(
        "Magnitude of the noise maps (clean: zero along the inversion; networks are trained on 1)",
        fontsize=10.5,
    )
    return drawn


def growth(rows: Sequence[Row], name: str, anchor: str) -> float:
    """Return the least-squares slope of log rms over log σ/α along the recursion: 0 means constant, 1 proportional to σ/α, NaN without noise."""
    mine = [row for row in where(rows, solver=name, anchor=anchor, phase=RECURSION) if row["rms"] > 0]
    if len(mine) < 2:
        return math.nan
    return float(
        np.polyfit([math.log(row["noise_to_signal"]) for row in mine], [math.log(row["rms"]) for row in mine], 1)[0]
    )


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = tables[NAME]
    sde, ode = growth(rows, "SDE", "predicted"), growth(rows, "ODE", "predicted")
    text = f"the rms of the map follows σ/α to the power {sde:.3f} (SDE) and {abs(ode):.3f} (ODE); with the clean anchor it is zero"
    criterion = f"it follows from equations 3 and 5, so it is no evidence on any model; did not hold: applied recursively in float64 they give a power that is not within {SLOPE} of 1 along the SDE and {FLAT} of 0 along the ODE, which would be an error of the implementation"
    right = abs(sde - 1) <= SLOPE and abs(ode) <= FLAT
    return [Verdict("The derived noise map is constant along the ODE inversion and grows with σ/α along the SDE's", text, ALGEBRA if right else NOT, criterion)]  # fmt: skip


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows, steps = tables[NAME], _steps(plan, SHOWN)
    body = []
    for name in SOLVERS:
        for anchor in ANCHORS:
            for phase in (INVERSION, RECURSION, SAMPLING):
                mine = {row["step"]: row["rms"] for row in where(rows, solver=name, anchor=anchor, phase=phase)}
                if not mine:
                    continue
                body.append([name, anchor, phase, *(f"{mine[k]:.3g}" if k in mine else "" for k in steps)])
    head = ["solver", "anchor", "phase", *(f"rms at step {k}" for k in steps)]
    return f"""The sound is “{values(rows, "sound")[0]}”. Along the inversion the map follows from the closed form, along the recursion from equations 3 and 5 applied step by step; along the sampling from step {plan.step(START)} under the null prompt
it is the difference of the states from the scaled original. Networks are trained on noise of rms 1; the clean anchor starts with none, and the noise along its sampling is added by the solver's steps.

{markdown(head, body)}"""
