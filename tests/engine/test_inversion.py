import math

import pytest
import torch

from tertium.engine.fusion.inversion import invert, predicted_noise
from tertium.engine.sampling import solver
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import edm, rectified_flow
from tests.conftest import GaussianDenoiser, MemorisedDenoiser, falling_power, similarity


def recursion(z_o, x_m, schedule, *, eta, noise=None):
    """Equations 3 (eta = 1) and 5 (eta = 0), step by step from the last noisy point to the noisiest."""
    x, out = x_m, {schedule.last_noisy: x_m}
    for step in range(schedule.last_noisy - 1, -1, -1):
        s, t = step, step + 1
        h = schedule.lam(t) - schedule.lam(s)
        a_t, s_s, s_t = schedule.alphas[t], schedule.sigmas[s], schedule.sigmas[t]
        term = s_t * math.sqrt(1 - math.exp(-2 * eta * h)) * noise(step) if noise else 0.0
        x = (s_s / s_t) * math.exp(eta * h) * (x - a_t * (1 - math.exp(-(1 + eta) * h)) * z_o - term)
        out[step] = x
    return out


def reconstruct(predict, inversion, *, start, noise):
    """Sample from the inverted latents at point ``start`` to the end."""
    return solver.sample(predict, inversion.latent(start), inversion.schedule, noise=noise, start=start)


SCHEDULES = [edm(40), rectified_flow(40, sigma_max=0.98)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["edm", "flow"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("anchor", ["clean", "predicted", "stochastic"])
def test_closed_form_equals_the_recursion(schedule, eta, anchor, latents):
    z_o, m = latents(1), schedule.last_noisy
    null = GaussianDenoiser(falling_power(64), schedule)
    noise = StepNoise(2, z_o.shape, dtype=torch.float64)
    inversion = invert(z_o, schedule, eta=eta, anchor=anchor, null=null, noise=noise)
    x_m = schedule.alphas[m] * z_o
    if anchor == "predicted":
        x_m = x_m + schedule.sigmas[m] * predicted_noise(null, z_o, schedule)
    expected = recursion(z_o, x_m, schedule, eta=eta, noise=noise if anchor == "stochastic" else None)
    for point, x in expected.items():
        # Rounding errors of the recursion grow with the noise that it divides by; the closed form is exact.
        scale = max(1.0, float(x.abs().max())) * max(1.0, (schedule.noise_to_signal(point) / 0.3) ** 2)
        assert (inversion.latent(point) - x).abs().max() < 1e-10 * scale


def test_the_clean_anchor_meets_1e_10_where_the_recursion_is_stable(latents):
    schedule, z_o = edm(40, sigma_max=30.0), latents(1)
    for eta in (0.0, 1.0):
        expected = recursion(z_o, z_o, schedule, eta=eta)
        inversion = invert(z_o, schedule, eta=eta)
        assert max(float((inversion.latent(i) - x).abs().max()) for i, x in expected.items()) < 1e-10


def test_at_the_end_every_anchor_is_the_original_itself(latents):
    schedule, z_o = edm(20), latents(1)
    noise = StepNoise(2, z_o.shape, dtype=torch.float64)
    null = GaussianDenoiser(falling_power(64), schedule)
    for anchor in ("clean", "predicted", "forward", "stochastic"):
        assert torch.equal(invert(z_o, schedule, anchor=anchor, null=null, noise=noise).latent(20), z_o)


def test_derived_noise_maps(latents):
    """Appendix B: constant along the ODE, growing as sigma along the SDE, zero for the clean anchor."""
    schedule, z_o = edm(20), latents(1)
    null = GaussianDenoiser(falling_power(64), schedule)
    ode, sde = (invert(z_o, schedule, eta=eta, anchor="predicted", null=null) for eta in (0.0, 1.0))
    assert torch.equal(ode.noise_map(0), ode.noise_map(19))
    growth = float(sde.noise_map(3).norm() / sde.noise_map(19).norm())
    assert growth == pytest.approx(schedule.sigmas[3] / schedule.sigmas[19])
    assert not invert(z_o, schedule).noise_map(5).any()
    derived = (sde.latent(3) - schedule.alphas[3] * z_o) / schedule.sigmas[3]
    assert torch.allclose(derived, sde.noise_map(3), atol=1e-9)


def test_forward_noise_is_forward_diffusion(latents):
    schedule, z_o = rectified_flow(20), latents(1)
    noise = StepNoise(2, z_o.shape, dtype=torch.float64)
    inversion = invert(z_o, schedule, anchor="forward", noise=noise)
    assert torch.allclose(inversion.latent(5), 0.25 * z_o + 0.75 * noise(5))
    assert torch.equal(inversion.latent(0), noise(0))


@pytest.mark.parametrize("start", [0, 7, 15, 20])
def test_a_model_that_knows_the_original_reconstructs_it_from_any_step(start, latents):
    schedule, z_o = edm(20), latents(1)
    noise = StepNoise(2, z_o.shape, dtype=torch.float64)
    null = MemorisedDenoiser(z_o, 0.0, schedule)
    assert torch.allclose(reconstruct(null, invert(z_o, schedule), start=start, noise=noise), z_o, atol=1e-12)


def test_clean_inversion_keeps_the_original_better_than_noisy_ones(latents):
    """The paper's figure 1 in miniature: from the middle of the schedule, under a null model that knows only the
    spectrum.
    """
    schedule, z_o = edm(100), latents(1, frames=512)
    null = GaussianDenoiser(falling_power(512), schedule)
    noise, other = (StepNoise(2, z_o.shape, dtype=torch.float64, stream=s) for s in (0, 1))
    start = next(i for i, sigma in enumerate(schedule.sigmas) if sigma < 1.0)
    similarities = {
        anchor: similarity(
            reconstruct(null, invert(z_o, schedule, anchor=anchor, noise=other), start=start, noise=noise), z_o
        )
        for anchor in ("clean", "forward", "stochastic")
    }
    assert similarities["clean"] > similarities["forward"] > similarities["stochastic"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anchor": "none"}, "anchor must be one of clean, predicted, forward, stochastic; got 'none'"),
        ({"anchor": "predicted"}, "the anchor 'predicted' needs the null-prompt data prediction"),
        ({"anchor": "forward"}, "the anchor 'forward' needs noise"),
    ],
)
def test_an_anchor_without_what_it_needs_is_refused(options, message, latents):
    with pytest.raises(ValueError, match=message):
        invert(latents(1), edm(10), **options)


@pytest.mark.parametrize("anchor", ["predicted", "stochastic"])
def test_no_finite_latents_where_there_is_no_signal(anchor, latents):
    schedule, z_o = rectified_flow(10), latents(1)
    null = GaussianDenoiser(falling_power(64), schedule)
    noise = StepNoise(2, z_o.shape, dtype=torch.float64)
    inversion = invert(z_o, schedule, anchor=anchor, null=null, noise=noise)
    assert inversion.latent(1).isfinite().all()
    with pytest.raises(ValueError, match="no finite latents at point 0"):
        inversion.latent(0)


def test_points_out_of_range_are_refused(latents):
    with pytest.raises(ValueError, match="point must lie between 0 and the number of steps, 10; got 11"):
        invert(latents(1), edm(10)).latent(11)
