"""The commands that make sounds: each request becomes resolved fields, and these a job."""

import os
import re
from typing import Any

from tertium.audio import files as audio
from tertium.audio import loops
from tertium.daemon.handlers.registry import Context, House, handles
from tertium.daemon.handlers.sounds import resolve
from tertium.daemon.handlers.submit import queue
from tertium.errors import TertiumError
from tertium.storage.checkpoint_format import Checkpoint, CheckpointError
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Sound
from tertium_protocol import messages as m
from tertium_protocol.messages.fields import NOT_IN_FILE_NAMES, nearest

OUTPUT = ("steps", "order", "eta", "null", "format", "sample_rate")
ID = re.compile(r"[0-9a-fA-F]{8,64}\Z")
LONGEST_STEM = 80


@handles("generate")
async def generate(house: House, request: m.Generate, context: Context) -> None:
    await queue(house, "generate", request, context, generate_fields)


@handles("vary")
async def vary(house: House, request: m.Vary, context: Context) -> None:
    await queue(house, "vary", request, context, vary_fields)


@handles("invert")
async def invert(house: House, request: m.Invert, context: Context) -> None:
    await queue(house, "invert", request, context, invert_fields)


@handles("fuse")
async def fuse(house: House, request: m.Fuse, context: Context) -> None:
    await queue(house, "fuse", request, context, fuse_fields)


@handles("morph")
async def morph(house: House, request: m.Morph, context: Context) -> None:
    await queue(house, "morph", request, context, morph_fields)


@handles("window")
async def window(house: House, request: m.Window, context: Context) -> None:
    await queue(house, "window", request, context, window_fields)


def generate_fields(house: House, request: m.Generate) -> dict[str, Any]:
    """Resolved fields of a generation. Raises TertiumError, as all of these do."""
    longest = longest_sound(house)
    if request.seconds is not None and request.seconds > longest:
        raise TertiumError(
            "out_of_range", f"{house.settings.model} makes at most {longest:g} s; got {request.seconds:g}.", field="seconds",
            value=request.seconds, remedy=f"Ask for {longest:g} s or less.",
        )  # fmt: skip
    asked = {
        **_output(request, request.prompt or request.reference),
        "prompt": request.prompt,
        "seconds": request.seconds,
        "guidance": request.guidance,
    }
    return asked if request.reference is None else asked | _under(house, _taught(house, request.reference), request)


def _under(house: House, checkpoint: Checkpoint, request: m.Generate) -> dict[str, Any]:
    """What a generation has from the checkpoint that it is made under; what the request says goes before that."""
    taught = min(max(checkpoint.seconds, audio.SHORTEST), longest_sound(house))
    return {
        "checkpoint": checkpoint.name,
        "checkpoint_created": checkpoint.created,
        "prompt": request.prompt or checkpoint.prompt,
        "seconds": taught if request.seconds is None else request.seconds,
        "guidance": 1.0 if request.guidance is None else request.guidance,
    }


def vary_fields(house: House, request: m.Vary) -> dict[str, Any]:
    """Resolved fields of a variation."""
    original = _original(house, request)
    return {
        **_output(request, f"{original.name} varied"),
        **_of(original),
        "loop": request.loop,
        "prompt": request.prompt,
        "strength": request.strength,
        "guidance": request.guidance,
    }


def invert_fields(house: House, request: m.Invert) -> dict[str, Any]:
    """Resolved fields of an inversion."""
    original = _original(house, request)
    return {
        **_output(request, f"{original.name} inverted"),
        **_of(original),
        "prompt": None,
        "anchor": request.anchor,
        "reconstruct_from": _reconstruct_from(request),
    }


def fuse_fields(house: House, request: m.Fuse) -> dict[str, Any]:
    """Resolved fields of a fusion."""
    return _pair_fields(house, request, "{original} + {reference}") | {
        "blend": request.blend,
        "intervention": request.intervention,
        "loop": request.loop,
    }


def morph_fields(house: House, request: m.Morph) -> dict[str, Any]:
    """Resolved fields of a morph."""
    asked = {"count": request.count, "loop": request.loop}
    return _pair_fields(house, request, "{original} + {reference}, take") | asked


def window_fields(house: House, request: m.Window) -> dict[str, Any]:
    """Resolved fields of a window."""
    return _pair_fields(house, request, "{original} + {reference}, equilibrium") | {"points": request.points}


def _pair_fields(house: House, request: m.Fuse | m.Morph | m.Window, title: str) -> dict[str, Any]:
    original = _original(house, request)
    leading = None if request.reference is None else _reference(house, request.reference)
    reference = leading if isinstance(leading, Sound) else None
    checkpoint = leading if isinstance(leading, Checkpoint) else None
    # A sound leads by itself: nothing was taught to answer to a prompt. A checkpoint answers to its own, unless another is given.
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
    """A sound that leads was never learned: unless something holds it, the completion lets go of it."""
    if request.hold is not None:
        return request.hold
    return 0.0 if reference is None else m.DEFAULT_HOLD


def _reconstruct_from(request: m.Invert) -> int:
    """From the noisiest steps hardly anything of the sound comes back; from nine tenths of the way on, the model still has a say."""
    return round(0.9 * request.steps) if request.reconstruct_from is None else request.reconstruct_from


def longest_sound(house: House) -> float:
    """What the model takes, in seconds; while it is not known yet, what the library takes."""
    return house.worker.model.get("max_seconds", audio.MAX_SECONDS)


def file_stem(text: str) -> str:
    """Text made fit to be the name of a file, or of a checkpoint, on any system."""
    plain = " ".join(NOT_IN_FILE_NAMES.sub(" ", text).split()).lstrip(". ")
    cut = plain[:LONGEST_STEM].encode("utf-8", "replace")[: 2 * LONGEST_STEM].decode("utf-8", "ignore")
    return cut.strip() or "result"


def _output(request: m.Making, title: str) -> dict[str, Any]:
    chosen = {name: getattr(request, name) for name in OUTPUT}
    return {**chosen, "seed": request.seed, "name": request.name or file_stem(title)}


def _original(house: House, request: m.Vary | m.Invert | m.Fuse | m.Morph | m.Window) -> Sound:
    original = resolve(house, request.original, field="original", max_seconds=longest_sound(house))
    if getattr(request, "loop", None) == "on" and house.worker.model.get("max_seconds"):  # else the worker looks
        loops.must_fit(original.seconds, house.worker.model)
    return original


def _of(original: Sound) -> dict[str, Any]:
    return {"original": original.id, "seconds": original.seconds}


def _reference(house: House, text: str) -> Sound | Checkpoint:
    """The sound or the checkpoint that leads. A checkpoint's name goes before the beginning of an id."""
    kept = Checkpoints(house.home.checkpoints)
    if _is_a_sound(kept, text):
        return resolve(house, text, field="reference")
    return _checkpoint(
        house, kept, text, problem="is neither a sound nor a checkpoint that can be used",
        remedy="Give the id of a sound, the absolute path of a file, or the name of a checkpoint.",
    )  # fmt: skip


def _taught(house: House, text: str) -> Checkpoint:
    """The checkpoint that a sound is made under. A sound in its place is refused: nothing was learned of it."""
    kept = Checkpoints(house.home.checkpoints)
    if _is_a_sound(kept, text):
        raise CheckpointError(
            "unknown_checkpoint", f"'{text[:80]}' names a sound, and generate takes the name of a checkpoint.", field="reference", value=text,
            remedy="Learn the sound first, and give the checkpoint's name; or fuse another sound with it.",
        )  # fmt: skip
    return _checkpoint(
        house,
        kept,
        text,
        problem="is no checkpoint that can be used",
        remedy="List them with checkpoints, or learn one.",
    )


def _is_a_sound(kept: Checkpoints, text: str) -> bool:
    """Whether a reference is meant as a sound. A checkpoint's name goes before the beginning of an id."""
    return os.path.isabs(text) or (ID.match(text) is not None and kept.is_free(text))


def _checkpoint(house: House, kept: Checkpoints, text: str, *, problem: str, remedy: str) -> Checkpoint:
    """The checkpoint of a name, if the model that is loaded can use it.

    Raises:
        CheckpointError: unknown_checkpoint with the problem and the remedy, or the name that was probably meant; conflict for another model's.
    """
    found = {checkpoint.name: checkpoint for checkpoint in kept.list()}
    if text not in found:
        near = nearest(text, found)
        raise CheckpointError(
            "unknown_checkpoint", f"'{text[:80]}' {problem}.", field="reference", value=text,
            remedy=f"Did you mean {near}?" if near else remedy,
        )  # fmt: skip
    fingerprint = house.worker.model.get("fingerprint")
    if fingerprint is not None:  # else the worker looks, when it has a model
        kept.weights(found[text], fingerprint=fingerprint)
    return found[text]
