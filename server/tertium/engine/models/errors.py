"""Reasons why a model is unavailable. Each is an exception class of its own, with a message and a remedy."""

from tertium.engine.models import stable_audio
from tertium.errors import TertiumError


class ModelError(TertiumError):
    """A model is unknown or unavailable. ``field`` is ``"model"`` unless given, ``value`` the name requested."""

    kind = "model_unavailable"

    def __init__(self, message: str, *, value: object = None, remedy: str, field: str = "model"):
        super().__init__(self.kind, message, field=field, value=value, remedy=remedy)


class UnknownModel(ModelError):
    """The name is neither a known model nor a folder."""

    kind = "unknown_model"


class PackageMissing(ModelError):
    """A package that the model needs is not installed."""


def package_missing(error: ImportError, model: str) -> PackageMissing:
    """Return the error of a model whose import failed."""
    message = str(error).removesuffix(f" {stable_audio.REMEDY}")
    if isinstance(error, ModuleNotFoundError):
        message = f"The package '{error.name}' is missing, which {model} needs."
    return PackageMissing(message, value=model, remedy=stable_audio.REMEDY)


class ModelGated(ModelError):
    """The model hub requires a logged-in user who has accepted the licence."""


class ModelNotDownloaded(ModelError):
    """Required files are not on this machine and could not be downloaded."""


class BadConfig(ModelError):
    """``model_config.json`` is missing, is not JSON, or describes an unusable model."""


class WeightsMissing(ModelError):
    """There is no weights file."""


class WeightsDamaged(ModelError):
    """The weights file is empty, truncated or not of the format that its name states."""


class WeightsMismatched(ModelError):
    """The weights do not belong to the model that ``model_config.json`` describes."""


class WeightsUnsafe(ModelError):
    """The weights are a pickle that could run code when read."""


class DeviceUnavailable(ModelError):
    """The requested device or precision is not available."""
