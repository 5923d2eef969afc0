"""A fusion held by its reference, with no spread put back, is the interpolation of two sounds' latents."""

import pytest
import torch

from tertium.cli.listening.stimuli import interpolation_fields
from tertium.engine import operations
from tertium.engine.operations import FuseSettings
from tests.sounds import tone


@pytest.mark.parametrize("blend", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("steps", [1, 6])
def test_it_is_the_decoded_interpolation(tiny_model, blend, steps):
    original, reference = (
        torch.from_numpy(tone(pitch, seconds=1, sample_rate=tiny_model.sample_rate)) for pitch in (220, 1760)
    )
    # The remaining two are the renderer's: how a result is looped and levelled.
    names = {name: value for name, value in interpolation_fields(blend).items() if name not in ("loop", "level")}
    result = operations.fuse(tiny_model, original, reference, FuseSettings(**names | {"steps": steps}))
    z_o, z_r = tiny_model.encode(original), tiny_model.encode(reference)
    expected = tiny_model.decode(torch.lerp(z_r, z_o, blend), samples=original.shape[1])[0]
    elsewhere = tiny_model.decode(torch.lerp(z_r, z_o, blend + 0.05), samples=original.shape[1])[0]
    difference = (result - expected).abs().max()
    assert difference < 1e-3 * (elsewhere - expected).abs().max()
