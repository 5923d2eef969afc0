"""Fusions compared with cheap baselines: the sum of the waveforms, the interpolation of the latents, and audio-to-audio."""

import functools
from collections.abc import Callable, Sequence

import torch
from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict, grade, share
from evaluation.fine_tunes import FineTune
from evaluation.plan import Pair, Plan
from evaluation.tables import Row, markdown, mean, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine import operations
from tertium.engine.fusion.similarity import correlation, log_mel, log_mel_correlation, unexplained
from tertium.engine.pair import prepare
from tertium.engine.settings import FuseSettings, VarySettings

NAME, TITLE = "baselines", "Fusions compared with cheap baselines"
COLUMNS = (
    "original",
    "reference",
    "method",
    "setting",
    "to_original",
    "to_reference",
    "latent_to_original",
    "latent_to_reference",
    "unexplained",
)
FILES = (f"{NAME}.png", f"{NAME}_plate.png")
USES: tuple[str, ...] = ()
FUSION, LEARNED, SUM, LATENTS, VARIED, PROMPTED = (
    "fusion", "fusion, learned", "sum of waveforms", "latents interpolated", "vary, no prompt", "vary, reference's words"
)  # fmt: skip
BLEND = 0.5
ENTRIES = (0.5, 0.6, 0.7, 0.76, 0.82, 0.88, 0.94, 0.98)
PLATES = 3
MOST = 0.75


def fine_tunes(plan: Plan) -> list[FineTune]:
    return [plan.fine_tune(reference) for _, reference in plan.trained_pairs]


def tasks(plan: Plan) -> list[Task]:
    return [Task(NAME, " | ".join(pair), functools.partial(compare, pair=pair)) for pair in plan.pairs]


def compare(bench: Bench, *, pair: Pair) -> Findings:
    """Compare all methods on one pair. Sum, interpolation and learned fusion are set to the fusion's balance between the two sounds."""
    plan, (original, reference), findings = bench.plan, pair, Findings()
    settings = FuseSettings(strength="paper", spread=0.0, steps=plan.steps, seed=plan.seed, hold=plan.hold, blend=BLEND)
    k = settings.turn_on(bench.model.schedule(plan.steps)).intervention
    results = {
        FUSION: (f"step {k}", operations.fuse(bench.model, bench.sound(original), bench.sound(reference), settings))
    }
    wanted = balance(bench, results[FUSION][1], pair)
    if pair in plan.trained_pairs:
        results[LEARNED] = _learned(bench, pair, wanted)
    trips = [bench.round_trip(name) for name in pair]
    latents = [bench.latents(name) for name in pair]
    results[SUM] = balanced_mix(
        lambda part: part * trips[0] + (1 - part) * trips[1],
        lambda audio: balance(bench, audio, pair) - wanted,
        rounds=10,
    )
    results[LATENTS] = balanced_mix(
        lambda part: bench.decoded(torch.lerp(latents[1], latents[0], part)), lambda audio: balance(bench, audio, pair) - wanted, rounds=4
    )  # fmt: skip
    for name, prompt in ((VARIED, ""), (PROMPTED, FineTune(reference).prompt)):
        varied = VarySettings(strength=1 - k / plan.steps, prompt=prompt, steps=plan.steps, seed=plan.seed)
        results[name] = f"from step {k}", operations.vary(bench.model, bench.sound(original), varied)
    row = f"{original} into {reference}"
    shown = pair in plan.pairs[:PLATES]
    if shown:
        findings.plates += [bench.plate(row, "original", trips[0]), bench.plate(row, "reference", trips[1])]
    for method, (setting, audio) in results.items():
        findings.rows.append(_row(bench, pair, method, setting, audio))
        if shown and method != LEARNED:
            findings.plates.append(bench.plate(row, method, audio))
    return findings


def _row(bench: Bench, pair: Pair, method: str, setting: str, audio: torch.Tensor) -> Row:
    power, z = bench.power(audio), bench.model.encode(audio)
    to = [log_mel_correlation(log_mel(power), log_mel(bench.power_of(name))) for name in pair]
    latent = [correlation(z, bench.latents(name)) for name in pair]
    return {
        "original": pair[0], "reference": pair[1], "method": method, "setting": setting, "to_original": to[0], "to_reference": to[1],
        "latent_to_original": latent[0], "latent_to_reference": latent[1], "unexplained": unexplained(power, *map(bench.power_of, pair)),
    }  # fmt: skip


def balance(bench: Bench, audio: torch.Tensor, pair: Pair) -> float:
    """Return the likeness to the original minus that to the reference."""
    return bench.likeness_to(audio, pair[0]) - bench.likeness_to(audio, pair[1])


def balanced_mix(
    mix: Callable[[float], torch.Tensor], excess: Callable[[torch.Tensor], float], *, rounds: int
) -> tuple[str, torch.Tensor]:
    """Return the mix whose excess is closest to zero, by bisection; the excess increases with the weight of the original, 0 … 1."""
    low, high = 0.0, 1.0
    tried = []
    for _ in range(rounds + 1):
        part = (low + high) / 2
        audio = mix(part)
        over = excess(audio)
        tried.append((abs(over), part, audio))
        low, high = (low, part) if over > 0 else (part, high)
    _, part, audio = min(tried, key=lambda found: found[0])
    return f"{part:.3f} of the original", audio


def _learned(bench: Bench, pair: Pair, wanted: float) -> tuple[str, torch.Tensor]:
    """Return the fusion with the learned reference whose balance is closest to the wanted one."""
    plan, fine_tune = bench.plan, bench.plan.fine_tune(pair[1])
    settings = FuseSettings(
        strength="paper", spread=0.0, steps=plan.steps, seed=plan.seed, prompt=fine_tune.prompt, intervention=0
    )
    fusions = prepare(bench.fine_tuned(fine_tune), bench.sound(pair[0]), None, settings).morphed(
        list(map(plan.step, ENTRIES))
    )
    audio = {k: bench.decoded(latents) for k, latents in fusions.items()}
    k = min(audio, key=lambda step: abs(balance(bench, audio[step], pair) - wanted))
    return f"step {k}", audio[k]


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    rows = tables[NAME]
    notes = {
        (f"{row['original']} into {row['reference']}", str(row["method"])): f"o {row['to_original']:.2f} r {row['to_reference']:.2f} u {row['unexplained']:.2f}"
        for row in rows
    }  # fmt: skip
    title = "Two sounds combined by several methods; likeness to original (o) and reference (r), part unexplained by any mix (u)"
    return {
        FILES[0]: _draw_dots(rows),
        FILES[1]: plotting.plate(plates, title=title, seconds=plan.seconds, notes=notes),
    }


def _draw_dots(rows: Sequence[Row]) -> Figure:
    methods = [m for m in (FUSION, LEARNED, SUM, LATENTS, VARIED, PROMPTED) if m in values(rows, "method")]
    drawn = plotting.figure(11, 3.6)
    panels = drawn.subplots(1, 3, sharey=True)
    shown = (
        ("to_original", "likeness to the original"),
        ("to_reference", "likeness to the reference"),
        ("unexplained", "unexplained by any mix of the two"),
    )
    for panel, (column, title) in zip(panels, shown, strict=True):
        for place, method in enumerate(methods):
            mine = where(rows, method=method)
            panel.plot(
                [row[column] for row in mine],
                [place] * len(mine),
                "o",
                color=plotting.PALETTE[place],
                alpha=0.5,
                markersize=5,
            )
            panel.plot([mean(mine, column)], [place], "|", color="black", markersize=20, markeredgewidth=2)
        panel.set(title=title, xlim=(min(0.0, *(row[column] for row in rows)) - 0.02, 1.02))
        panel.title.set_fontsize(10)
        plotting.quiet(panel)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].invert_yaxis()
    drawn.supxlabel(
        "log-mel correlation; log-mel correlation; share of squared band power.  Dots: pairs; bars: means", fontsize=9
    )
    return drawn


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = tables[NAME]
    mine = where(rows, method=FUSION)

    def ahead(method: str) -> int:
        others = {(row["original"], row["reference"]): row["unexplained"] for row in where(rows, method=method)}
        return sum(row["unexplained"] > others[row["original"], row["reference"]] for row in mine)

    def both(method: str) -> float:
        of = where(rows, method=method)
        return (mean(of, "to_original") + mean(of, "to_reference")) / 2

    counts = ahead(SUM), ahead(LATENTS)
    parts = ", ".join(
        f"{name} {mean(where(rows, method=m), 'unexplained'):.2f}"
        for name, m in (("fusion", FUSION), ("sum", SUM), ("latents", LATENTS))
    )
    likes = ", ".join(f"{both(m):.2f}" for m in (FUSION, SUM, LATENTS))
    text = f"unexplained by any mix: {parts}; fusion above the sum in {share(counts[0], len(mine))} pairs; mean likeness to both sounds: {likes}"
    criterion = f"held: at the same balance, the part unexplained by any mix is larger in the fusion than in the waveform sum, and than in interpolated latents, each in {MOST:.0%} of the pairs or more; in part: than in one of them"
    enough = [count >= MOST * len(mine) for count in counts]
    return [
        Verdict(
            "A fusion is more than a sum: no mix of the two sounds explains all of it",
            text,
            grade(all(enough), any(enough)),
            criterion,
        )
    ]


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    columns = ("to_original", "to_reference", "latent_to_original", "latent_to_reference", "unexplained")
    methods = values(rows, "method")
    pairs_of = {m: {(r["original"], r["reference"]) for r in where(rows, method=m)} for m in methods}
    body = [[m, len(pairs_of[m]), *(mean(where(rows, method=m), c) for c in columns)] for m in methods]
    both = {
        m: (mean(where(rows, method=m), "to_original") + mean(where(rows, method=m), "to_reference")) / 2
        for m in (FUSION, SUM, LATENTS)
    }
    mixes = {SUM: "sum of the waveforms", LATENTS: "interpolation of the latents"}
    higher = [name for method, name in mixes.items() if both[method] > both[FUSION]]
    comparison = (
        f"By likeness to both sounds together, the {' and the '.join(higher)} score{'s' if len(higher) == 1 else ''} higher than the fusion. That is to be expected: a mix contains both sounds entirely, and the measure rewards each spectrogram cell of either that remains. "
        if higher else "By likeness to both sounds together, no mix scores higher than the fusion here. "
    )  # fmt: skip
    per_pair = [
        [row["original"], row["reference"], row["method"], row["setting"], row["to_original"], row["to_reference"], row["unexplained"]] for row in rows
    ]  # fmt: skip
    return f"""The fusion uses the default settings: blend {BLEND} on the default calibration, hold {plan.hold:g}, order 3, {plan.steps} steps. The sum of the waveforms (of the two round trips), the interpolation
of the latents and the learned fusion are set to the same balance (likeness to the original minus that to the reference); `vary` starts from the original at the fusion's own step, without a reference, or with words
that describe it as the prompt.

{markdown(["method", "pairs", "like the original", "like the reference", "latent to original", "latent to reference", "unexplained"], body)}

{comparison}The measures do not show whether one hears two sounds or one: log-mel correlation cannot distinguish the hum beside the drums from the hum struck by the drums. `unexplained` indicates the latter, since it is 0 for any
mix with a filter on each sound. But artefacts raise it as well: interpolated latents, which average decibels and thereby cross-fade spectra, are not at 0 either, and `vary`, which knows nothing of the reference, is at {mean(where(rows, method=VARIED), "unexplained"):.2f}. Look at the plate, and listen.

<details><summary>Every pair</summary>

{markdown(["original", "reference", "method", "setting", "like the original", "like the reference", "unexplained"], per_pair)}

</details>"""
