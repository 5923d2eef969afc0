"""The window of a pair: the similarity of its fusions to either sound by intervention, and the knob's calibration.

Everything is measured against the round trips of the two sounds, which are the ends of the knob (where a prompt
replaces the reference, against the prompt's own result).
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from tertium.engine.fusion.fuse import WINDOW, intervention_to_blend
from tertium.engine.fusion.morph import Intervention, count_steps
from tertium.engine.fusion.reference_phase import Memory
from tertium.engine.fusion.similarity import correlation, log_mel, log_mel_correlation, mel_power, unexplained
from tertium.engine.models.loaded_model import LoadedModel
from tertium.engine.pair import prepare
from tertium.engine.progress import DECODE, ENCODE, OnProgress, Progress, ignore_progress
from tertium.engine.sampling.schedule import Schedule
from tertium.engine.settings import WindowSettings

NOISIEST = 100.0  # noise-to-signal ratio at which the measurement starts
BEGIN, END = 0.1, 0.9
KNOTS = 21  # of the calibration: one every twentieth of the knob


@dataclass(frozen=True)
class Point:
    """One fusion of the window.

    Args:
        intervention: k; None is the reference alone, N the original alone.
        noise_to_signal: sigma / alpha at k; None at the two ends.
        original, reference: log-mel correlation with the round trip of either sound.
        latent_original, latent_reference: correlation of latents.
        unexplained: see :func:`tertium.engine.fusion.similarity.unexplained`.
        position: from the reference (0) to the original (1), by log-mel correlation; it never falls along the window.
    """

    intervention: int | None
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
            give equal steps of similarity.
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
    coarse = interventions(schedule, (settings.points + 1) // 2)
    progress = Progress(on_progress, _costs(settings, coarse, sampled=reference is None))
    pair = prepare(
        model, original, reference, settings, memory=memory, on_encode=lambda part: progress.at("encode", part)
    )
    first = [None, *coarse, settings.steps]
    count = count_steps(first, settings.steps, sampled=reference is None)
    powers = {}

    def fused(steps: Sequence[Intervention], on_step: Callable[[int], None]) -> dict[Intervention, torch.Tensor]:
        made = pair.morphed(steps, on_step=on_step)
        return {k: pair.widened(x, k, place=intervention_to_blend(k, schedule)) for k, x in made.items()}

    latents = fused(first, progress.counted("completion", count))

    def measure_power(stage: str, steps: Sequence[Intervention]) -> None:
        for index, k in enumerate(steps):
            progress.at(stage, index / len(steps))
            powers[k] = mel_power(model.decode(latents[k], samples=original.shape[1])[0], model.sample_rate)

    measure_power("decode", first)
    along = positions(*_likeness(first, powers))
    more = refine(first[1:-1], along[1:-1], settings.points - len(coarse))
    if more:
        report = progress.counted("completion of more", count_steps(more, settings.steps, sampled=False))
        latents |= fused(more, report)
        measure_power("decode of more", more)
    progress.at("decode of more", 1.0)
    every = [None, *sorted({*coarse, *more}), settings.steps]
    return window_of(_points(every, latents, powers, schedule), schedule)


def _costs(settings: WindowSettings, coarse: Sequence[int], *, sampled: bool) -> dict[str, float]:
    more = settings.points - len(coarse)
    mean = sum(settings.steps - k for k in coarse) / len(coarse)
    return {
        "encode": 2 * ENCODE,
        "completion": mean * len(coarse) + settings.steps * sampled,
        "decode": DECODE * (len(coarse) + 2),
        "completion of more": mean * more,
        "decode of more": DECODE * more,
    }


def _likeness(
    every: Sequence[Intervention], powers: Mapping[Intervention, torch.Tensor]
) -> tuple[list[float], list[float]]:
    """Return each sound's log-mel correlation with the last, the original, and with the first, the reference."""
    logs = {k: log_mel(powers[k]) for k in every}
    original, reference = logs[every[-1]], logs[every[0]]
    return [log_mel_correlation(logs[k], original) for k in every], [
        log_mel_correlation(logs[k], reference) for k in every
    ]


def _points(
    every: Sequence[Intervention],
    latents: Mapping[Intervention, torch.Tensor],
    powers: Mapping[Intervention, torch.Tensor],
    schedule: Schedule,
) -> list[Point]:
    first, last = every[0], every[-1]
    to_original, to_reference = _likeness(every, powers)
    along = positions(to_original, to_reference)
    return [
        Point(
            intervention=k,
            noise_to_signal=None if k in (first, last) else schedule.noise_to_signal(k),
            original=to_original[i],
            reference=to_reference[i],
            latent_original=correlation(latents[k], latents[last]),
            latent_reference=correlation(latents[k], latents[first]),
            unexplained=unexplained(powers[k], powers[last], powers[first]),
            position=along[i],
        )
        for i, k in enumerate(every)
    ]


def interventions(schedule: Schedule, count: int) -> list[int]:
    """Return at most ``count`` evenly spaced steps to measure, in order.

    They run from a noise-to-signal ratio of 100 to the schedule's last step.
    """
    last = schedule.steps - 1
    first = next((k for k in range(last) if schedule.noise_to_signal(k) <= NOISIEST), last)
    return sorted({round(first + (last - first) * i / (count - 1)) for i in range(count)})


def refine(tried: Sequence[int], along: Sequence[float], count: int) -> list[int]:
    """Return at most ``count`` further steps to measure.

    Each halves the largest change of position that still has a step within it.

    Args:
        tried: steps already measured, in order.
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


def window_of(points: Sequence[Point], schedule: Schedule) -> Window:
    """Return the window of its points: the reference alone, one or more interventions, the original alone."""
    places = [float(schedule.steps) if p.intervention is None else float(p.intervention) for p in points]
    places[0] = max(places[1] - 1.0, 0.0)  # plots and interpolation place the reference alone one step before the first
    along = [p.position for p in points]
    balance = [p.original - p.reference for p in points]
    return Window(
        steps=schedule.steps,
        points=tuple(points),
        begin=_crossing(places[1:], along[1:], along[1] + BEGIN * (1.0 - along[1])),
        end=_crossing(places[1:], along[1:], along[1] + END * (1.0 - along[1])),
        equilibrium=_crossing(places, balance, 0.0),
        ratios=calibration(points),
    )


def calibration(points: Sequence[Point]) -> tuple[float, ...]:
    """Return noise-to-signal ratios at ``KNOTS`` evenly spaced blends; equal turns then give equal steps of position.

    They run from the position of the first intervention measured to that of the last, since no intervention reaches
    beyond these. Where the position does not change at all, return :data:`WINDOW`.
    """
    tried = [p for p in points if p.noise_to_signal]
    if not tried or tried[-1].position <= tried[0].position:
        return WINDOW
    ratios = [math.log(p.noise_to_signal) for p in tried]
    along = [p.position for p in tried]
    wanted = (along[0] + knot / (KNOTS - 1) * (along[-1] - along[0]) for knot in range(KNOTS))
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
