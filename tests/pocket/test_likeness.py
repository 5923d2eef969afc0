"""The measures of likeness on sounds whose answers are known."""

import math

import pytest
import torch

from pocket import likeness

RATE = 44100
T = torch.arange(RATE) / RATE
TONE = 0.3 * torch.sin(2 * math.pi * 441 * T).repeat(2, 1)
NOISE = 0.1 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(0))
BEAT = NOISE * torch.exp(-(T % 0.25) / 0.02)


def test_a_sound_is_like_itself_at_any_level():
    for measure in (likeness.spectral, likeness.mel, likeness.onsets, likeness.partials):
        sound = BEAT + TONE
        assert measure(sound, sound) == pytest.approx(1, abs=1e-5)
        assert measure(sound, 0.5 * sound) > 0.999


def test_rhythm_is_seen_by_onsets_and_pitch_by_partials():
    other = 0.1 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(1)) * torch.exp(-(T % 0.25) / 0.02)
    assert likeness.onsets(BEAT, other) > 0.8
    assert likeness.onsets(BEAT, other.roll(RATE // 8, -1)) < 0.3
    assert likeness.partials(TONE, TONE + 0.01 * NOISE) > 0.9
    assert likeness.partials(TONE, 0.3 * torch.sin(2 * math.pi * 520 * T).repeat(2, 1)) < 0.3


def test_what_comes_before_an_onset_is_measured_in_decibels():
    sound = torch.zeros(2, RATE)
    sound[:, RATE // 2 : RATE // 2 + 4000] = 0.5
    smeared = sound.clone()
    smeared[:, RATE // 2 - 1500 : RATE // 2] = 0.01
    assert likeness.before_onsets(sound, sound) == pytest.approx(0)
    assert likeness.before_onsets(sound, smeared) == pytest.approx(10 * math.log10(1e-4 / 1e-7), abs=0.5)
    assert math.isnan(likeness.before_onsets(torch.zeros(2, RATE), sound))


def test_modulation_is_given_in_per_cent():
    long = torch.arange(3 * RATE) / RATE
    tone = torch.sin(2 * math.pi * 441 * long).repeat(2, 1)
    assert likeness.modulation(tone, 43.07) < 0.2
    assert likeness.modulation(tone * (1 + 0.1 * torch.sin(2 * math.pi * 43.07 * long)), 43.07) == pytest.approx(
        10, abs=1.5
    )


def test_levels_follow_the_standard():
    tone = torch.sin(2 * math.pi * 997 * torch.arange(2 * RATE) / RATE)
    stereo = torch.stack([tone, torch.zeros_like(tone)])
    assert likeness.level(stereo) == pytest.approx(-3.01, abs=0.05), "a full-scale sine of 997 Hz in one channel"
    assert likeness.level(torch.zeros(2, RATE)) == -70
    quarter = torch.sin(2 * math.pi * 11025 * torch.arange(4000) / RATE + math.pi / 4).repeat(2, 1)
    assert quarter.abs().max() < 0.72 and likeness.true_peak(quarter) == pytest.approx(0, abs=0.5)


def test_intervals_leave_out_what_was_not_measured():
    mean, low, high = likeness.interval([1.0, 2.0, 3.0, math.nan])
    assert mean == 2 and 1 <= low < 2 < high <= 3
    assert all(math.isnan(value) for value in likeness.interval([math.nan]))
