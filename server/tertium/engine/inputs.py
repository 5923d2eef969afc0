"""The inputs of operations, built from a loaded model and settings: checks, noise, denoisers and inversions."""

import torch

from tertium.engine.fusion.inversion import Inversion, invert
from tertium.engine.fusion.loops import LoopedNoise
from tertium.engine.models.loaded_model import MIN_SECONDS, LoadedModel
from tertium.engine.sampling import solver
from tertium.engine.sampling.conditioning import Null
from tertium.engine.sampling.denoiser import Denoiser
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import Schedule
from tertium.engine.settings import InvertSettings, PairSettings, Sampling, SettingError
from tertium.errors import SoundError

ROUNDING = 0.001  # seconds by which resampling may change a length
ANCHOR_STREAM = 1  # separates the noise of an anchor from that of the sampling, under one seed


def looped(audio: torch.Tensor, samples: int) -> torch.Tensor:
    """Fit (channels, any) to (channels, samples) by repeating it from its start or cutting it."""
    return audio.repeat(1, -(-samples // audio.shape[1]))[:, :samples]


def check_sound(model: LoadedModel, audio: torch.Tensor, field: str, *, longest: bool = True) -> None:
    """Refuse audio that a model does not accept. Raises SoundError with ``field``.

    Args:
        field: the name to report.
        longest: whether the model's maximum length applies.
    """
    if audio.ndim != 2 or audio.shape[0] != model.channels or not audio.is_floating_point():
        raise SoundError(
            "bad_sound",
            f"{field} must be ({model.channels}, samples) in floating point; it is {tuple(audio.shape)} of {audio.dtype}.",
            field=field,
            value=tuple(audio.shape),
            remedy=f"Convert it to {model.channels} channels.",
        )
    seconds = seconds_of(model, audio)
    if seconds < MIN_SECONDS - ROUNDING or (longest and seconds > model.max_seconds + ROUNDING):
        raise SoundError(
            "bad_sound",
            f"{field} is {seconds:.3f} seconds long; {model.name} takes {MIN_SECONDS} to {model.max_seconds:.1f}.",
            field=field,
            value=seconds,
            remedy="Cut or repeat it to a length within this range.",
        )
    if not bool(audio.isfinite().all()):
        raise SoundError(
            "bad_sound",
            f"{field} has samples that are not finite numbers.",
            field=field,
            value=None,
            remedy="Export it again from its source.",
        )


def seconds_of(model: LoadedModel, audio: torch.Tensor) -> float:
    """Return the length of audio at the model's sample rate."""
    return audio.shape[1] / model.sample_rate


def noise_of(model: LoadedModel, settings: Sampling, frames: int, *, stream: int = 0) -> StepNoise | LoopedNoise:
    """Return the noise of a sampling of ``frames`` latent frames; a loop's own noise is repeated with the loop."""
    if settings.loop is None:
        return plain_noise(model, settings, frames, stream=stream)
    own = plain_noise(model, settings, model.frames(settings.loop.samples), stream=stream)
    return LoopedNoise(own, settings.loop.places(frames, model.downsampling))


def plain_noise(model: LoadedModel, settings: Sampling, frames: int, *, stream: int = 0) -> StepNoise:
    """Return noise of ``frames`` latent frames without repetition."""
    return StepNoise(settings.seed, (1, model.latent_channels, frames), device=model.device, stream=stream)


def null_of(model: LoadedModel, schedule: Schedule, *, seconds: float, null: Null) -> solver.Predict:
    """Return the data prediction under the null prompt."""
    return Denoiser(model.model, schedule).under(model.null_condition(seconds=seconds, null=null))


def denoiser_of(
    model: LoadedModel,
    schedule: Schedule,
    prompt: str,
    *,
    seconds: float,
    guidance: float,
    null: Null,
    negative: str | None = None,
) -> solver.Predict:
    """Return the data prediction under a prompt, with guidance away from the negative prompt, or without one from the null prompt."""
    if guidance == 1.0:
        away = None
    elif negative:
        away = model.condition(negative, seconds=seconds)
    else:
        away = model.null_condition(seconds=seconds, null=null)
    conditioning = model.condition(prompt, seconds=seconds)
    return Denoiser(model.model, schedule).under(conditioning, guidance=guidance, null=away)


def prompted(
    model: LoadedModel,
    schedule: Schedule,
    prompt: str,
    guidance: float | None,
    *,
    seconds: float,
    null: Null,
    negative: str | None = None,
) -> solver.Predict:
    """Return the data prediction under a prompt, or under the null prompt where the prompt is empty.

    Args:
        guidance: None selects the model's default.
    """
    if not prompt:
        return null_of(model, schedule, seconds=seconds, null=null)
    chosen = model.default_guidance if guidance is None else guidance
    return denoiser_of(model, schedule, prompt, seconds=seconds, guidance=chosen, null=null, negative=negative)


def inversion_of(
    model: LoadedModel,
    z_o: torch.Tensor,
    schedule: Schedule,
    settings: PairSettings | InvertSettings,
    *,
    null: solver.Predict,
) -> Inversion:
    """Return the inversion that the settings select."""
    noise = noise_of(model, settings, z_o.shape[-1], stream=ANCHOR_STREAM)
    return invert(z_o, schedule, eta=settings.eta, anchor=settings.anchor, null=null, noise=noise)


def latent_of(inversion: Inversion, point: int, settings: PairSettings | InvertSettings) -> torch.Tensor:
    """Return inverted latents at a point. Raises SettingError where the anchor has none."""
    try:
        return inversion.latent(point)
    except ValueError as error:
        raise SettingError(
            f"The anchor {settings.anchor!r} has no finite latents at step {point} of this model's schedule, which holds no signal there.",
            field="anchor",
            value=settings.anchor,
            remedy="Use the anchor 'clean', eta 0, or a later step.",
        ) from error
