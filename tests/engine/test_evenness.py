"""Fusions at their place between the two sounds, with what the model added."""

import itertools

import pytest
import torch

from tertium.engine.fusion.evenness import MOST, placed


def latents(mean, spread, *, seed, channels=3, frames=400):
    drawn = torch.randn(1, channels, frames, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = (drawn - drawn.mean(-1, keepdim=True)) / drawn.std(-1, correction=0, keepdim=True)
    return drawn * spread + mean


REFERENCE, ORIGINAL, FUSION = latents(1.0, 2.0, seed=1), latents(-1.0, 4.0, seed=2), latents(0.3, 0.5, seed=3)


def shares(x):
    """The least-squares weights of reference and original in latents."""
    return (
        torch.linalg.lstsq(torch.stack([REFERENCE.flatten(), ORIGINAL.flatten()], 1), x.flatten()[:, None])
        .solution.flatten()
        .tolist()
    )


def made(place, *, spread=1.0, fusion=FUSION):
    return placed(fusion, reference=REFERENCE, original=ORIGINAL, place=place, spread=spread)


@pytest.mark.parametrize("place", [0.0, 0.03, 0.3, 0.5, 0.9, 1.0])
def test_the_weights_of_the_two_sounds_are_those_of_the_place(place):
    assert shares(made(place, spread=0.0)) == pytest.approx([1.0 - place, place], abs=1e-12)
    reference, original = shares(made(place))
    assert original / (reference + original) == pytest.approx(place, abs=0.07)
    assert reference + original > 0.9  # widened rather than shrunk


def test_the_ends_are_the_two_sounds_and_nothing_jumps_on_the_way_to_them():
    for spread in (0.0, 0.5, 1.0):
        assert torch.allclose(made(0.0, spread=spread), REFERENCE, atol=1e-9)
        assert torch.allclose(made(1.0, spread=spread), ORIGINAL, atol=1e-9)
        curve = [made(place / 200, spread=spread) for place in range(201)]
        whole = float((ORIGINAL - REFERENCE).norm())
        assert max(float((b - a).norm()) for a, b in itertools.pairwise(curve)) < 0.05 * whole


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_each_channel_has_the_spread_of_its_place(place):
    wanted = torch.full((1, 3), 2.0 + 2.0 * place, dtype=torch.float64)
    assert torch.allclose(made(place).std(-1, correction=0), wanted)
    assert (made(place, spread=0.0).std(-1, correction=0) < wanted).all()


def test_novelty_is_kept_and_raised_at_most_to_its_limit():
    line = torch.lerp(REFERENCE, ORIGINAL, 0.5)
    novelty = made(0.5, spread=0.0) - line
    assert shares(novelty) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert torch.allclose(made(0.5, spread=0.0, fusion=FUSION + 0.7 * REFERENCE), line + novelty)
    loud = latents(0.0, 30.0, seed=4)  # more spread than the place asks for: nothing is raised
    assert (made(0.5, fusion=loud).std(-1, correction=0) < 3.1).all()
    assert MOST > 1.0


def test_the_same_sound_twice_is_itself():
    same = placed(REFERENCE, reference=REFERENCE, original=REFERENCE, place=0.4, spread=1.0)
    assert torch.allclose(same, REFERENCE)


def test_a_constant_channel_stays_finite():
    flat = torch.zeros(1, 3, 400, dtype=torch.float64)
    assert torch.isfinite(placed(flat, reference=flat, original=flat, place=0.5, spread=1.0)).all()


@pytest.mark.parametrize(
    ("name", "wrong"), [("place", {"place": 1.1, "spread": 1.0}), ("spread", {"place": 0.5, "spread": -0.1})]
)
def test_out_of_range_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"{name} must lie between 0 and 1; got"):
        placed(FUSION, reference=REFERENCE, original=ORIGINAL, **wrong)
