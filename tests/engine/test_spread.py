"""The spread of fusions, and the place of an intervention between the two sounds."""

import pytest
import torch

from tertium.engine.fusion.spread import widened


def latents(mean, spread, *, seed, channels=3, frames=400):
    drawn = torch.randn(1, channels, frames, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = (drawn - drawn.mean(-1, keepdim=True)) / drawn.std(-1, correction=0, keepdim=True)
    return drawn * spread + mean


REFERENCE, ORIGINAL, FUSION = latents(1.0, 2.0, seed=1), latents(-1.0, 4.0, seed=2), latents(0.3, 0.5, seed=3)


@pytest.mark.parametrize(("place", "mean", "spread"), [(0.0, 1.0, 2.0), (0.25, 0.5, 2.5), (1.0, -1.0, 4.0)])
def test_each_channel_gets_the_mean_and_spread_of_its_place(place, mean, spread):
    wide = widened(FUSION, reference=REFERENCE, original=ORIGINAL, place=place, amount=1.0)
    torch.testing.assert_close(wide.mean(-1), torch.full((1, 3), mean, dtype=torch.float64))
    torch.testing.assert_close(wide.std(-1, correction=0), torch.full((1, 3), spread, dtype=torch.float64))
    whitened = (wide - mean) / spread
    torch.testing.assert_close(whitened, (FUSION - 0.3) / 0.5, msg="the shape over time stays")


def test_amounts_between_are_between_and_none_is_the_papers():
    given = {"reference": REFERENCE, "original": ORIGINAL, "place": 0.5}
    assert widened(FUSION, **given, amount=0.0) is FUSION
    half, whole = widened(FUSION, **given, amount=0.5), widened(FUSION, **given, amount=1.0)
    torch.testing.assert_close(half, 0.5 * (FUSION + whole))


def test_a_sound_that_has_its_spread_already_stays():
    same = widened(ORIGINAL, reference=REFERENCE, original=ORIGINAL, place=1.0, amount=1.0)
    torch.testing.assert_close(same, ORIGINAL)


def test_a_constant_channel_is_moved_but_not_widened():
    flat = torch.zeros(1, 3, 400, dtype=torch.float64)
    wide = widened(flat, reference=REFERENCE, original=ORIGINAL, place=0.5, amount=1.0)
    assert bool(wide.isfinite().all())
    torch.testing.assert_close(wide, torch.zeros_like(wide), atol=1e-9, rtol=0)


@pytest.mark.parametrize("wrong", [{"place": 1.5, "amount": 1.0}, {"place": 0.5, "amount": -0.1}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        widened(FUSION, reference=REFERENCE, original=ORIGINAL, **wrong)
