"""All computation stays on the model's device in every precision, and never uses double precision there."""

import pytest
import torch

from tertium.engine import operations
from tertium.engine.settings import (
    RATES,
    FuseSettings,
    GenerateSettings,
    InvertSettings,
    LearnSettings,
    MorphSettings,
    VarySettings,
)
from tertium.engine.training import adapters
from tertium.engine.training.fine_tune import Learner
from tests.engine import fake_device, stable_audio_open
from tests.engine.test_precision import published  # noqa: F401 - a fixture

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def everything(model):
    """Load, encode, condition, predict, step and decode; train one step and use the trained weights."""
    drums, hum = torch.zeros(2, model.sample_rate), torch.zeros(2, model.sample_rate)
    yield operations.generate(model, GenerateSettings(prompt="rain", seconds=1.0, steps=3, guidance=2.0))
    yield operations.vary(model, drums, VarySettings(prompt="rain", steps=3))
    yield operations.invert(
        model, drums, InvertSettings(steps=3, reconstruct_from=1, eta=0.0, anchor="predicted")
    ).reconstruction
    yield operations.fuse(model, drums, hum, FuseSettings(steps=3, intervention=1, hold=0.2))
    yield from (take.audio for take in operations.morph(model, drums, hum, MorphSettings(steps=3, count=2, hold=0.2)))
    for method in RATES:
        learner = Learner(model, hum, LearnSettings(prompt="rain", method=method, steps=1, batch=2, rank=2, ema=0.9))
        learner.run()
        learner.load_state_dict(learner.state_dict())
        trained = adapters.apply(model, learner.weights())
        yield operations.fuse(trained, drums, None, FuseSettings(steps=3, intervention=1, prompt="rain"))


@pytest.mark.parametrize("dtype", PRECISIONS.values(), ids=PRECISIONS)
def test_pocket_computes_where_it_lies(monkeypatch, dtype):
    with fake_device.on(monkeypatch, "pocket", dtype) as model:
        assert (model.device.type, model.dtype) == (fake_device.DEVICE.type, dtype)
        assert {(audio.device.type, audio.dtype) for audio in everything(model)} == {("cpu", torch.float32)}


@pytest.mark.parametrize("dtype", PRECISIONS.values(), ids=PRECISIONS)
def test_published_configurations_compute_where_they_lie(monkeypatch, published, hub_cache, dtype):  # noqa: F811
    stable_audio_open.put_text_encoder(hub_cache)
    with fake_device.on(monkeypatch, str(published), dtype) as model:
        assert {(audio.device.type, audio.dtype) for audio in everything(model)} == {("cpu", torch.float32)}


def test_a_tensor_that_was_left_on_the_cpu_is_found(monkeypatch):
    with fake_device.on(monkeypatch, "pocket", torch.float32) as model:
        embedding = model.model.model.model.transformer.pos_emb
        embedding.inv_freq = embedding.inv_freq.cpu()
        with pytest.raises(RuntimeError, match="on the same device"):
            operations.fuse(
                model, torch.zeros(2, 44100), torch.zeros(2, 44100), FuseSettings(steps=3, intervention=1, hold=0.2)
            )


def test_double_precision_on_the_device_is_found(monkeypatch):
    with fake_device.on(monkeypatch, "pocket", torch.float32) as model:
        codec = model.model.pretransform
        codec.window = codec.window.cpu().double()
        with pytest.raises(AssertionError, match="float64 on the device, which MPS has not"):
            codec.to(fake_device.DEVICE)
