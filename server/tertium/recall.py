"""What is written beside a result so that it can be made again, as far as it does not depend on the library."""

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from tertium import __version__
from tertium.checkpoints import Checkpoint
from tertium.library import Sound

PACKAGES = ("torch", "numpy", "stable-audio-tools", "k-diffusion", "soxr", "scipy")


def versions() -> dict[str, str]:
    """Versions of what the samples depend on."""
    found = {"tertium": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def as_request(fields: Mapping[str, Any], given: Mapping[str, Sound], facts: Mapping[str, Any]) -> dict[str, Any]:
    """A job's resolved fields as a client would send them to get the same again."""
    internal = {"ratios", "measured", "checkpoint", "checkpoint_created"} | ({"seconds"} if given else set())
    request = {name: value for name, value in fields.items() if value is not None and name not in internal}
    if fields.get("checkpoint"):
        request["reference"] = fields["checkpoint"]
    if (
        "ratios" in fields and "blend" in request
    ):  # the pair's window may be measured anew by then: the step is what it came to
        del request["blend"]
        request["intervention"] = facts["intervention"]
    return request


def told_checkpoint(checkpoint: Checkpoint | None) -> dict[str, Any]:
    """What a recall says of the checkpoint: enough to learn it again."""
    if checkpoint is None:
        return {}
    shown = ("name", "prompt", "reference", "model", "fingerprint", "method", "rank", "steps", "settings", "created")
    return {"checkpoint": {name: getattr(checkpoint, name) for name in shown}}
