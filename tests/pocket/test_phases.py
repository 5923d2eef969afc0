"""The codec's fit and its network for phases: what it is trained towards, how phases are added up, and that its training learns."""

import math

import pytest
import torch
from safetensors.torch import load_file

from pocket.codec import fit, points, train_phases
from tertium.engine.models import phase_network
from tertium.engine.models.phase_integration import centre_advance, integrate

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
    return fit.fit(Crops(), latents=24, crops=4)


def test_both_spectra_of_a_frame_are_treated_alike(codec):
    features = codec.features(Crops().crops(1, SAMPLES, torch.Generator().manual_seed(1)))
    twice = fit.exchanged(codec, fit.exchanged(codec, features[0]))
    assert torch.equal(twice, features[0])
    steady = codec.decode_features(codec.encode(tone(1234.5)))[0, : -codec.groups, 8]
    one, other = steady.unflatten(0, (2, 2, codec.bands)).unbind(1)
    torch.testing.assert_close(one, other, atol=0.15, rtol=0)


def test_targets_are_the_changes_of_a_known_tone(codec):
    hertz = 1000.0
    wanted, power = points.targets(codec, tone(hertz))
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
    wanted, _ = points.targets(codec, sound)
    magnitudes = codec.stft(sound).abs()
    advance = centre_advance(n_fft=codec.n_fft, hop=codec.hop)
    phases = integrate(magnitudes.square().mean(1).sqrt().transpose(1, 2), wanted, advance)
    back = codec.istft(magnitudes * phases[:, None])[0, 0, 4096:-4096]
    spectrum = (torch.fft.rfft(back * torch.hann_window(len(back))).abs()).square()
    peak = int(spectrum.argmax())
    assert abs(peak * RATE / len(back) - hertz) < RATE / len(back)
    assert spectrum[peak - 3 : peak + 4].sum() > 0.995 * spectrum.sum(), "nothing but the tone"


def test_the_network_says_the_same_of_one_bin_and_of_all():
    levels = torch.randn(2, 9, 1025, generator=torch.Generator().manual_seed(0)) * 10 - 40
    network = phase_network.PhaseNetwork(16)
    row, spectrum, place = torch.tensor([0, 1, 0]), torch.tensor([3, 8, 0]), torch.tensor([0, 700, 1024])
    alone = network(points.inputs_at(phase_network.padded(levels), row, spectrum, place))
    torch.testing.assert_close(network.everywhere(levels)[row, spectrum, place], alone, atol=2e-4, rtol=1e-4)


def test_long_sounds_are_seen_in_chunks_without_a_seam(monkeypatch):
    levels = torch.randn(1, 20, 1025, generator=torch.Generator().manual_seed(0)) * 10 - 40
    network = phase_network.PhaseNetwork(8)
    whole = network.everywhere(levels)
    monkeypatch.setattr(phase_network, "_CHUNK", 7)
    torch.testing.assert_close(network.everywhere(levels), whole, atol=1e-4, rtol=1e-4)


def test_training_learns_resumes_and_decodes(codec, tmp_path, monkeypatch):
    monkeypatch.setattr(points, "FRAMES", 12)
    monkeypatch.setattr(points, "POINTS", 2048)
    monkeypatch.setattr(train_phases, "BATCH", 512)
    points.save_points(tmp_path, codec, Crops(), analyses=2)
    saved = load_file(tmp_path / "points.safetensors")
    drawn = saved["inputs"], saved["wanted"]
    assert drawn[0].shape == (4096, phase_network.INPUTS) and drawn[1].shape == (4096, 5)
    run = train_phases.new_run(width=16)
    train_phases.train(run, drawn, tmp_path, minutes=0.02, peak=3e-3)
    first, last = (
        train_phases.take_step(r, *(x[:512].float() for x in drawn), 0.0) for r in (train_phases.new_run(width=16), run)
    )
    assert last["along time"] < first["along time"] and run.step > 3
    again = train_phases.new_run(width=16)
    again.restore(tmp_path / "phases.pt")
    assert 0 < again.step <= run.step
    codec.phases = train_phases.network_of(tmp_path)
    sound = Crops().crops(1, SAMPLES, torch.Generator().manual_seed(2))
    back = codec.decode(codec.encode(sound))
    assert back.shape == sound.shape and torch.isfinite(back).all()
    assert torch.equal(back, codec.decode(codec.encode(sound)))
