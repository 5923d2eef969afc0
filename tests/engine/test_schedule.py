import math

import pytest

from tertium.engine.models import stable_audio
from tertium.engine.sampling.schedule import Schedule, edm, rectified_flow


def test_edm_equals_k_diffusion():
    expected = stable_audio.load("k_diffusion.sampling").get_sigmas_polyexponential(100, 0.3, 500.0, rho=1.0)
    schedule = edm(100)
    assert schedule.sigmas == pytest.approx(expected.tolist(), rel=1e-5)
    assert set(schedule.alphas) == {1.0}
    assert (schedule.steps, schedule.last_noisy) == (100, 99)


def test_rectified_flow_runs_from_noise_to_sound():
    schedule = rectified_flow(4)
    assert schedule.sigmas == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert schedule.alphas == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert (schedule.lam(0), schedule.lam(2), schedule.lam(4)) == (-math.inf, 0.0, math.inf)


def test_one_step_goes_all_the_way():
    assert edm(1).sigmas == pytest.approx((500.0, 0.0))
    assert rectified_flow(1).sigmas == (1.0, 0.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: edm(0), "steps must be 1 or more; got 0"),
        (lambda: edm(10, sigma_min=2.0, sigma_max=1.0), "sigma_min must lie between 0 and sigma_max; got 2.0 and 1.0"),
        (lambda: rectified_flow(10, sigma_max=1.5), r"sigma_max of a rectified flow must lie in \(0, 1\]; got 1.5"),
        (lambda: Schedule((1.0, 1.0), (1.0,)), "as many alphas as sigmas"),
        (lambda: Schedule((1.0, 1.0), (1.0, 2.0)), "must rise from each point to the next"),
        (lambda: Schedule((1.0, 1.0), (math.nan, 1.0)), "finite and not negative"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
