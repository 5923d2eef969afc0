import math

import pytest
import torch

from tertium.engine.models import stable_audio
from tertium.engine.sampling import solver
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import Schedule, edm, rectified_flow
from tests.conftest import GaussianDenoiser, falling_power


def by_sigma(denoiser, schedule, x):
    """Return the same denoiser in k-diffusion's form: (x, sigma of each row)."""
    index = {sigma: i for i, sigma in enumerate(schedule.sigmas)}
    return lambda latents, sigma: denoiser(
        latents, min(index.items(), key=lambda item: abs(item[0] - float(sigma[0])))[1]
    )


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    ("sampler", "options", "order"),
    [("sample_dpmpp_2m_sde", {"solver_type": "midpoint"}, 2), ("sample_dpmpp_3m_sde", {}, 3)],
)
def test_equals_k_diffusion_in_double_precision(sampler, options, order, eta, latents):
    schedule = edm(30)
    denoiser = GaussianDenoiser(falling_power(64), schedule)
    x = latents(1) * schedule.sigmas[0]
    noise = StepNoise(7, x.shape, dtype=torch.float64)
    steps = iter(range(schedule.steps))
    expected = getattr(stable_audio.load("k_diffusion.sampling"), sampler)(
        by_sigma(denoiser, schedule, x),
        x,
        torch.tensor(schedule.sigmas, dtype=torch.float64),
        eta=eta,
        noise_sampler=lambda *_: noise(next(steps)),
        disable=True,
        **options,
    )
    result = solver.sample(denoiser, x, schedule, noise=noise, order=order, eta=eta)
    assert (result - expected).abs().max() < 1e-10


def test_order_one_equals_euler_and_k_diffusions_ancestral_euler_noise_free(latents):
    """Order 1 of the ODE is DDIM, which in the EDM scaling is an Euler step."""
    schedule = edm(20)
    denoiser = GaussianDenoiser(falling_power(64), schedule)
    x = latents(2) * schedule.sigmas[0]
    expected = stable_audio.load("k_diffusion.sampling").sample_euler(
        by_sigma(denoiser, schedule, x), x, torch.tensor(schedule.sigmas, dtype=torch.float64), disable=True
    )
    result = solver.sample(denoiser, x, schedule, noise=None, order=1, eta=0.0)
    assert (result - expected).abs().max() < 1e-10


def scaling(kind: str, steps: int) -> Schedule:
    """Return a schedule that stops at a finite noise, evenly spaced in lambda, in one of three scalings."""
    lams = [-6.0 + 7.5 * i / steps for i in range(steps + 1)]
    if kind == "edm":
        return Schedule((1.0,) * len(lams), tuple(math.exp(-lam) for lam in lams))
    if kind == "flow":
        return Schedule(tuple(1 / (1 + math.exp(-lam)) for lam in lams), tuple(1 / (1 + math.exp(lam)) for lam in lams))
    return Schedule(
        tuple((1 + math.exp(-2 * lam)) ** -0.5 for lam in lams), tuple((1 + math.exp(2 * lam)) ** -0.5 for lam in lams)
    )


@pytest.mark.parametrize("kind", ["edm", "flow", "variance-preserving"])
@pytest.mark.parametrize(("order", "at_least"), [(1, 0.9), (2, 1.8), (3, 1.8)])
def test_order_of_convergence_of_the_ode(kind, order, at_least, latents):
    power = falling_power(64)

    def error(steps):
        schedule = scaling(kind, steps)
        a_s, s_s, a_t, s_t = schedule.alphas[0], schedule.sigmas[0], schedule.alphas[-1], schedule.sigmas[-1]
        x = latents(3) * s_s
        # Along the probability flow each frequency stays proportional to its standard deviation.
        growth = ((a_t**2 * power + s_t**2) / (a_s**2 * power + s_s**2)).sqrt()
        exact = torch.fft.irfft(torch.fft.rfft(x) * growth, n=64)
        result = solver.sample(GaussianDenoiser(power, schedule), x, schedule, noise=None, order=order, eta=0.0)
        return float((result - exact).abs().max())

    coarse, fine = error(80), error(160)
    assert math.log2(coarse / fine) >= at_least


def test_the_sde_samples_the_right_variance():
    """Sampling the SDE with the exact Gaussian denoiser ends at the given power."""
    schedule = edm(200, sigma_min=0.01, sigma_max=100.0)
    frames = 4096
    power = torch.full((frames // 2 + 1,), 2.25, dtype=torch.float64)
    noise = StepNoise(5, (1, 4, frames), dtype=torch.float64)
    x = noise.initial() * schedule.sigmas[0]
    result = solver.sample(GaussianDenoiser(power, schedule), x, schedule, noise=noise, order=3, eta=1.0)
    assert float(result.std()) == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_rectified_flow_from_pure_noise_stays_finite_and_lands(order, eta, latents):
    schedule = rectified_flow(40)
    z = latents(4)
    noise = StepNoise(1, z.shape, dtype=torch.float64)
    result = solver.sample(lambda x, step: z, noise.initial(), schedule, noise=noise, order=order, eta=eta)
    assert torch.equal(result, z)


def test_a_constant_prediction_is_carried_exactly_by_every_order(latents):
    """At every order the weights of the data predictions add up to alpha_t (1 - exp(-(1 + eta) h))."""
    schedule = scaling("flow", 12)
    for step in range(3, 12):
        first, *others = (sum(solver.step_weights(schedule, step, order=order, known=3).data) for order in (1, 2, 3))
        assert others == pytest.approx([first] * 2, abs=1e-14)


def test_stops_where_the_callback_raises(latents):
    class Stop(Exception):
        pass

    seen = []

    def on_step(step):
        seen.append(step)
        if step == 4:
            raise Stop

    schedule = edm(10)
    calls = []
    with pytest.raises(Stop):
        solver.sample(
            lambda x, step: calls.append(step) or x, latents(0), schedule, noise=None, eta=0.0, on_step=on_step
        )
    assert seen == [0, 1, 2, 3, 4]
    assert calls == [0, 1, 2, 3], "the model is not called after the exception"


def test_noise_is_random_access_and_touches_nothing_global():
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    noise = StepNoise(3, (1, 2, 5))
    late = noise(9)
    assert torch.equal(late, StepNoise(3, (1, 2, 5))(9))
    assert not torch.equal(late, noise(8))
    assert not torch.equal(noise.initial(), noise(0))
    assert not torch.equal(late, StepNoise(4, (1, 2, 5))(9))
    assert not torch.equal(late, StepNoise(3, (1, 2, 5), stream=1)(9))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 4}, "order must be 1, 2 or 3; got 4"),
        ({"eta": 1.5}, r"eta must lie between 0 \(ODE\) and 1 \(SDE\); got 1.5"),
        ({"start": 11}, "start must lie between 0 and the number of steps, 10; got 11"),
    ],
)
def test_settings_out_of_range_are_refused(options, message, latents):
    with pytest.raises(ValueError, match=message):
        solver.sample(lambda x, step: x, latents(0), edm(10), noise=None, **options)
