import itertools

import pytest
import torch

from tertium.engine.fusion.fuse import InstantReference, fuse_latents, hold_reference
from tertium.engine.fusion.inversion import invert
from tertium.engine.fusion.knob import blend_to_intervention
from tertium.engine.sampling import solver
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import edm, rectified_flow
from tests.conftest import GaussianDenoiser, MemorisedDenoiser, falling_power, similarity

FRAMES = 256


@pytest.fixture
def pair(latents):
    """fuse(k, …) on a pair of sounds, with a null model drawn 30 % towards the reference."""

    def build(schedule, *, drawn=0.3, **options):
        z_o, z_r = latents(1, FRAMES), latents(2, FRAMES)
        reference = MemorisedDenoiser(z_r, 0.0, schedule)
        ignorant = GaussianDenoiser(falling_power(FRAMES), schedule)
        noise = StepNoise(9, z_o.shape, dtype=torch.float64)

        def null(x, step):
            return torch.lerp(ignorant(x, step), reference(x, step), drawn)

        def fuse(k, **more):
            return fuse_latents(
                reference,
                null,
                invert(z_o, schedule),
                noise=noise,
                initial=noise.initial(),
                intervention=k,
                **(options | more),
            )

        return z_o, z_r, fuse

    return build


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    # A flow's completion spans far more of lambda, which draws it further towards the reference at the same share.
    ("schedule", "drawn"),
    [(edm(200), 0.3), (rectified_flow(200), 0.06)],
    ids=["edm", "flow"],
)
def test_the_window_is_monotone(order, schedule, drawn, pair):
    z_o, z_r, fuse = pair(schedule, order=order, drawn=drawn)
    points = [p for p in range(schedule.steps) if 0.08 < schedule.noise_to_signal(p) < 4.5]
    curve = [fuse(k) for k in points[:: len(points) // 9]]
    to_original = [similarity(x, z_o) for x in curve]
    to_reference = [similarity(x, z_r) for x in curve]
    assert to_original == sorted(to_original)
    # The model itself adds noise of about 0.01 in similarity from point to point.
    assert all(later <= earlier + 0.02 for earlier, later in itertools.pairwise(to_reference))
    assert to_original[0] < 0.1 < 0.8 < to_original[-1]
    assert to_reference[0] > to_reference[-1] + 0.12


def test_a_null_model_that_knows_nothing_of_the_reference_does_not_fuse(pair):
    _, z_r, fuse = pair(edm(100), drawn=0.0)
    assert all(abs(similarity(fuse(k), z_r)) < 0.25 for k in (40, 70, 90))


@pytest.mark.parametrize("schedule", [edm(50), rectified_flow(50)], ids=["edm", "flow"])
def test_the_ends_of_blend_are_the_two_sounds_themselves(schedule, pair):
    z_o, z_r, fuse = pair(schedule)
    assert torch.allclose(fuse(blend_to_intervention(0.0, schedule)), z_r, atol=1e-12)
    assert torch.equal(fuse(blend_to_intervention(1.0, schedule)), z_o)


def test_the_last_steps_lead_on_to_the_original(pair):
    """At N - 1 the update carries nothing forward; the result must not fall back to the reference there."""
    z_o, _, fuse = pair(edm(50), drawn=0.1)
    similarities = [similarity(fuse(k), z_o) for k in (42, 45, 47, 49, 50)]
    assert similarities == sorted(similarities)


def test_the_intervention_is_the_update_formula(latents):
    """Equation 2 by hand, order 1: x_inv is carried forward, and the prediction from the reference's own latents stays."""
    schedule = edm(6)
    z_o, noise = latents(1), StepNoise(1, (1, 4, 64), dtype=torch.float64)
    reference = GaussianDenoiser(2 * falling_power(64), schedule)
    null = GaussianDenoiser(falling_power(64), schedule)
    inversion = invert(z_o, schedule, anchor="predicted", null=null)
    x = noise.initial() * schedule.sigmas[0]
    for step in range(6):
        denoised = reference(x, step) if step <= 3 else null(x, step)
        ratio = schedule.sigmas[step + 1] / schedule.sigmas[step]
        carried = inversion.latent(step) if step == 3 else x
        added = schedule.sigmas[step + 1] * (1 - ratio**2) ** 0.5 * noise(step)
        x = ratio**2 * carried + (1 - ratio**2) * denoised + added
    result = fuse_latents(
        reference, null, inversion, noise=noise, initial=noise.initial(), intervention=3, order=1, eta=1.0
    )
    assert torch.allclose(result, x, atol=1e-9)


def test_history_is_kept_across_the_intervention(pair):
    """Order 3 differs from a sampling that starts without history at the intervention."""
    z_o, z_r, fuse = pair(edm(50))
    schedule, k = edm(50), 42
    noise = StepNoise(9, z_o.shape, dtype=torch.float64)
    afresh = solver.sample(MemorisedDenoiser(z_r, 0.0, schedule), z_o, schedule, noise=noise, start=k)
    assert not torch.allclose(fuse(k), afresh)


def test_hold_draws_to_the_reference(pair):
    _, z_r, fuse = pair(edm(100), drawn=0.0)
    similarities = [similarity(fuse(85, hold=w), z_r) for w in (0.0, 0.2, 0.5, 1.0)]
    assert similarities == sorted(similarities)
    assert similarities[-1] == pytest.approx(1.0)


def test_hold_calls_only_what_it_needs():
    def wrong(x, step):
        raise AssertionError

    def right(x, step):
        return x

    assert hold_reference(right, wrong, hold=0.0) is right
    assert hold_reference(wrong, right, hold=1.0) is right
    with pytest.raises(ValueError, match="hold must lie between 0 and 1; got 1.1"):
        hold_reference(right, right, hold=1.1)


def test_an_instant_reference_answers_for_every_row(latents):
    reference = InstantReference(latents(2))
    x = torch.zeros(3, 4, 64, dtype=torch.float64)
    assert reference(x, 0).shape == x.shape
    assert torch.equal(reference(x, 5)[2], latents(2)[0])


@pytest.mark.parametrize("steps", [10, 50, 200])
@pytest.mark.parametrize("make", [edm, rectified_flow])
def test_blend_crosses_the_window_in_order(steps, make):
    schedule = make(steps)
    points = [blend_to_intervention(b / 20, schedule) for b in range(1, 20)]
    assert points == sorted(points)
    assert 0 < points[0] <= points[-1] < steps
    assert points[-1] - points[0] >= steps // 6
    assert steps - 2 not in points


def test_blend_lies_where_its_calibration_says():
    schedule = edm(200)
    for blend, ratio in ((0.25, 2.5), (0.5, 1.0), (0.75, 0.55)):
        assert schedule.noise_to_signal(blend_to_intervention(blend, schedule)) == pytest.approx(ratio, rel=0.02)
    halfway = blend_to_intervention(0.5, schedule, window=(4.0, 1.0))
    assert schedule.noise_to_signal(halfway) == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("make", [edm, rectified_flow])
def test_blend_of_a_few_steps_is_a_step(steps, make):
    assert 0 <= blend_to_intervention(0.5, make(steps)) < steps


@pytest.mark.parametrize("blend", [-0.1, 1.1, float("nan")])
def test_a_blend_out_of_range_is_refused(blend):
    with pytest.raises(ValueError, match="blend must lie between 0"):
        blend_to_intervention(blend, edm(10))


def test_an_intervention_out_of_range_is_refused(pair):
    _, _, fuse = pair(edm(10))
    with pytest.raises(ValueError, match="intervention must lie between 0 and the number of steps, 10; got 11"):
        fuse(11)
