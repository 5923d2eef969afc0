"""The one door to stable-audio-tools.

``torchaudio`` and ``torchvision`` ship native parts that are built for one build of PyTorch. From the
package index they come built for CUDA; beside a PyTorch without CUDA, or with another CUDA, those parts do not load, although
stable-audio-tools needs none of them (it resamples, and k-diffusion resizes images that nobody here has).
Besides, importing it the plain way takes nine seconds, of which two are PyTorch's and the rest are a compiler's and an image
library's that go unused. Everything that needs stable-audio-tools imports it through :func:`load`, so this is settled in one place.
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

_NETWORKS = "stable_audio_tools.models.diffusion"  # imported by its factory only when a model is built, which is too late to be quiet

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


class _LazyModule(types.ModuleType):
    """A package in name, imported when something of it is wanted."""

    def __getattr__(self, name: str):
        if name.startswith("__") and name != "__path__":  # asked of every module by whatever looks through them
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def _without_compiler():
    """Let modules set up a compiler that nobody here uses, without importing it: it takes seconds, and they set it up on import."""
    if "_dynamo" in vars(torch):
        yield
        return
    compile_ = torch.compile
    torch._dynamo = types.SimpleNamespace(config=types.SimpleNamespace(cache_size_limit=0, suppress_errors=False))
    torch.compile = lambda function, **options: function
    try:
        yield
    finally:
        torch.compile = compile_
        del torch._dynamo


@functools.cache
def load(module: str = "stable_audio_tools") -> types.ModuleType:
    """Import ``module`` from stable-audio-tools, or from what it needs in its turn (k-diffusion, transformers).

    Raises:
        MissingPackage: it, or something that it imports, is not installed.
    """
    _torchaudio_without_native_parts()
    if torch.version.cuda is None and torch.version.hip is None and importlib.util.find_spec("torchvision") is not None:
        _torchvision_schema()
    # On import it prints which optional packages it does without, and its needs warn of ways that they will leave. Neither is news to a
    # user, and standard output is for what was asked for.
    quiet = contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore")
    own = module.partition(".")[0] == "stable_audio_tools"
    if own and "k_diffusion" not in sys.modules and importlib.util.find_spec("k_diffusion") is not None:
        # Its samplers, with the image models that come along, are imported only by whoever samples with them.
        sys.modules["k_diffusion"] = _LazyModule("k_diffusion")
    try:
        with quiet[0], quiet[1], _without_compiler() if own else contextlib.nullcontext():
            if own:
                importlib.import_module(_NETWORKS)
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackage(f"The package '{error.name}' is missing, which {module} needs. {REMEDY}") from error
