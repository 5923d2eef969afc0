"""The recipe in a result's sidecar: everything needed to compute the sound again. On the wire it is called ``recall``."""

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from tertium import __version__
from tertium.job_spec import JobSpec, Morph, Preview
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.library import Sound

INTERNAL = {"command", "checkpoint", "checkpoint_created", "count"}
"""Fields of a specification that do not exist in a request."""
PACKAGES = ("torch", "numpy", "stable-audio-tools", "k-diffusion", "soxr", "scipy")


def as_request(
    spec: JobSpec, given: Mapping[str, Sound], facts: Mapping[str, Any], *, calibrated: bool
) -> tuple[str, dict[str, Any]]:
    """Return the command and the fields of a request that reproduces a sound.

    A take of a morph is requested as a single fusion: if the pair's window were measured again, the takes would move.

    Args:
        spec: of the job, as it was carried out.
        given: its sounds by role.
        facts: values chosen by the engine.
        calibrated: whether blend was calibrated by a measured window; then the request contains the resulting intervention instead.
    """
    if isinstance(spec, Preview):  # can be requested only while the training job runs
        return spec.command, spec.model_dump(include={"job", "steps", "seed", "format", "name"})
    internal = INTERNAL | ({"seconds"} if given else set())
    request = spec.model_dump(exclude=internal, exclude_none=True)
    if getattr(spec, "checkpoint", None):
        request["reference"] = spec.checkpoint
    if isinstance(spec, Morph):
        step = facts["intervention"]
        entry = {"blend": 0.0} if step is None else {"intervention": step, "place": facts.get("place", facts["blend"])}
        return "fuse", request | entry
    if calibrated and "blend" in request:
        blend = request.pop("blend")
        request.setdefault("place", facts.get("place", blend))
        request["intervention"] = facts["intervention"]
    return spec.command, request


def checkpoint_facts(checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Return the recipe's facts about the checkpoint: enough to learn it again."""
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
    """Return the versions of everything that the samples depend on."""
    found = {"tertium": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
