"""Third sounds in the codec's decibels, the batches made of them, and a model carried over to another codec."""

import types

import pytest
import torch

from pocket.material.third_sounds import third_sound
from pocket.model import config, mixtures, train, transfer
from tertium.engine.models.pocket_codec import SpectralCodec

FRAMES = 40


@pytest.fixture(scope="module")
def codec():
    """A codec without a loss: its latents are its features, in units of 10 dB above the floor."""
    codec = SpectralCodec(latent_channels=2 * 2 * 288 + 12)
    codec.encoder.copy_(torch.eye(codec.encoded_channels) / 10)
    codec.decoder.copy_(torch.eye(codec.encoded_channels) * 10)
    return codec


def latents(codec, levels):
    """Return latents (1, channels, frames) of levels (bands, spectra) in decibels, alike in both channels."""
    features = torch.cat([codec.stacked(levels.expand(1, 2, -1, -1)), torch.zeros(1, 12, FRAMES)], 1)
    return codec.project(features)


def beat():
    levels = torch.full((288, 2 * FRAMES), -60.0)
    levels[:, ::16] = -20.0
    return levels


def tone():
    levels = torch.full((288, 2 * FRAMES), -60.0)
    levels[40] = -20.0
    return levels


def levels_of(codec, z):
    return codec.levels(codec.decode_features(z))[0, 0]


def test_attacks_and_partials_stand_out_further_than_in_the_average(codec):
    one, other = latents(codec, beat()), latents(codec, tone())
    half = torch.full((1, 1, 1), 0.5)
    average, third = (levels_of(codec, z) for z in (torch.lerp(other, one, half), third_sound(codec, one, other, half)))
    assert third[100, 32] - third[100, 40] > average[100, 32] - average[100, 40] + 5, "the beat"
    assert third[40, 40] - third[60, 40] > average[40, 40] - average[60, 40] + 5, "the tone"


@pytest.mark.parametrize(("weight", "name"), [(1.0, "original"), (0.0, "reference")])
def test_at_the_ends_it_is_one_of_the_two_sounds(codec, weight, name):
    sounds = {"original": latents(codec, beat()), "reference": latents(codec, tone())}
    found = third_sound(codec, *sounds.values(), torch.full((1, 1, 1), weight))
    torch.testing.assert_close(found, sounds[name], atol=1e-4, rtol=0)


def test_two_equal_sounds_have_themselves_for_a_third(codec):
    one = latents(codec, beat())
    torch.testing.assert_close(third_sound(codec, one, one, torch.full((1, 1, 1), 0.5)), one, atol=1e-4, rtol=0)


def test_half_of_a_batch_are_mixtures_under_the_null_prompt(codec):
    z = torch.randn(6, codec.encoded_channels, FRAMES, generator=torch.Generator().manual_seed(0))
    batch = mixtures.examples(codec, z, torch.Generator().manual_seed(1))
    assert batch.mixed[:, 0, 0].tolist() == [True] * 3 + [False] * 3 and batch.null[:3].all()
    assert torch.equal(batch.target[3:], z[3:]) and torch.equal(batch.start[3:], z[3:])
    again = mixtures.examples(codec, z, torch.Generator().manual_seed(1))
    assert torch.equal(again.start, batch.start) and torch.equal(again.target, batch.target)


def test_a_row_alone_is_no_mixture(codec):
    z = torch.randn(1, codec.encoded_channels, FRAMES, generator=torch.Generator().manual_seed(0))
    batch = mixtures.examples(codec, z, torch.Generator().manual_seed(1))
    assert not batch.mixed.any() and torch.equal(batch.target, z)


class Oracle:
    """A model that knows the targets of its batch."""

    def __init__(self, batch):
        self.batch = batch
        self.model = types.SimpleNamespace(model=self._velocity)
        self.conditioner = lambda about, device: about

    def get_conditioning_inputs(self, about):
        rows = len(self.batch.target)
        return {"cross_attn_cond": torch.ones(rows, 2, 4), "global_cond": torch.zeros(rows, 4)}

    def _velocity(self, x, times, *, cross_attn_cond, **_):
        self.prompted, self.times = cross_attn_cond[:, 0, 0].bool(), times
        alpha, sigma = (times * torch.pi / 2).cos()[:, None, None], (times * torch.pi / 2).sin()[:, None, None]
        return (alpha * x - self.batch.target) / sigma


def test_whoever_knows_the_targets_has_no_loss(codec):
    z = torch.randn(6, codec.encoded_channels, FRAMES, generator=torch.Generator().manual_seed(0))
    batch = mixtures.examples(codec, z, torch.Generator().manual_seed(1))
    oracle = Oracle(batch)
    value = train.loss(oracle, batch, [{}] * 6, torch.Generator().manual_seed(2), precision=torch.float32)
    assert value < 1e-9
    assert torch.equal(oracle.prompted, ~batch.null[:, 0, 0])
    assert oracle.times[:3].max() <= train.LAST_MIXED_TIME and oracle.times.min() >= train.FIRST_TIME


def test_a_model_carried_over_to_the_same_codec_computes_the_same(tmp_path):
    config.train_tokenizer(["drum loop"], tmp_path / "tokenizer")
    torch.manual_seed(0)
    one, other = (config.build(tmp_path).eval() for _ in range(2))
    for weight in (one.model.model.preprocess_conv.weight, one.model.model.postprocess_conv.weight):
        torch.nn.init.normal_(weight, std=0.05)
    eye = torch.eye(config.CONFIG["model"]["io_channels"])
    other.load_state_dict(transfer.carried_over(one.state_dict(), other.state_dict(), eye, eye))
    about = [{"prompt": "drum", "seconds_total": 1.0}]
    x, time = torch.randn(1, len(eye), 20), torch.full((1,), 0.5)
    results = []
    for model in (one, other):
        inputs = model.get_conditioning_inputs(model.conditioner(about, "cpu"))
        with torch.no_grad():
            results.append(
                model.model.model(
                    x, time, cross_attn_cond=inputs["cross_attn_cond"], global_embed=inputs["global_cond"]
                )
            )
    torch.testing.assert_close(*results, atol=1e-3, rtol=1e-3)
