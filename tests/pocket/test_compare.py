"""The comparison of decoders."""

import math
from pathlib import Path

import torch
from safetensors import safe_open

import tertium
from pocket.codec import compare
from tertium.engine.models.pocket_codec import SpectralCodec

WEIGHTS = Path(tertium.__file__).parent / "assets" / "pocket" / "model.safetensors"


def shipped_codec() -> SpectralCodec:
    """Return the codec with the projection of the embedded model."""
    codec = SpectralCodec()
    with safe_open(WEIGHTS, "pt") as weights:
        codec.load_state_dict({name: weights.get_tensor(f"pretransform.{name}").float() for name in codec.state_dict()})
    return codec.requires_grad_(False)


def test_every_decoder_gives_a_sound_of_the_same_length():
    codec, count = shipped_codec(), math.ceil(0.3 * 44100 / 1024) * 1024
    noise = torch.randn(1, 2, count, generator=torch.Generator().manual_seed(0))
    original = 0.2 * noise * torch.linspace(0.1, 1, count)
    latents = codec.encode(original)
    decoders = compare.decoders(codec)
    assert len(decoders) == 9
    for title, decode in decoders.items():
        result = decode(latents, original)
        assert result.shape == original.shape and torch.isfinite(result).all(), title
