"""The one door to stable-audio-tools.

``torchaudio`` and ``torchvision`` ship native parts that are built for one build of PyTorch. From the
package index they come built for CUDA; beside a PyTorch without CUDA those parts do not load, although
stable-audio-tools needs none of them (it resamples, and k-diffusion resizes images that nobody here has).
Everything that needs stable-audio-tools imports it through :func:`load`, so this is settled in one place.
"""

import contextlib
import functools
import importlib
import importlib.util
import io
import sys
import types
import warnings

import torch

REMEDY = "Install it with `pip install tertium`, or run `make setup` in a checkout."


class MissingPackage(ImportError):
    """stable-audio-tools, or something that it imports, is not installed. The message has the remedy."""


def _torchaudio_without_native_parts() -> None:
    """Tell torchaudio that its extension is absent, as it is told in its own builds without one."""
    extension = types.ModuleType("torchaudio._extension")
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = False
    extension._IS_ALIGN_AVAILABLE = False
    extension.fail_if_no_align = lambda function: function
    sys.modules.setdefault("torchaudio._extension", extension)


@functools.cache
def _torchvision_schema() -> torch.library.Library:
    """Declare the operators that torchvision registers shape rules for on import, without kernels."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library  # kept by the cache: the declaration lives as long as this object


@functools.cache
def load(module: str = "stable_audio_tools") -> types.ModuleType:
    """Import ``module`` from stable-audio-tools (or from k-diffusion, which it samples with).

    Raises:
        MissingPackage: it, or something that it imports, is not installed.
    """
    if torch.version.cuda is None and torch.version.hip is None:
        _torchaudio_without_native_parts()
        if importlib.util.find_spec("torchvision") is not None:
            _torchvision_schema()
    # On import it prints which optional packages it does without, and its needs warn of ways that they will leave. Neither is news to a
    # user, and standard output is for what was asked for.
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackage(f"The package '{error.name}' is missing, which {module} needs. {REMEDY}") from error
