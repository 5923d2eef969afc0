"""The learned magnitudes and the comparison of decoders."""

import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import tertium
from pocket import spectra, train_decoder
from pocket.codec import compare
from pocket.spectrum_decoder import SpectrumDecoder
from tertium.engine.models.pocket_codec import SpectralCodec

WEIGHTS = Path(tertium.__file__).parent / "assets" / "pocket" / "model.safetensors"


@pytest.fixture(scope="module")
def codec():
    """The codec with the projection of the embedded model."""
    fitted = SpectralCodec()
    with safe_open(WEIGHTS, "pt") as weights:
        fitted.load_state_dict(
            {name: weights.get_tensor(f"pretransform.{name}").float() for name in fitted.state_dict()}
        )
    return fitted.requires_grad_(False)


def sound(seconds):
    generator = torch.Generator().manual_seed(0)
    count = math.ceil(seconds * 44100 / 1024) * 1024
    return 0.2 * torch.randn(1, 2, count, generator=generator) * torch.linspace(0.1, 1, count)


def test_untrained_it_changes_nothing():
    nepers, coherence = SpectrumDecoder()(torch.randn(2, 128, 5))
    assert nepers.shape == (2, 4, 1025, 5) and coherence.shape == (2, 12, 5)
    assert nepers.abs().max() == 0.0 and coherence.abs().max() == 0.0


def test_distances_of_known_magnitudes(codec):
    true = torch.full((1, 2, 1025, 4), math.log(0.01))
    bins, bands, error = train_decoder.distances(codec, true + 0.5, true)
    assert bins.item() == pytest.approx(0.5, abs=1e-4) and bands.item() == pytest.approx(0.5, abs=1e-4)
    assert error.item() == pytest.approx(math.exp(0.5) - 1, rel=1e-3)


def test_learning_brings_the_magnitudes_nearer(codec, tmp_path):
    piece = spectra.analyse(codec, sound(4.0)[0])
    run = train_decoder.begin(2e-3)
    generator = torch.Generator().manual_seed(0)
    rows = train_decoder.crops([piece], generator)[:2]
    first, _ = train_decoder.loss(codec, run.decoder, rows, noise=0.0, bfloat16=False)
    for _ in range(8):
        total, _ = train_decoder.loss(codec, run.decoder, rows, noise=0.0, bfloat16=False)
        run.optimiser.zero_grad()
        total.backward()
        run.optimiser.step()
        run.step += 1
        run.follow()
    assert total < 0.98 * first
    run.save(tmp_path / "decoder.pt")
    again = train_decoder.begin(2e-3)
    again.restore(tmp_path / "decoder.pt")
    assert again.step == 8
    assert all(torch.equal(again.average[name], tensor) for name, tensor in run.average.items())


def test_shards_are_read_once(codec, tmp_path):
    (tmp_path / "spectra").mkdir()
    piece = spectra.analyse(codec, sound(0.2)[0])
    names = piece.__dataclass_fields__
    shard = {
        f"{place} {name}": getattr(piece, name).clone().contiguous() for place in range(spectra.SHARD) for name in names
    }
    save_file(shard, tmp_path / "spectra" / "0000.safetensors")
    known: set[str] = set()
    assert len(spectra.read(tmp_path, known)) == spectra.SHARD and known == {"0000.safetensors"}
    assert spectra.read(tmp_path, known) == []


def test_every_way_gives_a_sound_of_the_same_length(codec):
    original = sound(0.3)
    latents = codec.encode(original)
    ways = compare.ways(codec, SpectrumDecoder().requires_grad_(False))
    assert len(ways) == 10
    for title, way in ways.items():
        result = way(latents, original)
        assert result.shape == original.shape and torch.isfinite(result).all(), title
