"""Every operation in every precision: with the embedded model as shipped, and with Stable Audio Open's configurations."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import soundfile
import torch

import tertium
from tertium.engine import operations, window
from tertium.engine.fusion.similarity import log_mel, log_mel_correlation, mel_power
from tertium.engine.models.loaded_model import load_model
from tertium.engine.settings import (
    FuseSettings,
    GenerateSettings,
    InvertSettings,
    LearnSettings,
    MorphSettings,
    VarySettings,
    WindowSettings,
)
from tertium.engine.training import adapters
from tertium.engine.training.fine_tune import Learner
from tests.engine import stable_audio_open, tiny

RECORDINGS = Path(tertium.__file__).parent / "assets" / "demo"
DRUMS, HUM = RECORDINGS / "safari_drums.flac", RECORDINGS / "haunted_hum.flac"
SECONDS, STEPS = 1.5, 8
HALF = ("bf16", "fp16")
CONFIGURATIONS = {"1.0": stable_audio_open.configuration, "small": stable_audio_open.small_configuration}


def excerpt(path, model, seconds=SECONDS):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    begun = torch.from_numpy(samples[: round(seconds * rate)].T.copy())
    return begun.expand(model.channels, -1).contiguous()


def generate(model, drums, hum):
    return operations.generate(model, GenerateSettings(prompt="a drum loop", seconds=SECONDS, steps=STEPS))


def vary(model, drums, hum):
    return operations.vary(model, drums, VarySettings(prompt="rain", strength=0.4, steps=STEPS))


def invert(model, drums, hum):
    return operations.invert(model, drums, InvertSettings(steps=STEPS, reconstruct_from=2)).reconstruction


def fuse(model, drums, hum):
    return operations.fuse(model, drums, hum, FuseSettings(steps=STEPS, blend=0.5, hold=0.2))


def morph(model, drums, hum):
    return torch.cat(
        [take.audio for take in operations.morph(model, drums, hum, MorphSettings(count=3, steps=STEPS))], -1
    )


def learn_then_fuse(model, drums, hum):
    """Train a few steps at a rate low enough for rounding not to matter, preview, then fuse."""
    learner = Learner(model, hum, LearnSettings(prompt="a hum", steps=3, batch=2, rank=4, rate=1e-4, precision="fp32"))
    learner.run()
    with learner.with_learned_weights() as previewed:
        preview = operations.generate(previewed, GenerateSettings(prompt="a hum", seconds=SECONDS, steps=STEPS))
    trained = adapters.apply(model, learner.weights())
    fused = operations.fuse(trained, drums, None, FuseSettings(steps=STEPS, blend=0.5, prompt="a hum"))
    return torch.cat([preview, fused], -1)


OPERATIONS = (generate, vary, invert, fuse, morph, learn_then_fuse)


@pytest.fixture(scope="module")
def pockets():
    return {precision: load_model("pocket", device="cpu", precision=precision) for precision in ("fp32", *HALF)}


@pytest.fixture(scope="module")
def whole(pockets):
    """The result of each operation in float32, computed on first use."""
    results = {}

    def of(operation):
        if operation not in results:
            results[operation] = performed(operation, pockets["fp32"])
        return results[operation]

    return of


def performed(operation, model):
    return operation(model, excerpt(DRUMS, model), excerpt(HUM, model))


def likeness(one, other, rate):
    return log_mel_correlation(*(log_mel(mel_power(audio, rate)) for audio in (one, other)))


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_pocket_sounds_in_half_precision_as_in_float32(pockets, whole, operation, precision):
    model = pockets[precision]
    assert {tensor.dtype for tensor in model.model.model.parameters()} == {model.dtype} != {torch.float32}
    audio = performed(operation, model)
    assert torch.isfinite(audio).all() and audio.abs().max() > 0.01
    assert likeness(audio, whole(operation), model.sample_rate) >= 0.99


@pytest.mark.parametrize("precision", HALF)
def test_the_noise_level_is_as_exact_in_half_precision(pockets, precision):
    whole, half = (pockets[name].model.model.model.timestep_features.weight for name in ("fp32", precision))
    assert half.dtype == torch.float32 and torch.equal(whole, half)


@pytest.mark.parametrize("precision", HALF)
def test_pocket_measures_the_same_window_in_half_precision(pockets, precision):
    # All interventions are measured: with fewer, rounding may decide a tie between two halves and choose other points.
    settings = WindowSettings(steps=STEPS, hold=0.2, points=STEPS, strength="paper")
    whole, half = (
        window.measure(model, excerpt(DRUMS, model), excerpt(HUM, model), settings)
        for model in (pockets["fp32"], pockets[precision])
    )
    for one, other in zip(whole.points, half.points, strict=True):
        assert other.intervention == one.intervention
        assert (other.original, other.reference) == pytest.approx((one.original, one.reference), abs=0.05)
    assert half.equilibrium == pytest.approx(whole.equilibrium, abs=2)  # where two flat curves cross


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def published(request, tmp_path_factory):
    """A folder with a published configuration at depth 1 and random weights, without its text encoder."""
    folder = tmp_path_factory.mktemp("published") / request.param
    config = CONFIGURATIONS[request.param](depth=1)
    folder.mkdir()
    (folder / "model_config.json").write_text(json.dumps(config), encoding="utf-8")
    without_text = json.loads(json.dumps(config))
    entries = without_text["model"]["conditioning"]["configs"]
    without_text["model"]["conditioning"]["configs"] = [entry for entry in entries if entry["id"] != "prompt"]
    state = tiny.build(without_text).state_dict()
    safetensors.torch.save_file(
        {name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors"
    )
    return folder


@pytest.mark.parametrize("precision", ["fp32", *HALF])
def test_published_configurations_compute_in_every_precision(published, hub_cache, precision):
    stable_audio_open.put_text_encoder(hub_cache)
    model = load_model(str(published), device="cpu", precision=precision)
    drums, hum = excerpt(DRUMS, model, 0.5), excerpt(HUM, model, 0.5)
    shared = {"steps": 2, "hold": 0.2}
    learner = Learner(model, hum, LearnSettings(prompt="a hum", steps=1, batch=1, rank=2))
    learner.run()
    trained = adapters.apply(model, learner.weights())
    with learner.with_learned_weights() as previewed:
        preview = operations.generate(previewed, GenerateSettings(prompt="hum", seconds=0.5, steps=2))
    window.measure(model, drums, hum, WindowSettings(steps=4, hold=0.2, points=4))
    for audio in (
        preview,
        operations.vary(model, drums, VarySettings(prompt="drum", steps=2)),
        operations.invert(model, drums, InvertSettings(steps=2, reconstruct_from=0)).reconstruction,
        operations.fuse(model, drums, hum, FuseSettings(**shared, intervention=1)),
        *(take.audio for take in operations.morph(model, drums, hum, MorphSettings(**shared, count=2))),
        operations.fuse(trained, drums, None, FuseSettings(steps=2, prompt="hum", intervention=0)),
    ):
        assert torch.isfinite(audio).all() and audio.abs().max() > 0
