"""What a recall says: everything that is needed to make a sound again."""

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from tertium import __version__
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.library import Sound

PACKAGES = ("torch", "numpy", "stable-audio-tools", "k-diffusion", "soxr", "scipy")


def as_request(
    command: str, fields: Mapping[str, Any], given: Mapping[str, Sound], facts: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Command and fields that a client would send to get a sound again.

    A take of a morph is asked for alone, as the fusion that it is: the pair's window may be measured anew by then, which would move the takes.

    Args:
        command, fields: of the job, resolved.
        given: the sounds among the fields.
        facts: what the engine decided.
    """
    if command == "preview":  # it can be asked for as long as the learning goes on
        return command, {name: fields[name] for name in ("job", "steps", "seed", "format", "name")}
    internal = {"ratios", "measured", "checkpoint", "checkpoint_created", "count", "around"} | (
        {"seconds"} if given else set()
    )
    request = {name: value for name, value in fields.items() if value is not None and name not in internal}
    if fields.get("checkpoint"):
        request["reference"] = fields["checkpoint"]
    if command == "morph":
        entered = facts["intervention"]
        return "fuse", request | ({"blend": 0.0} if entered is None else {"intervention": entered})
    if "ratios" in fields and "blend" in request:  # the step is what it came to
        del request["blend"]
        request["intervention"] = facts["intervention"]
    return command, request


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
