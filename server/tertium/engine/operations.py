"""The operations on a loaded model, audio in and audio out: generate, vary, invert and fuse.

Audio is float32, (channels, samples), at the model's rate and with its channels, nominally within -1 … 1. Results lie on the CPU and are
exactly as long as asked for, or as the original. Each operation reports its progress at every step; what the report raises stops it.
"""

from dataclasses import dataclass

import torch

from tertium.engine import inversion as inverting
from tertium.engine import solver
from tertium.engine.denoiser import Denoiser
from tertium.engine.fusion import InstantReference, fuse_latents
from tertium.engine.inversion import Inversion
from tertium.engine.models import MIN_SECONDS, LoadedModel
from tertium.engine.noise import StepNoise
from tertium.engine.progress import DECODE, ENCODE, OnProgress, Progress, unheard
from tertium.engine.schedule import Schedule
from tertium.engine.settings import FuseSettings, GenerateSettings, InvertSettings, Sampling, SettingError, VarySettings
from tertium.errors import SoundError

__all__ = [
    "FuseSettings",
    "GenerateSettings",
    "InvertSettings",
    "Inverted",
    "VarySettings",
    "fuse",
    "generate",
    "invert",
    "vary",
]

_ROUNDING = 0.001  # seconds that a length may lose or gain in a conversion of its rate
_ANCHOR_STREAM = 1  # keeps the noise of an anchor apart from that of the sampling, under one seed


@torch.no_grad()
def generate(model: LoadedModel, settings: GenerateSettings, *, on_progress: OnProgress = unheard) -> torch.Tensor:
    """A sound from a prompt, from scratch: (channels, samples). Stages: sample, decode.

    Raises:
        SettingError: ``seconds`` is not a length that the model makes.
    """
    if not MIN_SECONDS <= settings.seconds <= model.max_seconds:
        lengths = f"from {MIN_SECONDS} to {model.max_seconds:.1f}"
        raise SettingError(
            f"{model.name} makes sounds of {lengths} seconds; seconds is {settings.seconds!r}.",
            field="seconds",
            value=settings.seconds,
            remedy=f"Give a number {lengths}.",
        )
    samples = round(settings.seconds * model.sample_rate)
    schedule = model.schedule(settings.steps)
    noise = _noise(model, settings, model.frames(samples))
    progress = Progress(on_progress, {"sample": settings.steps, "decode": DECODE})
    predict = _prompted(model, schedule, settings.prompt, settings.guidance, seconds=settings.seconds)
    x = noise.initial() * schedule.sigmas[0]
    latents = _sample(predict, x, schedule, settings, noise=noise, start=0, progress=progress)
    return _decoded(model, latents, samples, progress)


@torch.no_grad()
def vary(
    model: LoadedModel, original: torch.Tensor, settings: VarySettings, *, on_progress: OnProgress = unheard
) -> torch.Tensor:
    """A variation of a sound (audio-to-audio, the paper's baseline), as long as the original. Stages: encode, sample, decode.

    Raises:
        SoundError: ``original`` is not what this model takes.
    """
    check_sound(model, original, "original")
    schedule, start = model.schedule(settings.steps), settings.start
    progress = Progress(on_progress, {"encode": ENCODE, "sample": settings.steps - start, "decode": DECODE})
    progress.at("encode")
    z_o = model.encode(original)
    noise = _noise(model, settings, z_o.shape[-1])
    predict = _prompted(model, schedule, settings.prompt, settings.guidance, seconds=_seconds(model, original))
    x = z_o * schedule.alphas[start]
    if schedule.sigmas[start]:
        x = x + noise.initial() * schedule.sigmas[start]
    latents = _sample(predict, x, schedule, settings, noise=noise, start=start, progress=progress)
    return _decoded(model, latents, original.shape[1], progress)


@dataclass(frozen=True)
class Inverted:
    """An inversion, to be kept.

    Args:
        latents: by name, float32 on the CPU: ``latents`` (N + 1, channels, frames), noisiest first, the last of them the
            encoded sound; and the schedule, ``alphas`` and ``sigmas`` (N + 1,).
        reconstruction: (channels, samples), or None where none was asked for.
    """

    latents: dict[str, torch.Tensor]
    reconstruction: torch.Tensor | None


@torch.no_grad()
def invert(
    model: LoadedModel, original: torch.Tensor, settings: InvertSettings, *, on_progress: OnProgress = unheard
) -> Inverted:
    """The latents of a sound at every noise level, and what the null prompt makes of them from one. Stages: encode, sample, decode.

    Raises:
        SoundError: ``original`` is not what this model takes.
        SettingError: the anchor has no finite latents on this model's schedule.
    """
    check_sound(model, original, "original")
    schedule, start = model.schedule(settings.steps), settings.reconstruct_from
    sampled = 1.0 if start is None else settings.steps - start
    progress = Progress(on_progress, {"encode": ENCODE, "sample": sampled, "decode": DECODE})
    progress.at("encode")
    z_o = model.encode(original)
    null = _null(model, schedule, seconds=_seconds(model, original))
    inversion = _inversion(model, z_o, schedule, settings, null=null)
    latents = {
        "latents": torch.cat([_latent(inversion, point, settings) for point in range(schedule.steps + 1)]).cpu(),
        "alphas": torch.tensor(schedule.alphas),
        "sigmas": torch.tensor(schedule.sigmas),
    }
    if start is None:
        progress.at("decode", 1.0)
        return Inverted(latents, None)
    noise = _noise(model, settings, z_o.shape[-1])
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
    on_progress: OnProgress = unheard,
) -> torch.Tensor:
    """A fusion of two sounds, or of a sound and a prompt, as long as the original. Stages: encode, reference, completion, decode.

    Args:
        original: the sound that comes in at the intervention.
        reference: the sound that leads, or None where ``settings.prompt`` does. It leads with no training, as if the model had memorised it. A
            shorter one is repeated from its start until it is as long as the original, a longer one is cut there.

    Raises:
        SoundError: a sound is not what this model takes.
        SettingError: both or neither of ``reference`` and ``settings.prompt``, or an anchor without finite latents here.
    """
    check_sound(model, original, "original")
    if (reference is None) == (not settings.prompt):
        raise SettingError(
            f"A fusion is led by a reference or by a prompt; it got {'neither' if reference is None else 'both'}.",
            field="reference",
            value=None,
            remedy="Give one of the two.",
        )
    schedule, seconds = model.schedule(settings.steps), _seconds(model, original)
    step = settings.intervention_on(schedule)
    progress = Progress(on_progress, _fusion_costs(settings, step, instant=reference is not None))
    progress.at("encode")
    if reference is None:
        predict = _denoiser(model, schedule, settings.prompt, seconds=seconds, guidance=settings.guidance)
    else:
        check_sound(model, reference, "reference", longest=False)
        predict = InstantReference(model.encode(looped(reference, original.shape[1])))
        progress.at("encode", 0.5)
    z_o = model.encode(original)
    null = _null(model, schedule, seconds=seconds)
    noise = _noise(model, settings, z_o.shape[-1])

    def on_step(at: int) -> None:
        if step is None or at <= step:
            progress.at("reference", at / (settings.steps if step is None else step + 1))
        else:
            progress.at("completion", (at - step - 1) / (settings.steps - step - 1))

    inversion = _inversion(model, z_o, schedule, settings, null=null)
    if step is not None:
        _latent(inversion, step, settings)
    latents = fuse_latents(
        predict,
        null,
        inversion,
        noise=noise,
        initial=noise.initial(),
        intervention=step,
        order=settings.order,
        eta=settings.eta,
        hold=settings.hold,
        on_step=on_step,
    )
    return _decoded(model, latents, original.shape[1], progress)


def looped(audio: torch.Tensor, samples: int) -> torch.Tensor:
    """(channels, any) -> (channels, samples): repeated from its start where it is shorter, cut where it is longer."""
    return audio.repeat(1, -(-samples // audio.shape[1]))[:, :samples]


def _fusion_costs(settings: FuseSettings, step: int | None, *, instant: bool) -> dict[str, float]:
    leading = settings.steps if step is None else min(step + 1, settings.steps)
    forward = 0.05 if instant else 1.0 + (settings.guidance != 1.0)
    holding = 1.0 + (0.0 if settings.hold == 0.0 else forward)
    return {
        "encode": (1 + instant) * ENCODE,
        "reference": leading * forward,
        "completion": (settings.steps - leading) * holding,
        "decode": DECODE,
    }


def check_sound(model: LoadedModel, audio: torch.Tensor, field: str, *, longest: bool = True) -> None:
    """Whether a sound is what the model takes: floating-point (channels, samples), finite, and of a length that it makes.

    Args:
        field: what the sound is called in errors.
        longest: whether there is a longest; where pieces of it are used there is none.

    Raises:
        SoundError: it is not.
    """
    if audio.ndim != 2 or audio.shape[0] != model.channels or not audio.is_floating_point():
        raise SoundError(
            "bad_sound",
            f"{field} must be ({model.channels}, samples) of floating-point numbers; it is {tuple(audio.shape)} of {audio.dtype}.",
            field=field,
            value=tuple(audio.shape),
            remedy=f"Convert it to {model.channels} channels.",
        )
    seconds = _seconds(model, audio)
    if seconds < MIN_SECONDS - _ROUNDING or (longest and seconds > model.max_seconds + _ROUNDING):
        raise SoundError(
            "bad_sound",
            f"{field} is {seconds:.3f} seconds long; {model.name} takes {MIN_SECONDS} to {model.max_seconds:.1f}.",
            field=field,
            value=seconds,
            remedy="Cut it to a length in between, or repeat it.",
        )
    if not bool(audio.isfinite().all()):
        raise SoundError(
            "bad_sound",
            f"{field} has samples that are not finite numbers.",
            field=field,
            value=None,
            remedy="Export it again from where it is from.",
        )


def _seconds(model: LoadedModel, audio: torch.Tensor) -> float:
    return audio.shape[1] / model.sample_rate


def _noise(model: LoadedModel, settings: Sampling, frames: int, *, stream: int = 0) -> StepNoise:
    return StepNoise(settings.seed, (1, model.latent_channels, frames), device=model.device, stream=stream)


def _null(model: LoadedModel, schedule: Schedule, *, seconds: float) -> solver.Predict:
    return Denoiser(model.model, schedule).under(model.null_condition(seconds=seconds))


def _denoiser(
    model: LoadedModel, schedule: Schedule, prompt: str, *, seconds: float, guidance: float
) -> solver.Predict:
    return Denoiser(model.model, schedule).under(model.condition(prompt, seconds=seconds), guidance=guidance)


def _prompted(
    model: LoadedModel, schedule: Schedule, prompt: str, guidance: float | None, *, seconds: float
) -> solver.Predict:
    if not prompt:
        return _null(model, schedule, seconds=seconds)
    chosen = model.default_guidance if guidance is None else guidance
    return _denoiser(model, schedule, prompt, seconds=seconds, guidance=chosen)


def _inversion(
    model: LoadedModel,
    z_o: torch.Tensor,
    schedule: Schedule,
    settings: FuseSettings | InvertSettings,
    *,
    null: solver.Predict,
) -> Inversion:
    noise = _noise(model, settings, z_o.shape[-1], stream=_ANCHOR_STREAM)
    return inverting.invert(z_o, schedule, eta=settings.eta, anchor=settings.anchor, null=null, noise=noise)


def _latent(inversion: Inversion, point: int, settings: FuseSettings | InvertSettings) -> torch.Tensor:
    try:
        return inversion.latent(point)
    except ValueError as error:
        raise SettingError(
            f"The anchor {settings.anchor!r} has no finite latents at step {point} of this model's schedule, which holds no signal there.",
            field="anchor",
            value=settings.anchor,
            remedy="Use the anchor 'clean', eta 0, or a later step.",
        ) from error


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
