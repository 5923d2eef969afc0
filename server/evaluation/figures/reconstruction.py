"""Figure 1: the original, reconstructed from its inverted latents, by anchor (the inversion's assumption about the noise)."""

import functools
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict, grade, share
from evaluation.fine_tunes import FineTune
from evaluation.plan import Plan
from evaluation.tables import Row, markdown, mean, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine.inputs import inversion_of, noise_of, null_of
from tertium.engine.sampling import solver
from tertium.engine.settings import InvertSettings

NAME, TITLE = "reconstruction", "Reconstruction of the original, by anchor"
COLUMNS = ("sound", "anchor", "intervention", "noise_to_signal", "log_mel", "latent", "level_db")
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()
ANCHORS = {"clean": "(a) clean", "forward": "(b) forward", "stochastic": "(c) stochastic", "predicted": "predicted (not in the paper)"}  # fmt: skip
MARGIN, MOST = 0.01, 0.75


def fine_tunes(plan: Plan) -> list[FineTune]:
    return []


def tasks(plan: Plan) -> list[Task]:
    return [Task(NAME, sound, functools.partial(reconstruct, sound=sound)) for sound in plan.sounds]


def reconstruct(bench: Bench, *, sound: str) -> Findings:
    """Reconstruct one sound from each starting step, all anchors in one batch: SDE of order 3 under the null prompt."""
    plan, model, findings = bench.plan, bench.model, Findings()
    schedule, z_o = model.schedule(plan.steps), bench.latents(sound)
    null = null_of(model, schedule, seconds=plan.seconds, null="unconditional")
    asked = {anchor: InvertSettings(steps=plan.steps, seed=plan.seed, anchor=anchor) for anchor in ANCHORS}
    inversions = {anchor: inversion_of(model, z_o, schedule, settings, null=null) for anchor, settings in asked.items()}
    noise = noise_of(model, asked["clean"], z_o.shape[-1])
    for step in map(plan.step, plan.starts):
        x = torch.cat([inversion.latent(step) for inversion in inversions.values()])
        sampled = solver.sample(null, x, schedule, noise=noise, order=3, eta=1.0, start=step)
        for anchor, latents in zip(inversions, sampled, strict=True):
            audio = bench.decoded(latents[None])
            findings.rows.append({
                "sound": sound, "anchor": anchor, "intervention": step, "noise_to_signal": schedule.noise_to_signal(step),
                "log_mel": bench.likeness_to(audio, sound), "latent": bench.latent_likeness_to(audio, sound), "level_db": bench.level_to(audio, sound),
            })  # fmt: skip
    return findings


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    rows = tables[NAME]
    drawn = plotting.figure(10.5, 4.6)
    left, right = drawn.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    sounds = values(rows, "sound")
    for place, (anchor, label) in enumerate(ANCHORS.items()):
        mine, colour = where(rows, anchor=anchor), plotting.PALETTE[place]
        heights = [mean(where(mine, sound=sound), "log_mel") for sound in sounds]
        left.plot(range(len(sounds)), heights, "o-", color=colour, linewidth=1, markersize=5, label=label)
        left.axhline(mean(mine, "log_mel"), color=colour, linestyle="--", linewidth=1.2)
        steps = values(mine, "intervention")
        right.plot(
            steps,
            [mean(where(mine, intervention=step), "log_mel") for step in steps],
            "o-",
            color=colour,
            linewidth=2,
            markersize=5,
        )
    left.set_xticks(range(len(sounds)), sounds, rotation=35, ha="right")
    left.set(title="each sound, mean over all starting steps; dashed: mean over all sounds", ylabel=plotting.LIKENESS)
    right.set_xticks(values(rows, "intervention"))
    right.set(title="mean over all sounds", xlabel=f"sampled from step … of {plan.steps} (later: less noise)")
    for axis in (left, right):
        axis.title.set_fontsize(10)
        plotting.quiet(axis)
    drawn.legend(loc="outside lower center", ncols=4, frameon=False)
    drawn.suptitle(
        "The original, reconstructed from its inverted latents: likeness to its round trip through the codec",
        fontsize=11,
    )
    return {FILES[0]: drawn}


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = tables[NAME]
    means = {anchor: mean(where(rows, anchor=anchor), "log_mel") for anchor in ANCHORS}
    sounds = values(rows, "sound")

    def better_than(other: str) -> int:
        return sum(
            mean(where(rows, sound=s, anchor="clean"), "log_mel") > mean(where(rows, sound=s, anchor=other), "log_mel") for s in sounds
        )  # fmt: skip

    against = {other: better_than(other) for other in ("forward", "stochastic")}
    ahead = {other: means["clean"] - means[other] for other in against}
    whole = all(ahead[other] > MARGIN and against[other] >= MOST * len(sounds) for other in against)
    measured = (
        f"clean {means['clean']:.2f}, forward {means['forward']:.2f} (clean ahead on {share(against['forward'], len(sounds))} sounds), "
        f"stochastic {means['stochastic']:.2f} (on {share(against['stochastic'], len(sounds))})"
    )
    criterion = (
        f"held: the clean anchor's mean likeness is more than {MARGIN} above those of both others, and it is ahead on {MOST:.0%} of the sounds or more; "
        "in part: its mean is above that of one of them by as much"
    )
    return [Verdict("The clean inversion (a) reconstructs the original better than forward noise (b) or the retained stochastic term (c)", measured, grade(whole, any(a > MARGIN for a in ahead.values())), criterion)]  # fmt: skip


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    steps = values(rows, "intervention")
    body = [
        [label, *(mean(where(rows, anchor=a, intervention=s), "log_mel") for s in steps), *(mean(where(rows, anchor=a), c) for c in ("log_mel", "latent", "level_db"))]
        for a, label in ANCHORS.items()
    ]  # fmt: skip
    head = ["anchor", *(f"from step {s}" for s in steps), "mean", "latent correlation", "level, dB"]
    best = max(ANCHORS, key=lambda anchor: mean(where(rows, anchor=anchor), "log_mel"))
    return f"""The original's latents are inverted to a starting step and sampled from there by DPM-Solver++ SDE of order 3 under the null prompt, {plan.steps} steps, the same noise for
all anchors. The paper does not state the noise level from which its figure was sampled; here there are several (for the noisiest, see the next figure). The paper's (a), (b), (c) are
the anchors clean, forward, stochastic. Everything is compared with the sound's round trip through the codec. `level` is the result's loudness relative to that: noise that sampling does not remove shows here.

{markdown(head, body)}

Highest mean likeness: {ANCHORS[best]}."""
