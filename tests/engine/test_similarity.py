import pytest
import torch

from tertium.engine.fusion import similarity
from tertium.engine.fusion.similarity import correlation, log_mel, log_mel_correlation, mel_power, unexplained

RATE = 22050


def noise(seed, samples=RATE):
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


def pulsed(audio, hertz):
    time = torch.arange(audio.shape[1]) / RATE
    return audio * (torch.sin(2 * torch.pi * hertz * time) > 0)


def tone(frequency):
    time = torch.arange(RATE) / RATE
    return 0.3 * torch.sin(2 * torch.pi * frequency * time).expand(2, -1)


def test_a_tone_is_in_its_band():
    power = mel_power(tone(1000.0), RATE)
    assert power.shape[:2] == (2, similarity.BANDS)
    heights = [int(mel_power(tone(f), RATE).sum(-1)[0].argmax()) for f in (200.0, 1000.0, 4000.0)]
    assert heights == sorted(set(heights))
    assert float(power.sum(1)[0].median()) > 0


def test_similarity_is_one_to_itself_and_does_not_hear_loudness():
    one, other = (log_mel(mel_power(sound, RATE)) for sound in (pulsed(noise(1), 3), pulsed(noise(2), 5)))
    assert log_mel_correlation(one, one) == pytest.approx(1.0)
    louder = log_mel(mel_power(0.1 * pulsed(noise(1), 3), RATE))
    assert log_mel_correlation(one, louder) == pytest.approx(1.0, abs=1e-4)
    assert abs(log_mel_correlation(one, other)) < 0.3


def test_correlation_is_pearsons():
    a, b = noise(1), noise(2)
    expected = float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
    assert correlation(a, b) == pytest.approx(expected, abs=1e-5)
    assert correlation(a, -a) == pytest.approx(-1.0)
    assert correlation(a, torch.ones_like(a)) == 0.0


def test_silence_is_like_nothing_and_explains_itself():
    silent = mel_power(torch.zeros(2, RATE), RATE)
    assert log_mel_correlation(log_mel(silent), log_mel(mel_power(noise(1), RATE))) == 0.0
    assert unexplained(silent, silent, silent) == 0.0


def test_every_mix_is_explained_and_a_product_is_not():
    original, reference = pulsed(noise(1), 4), noise(2)
    o, r = mel_power(original, RATE), mel_power(reference, RATE)
    assert unexplained(o, o, r) == pytest.approx(0.0, abs=1e-9)
    assert unexplained(r, o, r) == pytest.approx(0.0, abs=1e-9)
    filtered = torch.linspace(0, 1, similarity.BANDS)[:, None] * o + 0.4 * r
    assert unexplained(filtered, o, r) == pytest.approx(0.0, abs=1e-9)
    assert unexplained(mel_power(pulsed(noise(3), 7), RATE), o, r) > 0.3
    # A negative weight is not a mix.
    assert unexplained((o - 0.5 * r).clamp_min(0), o, r) > 1e-4


def test_audio_shorter_than_a_window_is_measured_too():
    assert mel_power(noise(1, 100), RATE).isfinite().all()
