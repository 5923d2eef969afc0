import hashlib
import json
import math

import pytest
import safetensors.torch
import torch

from tertium.engine import operations
from tertium.engine.models import stable_audio
from tertium.engine.models.loaded_model import NAMES, load_model
from tertium.engine.sampling.denoiser import Denoiser
from tertium.engine.sampling.schedule import edm, rectified_flow
from tests.engine import stable_audio_open, tiny
from tests.engine.conftest import write_model


def tone(model, seconds, *, pitch=220.0):
    """A quiet tone, its second channel an octave higher: (2, samples)."""
    time = torch.arange(round(seconds * model.sample_rate)) / model.sample_rate
    return 0.3 * torch.stack([torch.sin(2 * math.pi * pitch * k * time) for k in (1, 2)])


def test_what_a_model_says_of_itself(tiny_folder, tiny_model):
    weights = tiny_folder / "model.safetensors"
    tensors = safetensors.torch.load_file(weights)
    assert tiny_model.name == "tiny"
    assert (tiny_model.sample_rate, tiny_model.channels, tiny_model.latent_channels) == (8000, 2, 4)
    assert (tiny_model.downsampling, tiny_model.max_seconds, tiny_model.objective) == (16, 2.0, "v")
    assert tiny_model.fingerprint == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert tiny_model.parameters == sum(tensor.numel() for tensor in tensors.values())
    assert tiny_model.memory_bytes == 4 * tiny_model.parameters


def test_the_weights_are_those_of_the_file(tiny_folder, tiny_model):
    tensors = safetensors.torch.load_file(tiny_folder / "model.safetensors")
    state = tiny_model.model.state_dict()
    assert state.keys() == tensors.keys()
    assert all(torch.equal(state[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("samples", [1, 16, 4000, 4001, 16000])
def test_any_length_goes_through_the_autoencoder(samples, tiny_model):
    audio = torch.randn(2, samples, generator=torch.Generator().manual_seed(1))
    latents = tiny_model.encode(audio)
    assert latents.shape == (1, 4, math.ceil(samples / 16))
    assert latents.shape[-1] == tiny_model.frames(samples)
    assert tiny_model.decode(latents, samples=samples).shape == (1, 2, samples)


def test_encoding_takes_the_posterior_mean(tiny_model):
    audio = tone(tiny_model, 0.5)
    before = torch.get_rng_state()
    latents = tiny_model.encode(audio)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(latents, tiny_model.encode(audio))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = torch.stack([tiny_model.model.pretransform.encode(audio[None]) for _ in range(400)])
    spread = draws.std(0)
    assert spread.min() > 0
    assert ((draws.mean(0) - latents).abs() < 6 * spread / 400**0.5).all()


def test_audio_of_another_shape_is_refused(tiny_model):
    with pytest.raises(ValueError, match=r"audio must be \(2, samples\); got \(1, 100\)"):
        tiny_model.encode(torch.zeros(1, 100))
    with pytest.raises(ValueError, match="2 latent frames are fewer than 33 samples need"):
        tiny_model.decode(torch.zeros(1, 4, 2), samples=33)


def test_the_schedule_suits_the_objective(tiny_model, tmp_path):
    flow = load_model(str(write_model(tmp_path / "flow", tiny.model_config("rectified_flow"))), device="cpu")
    assert tiny_model.schedule(20) == edm(20)
    assert flow.schedule(20) == rectified_flow(20)


def test_the_length_is_part_of_the_conditioning_and_of_the_null_branch(tiny_model):
    short, long = (tiny_model.condition("", seconds=seconds) for seconds in (0.5, 2.0))
    assert not torch.allclose(short.cross_attention, long.cross_attention)
    null = tiny_model.null_condition(seconds=2.0)
    assert null.is_null
    assert not null.cross_attention.any()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_predicts_what_float32_predicts(precision, tmp_path):
    """With a noise level and positions that are sensitive to rounding."""
    config = tiny.model_config()
    config["model"]["diffusion"]["global_cond_ids"] = ["seconds_total"]
    folder = str(write_model(tmp_path / "model", config))
    whole, half = (load_model(folder, device="cpu", precision=name) for name in ("fp32", precision))
    assert half.dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    x = torch.randn(1, 4, 1000, generator=torch.Generator().manual_seed(1)) * 3
    assert half.encode(tone(half, 0.5)).dtype == torch.float32
    schedule = edm(200)
    results = [Denoiser(m.model, schedule)(x, 150, m.condition("", seconds=2.0)) for m in (whole, half)]
    assert results[1].dtype == torch.float32
    assert float((results[0] - results[1]).norm() / results[0].norm()) < 0.02


def test_neighbouring_noise_levels_stay_apart_in_bfloat16(tiny_folder):
    model = load_model(str(tiny_folder), device="cpu", precision="bf16")
    features = model.model.model.model.timestep_features
    times = torch.tensor([[0.9960], [0.9964]])
    assert torch.equal(times[:1].bfloat16(), times[1:].bfloat16())
    assert (features(times[:1]) - features(times[1:])).float().abs().max() > 0.001


def test_positions_stay_exact_in_bfloat16(tiny_folder, tiny_model):
    half = load_model(str(tiny_folder), device="cpu", precision="bf16")
    angles = [
        model.model.model.model.transformer.rotary_pos_emb.forward_from_seq_len(1000)[0] for model in (tiny_model, half)
    ]
    assert torch.equal(*angles)


def test_a_checkpoint_of_tensors_loads_like_safetensors(tiny_folder, tiny_model, tmp_path):
    tensors = safetensors.torch.load_file(tiny_folder / "model.safetensors")
    for name, content in {"model.ckpt": {"state_dict": tensors}, "model.pt": tensors}.items():
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / "model_config.json").write_text(json.dumps(tiny.model_config()), encoding="utf-8")
        torch.save(content, folder / name)
        model = load_model(str(folder), device="cpu")
        audio = tone(model, 0.5)
        assert torch.equal(model.encode(audio), tiny_model.encode(audio))


def test_upstreams_savings_of_memory_are_left_out(tiny_folder, tiny_model, tmp_path):
    """Stable Audio Open Small enables them: its autoencoder in half precision, and in chunks that fail below 128
    frames.
    """
    config = tiny.model_config()
    config["model"]["pretransform"] |= {"model_half": True, "chunked": True}
    folder = tmp_path / "saving"
    folder.mkdir()
    (folder / "model_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "model.safetensors").symlink_to(tiny_folder / "model.safetensors")
    saving, audio = load_model(str(folder), device="cpu"), tone(tiny_model, 0.1)
    latents = saving.encode(audio)
    assert torch.equal(latents, tiny_model.encode(audio))
    assert torch.equal(saving.decode(latents, samples=800), tiny_model.decode(latents, samples=800))


def test_loading_touches_nothing_global(tiny_folder):
    before = torch.get_rng_state()
    load_model(str(tiny_folder), device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_text_table_finds_its_tokenizer_beside_the_configuration(prompted_model):
    drum, hum = (prompted_model.condition(prompt, seconds=1.0).cross_attention for prompt in ("drum", "hum"))
    assert drum.shape == (1, 5, 32)
    assert not torch.allclose(drum[:, :4], hum[:, :4])
    assert torch.equal(drum[:, 4:], hum[:, 4:])


def test_stable_audio_open_loads_encodes_fuses_and_decodes(tmp_path, hub_cache):
    """The published configuration at full width, one layer deep."""
    stable_audio_open.put_text_encoder(hub_cache)
    config = stable_audio_open.configuration(depth=1)
    folder = write_model(tmp_path / "stable-audio-open", config, dtype=torch.float16)
    model = load_model(str(folder), device="cpu")
    assert (model.sample_rate, model.channels, model.downsampling) == (44100, 2, 2048)
    assert model.max_seconds == pytest.approx(47.55, abs=0.01)
    original, reference = tone(model, 0.5), tone(model, 0.5, pitch=330.0)
    assert model.encode(original).shape == (1, 64, 11)
    conditioning = model.condition("drum loop", seconds=0.5)
    assert conditioning.cross_attention.shape == (1, 130, 768)
    assert conditioning.global_embedding.shape == (1, 1536)
    settings = operations.FuseSettings(intervention=2, steps=4, seed=1)
    result = operations.fuse(model, original, reference, settings)
    assert result.shape == original.shape
    assert result.isfinite().all()


def test_the_embedded_model_fuses():
    model = load_model("pocket", device="cpu")
    original, reference = tone(model, 1.0), tone(model, 1.0, pitch=330.0)
    result = operations.fuse(model, original, reference, operations.FuseSettings(blend=0.5, steps=8))
    assert result.shape == original.shape
    assert result.isfinite().all()
    drum, hum = (model.condition(prompt, seconds=1.0).cross_attention for prompt in ("drum loop", "a low hum"))
    assert not torch.allclose(drum, hum)


def test_upstreams_own_audio_to_audio_runs_on_a_loaded_model(tiny_model):
    """The baseline of the benchmark: the same weights under stable-audio-tools' own sampler and guidance."""
    generation = stable_audio.load("stable_audio_tools.inference.generation")
    audio = tone(tiny_model, 1.0)
    with torch.random.fork_rng():
        result = generation.generate_diffusion_cond(
            tiny_model.model,
            steps=4,
            cfg_scale=6,
            conditioning=[{"prompt": "drum", "seconds_start": 0, "seconds_total": 1.0}],
            sample_size=8000,
            init_audio=(tiny_model.sample_rate, audio),
            init_noise_level=5.0,
            sampler_type="dpmpp-3m-sde",
            sigma_min=0.3,
            seed=1,
            device="cpu",
        )
    assert result.shape == (1, 2, 8000)
    assert result.isfinite().all()


def test_the_names_of_models():
    assert NAMES == ("pocket", "stable-audio-open-1.0", "stable-audio-open-small")
