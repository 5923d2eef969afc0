"""The commands that generate sounds: each request becomes the specification of a job."""

import secrets
from typing import Any

from tertium import job_spec
from tertium.audio import loops
from tertium.audio.signal import SHORTEST
from tertium.daemon.handlers import resolve
from tertium.daemon.handlers.registry import Services
from tertium.daemon.handlers.resolve import file_stem, longest_sound
from tertium.daemon.handlers.submit import queued
from tertium.errors import TertiumError
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.library import Sound
from tertium_protocol import messages as m

OUTPUT = ("steps", "order", "eta", "null", "format", "sample_rate")


@queued("generate")
def generate_spec(services: Services, request: m.Generate) -> job_spec.Generate:
    """Return the specification of a generation; fields that the request omits are those of its checkpoint's training.

    Raises:
        TertiumError: the request is refused; likewise in the functions below.
    """
    longest = longest_sound(services)
    if request.seconds is not None and request.seconds > longest:
        raise TertiumError(
            "out_of_range", f"{services.settings.model} makes at most {longest:g} s; got {request.seconds:g}.", field="seconds",
            value=request.seconds, remedy=f"Ask for {longest:g} s or less.",
        )  # fmt: skip
    output = _output_fields(request, request.prompt or request.reference)
    if request.reference is None:
        guidance = _guidance(services, request.guidance)
        negative = _negative(request, guidance)
        return job_spec.Generate(
            **output, prompt=request.prompt, seconds=request.seconds, guidance=guidance, negative=negative
        )
    checkpoint = resolve.trained_checkpoint(services, request.reference)
    trained = min(max(checkpoint.seconds, SHORTEST), longest)
    guidance = 1.0 if request.guidance is None else request.guidance
    return job_spec.Generate(
        **output,
        checkpoint=checkpoint.name,
        checkpoint_created=checkpoint.created,
        prompt=request.prompt or checkpoint.prompt,
        seconds=trained if request.seconds is None else request.seconds,
        guidance=guidance,
        negative=_negative(request, guidance),
    )


@queued("vary")
def vary_spec(services: Services, request: m.Vary) -> job_spec.Vary:
    """Return the specification of a variation."""
    original = _original(services, request)
    guidance = _guidance(services, request.guidance)
    return job_spec.Vary(
        **_output_fields(request, f"{original.name} varied"),
        **_original_fields(original),
        loop=request.loop,
        prompt=request.prompt,
        strength=request.strength,
        level=request.level,
        guidance=guidance,
        negative=_negative(request, guidance if request.prompt else 1.0),
    )


@queued("invert")
def invert_spec(services: Services, request: m.Invert) -> job_spec.Invert:
    """Return the specification of an inversion. It reconstructs from nine tenths of the steps by default: the noisiest steps retain hardly
    anything of the sound, and at nine tenths the model still contributes."""
    original = _original(services, request)
    start = round(0.9 * request.steps) if request.reconstruct_from is None else request.reconstruct_from
    output = _output_fields(request, f"{original.name} inverted")
    return job_spec.Invert(
        **output, **_original_fields(original), anchor=request.anchor, reconstruct_from=start, level=request.level
    )


@queued("fuse")
def fuse_spec(services: Services, request: m.Fuse) -> job_spec.Fuse:
    """Return the specification of a fusion."""
    shared = _pair_fields(services, request, "{original} + {reference}")
    return job_spec.Fuse(
        **shared, blend=request.blend, intervention=request.intervention, place=request.place, loop=request.loop
    )


@queued("morph")
def morph_spec(services: Services, request: m.Morph) -> job_spec.Morph:
    """Return the specification of a morph."""
    return job_spec.Morph(
        **_pair_fields(services, request, "{original} + {reference}, take"), count=request.count, loop=request.loop
    )


@queued("window")
def window_spec(services: Services, request: m.Window) -> job_spec.Window:
    """Return the specification of a window measurement."""
    return job_spec.Window(
        **_pair_fields(services, request, "{original} + {reference}, equilibrium"), points=request.points
    )


def _pair_fields(services: Services, request: m.Fuse | m.Morph | m.Window, title: str) -> dict[str, Any]:
    original = _original(services, request)
    lead = None if request.reference is None else resolve.sound_or_checkpoint(services, request.reference)
    reference = lead if isinstance(lead, Sound) else None
    checkpoint = lead if isinstance(lead, Checkpoint) else None
    # A sound is used as it is: no weights were trained to respond to a prompt. A checkpoint responds to its own prompt by default.
    prompt = None if reference else request.prompt or (checkpoint and checkpoint.prompt)
    guidance = 1.0 if reference else request.guidance
    _check_completion(request)
    completing = request.completion_guidance if request.completion_prompt else 1.0
    return {
        **_output_fields(
            request, title.format(original=original.name, reference=lead.name if lead else request.prompt)
        ),
        **_original_fields(original),
        "reference": reference.id if reference else None,
        "checkpoint": checkpoint.name if checkpoint else None,
        "checkpoint_created": checkpoint.created if checkpoint else None,
        "prompt": prompt,
        "hold": _hold(request, reference),
        "anchor": request.anchor,
        "guidance": guidance,
        "completion_prompt": request.completion_prompt,
        "completion_guidance": request.completion_guidance,
        "negative": _negative(request, guidance, completing),
        "level": request.level,
        "spread": request.spread,
        "strength": request.strength,
        "align": _align(request, reference),
    }


def _hold(request: m.Fuse | m.Morph | m.Window, reference: Sound | None) -> float:
    """Return the hold. The model was not trained on a reference that is a sound: without a hold, the completion drifts away from it."""
    if request.hold is not None:
        return request.hold
    return 0.0 if reference is None else m.DEFAULT_HOLD


def _negative(request: m.Generate | m.Vary | m.Fuse | m.Morph | m.Window, *guidances: float | None) -> str | None:
    """Return the negative prompt. Raises TertiumError where no guidance acts, so that it would have no effect.

    Args:
        guidances: all that act; None where the model's own is not known yet.
    """
    if request.negative is not None and all(guidance == 1.0 for guidance in guidances):
        raise TertiumError(
            "conflict", "negative has no effect: no prompt is followed with a guidance other than 1.", field="negative", value=request.negative,
            remedy="Give a prompt and raise its guidance, to 4 for example, or leave negative out.",
        )  # fmt: skip
    return request.negative


def _align(request: m.Fuse | m.Morph | m.Window, reference: Sound | None) -> str:
    """Return what the reference is aligned by. Raises TertiumError where it is no sound, so that there is nothing to align."""
    if request.align != "off" and reference is None:
        leads = "the prompt leads" if request.reference is None else "the checkpoint leads"
        raise TertiumError(
            "conflict", f"align has no effect where {leads}: only a reference that is a sound can be aligned.", field="align", value=request.align,
            remedy="Give a sound as the reference, or leave align out.",
        )  # fmt: skip
    return request.align


def _check_completion(request: m.Fuse | m.Morph | m.Window) -> None:
    if request.completion_prompt is None and request.completion_guidance != 1.0:
        raise TertiumError(
            "conflict", "completion_guidance has no effect without completion_prompt.", field="completion_guidance", value=request.completion_guidance,
            remedy="Give completion_prompt, what the steps after the intervention shall follow, or leave completion_guidance out.",
        )  # fmt: skip


def _guidance(services: Services, requested: float | None) -> float | None:
    return services.supervisor.model.get("default_guidance") if requested is None else requested


def _output_fields(request: m.Making, title: str) -> dict[str, Any]:
    chosen = {name: getattr(request, name) for name in OUTPUT}
    return {**chosen, "seed": seed(request.seed), "name": request.name or file_stem(title)}


def seed(requested: int | None) -> int:
    """Return the requested seed, or a random one."""
    return secrets.randbelow(2**31) if requested is None else requested


def _original(services: Services, request: m.Vary | m.Invert | m.Fuse | m.Morph | m.Window) -> Sound:
    original = resolve.sound(services, request.original, field="original", max_seconds=longest_sound(services))
    if getattr(request, "loop", None) == "on" and services.supervisor.model.get(
        "max_seconds"
    ):  # else the worker checks
        loops.must_fit(original.seconds, services.supervisor.model)
    return original


def _original_fields(original: Sound) -> dict[str, Any]:
    return {"original": original.id, "seconds": original.seconds}
