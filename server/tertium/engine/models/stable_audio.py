"""The single place that imports stable-audio-tools.

``torchaudio`` and ``torchvision`` contain native parts that are built for one build of PyTorch. The package index
serves them built for CUDA; with a PyTorch without CUDA, or with another CUDA, those parts do not load, although
stable-audio-tools needs none of them (it resamples, and k-diffusion resizes images, which Tertium never uses). A plain
import also takes nine seconds: two for PyTorch and the rest for a compiler and an image library that stay unused.
Everything that needs stable-audio-tools imports it through :func:`load`, which solves both problems in one place.
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

_NETWORKS = "stable_audio_tools.models.diffusion"  # its factory imports this only when a model is built, outside `load`

REMEDY = "Install it with `pip install tertium`, or run `make setup` in a checkout."


class MissingPackage(ImportError):
    """stable-audio-tools, or a package that it imports, is not installed. The message includes the remedy."""


def _torchaudio_without_native_parts() -> None:
    """Report torchaudio's extension as absent, as torchaudio's own builds without it do."""
    extension = types.ModuleType("torchaudio._extension")
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = False
    extension._IS_ALIGN_AVAILABLE = False
    extension.fail_if_no_align = lambda function: function
    sys.modules.setdefault("torchaudio._extension", extension)


@functools.cache
def _torchvision_schema() -> torch.library.Library:
    """Declare, without kernels, the operators for which torchvision registers shape rules on import."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library  # the declaration lives as long as this object, which the cache keeps alive


class _LazyModule(types.ModuleType):
    """A package that is imported when one of its attributes is first used."""

    def __getattr__(self, name: str):
        if name.startswith("__") and name != "__path__":  # requested by code that scans all modules
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def _without_compiler():
    """Let modules configure PyTorch's compiler on import without importing it, which would take seconds for nothing."""
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
    """Import ``module`` from stable-audio-tools, or from its own dependencies (k-diffusion, transformers).

    Raises:
        MissingPackage: it, or a package that it imports, is not installed.
    """
    _torchaudio_without_native_parts()
    if torch.version.cuda is None and torch.version.hip is None and importlib.util.find_spec("torchvision") is not None:
        _torchvision_schema()
    # On import it prints which optional packages are missing, and its dependencies emit deprecation warnings. Neither
    # concerns a user, and standard output is reserved for results.
    quiet = contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore")
    own = module.partition(".")[0] == "stable_audio_tools"
    if own and "k_diffusion" not in sys.modules and importlib.util.find_spec("k_diffusion") is not None:
        # Its samplers bring image models along; they are imported only when used.
        sys.modules["k_diffusion"] = _LazyModule("k_diffusion")
    try:
        with quiet[0], quiet[1], _without_compiler() if own else contextlib.nullcontext():
            if own:
                importlib.import_module(_NETWORKS)
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackage(f"The package '{error.name}' is missing, which {module} needs. {REMEDY}") from error
