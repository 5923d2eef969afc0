"""Figure 2: the original's remaining influence when its latents enter where the noise is largest, against a prompt."""

import functools
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict, grade
from evaluation.fine_tunes import FineTune
from evaluation.plan import Plan
from evaluation.tables import Row, markdown, mean, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine import operations
from tertium.engine.inputs import inversion_of, noise_of, null_of, prompted
from tertium.engine.sampling import solver
from tertium.engine.settings import GenerateSettings, InvertSettings, VarySettings

NAME, TITLE = "initial", "The initial latent alone, against a prompt"
COLUMNS = (
    "original",
    "prompt",
    "method",
    "to_original",
    "latent_to_original",
    "to_scratch_same_noise",
    "to_scratch_other_noise",
)
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()
INVERTED, VARIED, SCRATCH, OTHER = "inverted latent", "audio-to-audio", "from scratch", "from scratch, other noise"
TOLERANCE = 0.05


def fine_tunes(plan: Plan) -> list[FineTune]:
    return []


def tasks(plan: Plan) -> list[Task]:
    return [
        Task(NAME, f"{original}, {prompt}", functools.partial(compare, original=original, prompt=prompt))
        for original, prompt in zip(plan.drawn, plan.prompts, strict=False)
    ]  # fmt: skip


def compare(bench: Bench, *, original: str, prompt: str) -> Findings:
    """Compare one original under a prompt at the model's default guidance with two generations from the prompt alone."""
    plan, model, findings = bench.plan, bench.model, Findings()
    scratch, other = (
        operations.generate(model, GenerateSettings(prompt=prompt, seconds=plan.seconds, steps=plan.steps, seed=seed))
        for seed in (plan.seed, plan.seed + 1)
    )
    varied = VarySettings(strength=1.0, prompt=prompt, steps=plan.steps, seed=plan.seed)
    results = {
        INVERTED: _from_inverted(bench, original, prompt),
        VARIED: operations.vary(model, bench.sound(original), varied),
        SCRATCH: scratch,
        OTHER: other,
    }
    row = _row(original, prompt)
    findings.plates.append(bench.plate(row, "original (round trip)", bench.round_trip(original)))
    for method, audio in results.items():
        findings.plates.append(bench.plate(row, method, audio))
        findings.rows.append({
            "original": original, "prompt": prompt, "method": method, "to_original": bench.likeness_to(audio, original),
            "latent_to_original": bench.latent_likeness_to(audio, original),
            "to_scratch_same_noise": bench.likeness(audio, scratch), "to_scratch_other_noise": bench.likeness(audio, other),
        })  # fmt: skip
    return findings


def _row(original: str, prompt: str) -> str:
    """Return the name of a row of the plate."""
    return f"{original}\nunder “{' '.join(prompt.split()[:2])} …”"


def _from_inverted(bench: Bench, original: str, prompt: str) -> torch.Tensor:
    """Return the sound (channels, samples) sampled under a prompt from the original's inverted latents at step 0."""
    plan, model = bench.plan, bench.model
    schedule, settings = model.schedule(plan.steps), InvertSettings(steps=plan.steps, seed=plan.seed)
    null = null_of(model, schedule, seconds=plan.seconds, null=settings.null)
    inversion = inversion_of(model, bench.latents(original), schedule, settings, null=null)
    predict = prompted(model, schedule, prompt, None, seconds=plan.seconds, null=settings.null)
    noise = noise_of(model, settings, inversion.z_o.shape[-1])
    return bench.decoded(solver.sample(predict, inversion.latent(0), schedule, noise=noise))


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    notes = {(_row(row["original"], row["prompt"]), str(row["method"])): f"to the original {row['to_original']:.2f}" for row in tables[NAME]}  # fmt: skip
    title = "Sampled under a prompt from the noisiest step: likeness to the original"
    return {FILES[0]: plotting.plate(plates, title=title, seconds=plan.seconds, notes=notes)}


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = tables[NAME]
    means = {method: mean(where(rows, method=method), "to_original") for method in values(rows, "method")}
    unrelated = (means[SCRATCH] + means[OTHER]) / 2
    gains = [means[INVERTED] - unrelated, means[VARIED] - unrelated]
    measured = (
        f"likeness to the original: inverted {means[INVERTED]:.2f}, audio-to-audio {means[VARIED]:.2f}, from scratch {unrelated:.2f}; "
        f"of audio-to-audio to the generation from scratch with the same noise: {mean(where(rows, method=VARIED), 'to_scratch_same_noise'):.2f}"
    )
    criterion = f"held: neither the inverted latent nor audio-to-audio has a likeness to the original that is more than {TOLERANCE} above that of generations from scratch; in part: one of them has not"
    return [Verdict("The initial latent alone does not preserve the original against a prompt", measured, grade(max(gains) <= TOLERANCE, min(gains) <= TOLERANCE), criterion)]  # fmt: skip


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    columns = ("to_original", "latent_to_original", "to_scratch_same_noise", "to_scratch_other_noise")
    body = [
        [method, *(mean(where(rows, method=method), column) for column in columns)] for method in values(rows, "method")
    ]
    two = mean(where(rows, method=OTHER), "to_scratch_same_noise")
    return f"""Sampled from step 0 of {plan.steps} under a prompt at the model's default guidance: from the inverted latents x_inv(0) with the clean anchor, by audio-to-audio (`vary` at strength 1, which starts from
z_o + σ_max ε), and from scratch. Means over {len(values(rows, "original"))} originals, each under a prompt of its own (“{"”, “".join(values(rows, "prompt"))}”). Two generations from scratch with different noise have a likeness of {two:.2f}: the level of chance.

{markdown(["sampled from", "to the original", "latent correlation", "to scratch, same noise", "to scratch, other noise"], body)}"""
