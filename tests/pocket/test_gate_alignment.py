"""The figures on aligned references: measures of pitch classes, and a pair with the shipped model."""

import math

import numpy as np
import pytest
import torch

from pocket.gate import alignment, pairs
from tertium.engine.models.loaded_model import load_model

RATE = 44100
T = torch.arange(2 * RATE) / RATE


def notes(*frequencies):
    return 0.1 * sum(torch.sin(2 * math.pi * f * T) for f in frequencies).repeat(2, 1)


def beat(delay):
    grain = torch.randn(2, RATE // 2, generator=torch.Generator().manual_seed(0)) * torch.exp(-T[: RATE // 2] / 0.03)
    sound = torch.zeros(2, 2 * RATE)
    for at in (0.1, 0.35, 0.85, 1.3):
        first = round((at + delay) * RATE)
        sound[:, first : first + RATE // 2] += 0.2 * grain
    return sound


def test_a_semitone_moves_the_chroma_by_one_class():
    a, b_flat = alignment.chroma(notes(440.0)), alignment.chroma(notes(466.16))
    assert a.argmax() == 0 and b_flat.argmax() == 1
    np.testing.assert_allclose(np.roll(a, 1) / a.sum(), b_flat / b_flat.sum(), atol=0.02)


def test_a_note_is_clear_and_noise_is_not():
    noise = 0.1 * torch.randn(2, 2 * RATE, generator=torch.Generator().manual_seed(1))
    assert alignment.clarity(notes(440.0)) > 0.6 > 0.05 > alignment.clarity(noise)
    assert alignment.clarity(notes(440.0)) > alignment.clarity(notes(220.0, 293.66, 349.23, 415.3))


def test_a_pair_out_of_step_is_measured_before_and_after():
    pair = pairs.SoundPair(
        "beat", "later and lower", "", (beat(0.0) + notes(440.0, 554.37), beat(0.2) + notes(392.0, 493.88))
    )
    row = alignment.measure(load_model("pocket", device="cpu"), pair, blend=0.5, steps=4)
    assert row.shift == pytest.approx(-0.2, abs=0.003) and row.transposition == 2
    assert row.onsets[1] > 0.8 > 0.3 > row.onsets[0]
    assert row.chroma[1] > 0.8 > 0.3 > row.chroma[0]
    assert row.fused_onsets[1] > row.fused_onsets[0]
    lines = alignment.table([row]).splitlines()
    assert lines[2].startswith("| beat into later and lower | -0.2") and "| +2 |" in lines[2]
    assert [line.split("|")[1] for line in lines[3:]] == [
        " mean of 1 that were shifted ",
        " mean of 1 that were transposed ",
    ]
