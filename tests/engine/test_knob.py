"""The knob: blends, ratios, interventions and places, and how the original enters between two steps."""

import itertools
import math

import pytest
import torch

from tertium.engine.fusion.entrance import AsThePaper, Even, first_point, landing, step_length
from tertium.engine.fusion.fuse import InstantReference, fuse_latents, lead_of
from tertium.engine.fusion.inversion import ANCHORS, invert
from tertium.engine.fusion.knob import (
    WINDOW,
    Turn,
    blend_of,
    blend_to_intervention,
    even_turn,
    intervention_at,
    lam_at,
    place_of,
    ratio_of,
)
from tertium.engine.fusion.reference_phase import InstantLead, Trajectory
from tertium.engine.sampling import solver
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import edm, rectified_flow
from tests.conftest import GaussianDenoiser, MemorisedDenoiser, falling_power

FRAMES = 128
BLENDS = [blend / 100 for blend in range(101)]
SCHEDULES = pytest.mark.parametrize("make", [edm, rectified_flow])


@pytest.fixture
def fusion(latents):
    """fuse(k, strength, …) of a pair, with a null model drawn a little towards the reference."""

    def build(schedule, *, anchor="clean", sampled=False, order=3, eta=1.0, make=edm):
        z_o, z_r = latents(1, FRAMES), latents(2, FRAMES)
        noise = StepNoise(9, z_o.shape, dtype=torch.float64)
        ignorant, memory = GaussianDenoiser(falling_power(FRAMES), schedule), MemorisedDenoiser(z_r, 0.0, schedule)
        options = {"noise": noise, "initial": noise.initial(), "order": order, "eta": eta}

        def null(x, step):
            return torch.lerp(ignorant(x, step), memory(x, step), 0.1)

        reference = MemorisedDenoiser(z_r, 0.3, schedule) if sampled else InstantReference(z_r)
        inversion = invert(
            z_o, schedule, eta=eta, anchor=anchor, null=null, noise=StepNoise(4, z_o.shape, dtype=torch.float64)
        )
        lead = lead_of(reference, schedule=schedule, **options)
        assert isinstance(lead, Trajectory) == sampled
        strengths = {
            "paper": AsThePaper(inversion, lead, noise, order, eta),
            "even": Even(inversion, lead, noise.initial(), make(50)),
        }

        def fuse(k, strength):
            return fuse_latents(
                reference, null, inversion, intervention=k, lead=lead, enter=strengths[strength], **options
            )

        return z_o, z_r, fuse

    return build


def test_a_ratio_has_the_blend_that_has_it():
    for window in (WINDOW, (4.0, 1.0), (9.0, 3.0, 0.2)):
        assert [blend_of(ratio_of(blend, window=window), window=window) for blend in BLENDS] == pytest.approx(BLENDS)
        assert (blend_of(window[0] + 1, window=window), blend_of(window[-1] / 2, window=window)) == (0.0, 1.0)
    with pytest.raises(ValueError, match="blend must lie between 0 .the reference. and 1 .the original.; got 1.5"):
        ratio_of(1.5)


@SCHEDULES
@pytest.mark.parametrize("steps", [2, 8, 50, 200])
def test_interventions_rise_with_the_blend_and_lie_at_its_ratio(steps, make):
    schedule = make(steps)
    places = [intervention_at(ratio_of(blend), schedule) for blend in BLENDS]
    assert places == sorted(places)
    assert places[0] >= 0 and places[-1] <= steps - 1
    low, high = schedule.lam(1 if math.isinf(schedule.lam(0)) else 0), schedule.lam(steps - 1)
    for blend, k in zip(BLENDS, places, strict=True):
        assert lam_at(k, schedule) == pytest.approx(min(max(-math.log(ratio_of(blend)), low), high))


@SCHEDULES
def test_a_single_step_has_a_knob_too(make):
    assert intervention_at(1.0, make(1)) == 0.0
    assert even_turn(0.3, make(1)) == Turn(0.0, pytest.approx(0.3))


def test_every_blend_is_a_turn_of_its_own():
    for steps in (8, 16, 50):
        turns = [even_turn(blend, edm(steps)) for blend in BLENDS]
        assert turns[0] == Turn(None, 0.0) and turns[-1] == Turn(steps, 1.0)
        assert len(set(turns)) == len(BLENDS)
        assert [turn.place for turn in turns] == pytest.approx(BLENDS)


def test_a_measured_window_moves_intervention_and_place_together():
    schedule = edm(50)
    turn = even_turn(0.5, schedule, window=(2.5, 0.55))
    assert turn.place == pytest.approx(place_of(turn.intervention, schedule))
    assert 0.25 < turn.place < 0.75
    assert turn.place == pytest.approx(blend_of(math.sqrt(2.5 * 0.55)))


def test_the_place_of_a_step_is_the_blend_that_chooses_it():
    schedule = edm(50)
    for step in (*range(48), 49):
        place = place_of(step, schedule)
        if 0.0 < place < 1.0:
            assert blend_to_intervention(place, schedule) == step
    places = [place_of(step, edm(200)) for step in range(201)]
    assert places == sorted(places) and (places[0], places[-1], place_of(None, schedule)) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize(("order", "eta"), [(1, 1.0), (2, 0.0), (3, 1.0), (3, 0.4)])
def test_a_fraction_of_a_step_leads_from_one_step_to_the_next(order, eta, sampled, fusion):
    _, _, fuse = fusion(edm(20), sampled=sampled, order=order, eta=eta)
    for k in (9, 15, 17, 18, 19):
        assert torch.equal(fuse(float(k), "paper"), fuse(k, "paper"))
        assert torch.allclose(fuse(k + 1e-9, "paper"), fuse(k, "paper"), atol=1e-6), k
        assert torch.allclose(fuse(k + 1 - 1e-9, "paper"), fuse(k + 1, "paper"), atol=1e-6), k
        halfway, ends = fuse(k + 0.5, "paper"), torch.stack([fuse(k, "paper"), fuse(k + 1, "paper")])
        assert not torch.allclose(halfway, ends[0]) and not torch.allclose(halfway, ends[1])


@SCHEDULES
@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 50])
def test_the_even_knob_has_no_jumps(steps, anchor, make, fusion):
    """Between neighbouring blends the result never changes by more than a small part of the whole way."""
    schedule = make(steps)
    z_o, z_r, fuse = fusion(schedule, anchor=anchor, make=make)
    curve = [fuse(even_turn(blend, schedule).intervention, "even") for blend in BLENDS[1:-1]]
    assert all(bool(torch.isfinite(latent).all()) for latent in curve)
    whole = float((z_o - z_r).norm())
    assert max(float((b - a).norm()) / whole for a, b in itertools.pairwise(curve)) < 0.12


@SCHEDULES
def test_at_fifty_steps_the_even_entrance_is_equation_2(make, latents):
    """A step then has the canonical length, and lands on a point of the schedule."""
    schedule, z_o, z_r = make(50), latents(1, FRAMES), latents(2, FRAMES)
    noise = StepNoise(9, z_o.shape, dtype=torch.float64).initial()
    inversion = invert(z_o, schedule)
    even = Even(inversion, InstantLead(z_r, schedule), noise, schedule)
    for k in (30, 40, 47):
        entrance = even(float(k))
        weights = solver.step_weights(schedule, k, order=1, eta=1.0)
        wanted = solver.advance(inversion.latent(k), (z_r,), weights, noise=noise)
        assert entrance.point == k + 1 or entrance.later is not None
        landed = entrance.latents() if entrance.point == k + 1 else entrance.later()
        assert torch.allclose(landed, wanted, atol=1e-9)


def test_the_canonical_step_is_interpolated_between_those_of_its_schedule():
    assert step_length(0.0, edm(50)) == pytest.approx(math.log(500 / 0.3) / 49)
    flow = rectified_flow(50)
    assert step_length(flow.lam(25), flow) == pytest.approx(flow.lam(26) - flow.lam(25))
    between = step_length((flow.lam(25) + flow.lam(26)) / 2, flow)
    assert between == pytest.approx((flow.lam(27) - flow.lam(25)) / 2)


def test_a_step_lands_between_two_points_or_beyond_the_last():
    schedule, canonical = edm(8), edm(50)
    at = landing(4.0, schedule, canonical)
    assert at.point == 4 and at.rest == pytest.approx(7 / 49) and at.beyond == 0.0
    last = landing(7.0, schedule, canonical)
    assert (last.point, last.rest, last.beyond) == (7, 0.0, pytest.approx(1.0))
    assert landing(0.0, rectified_flow(8), rectified_flow(50)).point == 1
    assert first_point(4.3, schedule, strength="even", canonical=canonical) == 4
    assert [first_point(k, schedule, strength="paper", canonical=canonical) for k in (4.3, 6, 7)] == [5, 7, 7]
