"""The intervals of the report, and the measures beside log-mel."""

import math
import random

import pytest
import torch

from evaluation import embedding, measures
from evaluation.intervals import by_unit, difference, interval, over
from pocket.material.synthesis import RATE


def test_an_interval_is_that_of_student():
    found = interval([1.0, 2.0, 3.0, 4.0])
    assert found.mean == 2.5 and found.count == 4
    assert found.half == pytest.approx(3.182446 * 1.290994 / 2, rel=1e-6)  # t(0.975, 3) s / sqrt(4)
    assert found.low == pytest.approx(2.5 - found.half) and found.high == pytest.approx(2.5 + found.half)


def test_an_interval_holds_the_truth_nineteen_times_in_twenty():
    rng, hits = random.Random(0), 0
    for _ in range(2000):
        found = interval([rng.gauss(0.3, 1.0) for _ in range(4)])
        hits += found.low < 0.3 < found.high
    assert 0.93 < hits / 2000 < 0.97


def test_too_few_values_have_no_bounds():
    assert interval([0.5]).half == math.inf and interval([0.5]).text() == "0.50 (one)"
    assert interval([]).count == 0 and interval([None, math.nan]).text() == "–"
    assert interval([1.0, None, 3.0]).mean == 2.0
    assert interval([1.0, 2.0]).text(1, signed=True) == "+1.5 ± 6.4"


def test_units_are_averaged_before_they_count():
    rows = [{"sound": s, "seed": seed, "x": value + seed} for s, value in (("a", 0.0), ("b", 4.0)) for seed in (0, 1)]
    assert by_unit(rows, "x", ("sound",)) == {("a",): 0.5, ("b",): 4.5}
    assert over(rows, "x", ("sound",)).count == 2
    others = [{"sound": "a", "x": 0.0}, {"sound": "b", "x": 3.0}, {"sound": "c", "x": 100.0}]
    paired = difference(rows, others, "x", ("sound",))
    assert paired.count == 2 and paired.mean == pytest.approx(1.0)


def test_the_measures_hear_what_log_mel_hides():
    """A sound a semitone off keeps its bands and loses its partials; one that is half as loud loses only level."""
    at = torch.arange(RATE) / RATE
    one, other = (torch.sin(2 * torch.pi * f * at).expand(2, -1) * 0.3 for f in (440.0, 466.2))
    same = measures.measured(0.5 * one, one, RATE, 1.0)
    assert same["spectral_256"] > 0.999 and same["partials"] > 0.99
    assert same["level_lu"] == pytest.approx(-6.02, abs=0.05)
    off = measures.measured(other, one, RATE, 1.0)
    assert off["partials"] < 0.5 < off["spectral_256"]
    assert set(same) == set(measures.MEASURES)


def test_another_sample_rate_is_refused():
    with pytest.raises(ValueError, match="sample rate of 44100 Hz; the model has 22050. Choose another model."):
        measures.measured(torch.zeros(2, 100), torch.zeros(2, 100), 22050, 0.0)


def test_without_its_package_there_is_no_embedding(monkeypatch):
    embedding._weights.cache_clear()
    monkeypatch.setattr(embedding, "PACKAGE", "no_such_package_is_installed")
    try:
        assert embedding.version() is None
        assert embedding.likeness(torch.zeros(2, RATE), torch.zeros(2, RATE)) is None
    finally:
        embedding._weights.cache_clear()


def test_the_bands_of_the_embedding_find_a_tone():
    found = embedding.mel(torch.sin(2 * torch.pi * 1000.0 * torch.arange(RATE) / RATE).expand(2, -1))
    assert found.shape[0] == 96
    loudest = found[:, 10].argmax()
    assert abs(int(loudest) - 95.5 * math.log10(1 + 1000 / 700) / math.log10(1 + 22050 / 700)) < 1.5


@pytest.mark.skipif(embedding.version() is None, reason="aisfx is not installed (make embedding)")
def test_the_embedding_knows_a_sound_again():
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 3 * RATE, generator=rng) * 0.1
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(3 * RATE) / RATE).expand(2, -1) * 0.1
    again = torch.randn(2, 3 * RATE, generator=rng) * 0.1
    assert embedding.likeness(noise, noise) == pytest.approx(1.0)
    assert embedding.likeness(noise, again) > 0.95 > embedding.likeness(noise, tone)
