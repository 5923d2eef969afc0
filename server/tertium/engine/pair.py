"""An original and its reference, encoded and inverted: ready to be fused at any step, once or many times."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tertium.engine.fusion.completion import last_led
from tertium.engine.fusion.entrance import CANONICAL_STEPS, AsThePaper, Enter, Even
from tertium.engine.fusion.evenness import placed
from tertium.engine.fusion.fuse import InstantReference, fuse_latents, lead_of
from tertium.engine.fusion.inversion import Inversion
from tertium.engine.fusion.knob import Turn
from tertium.engine.fusion.loops import LoopedLead, LoopedNoise
from tertium.engine.fusion.morph import Intervention, count_steps, morph_latents
from tertium.engine.fusion.reference_phase import Lead, Memory, OnStep, Repeated, TrajectoryKey
from tertium.engine.fusion.spread import widened
from tertium.engine.inputs import (
    check_sound,
    denoiser_of,
    inversion_of,
    latent_of,
    looped,
    noise_of,
    null_of,
    plain_noise,
    seconds_of,
)
from tertium.engine.models.loaded_model import LoadedModel
from tertium.engine.sampling import solver
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import Schedule
from tertium.engine.settings import PairSettings, SettingError


@dataclass(frozen=True)
class Pair:
    """The shared inputs of all fusions of one pair.

    Attributes:
        settings: steps, order, eta, hold and seed of all fusions; blend and intervention are not read.
        reference, null: data predictions; ``null`` is that of the completion, under the null prompt or a prompt of its own.
        inversion: of the original, whose latents are its ``z_o``.
        lead: the reference phase.
        canonical: the model's schedule by whose steps the strength ``even`` goes.
    """

    settings: PairSettings
    reference: solver.Predict
    null: solver.Predict
    inversion: Inversion
    noise: StepNoise | LoopedNoise
    lead: Lead
    canonical: Schedule
    memory: Memory | None

    @functools.cached_property
    def enter(self) -> Enter:
        """How the original enters. Kept, since the strength ``even`` draws its noise once."""
        if self.settings.strength == "even":
            return Even(self.inversion, self.lead, self.noise.initial(), self.canonical)
        return AsThePaper(self.inversion, self.lead, self.noise, self.settings.order, self.settings.eta)

    def lead_to(self, interventions: Sequence[Intervention], *, on_step: OnStep | None = None) -> None:
        """Compute the part of the reference phase that fusions at several interventions use."""
        steps = self.inversion.schedule.steps
        inner = [k for k in interventions if k is not None and k < steps]
        if None in interventions or (inner and self.settings.strength == "even"):
            self.lead.end(on_step=on_step)
        elif used := [last_led(entrance) for entrance in map(self.enter, inner) if entrance.led]:
            self.lead.predictions(max(used), on_step=on_step)

    def steps_of(self, interventions: Sequence[Intervention]) -> int:
        """Return how many steps the completions at several interventions report, without the reference phase."""
        steps = self.inversion.schedule.steps
        return count_steps([self.enter(k) for k in set(interventions) if k is not None and k < steps], steps)

    def fused(self, intervention: Intervention, *, on_step: OnStep | None = None) -> torch.Tensor:
        """Return the latents of the fusion at an intervention, not yet :meth:`finished`; see :func:`tertium.engine.fusion.fuse.fuse_latents`.

        Raises:
            SettingError: the anchor has no finite latents there.
        """
        self._check((intervention,))
        latents = fuse_latents(
            self.reference, self.null, self.inversion, intervention=intervention, on_step=on_step, **self._shared()
        )
        self._trim()
        return latents

    def morphed(
        self, interventions: Sequence[Intervention], *, on_step: OnStep | None = None
    ) -> dict[Intervention, torch.Tensor]:
        """Return the latents of the fusions at several interventions, not yet :meth:`finished`. Raises as :meth:`fused`.

        See :func:`tertium.engine.fusion.morph.morph_latents`.
        """
        self._check(interventions)
        latents = morph_latents(
            self.reference, self.null, self.inversion, interventions=interventions, on_step=on_step, **self._shared()
        )
        self._trim()
        return latents

    def finished(self, latents: torch.Tensor, turn: Turn) -> torch.Tensor:
        """Return the latents of a fusion at its place between the two sounds, and with the spread that it asks for.

        See :mod:`tertium.engine.fusion.evenness`, or for the strength ``paper`` :mod:`tertium.engine.fusion.spread`. The
        two ends stay as they are.
        """
        k, last, spread = turn.intervention, self.inversion.schedule.steps, self.settings.spread
        if k is None or k == last:
            return latents
        original = self.inversion.z_o
        if self.settings.strength == "even":
            return placed(latents, reference=self.lead.end(), original=original, place=turn.place, spread=spread)
        # At the last step the reference phase has no part, and would have to be computed for its spread alone.
        reference = original if k >= last - 1 else self.lead.predictions(int(k))[0]
        return widened(latents, reference=reference, original=original, place=turn.place, amount=spread)

    def _check(self, interventions: Sequence[Intervention]) -> None:
        for intervention in interventions:
            if intervention is not None and self.settings.strength == "paper":
                latent_of(self.inversion, int(intervention), self.settings)

    def _shared(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "noise": self.noise, "initial": self.noise.initial(), "lead": self.lead, "enter": self.enter,
            "order": settings.order, "eta": settings.eta, "hold": settings.hold,
        }  # fmt: skip

    def _trim(self) -> None:
        """Let the memory account for values that have grown."""
        if self.memory is not None:
            self.memory.trim()


def prepare(
    model: LoadedModel,
    original: torch.Tensor,
    reference: torch.Tensor | None,
    settings: PairSettings,
    *,
    memory: Memory | None = None,
    on_encode: Callable[[float], None] = lambda part: None,
) -> Pair:
    """Encode and invert a pair.

    Args:
        original, reference: as in :func:`tertium.engine.operations.fuse`.
        memory: a cache of encoded sounds and reference phases.
        on_encode: called with 0 before the first sound is encoded, and 0.5 before the second.

    Raises:
        SoundError, SettingError: as in :func:`tertium.engine.operations.fuse`.
    """
    check_sound(model, original, "original")
    if (reference is None) == (not settings.prompt):
        raise SettingError(
            f"A fusion needs either a reference or a prompt; it got {'neither' if reference is None else 'both'}.",
            field="reference",
            value=None,
            remedy="Give one of the two.",
        )
    schedule, seconds, loop = model.schedule(settings.steps), seconds_of(model, original), settings.loop
    own = original.shape[1] if loop is None else loop.samples
    prompt_seconds = own / model.sample_rate if model.trained_seconds is None else model.trained_seconds
    on_encode(0.0)
    if reference is None:
        predict = denoiser_of(
            model,
            schedule,
            settings.prompt,
            seconds=prompt_seconds,
            guidance=settings.guidance,
            null=settings.null,
            negative=settings.negative,
        )
    else:
        check_sound(model, reference, "reference", longest=False)
        under = looped(reference, own) if loop is None else loop.around(reference, original.shape[1])
        predict = InstantReference(_encoded(model, under, memory))
        on_encode(0.5)
    z_o = _encoded(model, original, memory)
    null = null_of(model, schedule, seconds=seconds, null=settings.null)
    completion = null
    if settings.completion_prompt:
        completion = denoiser_of(
            model, schedule, settings.completion_prompt, seconds=seconds, guidance=settings.completion_guidance,
            null=settings.null, negative=settings.negative,
        )  # fmt: skip
    noise = noise_of(model, settings, z_o.shape[-1])

    if reference is None:
        lead = _prompt_lead(
            model, predict, settings, schedule, seconds=prompt_seconds, frames=model.frames(own), memory=memory
        )
        lead = lead if loop is None else LoopedLead(lead, loop.places(z_o.shape[-1], model.downsampling))
    else:
        lead = lead_of(
            predict, initial=noise.initial(), schedule=schedule, noise=noise, order=settings.order, eta=settings.eta
        )
    inversion = inversion_of(model, z_o, schedule, settings, null=null)
    canonical = model.schedule(CANONICAL_STEPS)
    return Pair(settings, predict, completion, inversion, noise, lead, canonical, memory)


def _prompt_lead(
    model: LoadedModel,
    predict: solver.Predict,
    settings: PairSettings,
    schedule: Schedule,
    *,
    seconds: float,
    frames: int,
    memory: Memory | None,
) -> Lead:
    """Return the reference phase of a prompt.

    Fine-tuned material is sampled at its training length and then repeated or cut to the original's length. Its rhythm
    and its end stay where they were, and originals of all lengths share one phase.

    Args:
        seconds: that length, as passed to the model.
        frames: of the original's latents; for a loop, those of the loop alone.
    """
    samples = round(seconds * model.sample_rate)
    own = frames if model.trained_seconds is None else model.frames(samples)
    noise = plain_noise(model, settings, own)

    def start() -> Lead:
        return lead_of(
            predict, initial=noise.initial(), schedule=schedule, noise=noise, order=settings.order, eta=settings.eta
        )

    if memory is None:
        lead = start()
    else:
        key = TrajectoryKey(
            model=model.fingerprint,
            checkpoint=model.checkpoint,
            prompt=settings.prompt,
            guidance=settings.guidance,
            negative=settings.negative,
            null=settings.null,
            order=settings.order,
            eta=settings.eta,
            seed=settings.seed,
            schedule=schedule,
            frames=own,
            seconds=seconds,
        )
        lead = memory.recall(key, start)
    if own == frames:
        return lead
    return Repeated(lead, min(own, max(1, round(samples / model.downsampling))), frames)


def _encoded(model: LoadedModel, audio: torch.Tensor, memory: Memory | None) -> torch.Tensor:
    """Return the latents of audio; the memory identifies it by its samples."""
    if memory is None:
        return model.encode(audio)
    samples = audio.detach().cpu().contiguous()
    digest = hashlib.sha256(repr((tuple(samples.shape), samples.dtype)).encode())
    digest.update(samples.numpy().data)
    return memory.recall((model.fingerprint, "encoded", digest.hexdigest()), lambda: model.encode(audio))
