"""Child processes that run this same code."""

import contextlib
import ctypes
import importlib.util
import os
import signal
import sys
import sysconfig
from pathlib import Path

PACKAGES = ("tertium", "tertium_protocol")
PR_SET_PDEATHSIG = 1


def environment() -> dict[str, str]:
    """Return this process's environment, with PYTHONPATH extended so that a child imports the same packages.

    A folder that Python searches anyway (site-packages) is not added: it would come before the standard library, and some
    packages bring old copies of modules of the standard library.
    """
    found = [importlib.util.find_spec(name) for name in PACKAGES]
    own = [str(Path(spec.origin).parents[1]) for spec in found if spec and spec.origin]
    standard = (
        sys.path.index(sysconfig.get_path("stdlib")) if sysconfig.get_path("stdlib") in sys.path else len(sys.path)
    )
    added = [folder for folder in own if folder not in sys.path[standard:]]
    theirs = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join([*added, theirs] if theirs else added)}


def die_with_the_daemon() -> None:
    """Have Linux kill this process when the daemon dies, even while a long call keeps every thread from noticing the
    end of the input.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
