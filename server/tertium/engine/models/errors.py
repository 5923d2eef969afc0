"""Why a model cannot be had. Each reason is a class of its own, with one sentence and what to do about it."""

from tertium.engine.models import stable_audio
from tertium.errors import TertiumError


class ModelError(TertiumError):
    """A model is unknown, or known and not to be had. ``field`` is ``"model"``, ``value`` what was asked for."""

    kind = "model_unavailable"

    def __init__(self, message: str, *, value: object = None, remedy: str, field: str = "model"):
        super().__init__(self.kind, message, field=field, value=value, remedy=remedy)


class UnknownModel(ModelError):
    """Neither a known name nor a folder."""

    kind = "unknown_model"


class PackageMissing(ModelError):
    """A package that the model needs is not installed."""


def package_missing(error: ImportError, model: str) -> PackageMissing:
    """The error of a model that a failed import stands in the way of."""
    message = str(error).removesuffix(f" {stable_audio.REMEDY}")
    if isinstance(error, ModuleNotFoundError):
        message = f"The package '{error.name}' is missing, which {model} needs."
    return PackageMissing(message, value=model, remedy=stable_audio.REMEDY)


class ModelGated(ModelError):
    """The model hub asks for a licence to be accepted, by a user it knows."""


class ModelNotDownloaded(ModelError):
    """Files that belong on this machine are not here, and could not be fetched."""


class BadConfig(ModelError):
    """``model_config.json`` is missing, is not JSON, or describes something that cannot be used."""


class WeightsMissing(ModelError):
    """There is no file of weights."""


class WeightsDamaged(ModelError):
    """The file of weights is empty, cut short or not what its name says."""


class WeightsMismatched(ModelError):
    """The weights are those of another model than ``model_config.json`` describes."""


class WeightsUnsafe(ModelError):
    """The weights are a pickle that could run code when it is read."""


class DeviceUnavailable(ModelError):
    """The device or the precision that was asked for is not there."""
