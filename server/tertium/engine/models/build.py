"""Construction of a stable-audio-tools model from its configuration and weights."""

import copy
import json
import warnings
from pathlib import Path

import torch

from tertium.engine.models import hub, stable_audio, weights
from tertium.engine.models.errors import BadConfig, ModelNotDownloaded, package_missing
from tertium.engine.sampling.conditioning import KNOWN
from tertium.engine.sampling.denoiser import OBJECTIVES

SPECTRAL_CODEC = "tertium_spectral_codec"
"""The autoencoder type of the embedded model, which stable-audio-tools does not know."""

_BUILD_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Exceptions that upstream raises, from deep inside, for an invalid configuration."""

_INCOMPLETE_ERRORS = (OSError, ImportError, AttributeError, TypeError, ValueError)
"""Exceptions of transformers for a model that it can neither find nor fetch.

OSError where all of it is missing, else whatever fails later.
"""


def build(config: dict, files: weights.ModelFiles) -> torch.nn.Module:
    """Build stable-audio-tools' conditioned diffusion model: on the CPU, frozen, in the precision of the weights file.

    Raises:
        ModelError: a subclass by reason.
    """
    check_config(config, files.config)
    tensors = weights.read_weights(files.weights)
    try:
        # Upstream draws initial weights from the global generator, and uses a deprecated function for its convolutions.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            model = _assemble(config, files)
    except (ModuleNotFoundError, stable_audio.MissingPackage) as error:
        raise package_missing(error, files.name) from error
    except _BUILD_ERRORS as error:
        raise _bad_config(files.config, f"no model can be built from it: {type(error).__name__}: {error}") from error
    weights.check(tensors, model.state_dict(), path=files.weights)
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def check_config(config: dict, path: Path) -> None:
    """Refuse a configuration that cannot be used here, before anything is built.

    Raises:
        BadConfig: the message gives the reason.
    """
    if _is_third_generation(config):
        raise BadConfig(
            f"Stable Audio 3 is not supported yet ({path}).",
            value=str(path),
            remedy="Use Stable Audio Open 1.0 or Small, a model fine-tuned from them, or pocket.",
        )
    if config.get("model_type") != "diffusion_cond":
        raise _bad_config(path, f"model_type must be 'diffusion_cond'; it is {config.get('model_type')!r}")
    for name in ("sample_rate", "sample_size"):
        if not isinstance(config.get(name), int) or config[name] <= 0:
            raise _bad_config(path, f"{name} must be a whole number above 0; it is {config.get(name)!r}")
    diffusion = _section(config, path, "model", "diffusion")
    _section(config, path, "model", "diffusion", "config")
    pretransform = _section(config, path, "model", "pretransform")
    if diffusion.get("type") != "dit":
        raise _bad_config(path, f"model.diffusion.type must be 'dit'; it is {diffusion.get('type')!r}")
    objective = diffusion.get("diffusion_objective", "v")
    if objective not in OBJECTIVES:
        raise _bad_config(path, f"diffusion_objective must be one of {', '.join(OBJECTIVES)}; it is {objective!r}")
    if diffusion.get("input_concat_ids"):
        raise _bad_config(path, "it is a model for inpainting (input_concat_ids), which fusion cannot use")
    bottleneck = pretransform.get("config", {}).get("bottleneck", {}).get("type", "")
    if any(kind in bottleneck for kind in ("rvq", "fsq")):
        raise _bad_config(
            path, f"its latents are discrete (bottleneck {bottleneck!r}), and fusion needs continuous ones"
        )
    entries = config["model"].get("conditioning", {}).get("configs", [])
    unknown = [entry.get("id") for entry in entries if entry.get("id") not in KNOWN]
    if unknown:
        raise _bad_config(path, f"it is conditioned by {unknown[0]!r}; Tertium supports {', '.join(KNOWN)}")


def _is_third_generation(config: dict) -> bool:
    """Return whether a configuration is of Stable Audio 3, by its autoencoder or its additional conditioning.

    Newer versions of stable-audio-tools write an empty ``local_add_cond_ids`` for every model.
    """
    model = config.get("model")
    diffusion = model.get("diffusion") if isinstance(model, dict) else None
    added = isinstance(diffusion, dict) and bool(diffusion.get("local_add_cond_ids"))
    return added or '"taae_v2"' in json.dumps(model)


def _assemble(config: dict, files: weights.ModelFiles) -> torch.nn.Module:
    config = copy.deepcopy(config)
    parts = config["model"]
    conditioning = parts.pop("conditioning", None)
    codec = parts["pretransform"] if parts["pretransform"].get("type") == SPECTRAL_CODEC else None
    if codec is not None:
        del parts["pretransform"]
    factory = stable_audio.load("stable_audio_tools.models.factory")
    # Shapes only: drawing random initial values would take longer than reading the weights.
    with torch.device("meta"):
        model = factory.create_model_from_config(config)
    if any(module._non_persistent_buffers_set for module in model.modules()):
        model = factory.create_model_from_config(config)  # its non-persistent constants are not in the file
    if codec is not None:
        _attach_codec(model, codec)
    if conditioning is not None:
        model.conditioner = _conditioner(conditioning, files)
    return model


def _attach_codec(model: torch.nn.Module, config: dict) -> None:
    from tertium.engine.models.pocket_codec import SpectralCodec

    model.pretransform = SpectralCodec(**config.get("config", {}))
    model.min_input_length = model.pretransform.downsampling_ratio * model.min_input_length


def _conditioner(config: dict, files: weights.ModelFiles) -> torch.nn.Module:
    for entry in config["configs"]:
        tokenizer = entry.get("config", {}).get("tokenizer_name")
        beside = files.config.parent / tokenizer if isinstance(tokenizer, str) else None
        if beside is not None and beside.is_dir():
            entry["config"]["tokenizer_name"] = str(beside)
    make = stable_audio.load("stable_audio_tools.models.conditioners").create_multi_conditioner_from_conditioning_config
    texts = [entry["config"] for entry in config["configs"] if entry["id"] == "prompt"]
    name = next((text.get("t5_model_name") or text.get("tokenizer_name") for text in texts), "of the prompt")
    try:
        with hub.offline():
            return make(copy.deepcopy(config))
    except (ModuleNotFoundError, stable_audio.MissingPackage):
        raise
    except _INCOMPLETE_ERRORS as error:
        if not texts or (not isinstance(error, OSError) and hub.has_encoder(name)):
            raise
        missing = error
    try:
        if hub.is_reachable():
            hub.report_fetch(f"the text encoder {name}")
            with hub.short_timeout():
                return make(config)
    except OSError as error:
        missing = error
    raise ModelNotDownloaded(
        f"The text encoder {name}, which {files.name} needs, is not on this machine and cannot be downloaded.",
        value=files.name,
        remedy=f"Connect to the network and try again, or download it beforehand with `{hub.command(f'download {name}')}`.",
    ) from missing


def _section(config: dict, path: Path, *names: str) -> dict:
    found = config
    for name in names:
        found = found.get(name)
        if not isinstance(found, dict):
            raise _bad_config(path, f"it has no {'.'.join(names)}")
    return found


def _bad_config(path: Path, reason: str) -> BadConfig:
    return BadConfig(
        f"{path} does not describe a usable model: {reason}.",
        value=str(path),
        remedy="Use the configuration of a text-to-audio diffusion transformer with an autoencoder, such as Stable Audio Open's.",
    )
