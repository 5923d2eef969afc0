"""The commands that make sounds: each request becomes a specification, and this a job."""

import secrets
from typing import Any

from tertium import job_spec
from tertium.audio import files as audio
from tertium.audio import loops
from tertium.daemon.handlers import resolve
from tertium.daemon.handlers.registry import Context, House, handles
from tertium.daemon.handlers.resolve import file_stem, longest_sound
from tertium.daemon.handlers.submit import submit
from tertium.errors import TertiumError
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.library import Sound
from tertium_protocol import messages as m

OUTPUT = ("steps", "order", "eta", "null", "format", "sample_rate")


@handles("generate")
async def generate(house: House, request: m.Generate, context: Context) -> None:
    await submit(house, request, context, generate_spec)


@handles("vary")
async def vary(house: House, request: m.Vary, context: Context) -> None:
    await submit(house, request, context, vary_spec)


@handles("invert")
async def invert(house: House, request: m.Invert, context: Context) -> None:
    await submit(house, request, context, invert_spec)


@handles("fuse")
async def fuse(house: House, request: m.Fuse, context: Context) -> None:
    await submit(house, request, context, fuse_spec)


@handles("morph")
async def morph(house: House, request: m.Morph, context: Context) -> None:
    await submit(house, request, context, morph_spec)


@handles("window")
async def window(house: House, request: m.Window, context: Context) -> None:
    await submit(house, request, context, window_spec)


def generate_spec(house: House, request: m.Generate) -> job_spec.Generate:
    """The specification of a generation; what the request leaves open is as its checkpoint was trained. Raises TertiumError, as all of these do."""
    longest = longest_sound(house)
    if request.seconds is not None and request.seconds > longest:
        raise TertiumError(
            "out_of_range", f"{house.settings.model} makes at most {longest:g} s; got {request.seconds:g}.", field="seconds",
            value=request.seconds, remedy=f"Ask for {longest:g} s or less.",
        )  # fmt: skip
    output = _output(request, request.prompt or request.reference)
    if request.reference is None:
        guidance = _guidance(house, request.guidance)
        return job_spec.Generate(**output, prompt=request.prompt, seconds=request.seconds, guidance=guidance)
    checkpoint = resolve.taught(house, request.reference)
    trained = min(max(checkpoint.seconds, audio.SHORTEST), longest)
    return job_spec.Generate(
        **output,
        checkpoint=checkpoint.name,
        checkpoint_created=checkpoint.created,
        prompt=request.prompt or checkpoint.prompt,
        seconds=trained if request.seconds is None else request.seconds,
        guidance=1.0 if request.guidance is None else request.guidance,
    )


def vary_spec(house: House, request: m.Vary) -> job_spec.Vary:
    """The specification of a variation."""
    original = _original(house, request)
    return job_spec.Vary(
        **_output(request, f"{original.name} varied"),
        **_of(original),
        loop=request.loop,
        prompt=request.prompt,
        strength=request.strength,
        guidance=_guidance(house, request.guidance),
    )


def invert_spec(house: House, request: m.Invert) -> job_spec.Invert:
    """The specification of an inversion. From the noisiest steps hardly anything of the sound comes back; nine tenths of the way along the model
    still has a say."""
    original = _original(house, request)
    start = round(0.9 * request.steps) if request.reconstruct_from is None else request.reconstruct_from
    output = _output(request, f"{original.name} inverted")
    return job_spec.Invert(**output, **_of(original), anchor=request.anchor, reconstruct_from=start)


def fuse_spec(house: House, request: m.Fuse) -> job_spec.Fuse:
    """The specification of a fusion."""
    shared = _pair(house, request, "{original} + {reference}")
    return job_spec.Fuse(**shared, blend=request.blend, intervention=request.intervention, loop=request.loop)


def morph_spec(house: House, request: m.Morph) -> job_spec.Morph:
    """The specification of a morph."""
    return job_spec.Morph(
        **_pair(house, request, "{original} + {reference}, take"), count=request.count, loop=request.loop
    )


def window_spec(house: House, request: m.Window) -> job_spec.Window:
    """The specification of a window."""
    return job_spec.Window(**_pair(house, request, "{original} + {reference}, equilibrium"), points=request.points)


def _pair(house: House, request: m.Fuse | m.Morph | m.Window, title: str) -> dict[str, Any]:
    original = _original(house, request)
    leading = None if request.reference is None else resolve.reference(house, request.reference)
    reference = leading if isinstance(leading, Sound) else None
    checkpoint = leading if isinstance(leading, Checkpoint) else None
    # A sound leads by itself: nothing was trained to answer to a prompt. A checkpoint answers to its own, unless another is given.
    prompt = None if reference else request.prompt or (checkpoint and checkpoint.prompt)
    return {
        **_output(request, title.format(original=original.name, reference=leading.name if leading else request.prompt)),
        **_of(original),
        "reference": reference.id if reference else None,
        "checkpoint": checkpoint.name if checkpoint else None,
        "checkpoint_created": checkpoint.created if checkpoint else None,
        "prompt": prompt,
        "hold": _hold(request, reference),
        "anchor": request.anchor,
        "guidance": 1.0 if reference else request.guidance,
    }


def _hold(request: m.Fuse | m.Morph | m.Window, reference: Sound | None) -> float:
    """The model was not trained on a sound that leads as it is: without a hold, the completion drifts away from it."""
    if request.hold is not None:
        return request.hold
    return 0.0 if reference is None else m.DEFAULT_HOLD


def _guidance(house: House, asked: float | None) -> float | None:
    return house.worker.model.get("default_guidance") if asked is None else asked


def _output(request: m.Making, title: str) -> dict[str, Any]:
    chosen = {name: getattr(request, name) for name in OUTPUT}
    return {**chosen, "seed": seed(request.seed), "name": request.name or file_stem(title)}


def seed(asked: int | None) -> int:
    """The seed that was asked for, or a random one."""
    return secrets.randbelow(2**31) if asked is None else asked


def _original(house: House, request: m.Vary | m.Invert | m.Fuse | m.Morph | m.Window) -> Sound:
    original = resolve.sound(house, request.original, field="original", max_seconds=longest_sound(house))
    if getattr(request, "loop", None) == "on" and house.worker.model.get("max_seconds"):  # else the worker looks
        loops.must_fit(original.seconds, house.worker.model)
    return original


def _of(original: Sound) -> dict[str, Any]:
    return {"original": original.id, "seconds": original.seconds}
