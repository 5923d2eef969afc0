"""Fusions compared with cheap baselines: sum, geometric mean, vocoder, interpolated latents, a network that only shrinks, and audio-to-audio."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

import torch
from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict, positive, together
from evaluation.fine_tunes import FineTune
from evaluation.intervals import Interval, difference, over
from evaluation.measures import MEASURES, cells
from evaluation.plan import Pair, Plan
from evaluation.tables import Row, markdown, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from pocket.gate import baselines as cheap
from tertium.engine import operations
from tertium.engine.fusion.similarity import unexplained
from tertium.engine.pair import prepare
from tertium.engine.settings import FuseSettings, VarySettings

NAME, TITLE = "baselines", "Fusions compared with cheap baselines"
TO_ORIGINAL, TO_REFERENCE = "_to_original", "_to_reference"
COLUMNS = (
    "original", "reference", "method", "setting", *(f"{name}{to}" for to in (TO_ORIGINAL, TO_REFERENCE) for name in MEASURES), "crossed", "differs",
    "unexplained",
)  # fmt: skip
FILES = (f"{NAME}.png", f"{NAME}_plate.png")
USES: tuple[str, ...] = ()
FUSION, LEARNED, SUM, GEOMETRIC, VOCODER, LATENTS, SHRINKER, VARIED, PROMPTED = (
    "fusion", "fusion, learned", "sum of waveforms", "geometric mean of spectra", "channel vocoder", "latents interpolated", "Wiener shrinker",
    "vary, no prompt", "vary, reference's words",
)  # fmt: skip
CHEAP = (SUM, GEOMETRIC, VOCODER, LATENTS, SHRINKER)
BLEND = 0.5
ENTRIES = (0.5, 0.6, 0.7, 0.76, 0.82, 0.88, 0.94, 0.98)
PLATES = 3
UNIT = ("original", "reference")


def fine_tunes(plan: Plan) -> list[FineTune]:
    return [plan.fine_tune(reference) for _, reference in plan.trained_pairs]


def tasks(plan: Plan) -> list[Task]:
    pairs = dict.fromkeys([*plan.pairs, *plan.trained_pairs])
    return [Task(NAME, " | ".join(pair), functools.partial(compare, pair=pair)) for pair in pairs]


def compare(bench: Bench, *, pair: Pair) -> Findings:
    """Compare all methods on one pair. Sum, interpolation and learned fusion are set to the fusion's balance between the two sounds."""
    plan, findings = bench.plan, Findings()
    trips, latents = [bench.round_trip(name) for name in pair], [bench.latents(name) for name in pair]
    k, fusions, shrunk = _fusions(bench, pair)
    wanted = balance(bench, fusions[0], pair)

    def excess(audio: torch.Tensor) -> float:
        return balance(bench, audio, pair) - wanted

    results = {FUSION: (f"step {k}", fusions[0]), SHRINKER: (f"step {k}", shrunk[0])}
    if pair in plan.trained_pairs:
        results[LEARNED] = _learned(bench, pair, wanted)
    results[SUM] = balanced_mix(lambda part: part * trips[0] + (1 - part) * trips[1], excess, rounds=10)
    results[GEOMETRIC] = "", cheap.geometric_mean(*trips)
    results[VOCODER] = "", cheap.channel_vocoder(*trips)
    results[LATENTS] = balanced_mix(
        lambda part: bench.decoded(torch.lerp(latents[1], latents[0], part)), excess, rounds=4
    )
    for name, prompt in ((VARIED, ""), (PROMPTED, FineTune(pair[1]).prompt)):
        varied = VarySettings(strength=1 - k / plan.steps, prompt=prompt, steps=plan.steps, seed=plan.seed)
        results[name] = f"from step {k}", operations.vary(bench.model, bench.sound(pair[0]), varied)
    differs: dict[str, float | None] = {name: 1 - bench.likeness(audio, fusions[0]) for name, (_, audio) in results.items()}  # fmt: skip
    nearest = cheap.interpolations(bench.model, latents[0], latents[1], samples=bench.samples)
    differs[LATENTS] = min(differs[LATENTS], *(1 - bench.likeness(audio, fusions[0]) for audio in nearest))
    differs[SHRINKER] = fmean(1 - bench.likeness(*both) for both in zip(fusions, shrunk, strict=True))
    differs[FUSION] = _own_difference(bench, fusions)
    row = f"{pair[0]} into {pair[1]}"
    shown = pair in plan.pairs[:PLATES]
    if shown:
        findings.plates += [bench.plate(row, "original", trips[0]), bench.plate(row, "reference", trips[1])]
    for method, (setting, audio) in results.items():
        findings.rows.append(_row(bench, pair, method, setting, audio) | {"differs": differs[method]})
        if shown and method != LEARNED:
            findings.plates.append(bench.plate(row, method, audio))
    return findings


def _fusions(bench: Bench, pair: Pair) -> tuple[int, list[torch.Tensor], list[torch.Tensor]]:
    """Return the step of the intervention, the fusions with each seed, and the same with a network that only shrinks."""
    plan, schedule = bench.plan, bench.model.schedule(bench.plan.steps)
    settings = FuseSettings(strength="paper", spread=0.0, steps=plan.steps, seed=plan.seed, hold=plan.hold, blend=BLEND)
    k = settings.turn_on(schedule).intervention
    wiener = cheap.shrinker(schedule, *cheap.statistics([bench.latents(name) for name in plan.sounds]))
    fusions, shrunk = [], []
    for seed in plan.seeds:
        prepared = prepare(bench.model, bench.sound(pair[0]), bench.sound(pair[1]), replace(settings, seed=seed))
        fusions.append(bench.decoded(prepared.fused(k)))
        shrunk.append(bench.decoded(replace(prepared, null=wiener).fused(k)))
    return k, fusions, shrunk


def _own_difference(bench: Bench, fusions: Sequence[torch.Tensor]) -> float | None:
    """Return by how much fusions with different seeds differ, 1 minus likeness, in the mean; None where there is one seed."""
    found = [1 - bench.likeness(a, b) for i, a in enumerate(fusions) for b in fusions[i + 1 :]]
    return fmean(found) if found else None


def _row(bench: Bench, pair: Pair, method: str, setting: str, audio: torch.Tensor) -> Row:
    to = [bench.measures(audio, name) for name in pair]
    every = {f"{name}{end}": value for end, of in zip((TO_ORIGINAL, TO_REFERENCE), to, strict=True) for name, value in of.items()}  # fmt: skip
    return {
        "original": pair[0], "reference": pair[1], "method": method, "setting": setting, **every, "crossed": min(to[0]["onsets"], to[1]["partials"]),
        "unexplained": unexplained(bench.power(audio), *map(bench.power_of, pair)),
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
        found = excess(audio)
        tried.append((abs(found), part, audio))
        low, high = (low, part) if found > 0 else (part, high)
    _, part, audio = min(tried, key=lambda each: each[0])
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
        (f"{row['original']} into {row['reference']}", str(row["method"])): f"o {row['log_mel_to_original']:.2f} r {row['log_mel_to_reference']:.2f}"
        for row in rows
    }  # fmt: skip
    title = "Two sounds combined by several methods; likeness to original (o) and reference (r)"
    return {
        FILES[0]: _draw_dots(rows),
        FILES[1]: plotting.plate(plates, title=title, seconds=plan.seconds, notes=notes),
    }


def _draw_dots(rows: Sequence[Row]) -> Figure:
    methods = [m for m in (FUSION, LEARNED, *CHEAP, VARIED, PROMPTED) if m in values(rows, "method")]
    drawn = plotting.figure(11.5, 4.4)
    shown = (
        ("log_mel_to_original", "log-mel, to the original"), ("log_mel_to_reference", "log-mel, to the reference"),
        ("onsets_to_original", "the original's onsets"), ("partials_to_reference", "the reference's partials"),
    )  # fmt: skip
    panels = drawn.subplots(1, len(shown), sharey=True)
    for panel, (column, title) in zip(panels, shown, strict=True):
        for place, method in enumerate(methods):
            mine, colour = where(rows, method=method), plotting.PALETTE[place % len(plotting.PALETTE)]
            panel.plot([row[column] for row in mine], [place] * len(mine), "o", color=colour, alpha=0.4, markersize=4)
            found = over(mine, column, UNIT)
            half = found.half if found.count > 1 else 0.0
            panel.errorbar(found.mean, place, xerr=half, fmt="|", color="black", markersize=14, markeredgewidth=2, capsize=3)  # fmt: skip
        panel.set(title=title)
        panel.title.set_fontsize(10)
        plotting.quiet(panel)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].invert_yaxis()
    drawn.supxlabel("correlations.  Dots: pairs; bars: means with 95 % intervals", fontsize=9)
    return drawn


def ahead(rows: Sequence[Row]) -> dict[str, Interval]:
    """Return by cheap method by how much more the fusion has of the original's onsets and the reference's partials, paired, over the pairs."""
    fusion = where(rows, method=FUSION)
    return {method: difference(fusion, where(rows, method=method), "crossed", UNIT) for method in CHEAP}


def beyond_seeds(rows: Sequence[Row], method: str) -> Interval:
    """Return by how much more the fusion differs from a method's result than its own seeds differ, over the pairs."""
    return difference(where(rows, method=method), where(rows, method=FUSION), "differs", UNIT)


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = tables[NAME]
    found = ahead(rows)
    parts = ", ".join(f"{method} {each.text(3, signed=True)}" for method, each in found.items())
    crossed = over(where(rows, method=FUSION), "crossed", UNIT)
    rule = "the lesser of the likeness of onsets to the original's and of partials to the reference's, paired by pair; held: the interval over each of the cheap methods lies above 0; in part: over some, and below 0 for none; did not hold: below 0 for one"
    results = [Verdict("A fusion has the original's onsets and the reference's partials at once, more than cheap combinations of the two sounds have", f"fusion {crossed.text()}; over {parts}", together([positive(each) for each in found.values()]), rule)]  # fmt: skip
    for method, claim in (
        (LATENTS, "A fusion is something else than an interpolation of the two sounds' latents"),
        (
            SHRINKER,
            "The network adds more to a fusion than a Wiener filter would, which knows only mean and variance of the latents",
        ),
    ):
        margin = beyond_seeds(rows, method)
        text = f"its difference (1 − log-mel likeness) exceeds that of its own seeds by {margin.text(3, signed=True)}"
        criterion = "paired by pair; held: the interval of that excess lies above 0; did not hold: below"
        results.append(Verdict(claim, text, positive(margin), criterion))
    return results


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    methods = values(rows, "method")
    to_original, to_reference, others = [], [], []
    for method in methods:
        mine = where(rows, method=method)
        to_original.append([method, len(mine), *cells(mine, UNIT, suffix=TO_ORIGINAL)])
        to_reference.append([method, len(mine), *cells(mine, UNIT, suffix=TO_REFERENCE)])
        others.append([method, *(over(mine, column, UNIT).text() for column in ("crossed", "differs", "unexplained"))])
    per_pair = [
        [row["original"], row["reference"], row["method"], row["setting"], *(row[column] for column in ("log_mel_to_original", "log_mel_to_reference", "crossed"))]
        for row in rows
    ]  # fmt: skip
    return f"""The fusion uses blend {BLEND} on the default calibration, hold {plan.hold:g}, order 3, {plan.steps} steps, strength `paper`, spread 0. The sum of the waveforms (of the two round trips), the interpolation
of the latents and the learned fusion are set to the same balance (log-mel likeness to the original minus that to the reference). The geometric mean of the spectra and the vocoder (the reference under the original's
levels in 48 bands) have no knob. The Wiener shrinker takes the network's place in the completion: it knows mean and variance of each latent channel, over the report's sounds, and nothing else. `vary` starts from the original at the
fusion's own step, without a reference, or with words that describe it as the prompt.

Means over pairs with 95 % intervals, to the original, and then to the reference.

{markdown(["method", "pairs", *MEASURES.values()], to_original)}

{markdown(["method", "pairs", *MEASURES.values()], to_reference)}

`crossed` is the lesser of the likeness of onsets to the original's and of partials to the reference's: what one hears as “this, played on that”, and what a method may well fail at. `differs` is 1 minus the log-mel likeness to the fusion;
for the fusion itself, that among its {len(plan.seeds)} seeds; for interpolated latents, that of the nearest of six. `unexplained` is the share of band power over time that no mix with a filter on each sound explains. It is 0 for the sum
by construction, since a sum is explained by a sum, and artefacts raise it too; so it decides nothing here.

{markdown(["method", "crossed", "differs", "unexplained"], others)}

No measure shows whether one hears two sounds or one. Look at the plate, and listen.

<details><summary>Every pair</summary>

{markdown(["original", "reference", "method", "setting", "like the original", "like the reference", "crossed"], per_pair)}

</details>"""
