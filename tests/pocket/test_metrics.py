"""The measures, on signals whose values are known."""

import math

import pytest
import torch

from pocket import metrics
from pocket.material import unseen

RATE = 44100


def noise(count, seed=0):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


def attack(seconds, *, at=0.5, hertz=3000):
    """Return a sine (2, samples) whose amplitude rises as 1 - exp(-t / seconds)."""
    t = torch.arange(RATE) / RATE - at
    return ((t > 0) * (1 - torch.exp(-t.clamp(min=0) / seconds)) * torch.sin(2 * math.pi * hertz * t)).expand(2, -1)


def test_si_sdr_of_a_known_mix():
    sound, other = noise(RATE), noise(RATE, 1)
    other = other - sound * (sound @ other) / (sound @ sound)
    mix = sound + other * (sound.norm() / other.norm()) * 10 ** (-12 / 20)
    assert metrics.si_sdr(sound[None], 0.3 * mix[None]) == pytest.approx(12, abs=0.01)
    assert metrics.si_sdr(sound[None], sound[None]) > 100


def test_stft_distance_of_a_louder_copy():
    sound = 0.1 * noise(RATE)[None]
    convergence, nepers = metrics.stft_distance(sound, sound * 1.5)
    assert convergence == pytest.approx(0.5, abs=1e-3) and nepers == pytest.approx(math.log(1.5), abs=0.01)
    assert metrics.stft_distance(sound, sound) == (0.0, 0.0)


@pytest.mark.parametrize("seconds", [0.002, 0.004])
def test_an_exponential_attack_has_its_rise_time(seconds):
    """Energy (1 - exp(-t / s))² reaches 10 % after 0.38 s and 90 % after 2.97 s."""
    sound = attack(seconds)
    (onset,) = metrics.onsets(sound)
    assert onset == pytest.approx(RATE / 2, abs=0.012 * RATE)
    assert metrics.rise_time(sound, onset) == pytest.approx(2.59 * seconds, abs=0.0025)


def test_a_blurred_attack_is_found_to_be_slower():
    before, after, change = metrics.attack_change(attack(0.001), attack(0.008))
    assert change == pytest.approx(after - before) and change > 0.005


def test_a_sound_that_starts_at_once_rises_at_once():
    sound = 0.1 * noise(RATE).expand(2, -1)
    assert metrics.onsets(sound)[0] < 0.01 * RATE
    assert metrics.rise_time(sound, metrics.onsets(sound)[0]) < 0.004


def test_a_slow_fade_in_has_no_attack():
    steady = torch.sin(2 * math.pi * 440 * (torch.arange(RATE) / RATE)) * torch.linspace(0, 1, RATE)
    with pytest.raises(ValueError, match="no distinct onset"):
        metrics.attack_change(steady.expand(2, -1), steady.expand(2, -1))
    assert metrics.onsets(torch.zeros(2, RATE)) == []


def test_width_of_known_places():
    one, other = noise(RATE), noise(RATE, 1)
    assert metrics.width(torch.stack([one, one])) == metrics.NARROW_DB
    assert metrics.width(torch.stack([one, other])) == pytest.approx(0, abs=0.2)
    assert metrics.width(torch.stack([one, 0.5 * one])) == pytest.approx(20 * math.log10(0.5 / 1.5), abs=0.01)
    assert metrics.width(torch.stack([one, -one])) == -metrics.NARROW_DB
    assert metrics.width(torch.zeros(2, 100)) == metrics.NARROW_DB


def test_flatness_tells_a_tone_from_noise():
    tone = torch.sin(2 * math.pi * 440 * (torch.arange(RATE) / RATE)).expand(2, -1)
    assert metrics.flatness(tone) < 0.01
    assert metrics.flatness(noise(RATE).expand(2, -1)) == pytest.approx(math.exp(-0.5772), abs=0.03)


def test_flutter_is_found_at_its_rate():
    t = torch.arange(3 * RATE) / RATE
    sound = noise(3 * RATE) * (1 + 0.5 * torch.sin(2 * math.pi * 86 * t))
    assert metrics.flutter(sound.expand(2, -1), rate=86) > 15
    assert abs(metrics.flutter(sound.expand(2, -1), rate=140)) < 4


def test_liveliness_of_noise_is_small_and_of_a_rhythm_large():
    t = torch.arange(2 * RATE) / RATE
    still, struck = noise(2 * RATE), noise(2 * RATE) * torch.exp(-(t % 0.5) * 12)
    assert metrics.liveliness(still.expand(2, -1))[1] < 4
    assert metrics.liveliness(struck.expand(2, -1))[1] > 10


def test_unseen_sounds_are_repeatable_and_sound():
    one, again = unseen.synthesised(), unseen.synthesised()
    assert len(one) == 9
    assert all(torch.equal(one[name], again[name]) and 0.1 < one[name].abs().max() <= 1 for name in one)
