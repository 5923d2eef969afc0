"""Rows of the report's tables with planted values: an effect between methods, and a scatter between sounds that no method explains."""

import random

from evaluation.figures import baselines, initial_latent, noise_maps, noise_sampling, orders, prompt
from evaluation.measures import MEASURES

SOUNDS = tuple("abcdefghij")
PAIRS = [(sound, f"{sound}'") for sound in SOUNDS]


def scattered(value, scatter, *place):
    """Return a value with a scatter that only the place decides."""
    return value + random.Random(repr(place)).gauss(0.0, scatter)


def every_measure(value):
    return dict.fromkeys(MEASURES, value) | {"embedding": None}


def reconstructions(scatter=0.005, **likeness):
    every = {"clean": 0.5, "forward": 0.5, "stochastic": 0.5, "predicted": 0.5} | likeness
    return [
        {"sound": s, "seed": seed, "anchor": a, "intervention": 30, "latent": 0.5, **every_measure(scattered(value, scatter, s, seed, a))}
        for s in SOUNDS for seed in (0, 1, 2) for a, value in every.items()
    ]  # fmt: skip


def initials(inverted, varied, scratch, scatter=0.005):
    methods = {initial_latent.INVERTED: inverted, initial_latent.VARIED: varied, initial_latent.SCRATCH: scratch}
    return [{"original": s, "method": m, **every_measure(scattered(value, scatter, s, m))} for s in SOUNDS for m, value in methods.items()]  # fmt: skip


def answers(learned, before, scatter=0.01):
    given = {prompt.LEARNED: learned, prompt.BEFORE: before}
    return [
        {"reference": s, "method": "lora", "answer_to": to, **every_measure(scattered(value, scatter, s, to))}
        for s in SOUNDS[:3] for to, value in given.items()
    ]  # fmt: skip


def curve(original, reference, to_original, to_reference, **about):
    shared = {
        "original": original, "reference": reference, "led_by": "instant", "null_dropout": 0.3, "order": 3, "eta": 1, "anchor": "clean", "steps": 50,
        "begin": 15.0, "end": 35.0, "equilibrium": 20.0, "unexplained": 0.1,
    } | about  # fmt: skip
    steps = [None, *range(10, 10 * len(to_original), 10)]
    return [
        shared | {"intervention": k, "to_original": o, "to_reference": r}
        for k, o, r in zip(steps, to_original, to_reference, strict=True)
    ]


def all_curves(to_original, to_reference, **about):
    return [row for pair in PAIRS for row in curve(*pair, to_original, to_reference, **about)]


def by_order(widths, equilibria=(30.0, 30.0, 30.0), scatter=0.7):
    rising, falling = [0.2, 0.5, 0.9], [0.9, 0.5, 0.2]
    rows = {}
    for order, width, middle in zip((1, 2, 3), widths, equilibria, strict=True):
        rows[order] = [
            row for pair in PAIRS
            for row in curve(
                *pair, rising, falling, order=order, begin=20.0, end=20.0 + scattered(width, scatter, pair, order, "width"),
                equilibrium=scattered(middle, scatter, pair, order),
            )
        ]  # fmt: skip
    return {"variants": rows[1] + rows[2], "windows": rows[3]}


def interventions(first, second, third, alone=(0.0, 0.0, 0.0), scatter=0.005):
    """Return the rows of appendix C: likeness at the later timesteps by order, and at timestep 0, where the prompt leads alone."""
    return [
        {"original": s, "order": order, "drawn": 1, "paper_timestep": step, **every_measure(scattered(value if step else prompted, scatter, s, order, step))}
        for s in SOUNDS for order, value, prompted in zip((1, 2, 3), (first, second, third), alone, strict=True) for step in orders.PAPER
    ]  # fmt: skip


def maps(sde, ode):
    return [
        {"solver": s, "anchor": "predicted", "phase": noise_maps.RECURSION, "step": i, "noise_to_signal": 2.0**i, "rms": 0.7 * 2.0 ** (power * i)}
        for s, power in (("SDE", sde), ("ODE", ode)) for i in range(5)
    ]  # fmt: skip


def guided(predicted, clean, free=0.5, scatter=0.005):
    given = {"predicted": predicted, "clean": clean}
    return [
        {"sound": s, "solver": "SDE", "anchor": a, "method": method, "apart": None, **every_measure(scattered(value, scatter, s, a, method))}
        for s in SOUNDS for a, mapped in given.items() for method, value in ((noise_sampling.MAP, mapped), (noise_sampling.FREE, free))
    ]  # fmt: skip


def ways(fusion, others, *, own=0.05, latents=0.05, shrinker=0.05, scatter=0.005, **crossed):
    """Return the rows of the baselines: what each has of onsets and partials, and how it differs from the fusion.

    Args:
        others: of all cheap methods, but for those in ``crossed``, by their names in :mod:`evaluation.figures.baselines`.
    """
    methods = {baselines.FUSION: fusion} | {m: others for m in baselines.CHEAP}
    methods |= {getattr(baselines, name): value for name, value in crossed.items()}
    differs = {baselines.FUSION: own, baselines.LATENTS: latents, baselines.SHRINKER: shrinker}
    return [
        {"original": o, "reference": r, "method": m, "crossed": scattered(value, scatter, o, m), "differs": scattered(differs.get(m, 0.3), scatter, o, m, "d")}
        for o, r in PAIRS for m, value in methods.items()
    ]  # fmt: skip


def dropouts(null_at_none, null_at_half, scatter=0.005):
    rising, falling = [0.2, 0.5, 0.9], [0.9, 0.5, 0.2]
    return [
        row | {"null_alone": scattered(null, scatter, row["reference"], rate), "prompt_alone": 0.9}
        for rate, null in ((0.0, null_at_none), (0.5, null_at_half)) for row in all_curves(rising, falling, null_dropout=rate)
    ]  # fmt: skip
