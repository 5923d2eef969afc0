"""Processes of our own that run this same code."""

import importlib.util
import os
from pathlib import Path

PACKAGES = ("tertium", "tertium_protocol")


def environment() -> dict[str, str]:
    """Our environment, in which Python finds the packages that we run from."""
    found = [importlib.util.find_spec(name) for name in PACKAGES]
    own = [str(Path(spec.origin).parents[1]) for spec in found if spec and spec.origin]
    theirs = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join([*own, theirs] if theirs else own)}
