"""The gate's measurements of one pair: the fusion at its balance, and the baselines beside it."""

import math
import statistics
from dataclasses import dataclass, replace

import torch

from pocket import likeness
from pocket.gate import baselines
from pocket.gate.pairs import SoundPair
from tertium.engine.fusion.knob import Turn
from tertium.engine.models.loaded_model import LoadedModel
from tertium.engine.pair import Pair, prepare
from tertium.engine.settings import LearnSettings, WindowSettings
from tertium.engine.training import adapters
from tertium.engine.training.fine_tune import Learner

BLENDS = tuple(turn / 20 for turn in range(3, 18))
"""Blends that are tried for the balance."""
FUSION, LEARNED = "fusion", "fusion, learned"
ROWS = (FUSION, LEARNED, "sum", "geometric mean", "vocoder", "interpolation", "shrinker")


@dataclass(frozen=True)
class Options:
    """How to fuse.

    Args:
        steps: of the solver.
        hold: the instant reference's weight in the completion, 0 … 1; without one the completion loses it.
        seeds: how many, 2 or more, to know by how much a fusion's own seeds differ.
    """

    steps: int = 50
    hold: float = 0.2
    seeds: int = 2


def row(sound: torch.Tensor, fused: torch.Tensor, pair: SoundPair) -> dict[str, float]:
    """Return a sound's measures against the pair and against the fusion. Likeness is that of log-mel spectra, from which level is removed."""
    original, reference = pair.sounds
    line = (likeness.level(original) + likeness.level(reference)) / 2
    to_original, to_reference = likeness.mel(sound, original), likeness.mel(sound, reference)
    return {
        "original": to_original, "reference": to_reference, "both": min(to_original, to_reference), "fusion": likeness.mel(sound, fused),
        "onsets": likeness.onsets(sound, original), "partials": likeness.partials(sound, reference), "level": likeness.level(sound) - line,
    }  # fmt: skip


@torch.no_grad()
def compare(
    model: LoadedModel, pair: SoundPair, spread: tuple[torch.Tensor, torch.Tensor], options: Options, *, learn: bool
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Return the rows of one pair by method, and the figures that the gate judges.

    Args:
        spread: mean and variance of the model's latents, for the shrinker.
        learn: whether to fine-tune the model on the reference as well, which takes a minute or more.
    """
    original, reference = pair.sounds
    samples = original.shape[1]
    settings = WindowSettings(steps=options.steps, hold=options.hold)
    turn, fused = balance(model, prepare(model, original, reference, settings), pair)
    fusions, shrunk = [fused], []
    for seed in range(options.seeds):
        seeded = prepare(model, original, reference, replace(settings, seed=seed))
        if seed:
            fusions.append(_decoded(model, seeded, turn, samples))
        wiener = replace(seeded, null=baselines.shrinker(model.schedule(options.steps), *spread))
        shrunk.append(_decoded(model, wiener, turn, samples))
    between = baselines.interpolations(model, model.encode(original), model.encode(reference), samples=samples)
    nearest = max(between, key=lambda sound: likeness.mel(sound, fused))
    sounds = {
        FUSION: fused, "sum": baselines.waveform_sum(original, reference), "geometric mean": baselines.geometric_mean(original, reference),
        "vocoder": baselines.channel_vocoder(original, reference), "interpolation": nearest, "shrinker": shrunk[0],
    }  # fmt: skip
    rows = {name: row(sound, fused, pair) for name, sound in sounds.items()}
    if learn:
        rows[LEARNED] = row(learned(model, pair, options), fused, pair)
    return rows, {
        "parents alike": likeness.mel(original, reference),
        "like the interpolation": rows["interpolation"]["fusion"],
        "own seeds differ": _difference(fusions[:-1], fusions[1:]),
        "differs from the shrinker": _difference(fusions, shrunk),
        "like both parents": rows[FUSION]["both"],
        "learned onsets": rows[LEARNED]["onsets"] if learn else math.nan,
        "learned partials": rows[LEARNED]["partials"] if learn else math.nan,
    }


def balance(model: LoadedModel, prepared: Pair, pair: SoundPair) -> tuple[Turn, torch.Tensor]:
    """Return the turn of the knob, among :data:`BLENDS`, whose fusion is most nearly as like the original as the reference, and that fusion."""
    samples, schedule = pair.sounds[0].shape[1], prepared.inversion.schedule
    turns = [prepared.settings.turn_at(blend, schedule) for blend in BLENDS]
    latents = prepared.morphed([turn.intervention for turn in turns])
    found: dict[int, torch.Tensor] = {}

    def leaning(index: int) -> float:
        turn = turns[index]
        found[index] = model.decode(prepared.finished(latents[turn.intervention], turn), samples=samples)[0]
        return likeness.mel(found[index], pair.sounds[0]) - likeness.mel(found[index], pair.sounds[1])

    # Higher blends lean towards the original, so halving finds the turn with few of the costly decodings.
    leanings, low, high = {}, 0, len(turns) - 1
    while low <= high:
        middle = (low + high) // 2
        leanings[middle] = leaning(middle)
        low, high = (middle + 1, high) if leanings[middle] < 0 else (low, middle - 1)
    chosen = min(leanings, key=lambda index: abs(leanings[index]))
    return turns[chosen], found[chosen]


def _decoded(model: LoadedModel, prepared: Pair, turn: Turn, samples: int) -> torch.Tensor:
    return model.decode(prepared.finished(prepared.fused(turn.intervention), turn), samples=samples)[0]


def learned(model: LoadedModel, pair: SoundPair, options: Options) -> torch.Tensor:
    """Return the balanced fusion under a model that was fine-tuned on the reference with the default settings."""
    with torch.enable_grad():
        learner = Learner(model, pair.sounds[1], LearnSettings(prompt=pair.words))
        learner.run()
    tuned = adapters.apply(model, learner.weights())
    settings = WindowSettings(steps=options.steps, prompt=pair.words)
    return balance(tuned, prepare(tuned, pair.sounds[0], None, settings), pair)[1]


def _difference(some: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    """Return the mean of one minus the likeness, pair by pair."""
    return statistics.mean(1 - likeness.mel(a, b) for a, b in zip(some, others, strict=True))
