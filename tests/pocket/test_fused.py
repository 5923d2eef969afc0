"""Third sounds for training, and the pool of rendered material."""

import numpy
import pytest
import torch

from pocket.material import fused, origin, pool

RATE = 44100
T = numpy.arange(RATE) / RATE
TONE = numpy.stack([numpy.sin(2 * numpy.pi * 441 * T)] * 2) * 0.3
BEAT = numpy.random.default_rng(0).standard_normal((2, RATE)) * numpy.exp(-(T % 0.25) / 0.03) * 0.3


@pytest.mark.parametrize("maker", fused.MAKERS, ids=lambda maker: maker.__name__)
def test_a_third_sound_is_decided_by_its_seed(maker):
    one, again = (maker(numpy.random.default_rng(2), TONE, BEAT) for _ in range(2))
    assert one.shape == (2, RATE) and numpy.isfinite(one).all() and numpy.array_equal(one, again)


@pytest.mark.parametrize("maker", [fused.vocoded, fused.enveloped], ids=lambda maker: maker.__name__)
def test_a_tone_under_a_beat_has_the_rhythm_of_the_beat_and_the_pitch_of_the_tone(maker):
    sound = maker(numpy.random.default_rng(2), TONE, BEAT).mean(0)
    energy = (sound**2).reshape(-1, 441).mean(1)[:100]
    struck, between = energy[numpy.arange(1, 100, 25)].mean(), energy[numpy.arange(20, 100, 25)].mean()
    assert struck > 10 * between
    spectrum = numpy.abs(numpy.fft.rfft(sound))
    assert abs(int(spectrum.argmax()) - 441) < 12


def test_silence_is_no_trouble():
    for seed in range(6):
        sound, words = fused.fuse(numpy.random.default_rng(seed), numpy.zeros((2, RATE)), BEAT)
        assert numpy.isfinite(sound).all() and words[0] == "fused"


def test_a_pool_gives_crops_decided_by_their_seed(tmp_path, monkeypatch):
    origin.begin(tmp_path, with_recordings=False)
    monkeypatch.setattr(
        pool.piece,
        "piece",
        lambda seed, with_recordings: (numpy.full((2, 600_000), 0.1 * (1 + seed % 3), numpy.float32), "", ""),
    )
    monkeypatch.setattr(pool, "FILE_PIECES", 2)
    folder = tmp_path / "pool"
    folder.mkdir()
    path = pool.make_file(0, folder=folder, with_recordings=False, pieces=2)
    assert path == pool.make_file(0, folder=folder, with_recordings=False, pieces=2)
    found = pool.Pool(folder)
    assert len(found) == 2
    one, again = (found.crops(3, 1000, torch.Generator().manual_seed(4)) for _ in range(2))
    assert one.shape == (3, 2, 1000) and torch.equal(one, again) and one.abs().max() > 0.01
    pool.make_file(1, folder=folder, with_recordings=False, pieces=34)
    found.refresh()
    assert len(found) == 4
