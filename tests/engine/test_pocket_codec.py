"""The spectral codec: the quality of its round trips, and its guarantees."""

import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import tertium
from tertium.engine.models.pocket_codec import SpectralCodec, band_matrix

RATE = 44100
WEIGHTS = Path(tertium.__file__).parent / "assets" / "pocket" / "model.safetensors"


@pytest.fixture(scope="module")
def codec():
    """The codec of the embedded model."""
    return shipped()


def shipped():
    """Return the embedded model's codec alone."""
    fitted = SpectralCodec()
    with safe_open(WEIGHTS, "pt") as weights:
        fitted.load_state_dict(
            {name: weights.get_tensor(f"pretransform.{name}").float() for name in fitted.state_dict()}
        )
    return fitted


def log_mel(sound):
    """(samples,) → (64, frames): mel energies in decibels, down to 80 below the loudest. Independent of the codec's
    bands.
    """
    spectrum = torch.stft(sound, 2048, 512, window=torch.hann_window(2048), return_complex=True).abs().square()
    edges = 700 * (10 ** (torch.linspace(27, 3500, 66) / 2595) - 1)
    bins = torch.linspace(0, RATE / 2, 1025)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    decibels = 10 * torch.log10(torch.minimum(rising, falling).clamp(min=0) @ spectrum + 1e-10)
    return decibels.clamp(min=decibels.max() - 80)


def correlation(one, other):
    return torch.corrcoef(torch.stack([log_mel(one).flatten(), log_mel(other).flatten()]))[0, 1].item()


def seconds(count):
    return torch.arange(int(count * RATE)) / RATE


def random(count, seed=0):
    return torch.randn(int(count * RATE), generator=torch.Generator().manual_seed(seed))


def harmonic(count):
    t = seconds(count)
    return 0.2 * sum(torch.sin(2 * math.pi * 220 * k * t + k) / k for k in range(1, 12)) * torch.exp(-(t % 0.5) * 4)


def clicks(count):
    t = seconds(count) % 0.25
    return torch.exp(-t * 60) * torch.sin(2 * math.pi * 1200 * t)


def bursts(count):
    return 0.3 * random(count) * torch.exp(-(seconds(count) % 0.5) * 12)


@pytest.mark.parametrize(("sound", "least"), [(harmonic, 0.93), (clicks, 0.9), (bursts, 0.95)])
def test_a_round_trip_keeps_the_spectrogram(codec, sound, least):
    original = sound(2.0).expand(1, 2, -1)
    back = codec.decode(codec.encode(original))[..., : original.shape[-1]]
    assert correlation(original[0, 0], back[0, 0]) > least


@pytest.mark.parametrize(("sound", "least"), [(harmonic, 0.99), (clicks, 0.96), (bursts, 0.99)])
def test_phases_are_found_nearly_without_loss(codec, sound, least):
    original = sound(2.0).expand(1, 2, -1)
    back = codec.synthesise(codec.features(original))[..., : original.shape[-1]]
    assert correlation(original[0, 0], back[0, 0]) > least


def test_a_steady_tone_keeps_its_pitch_and_level(codec):
    original = 0.5 * torch.sin(2 * math.pi * 440 * seconds(2)).expand(1, 2, -1)
    back = codec.decode(codec.encode(original))[0, 0, RATE // 2 : RATE // 2 + 32768]
    spectrum = torch.fft.rfft(back * torch.hann_window(32768)).abs()
    assert spectrum.argmax().item() * RATE / 32768 == pytest.approx(440, abs=6)
    assert back.square().mean().sqrt().item() == pytest.approx(0.5 / math.sqrt(2), rel=0.3)


def test_the_same_latents_give_the_same_samples_and_nothing_global_moves(codec):
    latents = codec.encode(bursts(0.7).expand(1, 2, -1))
    state = torch.random.get_rng_state()
    once = codec.decode(latents)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(codec.decode(latents), once)


def test_rows_of_a_batch_do_not_touch(codec):
    rows = torch.stack([harmonic(0.6).expand(2, -1), bursts(0.6).expand(2, -1)])
    latents = codec.encode(rows)
    torch.testing.assert_close(latents[1:], codec.encode(rows[1:]), atol=1e-4, rtol=1e-4)
    alone = codec.decode(latents[1:])[0, 0]
    assert correlation(codec.decode(latents)[1, 0], alone) > 0.999


def test_silence_stays_silence(codec):
    assert codec.decode(codec.encode(torch.zeros(1, 2, RATE))).abs().max() == 0.0


def test_silence_after_a_sound_stays_silent(codec):
    sound = torch.cat([bursts(0.5), torch.zeros(RATE)]).expand(1, 2, -1)
    assert codec.decode(codec.encode(sound))[..., RATE:].abs().max() < 10 ** (-60 / 20)


def test_sides_keep_their_levels(codec):
    original = torch.stack([harmonic(2.0), 0.1 * harmonic(2.0)])[None]
    back = codec.decode(codec.encode(original))
    ratio = (back[0, 0].square().mean() / back[0, 1].square().mean()).log10() * 10
    assert ratio.item() == pytest.approx(20, abs=4)


def test_unrelated_channels_stay_wide_and_equal_ones_stay_equal(codec):
    def likeness(sound):
        left, right = codec.decode(codec.encode(sound))[0]
        return (torch.dot(left, right) / (left.norm() * right.norm())).item()

    assert likeness(0.2 * torch.stack([random(2, 1), random(2, 2)])[None]) < 0.7
    assert likeness(0.2 * random(2, 1).expand(1, 2, -1)) > 0.95


@pytest.mark.parametrize("samples", [1, 1023, 1024, 1025, 22050, 44100])
def test_any_length_is_padded_to_whole_latent_frames(codec, samples):
    latents = codec.encode(torch.zeros(2, 2, samples))
    frames = -(-samples // codec.downsampling_ratio)
    assert latents.shape == (2, codec.encoded_channels, frames)
    assert codec.decode(latents).shape == (2, 2, frames * codec.downsampling_ratio)


@pytest.mark.parametrize(
    "latents", [torch.full((1, 160, 4), 1e6), torch.full((1, 160, 4), math.nan), torch.full((1, 160, 4), -math.inf)]
)
def test_any_latents_decode_to_finite_bounded_sound(codec, latents):
    sound = codec.decode(latents)
    assert torch.isfinite(sound).all() and sound.abs().max() < 1e4


def test_every_bin_is_shared_out_whole():
    bank = band_matrix(288, 1025)
    torch.testing.assert_close(bank.sum(0), torch.ones(1025))
    assert (bank >= 0).all() and (bank.sum(1) > 0).all()


def swing(sound, hertz):
    """Return the power of energy fluctuations at one rate relative to neighbouring rates, of (samples,)."""
    energy = torch.nn.functional.avg_pool1d(sound.square()[None, None], 64)[0, 0]
    power = torch.fft.rfft((energy / energy.mean() - 1) * torch.hann_window(len(energy))).abs().square()
    place = round(hertz * len(sound) / RATE)
    around = torch.cat([power[place - 24 : place - 3], power[place + 4 : place + 25]])
    return (power[place - 1 : place + 2].mean() / around.mean()).item()


@pytest.mark.parametrize("fitted", [True, False])
def test_noise_does_not_hum_at_the_rate_of_the_spectra(codec, fitted):
    original = 0.2 * random(3).expand(1, 2, -1)
    features = (
        codec.decode_features(codec.encode(original))
        if fitted
        else codec.features(original).mean(2, keepdim=True).expand(-1, -1, 130)
    )
    assert swing(codec.synthesise(features)[0, 0], RATE / codec.hop) < 5


def test_an_attack_at_the_very_beginning_stays_there(codec):
    original = (0.3 * random(0.5) * torch.exp(-seconds(0.5) * 20)).expand(1, 2, -1)
    energy = codec.decode(codec.encode(original))[0, 0].square()
    assert energy[:441].mean() > 0.2 * energy[:2205].mean()


@pytest.mark.parametrize(("sound", "side"), [(harmonic, -14), (bursts, -25), (clicks, -25)])
def test_equal_channels_come_back_equal_or_nearly(codec, sound, side):
    left, right = codec.decode(codec.encode(sound(2.0).expand(1, 2, -1)))[0]
    assert (left - right).square().mean() < 10 ** (side / 10) * (left + right).square().mean()
