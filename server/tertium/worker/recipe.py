"""What a recall says: everything that is needed to make a sound again."""

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from tertium import __version__
from tertium.job_spec import JobSpec, Morph, Preview
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.library import Sound

INTERNAL = {"command", "checkpoint", "checkpoint_created", "count"}
"""Fields of a specification that a request does not have."""
PACKAGES = ("torch", "numpy", "stable-audio-tools", "k-diffusion", "soxr", "scipy")


def as_request(
    spec: JobSpec, given: Mapping[str, Sound], facts: Mapping[str, Any], *, calibrated: bool
) -> tuple[str, dict[str, Any]]:
    """Command and fields that a client would send to get a sound again.

    A take of a morph is asked for alone, as the fusion that it is: the pair's window may be measured anew by then, which would move the takes.

    Args:
        spec: of the job, as it was carried out.
        given: its sounds.
        facts: what the engine decided.
        calibrated: whether blend went by a measured window, so that it has to be given as the step that it came to.
    """
    if isinstance(spec, Preview):  # it can be asked for as long as the training job goes on
        return spec.command, spec.model_dump(include={"job", "steps", "seed", "format", "name"})
    internal = INTERNAL | ({"seconds"} if given else set())
    request = spec.model_dump(exclude=internal, exclude_none=True)
    if getattr(spec, "checkpoint", None):
        request["reference"] = spec.checkpoint
    if isinstance(spec, Morph):
        entered = facts["intervention"]
        return "fuse", request | ({"blend": 0.0} if entered is None else {"intervention": entered})
    if calibrated and "blend" in request:
        del request["blend"]
        request["intervention"] = facts["intervention"]
    return spec.command, request


def told_checkpoint(checkpoint: Checkpoint | None) -> dict[str, Any]:
    """What a recall says of the checkpoint: enough to learn it again."""
    if checkpoint is None:
        return {}
    shown = (
        "name",
        "prompt",
        "reference",
        "model",
        "fingerprint",
        "method",
        "rank",
        "steps",
        "seconds",
        "settings",
        "created",
    )
    return {"checkpoint": {name: getattr(checkpoint, name) for name in shown}}


def versions() -> dict[str, str]:
    """Versions of what the samples depend on."""
    found = {"tertium": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
