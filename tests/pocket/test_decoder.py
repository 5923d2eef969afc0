"""The trained decoder: what it is trained towards, how phases are added up, and that its training learns."""

import math

import pytest
import torch
from safetensors.torch import load_file

from pocket.codec import decoder, phase_network, points, train_decoder

RATE, SAMPLES = 44100, 24 * 1024
T = torch.arange(SAMPLES) / RATE


def tone(hertz: float) -> torch.Tensor:
    return 0.3 * torch.sin(2 * math.pi * hertz * T).repeat(1, 2, 1)


class Crops:
    """A pool of noisy chords."""

    def crops(self, rows, samples, generator):
        t = torch.arange(samples) / RATE
        hertz = 100 * 30 ** torch.rand(rows, 1, 3, 1, generator=generator)
        chord = torch.sin(2 * math.pi * hertz * t).sum(2) * 0.1
        return chord + 0.01 * torch.randn(rows, 2, samples, generator=generator)


@pytest.fixture(scope="module")
def codec():
    return points.fit_codec(Crops(), latents=24, crops=4)


def test_both_spectra_of_a_frame_are_treated_alike(codec):
    features = codec.features(Crops().crops(1, SAMPLES, torch.Generator().manual_seed(1)))
    twice = points.exchanged(codec, points.exchanged(codec, features[0]))
    assert torch.equal(twice, features[0])
    steady = codec.decode_features(codec.encode(tone(1234.5)))[0, : -codec.groups, 8]
    one, other = steady.unflatten(0, (2, 2, codec.bands)).unbind(1)
    torch.testing.assert_close(one, other, atol=0.15, rtol=0)


def test_targets_are_the_changes_of_a_known_tone(codec):
    hertz = 1000.0
    wanted, power = decoder.targets(codec, tone(hertz))
    at, spectrum = round(hertz * codec.n_fft / RATE), 12
    centre = at * RATE / codec.n_fft
    turn = 2 * math.pi * (hertz - centre) * codec.hop / RATE
    found = wanted[0, spectrum, at, phase_network.ALONG_TIME]
    torch.testing.assert_close(found, torch.tensor([math.cos(turn), math.sin(turn)]), atol=0.01, rtol=0)
    torch.testing.assert_close(
        wanted[0, spectrum, at, phase_network.ALONG_FREQUENCY], torch.tensor([1.0, 0.0]), atol=0.02, rtol=0
    )
    assert power[0, spectrum].argmax() == at


@pytest.mark.parametrize("hertz", [440.0, 1234.5])
def test_changes_added_up_give_the_tone_back(codec, hertz):
    sound = tone(hertz)
    wanted, _ = decoder.targets(codec, sound)
    magnitudes = codec.stft(sound).abs()
    phases = decoder.integrate(codec, magnitudes.square().mean(1).sqrt().transpose(1, 2), wanted)
    back = codec.istft(magnitudes * phases[:, None])[0, 0, 4096:-4096]
    spectrum = (torch.fft.rfft(back * torch.hann_window(len(back))).abs()).square()
    peak = int(spectrum.argmax())
    assert abs(peak * RATE / len(back) - hertz) < RATE / len(back)
    assert spectrum[peak - 3 : peak + 4].sum() > 0.995 * spectrum.sum(), "nothing but the tone"


def test_the_network_sees_the_same_patch_at_one_bin_and_at_all(codec):
    levels = torch.randn(2, 9, 1025, generator=torch.Generator().manual_seed(0)) * 10 - 40
    around = phase_network.padded(levels)
    every = phase_network.all_inputs(around)
    assert every.shape == (2, 9, 1025, phase_network.INPUTS)
    row, spectrum, place = torch.tensor([0, 1]), torch.tensor([3, 8]), torch.tensor([0, 700])
    assert torch.equal(phase_network.inputs_at(around, row, spectrum, place), every[row, spectrum, place])


def test_training_learns_resumes_and_decodes(codec, tmp_path, monkeypatch):
    monkeypatch.setattr(points, "FRAMES", 12)
    monkeypatch.setattr(points, "POINTS", 2048)
    monkeypatch.setattr(train_decoder, "BATCH", 512)
    points.save_points(tmp_path, codec, Crops(), analyses=2)
    saved = load_file(tmp_path / "points.safetensors")
    drawn = saved["inputs"], saved["wanted"]
    assert drawn[0].shape == (4096, phase_network.INPUTS) and drawn[1].shape == (4096, 5)
    run = train_decoder.new_run(width=16)
    train_decoder.train(run, drawn, tmp_path, minutes=0.02, peak=3e-3)
    first, last = (
        train_decoder.take_step(r, *(x[:512].float() for x in drawn), 0.0)
        for r in (train_decoder.new_run(width=16), run)
    )
    assert last["along time"] < first["along time"] and run.step > 3
    again = train_decoder.new_run(width=16)
    again.restore(tmp_path / "decoder.pt")
    assert 0 < again.step <= run.step
    sound = Crops().crops(1, SAMPLES, torch.Generator().manual_seed(2))
    back = decoder.decode(codec, again.network, codec.encode(sound))
    assert back.shape == sound.shape and torch.isfinite(back).all()
    assert torch.equal(back, decoder.decode(codec, again.network, codec.encode(sound)))
