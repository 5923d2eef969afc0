"""Noise schedules as arrays of signal and noise scales, x_t = alpha_t * x_0 + sigma_t * noise.

A schedule is stored as Python floats on the host, so that a sampler never waits for the device to read it.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Signal scales ``alphas`` and noise scales ``sigmas`` at N + 1 points, noisiest first.

    Step i goes from point i to point i + 1. The signal-to-noise ratio rises from point to point. The last sigma may
    be 0.

    Raises:
        ValueError: fewer than two points, arrays of different lengths, scales that are negative or not finite, or a
            signal-to-noise ratio that does not rise.
    """

    alphas: tuple[float, ...]
    sigmas: tuple[float, ...]

    def __post_init__(self):
        if len(self.alphas) != len(self.sigmas) or len(self.sigmas) < 2:
            raise ValueError(
                f"a schedule needs as many alphas as sigmas, two or more; got {len(self.alphas)} and {len(self.sigmas)}"
            )
        if not all(math.isfinite(scale) and scale >= 0 for scale in (*self.alphas, *self.sigmas)):
            raise ValueError("the scales of a schedule must be finite and not negative")
        if not all(self.lam(i) < self.lam(i + 1) for i in range(self.steps)):
            raise ValueError("the signal-to-noise ratio of a schedule must rise from each point to the next")

    @property
    def steps(self) -> int:
        """The number of steps, N."""
        return len(self.sigmas) - 1

    def lam(self, point: int) -> float:
        """Return half the log-SNR, lambda = log(alpha / sigma): -inf without signal, +inf without noise."""
        alpha, sigma = self.alphas[point], self.sigmas[point]
        if alpha == 0.0:
            return -math.inf
        if sigma == 0.0:
            return math.inf
        return math.log(alpha) - math.log(sigma)

    def noise_to_signal(self, point: int) -> float:
        """Return sigma / alpha at a point; +inf where there is no signal."""
        return self.sigmas[point] / self.alphas[point] if self.alphas[point] else math.inf

    @property
    def mixed(self) -> list[int]:
        """The points before N that hold both signal and noise, whose lambda is finite; empty if there is none."""
        return [point for point in range(self.steps) if math.isfinite(self.lam(point))]

    @property
    def last_noisy(self) -> int:
        """The last point whose sigma is not zero, m."""
        return self.steps - 1 if self.sigmas[-1] == 0.0 else self.steps


def edm(steps: int, *, sigma_min: float = 0.3, sigma_max: float = 500.0, rho: float = 1.0) -> Schedule:
    """Return a poly-exponential schedule in the EDM scaling (alpha = 1), with a final step to sigma = 0.

    sigma_i = sigma_min * (sigma_max / sigma_min) ** ((1 - i / (N - 1)) ** rho), as k-diffusion's
    ``get_sigmas_polyexponential``. The defaults are those of Stable Audio Open 1.0, a v-prediction model.

    Args:
        steps: N, at least 1. A single step goes from ``sigma_max`` straight to 0.
    """
    _check_steps(steps)
    if not 0.0 < sigma_min < sigma_max:
        raise ValueError(f"sigma_min must lie between 0 and sigma_max; got {sigma_min} and {sigma_max}")
    low, high = math.log(sigma_min), math.log(sigma_max)
    ramp = [(1.0 - i / (steps - 1)) ** rho if steps > 1 else 1.0 for i in range(steps)]
    return Schedule((1.0,) * (steps + 1), (*(math.exp(low + u * (high - low)) for u in ramp), 0.0))


def rectified_flow(steps: int, *, sigma_max: float = 1.0) -> Schedule:
    """Return uniform times t from ``sigma_max`` to 0 on the straight path alpha = 1 - t, sigma = t.

    Args:
        steps: N, at least 1.
        sigma_max: the first time, in (0, 1]; 1 starts from pure noise.
    """
    _check_steps(steps)
    if not 0.0 < sigma_max <= 1.0:
        raise ValueError(f"sigma_max of a rectified flow must lie in (0, 1]; got {sigma_max}")
    times = tuple(sigma_max * (1.0 - i / steps) for i in range(steps + 1))
    return Schedule(tuple(1.0 - t for t in times), times)


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"steps must be 1 or more; got {steps}")
