"""Model folders and a model hub for tests: no test reads the user's cache or the network."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.engine import stable_audio_open, tiny


@pytest.fixture
def hub_cache(tmp_path, monkeypatch) -> Path:
    """An empty cache for the model hub's client, which is offline."""
    import huggingface_hub.constants
    import transformers.utils.hub

    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(transformers.utils.hub, "TRANSFORMERS_CACHE", str(cache))
    monkeypatch.setattr(transformers.utils.hub, "_is_offline_mode", True)
    return cache


def write_model(folder: Path, config: dict, *, dtype: torch.dtype = torch.float32) -> Path:
    """Write a model folder with random weights: ``model_config.json`` and ``model.safetensors``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_config.json").write_text(json.dumps(config), encoding="utf-8")
    state = tiny.build(config).state_dict()
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in state.items()}
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """The folder of a small v model. Tests that change it copy it first."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny", tiny.model_config())


@pytest.fixture(scope="session")
def tiny_model(tiny_folder):
    from tertium.engine.models.loaded_model import load_model

    return load_model(str(tiny_folder), device="cpu")


@pytest.fixture(scope="session")
def prompted_model(tmp_path_factory):
    """A small flow model with a lookup table for prompts; its tokenizer lies beside its configuration."""
    from tertium.engine.models.loaded_model import load_model

    cache, folder = tmp_path_factory.mktemp("text"), tmp_path_factory.mktemp("models") / "prompted"
    stable_audio_open.put_text_encoder(cache)
    folder.mkdir()
    (cache / "models--t5-base/snapshots" / ("0" * 40)).rename(folder / "words")
    config = tiny.model_config("rectified_flow")
    text = {"id": "prompt", "type": "lut", "config": {"tokenizer_name": str(folder / "words"), "max_length": 4}}
    config["model"]["conditioning"]["configs"].append(text)
    config["model"]["diffusion"]["cross_attention_cond_ids"] = ["prompt", "seconds_total"]
    write_model(folder, config)
    text["config"]["tokenizer_name"] = "words"
    (folder / "model_config.json").write_text(json.dumps(config), encoding="utf-8")
    return load_model(str(folder), device="cpu")
