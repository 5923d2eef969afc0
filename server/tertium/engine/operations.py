"""The operations on a loaded model: generate, vary, invert, fuse and morph, from audio to audio.

Audio is float32, (channels, samples), with the model's sample rate and channels, nominally within -1 … 1. Results are
on the CPU and exactly as long as requested, or as the original. Every operation reports its progress at each step; an
exception raised by the report stops it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tertium.engine.fusion.entrance import CANONICAL_STEPS
from tertium.engine.fusion.morph import spread
from tertium.engine.fusion.reference_phase import Memory
from tertium.engine.inputs import check_sound, inversion_of, latent_of, noise_of, null_of, prompted, seconds_of
from tertium.engine.models.loaded_model import MIN_SECONDS, LoadedModel
from tertium.engine.pair import prepare
from tertium.engine.progress import DECODE, ENCODE, OnProgress, Progress, ignore_progress
from tertium.engine.sampling import solver
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import Schedule
from tertium.engine.settings import (
    FuseSettings,
    GenerateSettings,
    InvertSettings,
    MorphSettings,
    PairSettings,
    Sampling,
    SettingError,
    VarySettings,
)

__all__ = [
    "FuseSettings",
    "GenerateSettings",
    "InvertSettings",
    "Inverted",
    "MorphSettings",
    "Take",
    "VarySettings",
    "fuse",
    "generate",
    "invert",
    "morph",
    "vary",
]


@torch.no_grad()
def generate(
    model: LoadedModel, settings: GenerateSettings, *, on_progress: OnProgress = ignore_progress
) -> torch.Tensor:
    """Generate a sound from a prompt: (channels, samples). Stages: sample, decode.

    Raises:
        SettingError: ``seconds`` is outside the model's range.
    """
    if not MIN_SECONDS <= settings.seconds <= model.max_seconds:
        lengths = f"from {MIN_SECONDS} to {model.max_seconds:.1f}"
        raise SettingError(
            f"{model.name} generates sounds {lengths} seconds long; seconds is {settings.seconds!r}.",
            field="seconds",
            value=settings.seconds,
            remedy=f"Give a number {lengths}.",
        )
    samples = round(settings.seconds * model.sample_rate)
    schedule = model.schedule(settings.steps)
    noise = noise_of(model, settings, model.frames(samples))
    progress = Progress(on_progress, {"sample": settings.steps, "decode": DECODE})
    predict = prompted(
        model,
        schedule,
        settings.prompt,
        settings.guidance,
        seconds=settings.seconds,
        null=settings.null,
        negative=settings.negative,
    )
    x = noise.initial() * schedule.sigmas[0]
    latents = _sample(predict, x, schedule, settings, noise=noise, start=0, progress=progress)
    return _decoded(model, latents, samples, progress)


@torch.no_grad()
def vary(
    model: LoadedModel, original: torch.Tensor, settings: VarySettings, *, on_progress: OnProgress = ignore_progress
) -> torch.Tensor:
    """Generate a variation of a sound (audio-to-audio, the paper's baseline), as long as the original.

    Stages: encode, sample, decode.

    Raises:
        SoundError: this model does not accept ``original``.
    """
    check_sound(model, original, "original")
    schedule, start = model.schedule(settings.steps), settings.start
    progress = Progress(on_progress, {"encode": ENCODE, "sample": settings.steps - start, "decode": DECODE})
    progress.at("encode")
    z_o = model.encode(original)
    noise = noise_of(model, settings, z_o.shape[-1])
    predict = prompted(
        model,
        schedule,
        settings.prompt,
        settings.guidance,
        seconds=seconds_of(model, original),
        null=settings.null,
        negative=settings.negative,
    )
    x = z_o * schedule.alphas[start]
    if schedule.sigmas[start]:
        x = x + noise.initial() * schedule.sigmas[start]
    latents = _sample(predict, x, schedule, settings, noise=noise, start=start, progress=progress)
    return _decoded(model, latents, original.shape[1], progress)


@dataclass(frozen=True)
class Inverted:
    """The result of an inversion.

    Args:
        latents: by name, float32 on the CPU: ``latents`` (N + 1, channels, frames), noisiest first and ending with the
            encoded sound; and the schedule, ``alphas`` and ``sigmas`` (N + 1,).
        reconstruction: (channels, samples), or None where none was requested.
    """

    latents: dict[str, torch.Tensor]
    reconstruction: torch.Tensor | None


@torch.no_grad()
def invert(
    model: LoadedModel, original: torch.Tensor, settings: InvertSettings, *, on_progress: OnProgress = ignore_progress
) -> Inverted:
    """Compute a sound's latents at every noise level, and its reconstruction from one of them under the null prompt.

    Stages: encode, sample, decode.

    Raises:
        SoundError: this model does not accept ``original``.
        SettingError: the anchor has no finite latents on this model's schedule.
    """
    check_sound(model, original, "original")
    schedule, start = model.schedule(settings.steps), settings.reconstruct_from
    sampled = 1.0 if start is None else settings.steps - start
    progress = Progress(on_progress, {"encode": ENCODE, "sample": sampled, "decode": DECODE})
    progress.at("encode")
    z_o = model.encode(original)
    null = null_of(model, schedule, seconds=seconds_of(model, original), null=settings.null)
    inversion = inversion_of(model, z_o, schedule, settings, null=null)
    latents = {
        "latents": torch.cat([latent_of(inversion, point, settings) for point in range(schedule.steps + 1)]).cpu(),
        "alphas": torch.tensor(schedule.alphas),
        "sigmas": torch.tensor(schedule.sigmas),
    }
    if start is None:
        progress.at("decode", 1.0)
        return Inverted(latents, None)
    noise = noise_of(model, settings, z_o.shape[-1])
    x = inversion.latent(start)
    x = _sample(null, x, schedule, settings, noise=noise, start=start, progress=progress)
    return Inverted(latents, _decoded(model, x, original.shape[1], progress))


@torch.no_grad()
def fuse(
    model: LoadedModel,
    original: torch.Tensor,
    reference: torch.Tensor | None,
    settings: FuseSettings,
    *,
    memory: Memory | None = None,
    on_progress: OnProgress = ignore_progress,
) -> torch.Tensor:
    """Fuse two sounds, or a sound and a prompt; the result is as long as the original.

    Stages: encode, reference, completion, decode.

    Args:
        original: the sound that enters at the intervention.
        reference: the sound of the reference phase, or None where ``settings.prompt`` takes its place. It needs no
            training: it is treated as if the model had memorised it. A shorter reference is repeated from its start to
            the original's length, a longer one is cut.
        memory: a cache of encoded sounds and reference phases for further fusions; samples are the same with and
            without it.

    Raises:
        SoundError: this model does not accept one of the sounds.
        SettingError: both or neither of ``reference`` and ``settings.prompt``, or an anchor without finite latents at
            this step.
    """
    turn = settings.turn_on(model.schedule(settings.steps))
    progress = Progress(on_progress, _fusion_costs(model, settings, turn.intervention, instant=reference is not None))
    pair = prepare(
        model, original, reference, settings, memory=memory, on_encode=lambda part: progress.at("encode", part)
    )
    if turn.intervention != settings.steps:
        progress.at("reference")
    pair.lead_to([turn.intervention], on_step=progress.counted("reference", settings.steps))
    count = pair.steps_of([turn.intervention])
    latents = pair.fused(turn.intervention, on_step=progress.counted("completion", count))
    return _decoded(model, pair.finished(latents, turn), original.shape[1], progress)


@dataclass(frozen=True)
class Take:
    """One fusion of a morph.

    Args:
        index: 1 (the reference's end) … the morph's count (the original's end).
        blend: 0 … 1.
        intervention: where the original entered, a fraction between two steps; None for the reference alone.
        place: see :class:`tertium.engine.fusion.knob.Turn`.
        audio: (channels, samples).
    """

    index: int
    blend: float
    intervention: float | None
    place: float
    audio: torch.Tensor


@torch.no_grad()
def morph(
    model: LoadedModel,
    original: torch.Tensor,
    reference: torch.Tensor | None,
    settings: MorphSettings,
    *,
    memory: Memory | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Iterator[Take]:
    """Yield evenly spaced fusions of a pair from the reference to the original, each as long as the original.

    Stages: encode, completion, decode.

    Takes are yielded as soon as they are ready: first the two ends, which are the round trips of the reference (or the
    prompt's result) and of the original; then the others in order, whose completions share one batch.

    Args:
        original, reference, memory: as in :func:`fuse`.

    Raises:
        SoundError, SettingError: as :func:`fuse`.
    """
    schedule, blends = model.schedule(settings.steps), spread(settings.count)
    turns = [settings.turn_at(blend, schedule) for blend in blends]
    between = [turn.intervention for turn in turns[1:-1]]
    sampled = settings.steps * (reference is None)
    forwards = sum(_completion_steps(model, settings, k) for k in between) + sampled
    costs = {"encode": (1 + (reference is not None)) * ENCODE, "completion": forwards, "decode": DECODE * len(turns)}
    progress = Progress(on_progress, costs)
    pair = prepare(
        model, original, reference, settings, memory=memory, on_encode=lambda part: progress.at("encode", part)
    )
    progress.at("completion")

    def take(index: int, latents: torch.Tensor) -> Take:
        turn = turns[index]
        audio = model.decode(pair.finished(latents, turn), samples=original.shape[1])[0]
        return Take(index + 1, blends[index], turn.intervention, turn.place, audio)

    on_step = progress.counted("completion", sampled + pair.steps_of(between))
    yield take(0, pair.fused(turns[0].intervention, on_step=on_step))
    yield take(len(turns) - 1, pair.fused(turns[-1].intervention))
    latents = pair.morphed(between, on_step=on_step)
    for index, intervention in enumerate(between, start=1):
        progress.at("decode", index / len(turns))
        yield take(index, latents[intervention])
    progress.at("decode", 1.0)


def _fusion_costs(
    model: LoadedModel, settings: FuseSettings, intervention: float | None, *, instant: bool
) -> dict[str, float]:
    forward = 0.05 if instant else 1.0 + (settings.guidance != 1.0)
    holding = settings.completion_rows + (0.0 if settings.hold == 0.0 else forward)
    return {
        "encode": (1 + instant) * ENCODE,
        "reference": settings.lead_steps(intervention) * forward,
        "completion": _completion_steps(model, settings, intervention) * holding,
        "decode": DECODE,
    }


def _completion_steps(model: LoadedModel, settings: PairSettings, intervention: float | None) -> int:
    return settings.completion_steps(intervention, model.schedule(settings.steps), model.schedule(CANONICAL_STEPS))


def _sample(
    predict: solver.Predict,
    x: torch.Tensor,
    schedule: Schedule,
    settings: Sampling,
    *,
    noise: StepNoise,
    start: int,
    progress: Progress,
) -> torch.Tensor:
    def on_step(step: int) -> None:
        progress.at("sample", (step - start) / (schedule.steps - start))

    return solver.sample(
        predict, x, schedule, noise=noise, order=settings.order, eta=settings.eta, start=start, on_step=on_step
    )


def _decoded(model: LoadedModel, latents: torch.Tensor, samples: int, progress: Progress) -> torch.Tensor:
    progress.at("decode")
    audio = model.decode(latents, samples=samples)[0]
    progress.at("decode", 1.0)
    return audio
