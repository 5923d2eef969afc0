"""Locating a model's files, and reading weights without running code in them."""

import json
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from tertium.engine.models import hub
from tertium.engine.models.errors import (
    BadConfig,
    ModelNotDownloaded,
    UnknownModel,
    WeightsDamaged,
    WeightsMismatched,
    WeightsMissing,
    WeightsUnsafe,
)

POCKET = Path(__file__).parents[2] / "assets" / "pocket"
NAMES = ("pocket", *hub.REPOSITORIES)
CONFIG = "model_config.json"
WEIGHTS = ("model.safetensors", "model.ckpt", "model.pt")

_CONVERT = "If you trust it, load it and save its tensors with safetensors.torch.save_file as model.safetensors."


@dataclass(frozen=True)
class ModelFiles:
    """The location of a model. Files named in the configuration, such as a tokenizer, are expected beside it."""

    name: str
    config: Path
    weights: Path


def locate(name_or_folder: str) -> ModelFiles:
    """Return the files of a model.

    Args:
        name_or_folder: one of :data:`NAMES`, or the path of a folder with ``model_config.json`` and one of
            :data:`WEIGHTS`.

    Raises:
        ModelError: a subclass by reason.
    """
    if name_or_folder in hub.REPOSITORIES:
        config = hub.fetch(name_or_folder, CONFIG)
        return ModelFiles(name_or_folder, config, hub.fetch(name_or_folder, *WEIGHTS[:2]))
    if name_or_folder == "pocket":
        if not POCKET.is_dir():
            raise ModelNotDownloaded(
                f"The embedded model's folder {POCKET} is missing.",
                value=name_or_folder,
                remedy="Reinstall tertium; in a checkout, restore the folder with git, or train the weights with server/pocket.",
            )
        return ModelFiles("pocket", *_in_folder(POCKET))
    folder = Path(name_or_folder).expanduser()
    if not folder.is_dir():
        raise UnknownModel(
            f"There is no model {name_or_folder!r}.",
            value=name_or_folder,
            remedy=f"Use {', '.join(NAMES)}, or the path of a folder with {CONFIG} and {WEIGHTS[0]}.",
        )
    return ModelFiles(folder.resolve().name, *_in_folder(folder))


def _in_folder(folder: Path) -> tuple[Path, Path]:
    config = folder / CONFIG
    if not config.is_file():
        raise BadConfig(
            f"{folder} has no {CONFIG}.",
            value=str(folder),
            remedy="Put the model's configuration there, in stable-audio-tools' format.",
        )
    for name in WEIGHTS:
        if (folder / name).is_file():
            return config, folder / name
    pickles = [path.name for path in sorted(folder.iterdir()) if path.suffix in {".pkl", ".pickle", ".bin", ".pth"}]
    if pickles:
        raise WeightsUnsafe(
            f"{folder} has its weights only as {pickles[0]}, and reading a pickle can run any code in it.",
            value=str(folder),
            remedy=_CONVERT,
        )
    raise WeightsMissing(
        f"{folder} has no weights.", value=str(folder), remedy=f"Put {' or '.join(WEIGHTS)} there, beside {CONFIG}."
    )


def read_config(path: Path) -> dict:
    """Read a configuration; nothing beyond its being a JSON object is checked.

    Raises:
        BadConfig: it is not a JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadConfig(
            f"{path} cannot be read as JSON: {error}.", value=str(path), remedy="Download the file again from the model's source."
        ) from error  # fmt: skip
    if not isinstance(config, dict):
        raise BadConfig(
            f"{path} is not a JSON object.", value=str(path), remedy="Download the file again from the model's source."
        )
    return config


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a file, on the CPU, by name. No code in the file is run.

    Raises:
        WeightsDamaged: empty, truncated, or of another format.
        WeightsUnsafe: a pickle that holds more than tensors, or one outside PyTorch's zip format.
    """
    try:
        content = safetensors.torch.load_file(path) if path.suffix == ".safetensors" else _read_checkpoint(path)
    except (safetensors.SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise _damaged(path, str(error)) from error
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not content or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise _damaged(path, "it is not a table of tensors")
    return content


def _read_checkpoint(path: Path) -> object:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            start = file.read(1)
        if start == b"\x80":  # the first byte of every pickle since protocol 2
            raise _unsafe(path)
        raise ValueError("it is not a PyTorch checkpoint, or a truncated one")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unsafe(path) from error


def _damaged(path: Path, reason: str) -> WeightsDamaged:
    first_line = (reason.splitlines() or ["for an unknown reason"])[0].rstrip(".")
    return WeightsDamaged(
        f"The weights {path} ({path.stat().st_size:,} bytes) cannot be read: {first_line}.",
        value=str(path),
        remedy="The file is damaged or incompletely downloaded: delete it and download it again.",
    )


def _unsafe(path: Path) -> WeightsUnsafe:
    return WeightsUnsafe(
        f"The weights {path} are a pickle that holds more than tensors, and reading it can run any code in it.",
        value=str(path),
        remedy=_CONVERT,
    )


def check(tensors: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], *, path: Path) -> None:
    """Refuse weights whose names or shapes differ from the model's.

    Raises:
        WeightsMismatched: the message names the first that differ.
    """
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected]
    wrong = [
        f"{name} is {_shape(tensors[name])} and should be {_shape(expected[name])}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    faults = [
        _listed("wrong shape", wrong),
        _listed("missing", missing),
        _listed("not in the model", unknown),
    ]
    faults = [fault for fault in faults if fault]
    if faults:
        raise WeightsMismatched(
            f"The weights {path} do not match {CONFIG}: {'; '.join(faults)}.",
            value=str(path),
            remedy=f"Use the {CONFIG} that came with these weights. A checkpoint of a training run must first be unwrapped "
            "with stable-audio-tools' unwrap_model.py.",
        )


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"


def _listed(what: str, entries: list[str]) -> str:
    more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
    return f"{what}: {', '.join(entries[:3])}{more}" if entries else ""
