"""The window of a pair: the similarity of its fusions to either sound by intervention, and the knob's calibration.

Everything is measured against the round trips of the two sounds, which are the ends of the knob (where a prompt
replaces the reference, against the prompt's own result).
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from tertium.engine.fusion.knob import WINDOW, Turn, even_turn, lam_at, place_of
from tertium.engine.fusion.reference_phase import Memory
from tertium.engine.fusion.similarity import correlation, log_mel, log_mel_correlation, mel_power, unexplained
from tertium.engine.models.loaded_model import LoadedModel
from tertium.engine.pair import Pair, prepare
from tertium.engine.progress import DECODE, ENCODE, OnProgress, Progress, ignore_progress
from tertium.engine.sampling.schedule import Schedule
from tertium.engine.settings import WindowSettings

NOISIEST = 100.0  # noise-to-signal ratio at which the measurement starts
BEGIN, END = 0.1, 0.9
KNOTS = 21  # of the calibration: one every twentieth of the knob
TURNS = 128  # of the knob between which a window of the strength "even" is measured


@dataclass(frozen=True)
class Point:
    """One fusion of the window.

    Args:
        intervention: k, a fraction between two steps; None is the reference alone, N the original alone.
        noise_to_signal: sigma / alpha at k; None at the two ends.
        original, reference: log-mel correlation with the round trip of either sound.
        latent_original, latent_reference: correlation of latents.
        unexplained: see :func:`tertium.engine.fusion.similarity.unexplained`.
        position: from the reference (0) to the original (1), by log-mel correlation; it never falls along the window.
    """

    intervention: float | None
    noise_to_signal: float | None
    original: float
    reference: float
    latent_original: float
    latent_reference: float
    unexplained: float
    position: float


@dataclass(frozen=True)
class Window:
    """A measured window.

    Args:
        steps: N.
        points: from the reference alone to the original alone.
        begin, end: the fractional interventions at 10 % and 90 % of the way from the first intervention measured to the
            original.
        equilibrium: the fractional intervention at which the result is equally similar to both.
        ratios: noise-to-signal ratios at evenly spaced blends: the calibration of ``blend``, with which equal turns
            give equal steps of similarity on either side of the equilibrium, which is blend 0.5.
    """

    steps: int
    points: tuple[Point, ...]
    begin: float
    end: float
    equilibrium: float
    ratios: tuple[float, ...]


@torch.no_grad()
def measure(
    model: LoadedModel,
    original: torch.Tensor,
    reference: torch.Tensor | None,
    settings: WindowSettings,
    *,
    memory: Memory | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Window:
    """Measure the window of a pair: half of the points evenly, then the others where the similarity changes most.

    Stages: encode, completion, decode, completion of more, decode of more.

    Args:
        original, reference, memory: as in :func:`tertium.engine.operations.fuse`.

    Raises:
        SoundError, SettingError: as :func:`tertium.engine.operations.fuse`.
    """
    schedule = model.schedule(settings.steps)
    turns = candidates(schedule, settings)
    coarse = coarsely(len(turns), (settings.points + 1) // 2, inner=settings.strength == "even")
    progress = Progress(on_progress, _costs(settings, [turns[i] for i in coarse], sampled=reference is None))
    pair = prepare(
        model, original, reference, settings, memory=memory, on_encode=lambda part: progress.at("encode", part)
    )
    alone = [Turn(None, 0.0), Turn(settings.steps, 1.0)]
    first = [alone[0], *(turns[i] for i in coarse), alone[1]]
    count = pair.steps_of([turn.intervention for turn in first]) + settings.steps * (reference is None)
    latents = _fused(pair, first, progress.counted("completion", count))
    powers = {}

    def measure_power(stage: str, steps: Sequence[Turn]) -> None:
        for index, turn in enumerate(steps):
            progress.at(stage, index / len(steps))
            powers[turn] = mel_power(model.decode(latents[turn], samples=original.shape[1])[0], model.sample_rate)

    measure_power("decode", first)
    along = positions(*_likeness(first, powers))
    more = [turns[i] for i in refine(coarse, along[1:-1], settings.points - len(coarse))]
    if more:
        report = progress.counted("completion of more", pair.steps_of([turn.intervention for turn in more]))
        latents |= _fused(pair, more, report)
        measure_power("decode of more", more)
    progress.at("decode of more", 1.0)
    every = [alone[0], *sorted({*first[1:-1], *more}, key=lambda turn: (turn.intervention, turn.place)), alone[1]]
    return window_of(_points(every, latents, powers, schedule), schedule, ends=settings.strength == "even")


def candidates(schedule: Schedule, settings: WindowSettings) -> list[Turn]:
    """Return the turns of the knob that may be measured, in order, without its ends.

    With the strength ``paper`` these are the steps from a noise-to-signal ratio of 100 to the schedule's last step, but
    for N - 2, which no blend uses.
    """
    if settings.strength == "even":
        return [even_turn(turn / TURNS, schedule) for turn in range(1, TURNS)]
    last = schedule.steps - 1
    first = next((k for k in range(last) if schedule.noise_to_signal(k) <= NOISIEST), last)
    return [Turn(k, place_of(k, schedule)) for k in range(first, last + 1) if k != last - 1 or first == last - 1]


def coarsely(many: int, count: int, *, inner: bool) -> list[int]:
    """Return at most ``count`` evenly spaced indices of ``many``, in order: with the first and the last, or between them (inner)."""
    if inner:
        return sorted({round((many + 1) * (i + 1) / (count + 1)) - 1 for i in range(count)})
    return sorted({round((many - 1) * i / (count - 1)) for i in range(count)})


def _fused(pair: Pair, turns: Sequence[Turn], on_step: Callable[[int], None]) -> dict[Turn, torch.Tensor]:
    made = pair.morphed([turn.intervention for turn in turns], on_step=on_step)
    return {turn: pair.finished(made[turn.intervention], turn) for turn in turns}


def _costs(settings: WindowSettings, coarse: Sequence[Turn], *, sampled: bool) -> dict[str, float]:
    more = settings.points - len(coarse)
    mean = sum(settings.steps - turn.intervention for turn in coarse) / len(coarse)
    return {
        "encode": 2 * ENCODE,
        "completion": mean * len(coarse) + settings.steps * sampled,
        "decode": DECODE * (len(coarse) + 2),
        "completion of more": mean * more,
        "decode of more": DECODE * more,
    }


def _likeness(every: Sequence[Turn], powers: Mapping[Turn, torch.Tensor]) -> tuple[list[float], list[float]]:
    """Return each sound's log-mel correlation with the last, the original, and with the first, the reference."""
    logs = {k: log_mel(powers[k]) for k in every}
    original, reference = logs[every[-1]], logs[every[0]]
    return [log_mel_correlation(logs[k], original) for k in every], [
        log_mel_correlation(logs[k], reference) for k in every
    ]


def _points(
    every: Sequence[Turn],
    latents: Mapping[Turn, torch.Tensor],
    powers: Mapping[Turn, torch.Tensor],
    schedule: Schedule,
) -> list[Point]:
    first, last = every[0], every[-1]
    to_original, to_reference = _likeness(every, powers)
    along = positions(to_original, to_reference)
    return [
        Point(
            intervention=k.intervention,
            noise_to_signal=None if k in (first, last) else math.exp(-lam_at(k.intervention, schedule)),
            original=to_original[i],
            reference=to_reference[i],
            latent_original=correlation(latents[k], latents[last]),
            latent_reference=correlation(latents[k], latents[first]),
            unexplained=unexplained(powers[k], powers[last], powers[first]),
            position=along[i],
        )
        for i, k in enumerate(every)
    ]


def refine(tried: Sequence[int], along: Sequence[float], count: int) -> list[int]:
    """Return at most ``count`` further candidates to measure, by their indices.

    Each halves the largest change of position that still has a candidate within it.

    Args:
        tried: indices of those already measured, in order.
        along: their positions.
    """
    known = list(zip(tried, along, strict=True))
    more: list[int] = []
    while len(more) < count:
        gaps = [
            (later - earlier, -right + left, i)
            for i, ((left, earlier), (right, later)) in enumerate(itertools.pairwise(known))
            if right - left > 1
        ]
        if not gaps:
            break
        place = max(gaps)[2]
        (left, earlier), (right, later) = known[place], known[place + 1]
        known.insert(place + 1, ((left + right) // 2, (earlier + later) / 2))
        more.append((left + right) // 2)
    return sorted(more)


def positions(to_original: Sequence[float], to_reference: Sequence[float]) -> list[float]:
    """Return the position of each point, 0 … 1, from its similarities. The first is the reference, the last the original.

    The position is the mean of the similarity gained to the original and lost to the reference, replaced by the nearest
    sequence (least squares) that never falls. Two indistinguishable sounds get evenly spaced positions.
    """
    gain, loss = 1.0 - to_original[0], 1.0 - to_reference[-1]
    if min(gain, loss) < 1e-6:
        return [i / (len(to_original) - 1) for i in range(len(to_original))]
    raw = [
        0.5 * (o - to_original[0]) / gain + 0.5 * (1.0 - r) / loss
        for o, r in zip(to_original, to_reference, strict=True)
    ]
    return [0.0, *_never_falling([min(max(p, 0.0), 1.0) for p in raw[1:-1]]), 1.0]


def window_of(points: Sequence[Point], schedule: Schedule, *, ends: bool = False) -> Window:
    """Return the window of its points: the reference alone, one or more interventions, the original alone.

    Args:
        ends: whether interventions lead up to both ends, so that the calibration includes these.
    """
    places = [float(schedule.steps) if p.intervention is None else float(p.intervention) for p in points]
    places[0] = max(places[1] - 1.0, 0.0)  # plots and interpolation place the reference alone one step before the first
    along = [p.position for p in points]
    balance = [p.original - p.reference for p in points]
    begin = 0.0 if ends else along[1]
    return Window(
        steps=schedule.steps,
        points=tuple(points),
        begin=_crossing(places[1:], along[1:], begin + BEGIN * (1.0 - begin)),
        end=_crossing(places[1:], along[1:], begin + END * (1.0 - begin)),
        equilibrium=_crossing(places, balance, 0.0),
        ratios=calibration(points, ends=ends),
    )


def calibration(points: Sequence[Point], *, ends: bool = False) -> tuple[float, ...]:
    """Return noise-to-signal ratios at ``KNOTS`` evenly spaced blends.

    Blend 0.5 is the equilibrium, and on either side of it equal turns give equal steps of position. They run from the
    position of the first intervention measured to that of the last, since no intervention reaches beyond these, or
    (ends) from 0 to 1. Where the position does not change at all, return :data:`WINDOW`.
    """
    tried = [p for p in points if p.noise_to_signal]
    if not tried or tried[-1].position <= tried[0].position:
        return WINDOW
    ratios = [math.log(p.noise_to_signal) for p in tried]
    along, balance = [p.position for p in tried], [p.original - p.reference for p in tried]
    if ends:
        ratios = [max(ratios[0], math.log(WINDOW[0])), *ratios, min(ratios[-1], math.log(WINDOW[-1]))]
        along = [0.0, *along, 1.0]
        balance = [points[0].original - points[0].reference, *balance, points[-1].original - points[-1].reference]
    low, high = along[0], along[-1]
    middle = min(max(_crossing(along, balance, 0.0), low), high)
    knots = (knot / (KNOTS - 1) for knot in range(KNOTS))
    wanted = (low + 2 * k * (middle - low) if k <= 0.5 else middle + (2 * k - 1) * (high - middle) for k in knots)
    return tuple(math.exp(_inverse(ratios, along, position)) for position in wanted)


def _never_falling(values: Sequence[float]) -> list[float]:
    """Return the nearest sequence (least squares) that never falls, by pooling neighbours (isotonic regression)."""
    pools: list[list[float]] = []  # [mean, count]
    for value in values:
        pools.append([value, 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, many = pools.pop()
            before, more = pools[-1]
            pools[-1] = [(mean * many + before * more) / (many + more), many + more]
    return [mean for mean, many in pools for _ in range(int(many))]


def _crossing(places: Sequence[float], values: Sequence[float], level: float) -> float:
    """Return the place where values first reach a level, interpolated linearly; the last place if they never do."""
    for i in range(1, len(places)):
        if values[i] >= level:
            rise = values[i] - values[i - 1]
            part = (level - values[i - 1]) / rise if rise > 0 else 1.0
            return places[i - 1] + min(max(part, 0.0), 1.0) * (places[i] - places[i - 1])
    return places[-1]


def _inverse(ratios: Sequence[float], along: Sequence[float], wanted: float) -> float:
    """Return the ratio at a position, interpolated linearly; flat stretches give their middle."""
    if wanted <= along[0]:
        return ratios[0]
    if wanted >= along[-1]:
        return ratios[-1]
    after = next(i for i, value in enumerate(along) if value > wanted)
    before = max(i for i, value in enumerate(along[:after]) if value <= wanted)
    part = (wanted - along[before]) / (along[after] - along[before])
    return ratios[before] + part * (ratios[after] - ratios[before])
