"""Figure 2: the original's remaining influence when its latents enter where the noise is largest, against a prompt."""

import functools
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict, below, together
from evaluation.fine_tunes import FineTune
from evaluation.intervals import difference, over
from evaluation.measures import MEASURES, cells
from evaluation.plan import Plan
from evaluation.tables import Row, markdown, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine.inputs import prompted
from tertium.engine.sampling import solver

NAME, TITLE = "initial", "The initial latent alone, against a prompt (section 4.1.2)"
COLUMNS = ("original", "prompt", "seed", "method", "to_scratch_same_noise", "to_scratch_other_noise", *MEASURES)
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()
INVERTED, VARIED, SCRATCH = "inverted latent", "audio-to-audio", "from scratch"
TOLERANCE = 0.05
UNIT = ("original",)


def fine_tunes(plan: Plan) -> list[FineTune]:
    return []


def tasks(plan: Plan) -> list[Task]:
    return [Task(NAME, original, functools.partial(compare, original=original)) for original in plan.sounds]


def compare(bench: Bench, *, original: str) -> Findings:
    """Compare one original under its prompt with generations from the prompt alone, of the same seeds and of others."""
    plan, findings, prompt = bench.plan, Findings(), bench.plan.prompt_of(original)
    scratch, z_o = _scratch(bench, prompt), bench.latents(original)
    # With the clean anchor the inverted latents are the scaled sound; audio-to-audio adds the noise of that step to them.
    schedule = bench.model.schedule(plan.paper_steps)
    inverted = (z_o * schedule.alphas[0]).expand(len(plan.seeds), -1, -1)
    varied = inverted + bench.initial_of_seeds(plan.seeds, z_o.shape[-1]) * schedule.sigmas[0]
    sampled = {
        INVERTED: _sampled(bench, prompt, inverted, plan.seeds), VARIED: _sampled(bench, prompt, varied, plan.seeds), SCRATCH: scratch[: len(plan.seeds)],
    }  # fmt: skip
    row = _row(original, prompt)
    shown = original in plan.sounds[: len(plan.prompts)]
    if shown:
        findings.plates.append(bench.plate(row, "original (round trip)", bench.round_trip(original)))
    for method, sounds in sampled.items():
        for index, (seed, audio) in enumerate(zip(plan.seeds, sounds, strict=True)):
            if shown and not index:
                findings.plates.append(bench.plate(row, method, audio))
            findings.rows.append({
                "original": original, "prompt": prompt, "seed": seed, "method": method, "to_scratch_same_noise": bench.likeness(audio, scratch[index]),
                "to_scratch_other_noise": bench.likeness(audio, scratch[index + 1]), **bench.measures(audio, original),
            })  # fmt: skip
    return findings


@functools.lru_cache(maxsize=4)
def _scratch(bench: Bench, prompt: str) -> tuple[torch.Tensor, ...]:
    """Return generations (channels, samples) from a prompt: of each seed, and of one more. They are the same for all originals."""
    seeds = (*bench.plan.seeds, max(bench.plan.seeds) + 1)
    noise = bench.initial_of_seeds(seeds, bench.model.frames(bench.samples))
    return tuple(_sampled(bench, prompt, noise * bench.model.schedule(bench.plan.paper_steps).sigmas[0], seeds))


def _sampled(bench: Bench, prompt: str, x: torch.Tensor, seeds: Sequence[int]) -> list[torch.Tensor]:
    """Return the sounds (channels, samples) sampled from step 0 under a prompt at the model's default guidance, a row of ``x`` for each seed."""
    schedule = bench.model.schedule(bench.plan.paper_steps)
    predict = prompted(bench.model, schedule, prompt, None, seconds=bench.plan.seconds, null="unconditional")
    noise = bench.noise_of_seeds(seeds, x.shape[-1], each=1)
    return [bench.decoded(latents[None]) for latents in solver.sample(predict, x, schedule, noise=noise)]


def _row(original: str, prompt: str) -> str:
    """Return the name of a row of the plate."""
    return f"{original}\nunder “{' '.join(prompt.split()[:2])} …”"


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    notes = {
        (_row(row["original"], row["prompt"]), str(row["method"])): f"to the original {row['log_mel']:.2f}"
        for row in where(tables[NAME], seed=plan.seeds[0])
    }  # fmt: skip
    title = "Sampled under a prompt from the noisiest step: likeness to the original"
    return {FILES[0]: plotting.plate(plates, title=title, seconds=plan.seconds, notes=notes)}


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = tables[NAME]
    scratch = where(rows, method=SCRATCH)
    gains = {method: difference(where(rows, method=method), scratch, "log_mel", UNIT) for method in (INVERTED, VARIED)}
    parts = ", ".join(f"{method} {gain.text(3, signed=True)}" for method, gain in gains.items())
    measured = f"likeness to the original, over generations from scratch: {parts} (from scratch: {over(scratch, 'log_mel', UNIT).text()})"
    criterion = f"held: for the inverted latent and for audio-to-audio the interval of that difference, paired by original, lies below {TOLERANCE}; in part: for one of them, and above for none; did not hold: it lies above for one"
    verdict = together([below(gain, TOLERANCE) for gain in gains.values()])
    return [Verdict("The initial latent alone does not preserve the original against a prompt", measured, verdict, criterion)]  # fmt: skip


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    body, gains = [], []
    for method in values(rows, "method"):
        mine = where(rows, method=method)
        scratch = [over(mine, column, UNIT).text() for column in ("to_scratch_same_noise", "to_scratch_other_noise")]
        body.append([method, *cells(mine, UNIT), *scratch])
        if method != SCRATCH:
            found = [difference(mine, where(rows, method=SCRATCH), name, UNIT) for name in MEASURES]
            gains.append([f"{method} over from scratch", *(each.text(3, signed=True) for each in found)])
    head = [*MEASURES.values()]
    return f"""Sampled from step 0 of N = {plan.paper_steps} under a prompt at the model's default guidance: from the inverted latents x_inv(0) with the clean anchor, by audio-to-audio (z_o + σ_max ε), and from scratch, with
{len(values(rows, "seed"))} seeds on {len(values(rows, "original"))} originals, each under one of {len(values(rows, "prompt"))} prompts (“{"”, “".join(values(rows, "prompt"))}”). Likeness to the original by all measures, and log-mel likeness to the
generation from scratch with the same noise and with other noise, which is the level of chance:

{markdown(["sampled from", *head, "to scratch, same noise", "to scratch, other noise"], body)}

Differences paired by original:

{markdown(["difference", *head], gains)}"""
