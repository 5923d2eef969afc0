"""Inversion with constant model output: the latents of an original at every noise level, without a network call.

Equations 3 (SDE, eta = 1) and 5 (ODE, eta = 0) of "Abstract Sound Fusion with Unconditional Inversion Models" (arXiv
2506.11811) substitute x_theta := z_o in a first-order DPM-Solver++ step and solve it for the noisier latent. In terms
of the noise map e_s = (x_s - alpha_s z_o) / sigma_s (appendix B), z_o drops out of the recursion,

    e_s = exp(eta h) (e_t - sqrt(1 - exp(-2 eta h)) z)        z = 0 except for the stochastic anchor

so it has a closed form, e_s = exp(eta (lambda_m - lambda_s)) e from the last noisy point m. This module computes the
closed form: the recursion on x amplifies rounding errors by up to (sigma_max / sigma_min)^2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from tertium.engine.sampling import solver
from tertium.engine.sampling.schedule import Schedule

Anchor = Literal["clean", "predicted", "forward", "stochastic"]
"""The noise map at the boundary, the last noisy point m:

``clean``: zero, so x_s = alpha_s z_o (the result of equation 3 when it starts from the encoded sound).
``predicted``: the noise that one null-prompt call of the model finds there.
``forward``: independent noise at each point, as in forward diffusion (the paper's comparison b).
``stochastic``: equation 3 including its noise term (the paper's comparison c).
"""
ANCHORS: tuple[Anchor, ...] = get_args(Anchor)


@dataclass(frozen=True)
class Inversion:
    """The latents of one original at every point of a schedule.

    Args:
        z_o: latents of the original, (batch, channels, frames).
        noise_maps: (point) -> noise map of that point, of the shape of ``z_o``; None where it is zero.
    """

    z_o: torch.Tensor
    schedule: Schedule
    noise_maps: Callable[[int], torch.Tensor | None]

    def latent(self, point: int) -> torch.Tensor:
        """Return x_s = alpha_s z_o + sigma_s e_s at ``point``, 0 (noisiest) … N (where it is ``z_o``).

        Raises:
            ValueError: ``point`` out of range, or an anchor without finite latents there.
        """
        if not 0 <= point <= self.schedule.steps:
            raise ValueError(f"point must lie between 0 and the number of steps, {self.schedule.steps}; got {point}")
        alpha, sigma = self.schedule.alphas[point], self.schedule.sigmas[point]
        noise_map = self.noise_maps(point) if sigma else None
        return self.z_o * alpha if noise_map is None else self.z_o * alpha + noise_map * sigma

    def noise_map(self, point: int) -> torch.Tensor:
        """Return the derived noise map (x_s - alpha_s z_o) / sigma_s of appendix B, of the shape of ``z_o``."""
        noise_map = self.noise_maps(point)
        return torch.zeros_like(self.z_o) if noise_map is None else noise_map


def invert(
    z_o: torch.Tensor,
    schedule: Schedule,
    *,
    eta: float = 1.0,
    anchor: Anchor = "clean",
    null: solver.Predict | None = None,
    noise: solver.Noise | None = None,
) -> Inversion:
    """Invert an original.

    Args:
        z_o: latents of the original, (batch, channels, frames).
        eta: 0 for equation 5 (ODE) … 1 for equation 3 (SDE); the same derivation holds in between.
        anchor: see :data:`Anchor`.
        null: data prediction under the null prompt; required by ``predicted``, which calls it once.
        noise: noise of each step; required by ``forward`` and ``stochastic``.

    Raises:
        ValueError: an unknown anchor, or one without the ``null`` or ``noise`` it requires.
    """
    if anchor not in ANCHORS:
        raise ValueError(f"anchor must be one of {', '.join(ANCHORS)}; got {anchor!r}")
    if anchor == "clean":
        return Inversion(z_o, schedule, lambda point: None)
    if anchor == "predicted":
        if null is None:
            raise ValueError("the anchor 'predicted' needs the null-prompt data prediction")
        return Inversion(z_o, schedule, _closed_form(predicted_noise(null, z_o, schedule), schedule, eta))
    if noise is None:
        raise ValueError(f"the anchor {anchor!r} needs noise")
    if anchor == "forward":
        return Inversion(z_o, schedule, noise)
    return Inversion(z_o, schedule, _stochastic(z_o, schedule, eta, noise))


def predicted_noise(null: solver.Predict, z_o: torch.Tensor, schedule: Schedule) -> torch.Tensor:
    """Return the noise that the model finds in the clean latents at the last noisy point m.

    It is (x_m - alpha_m x0) / sigma_m with x_m = alpha_m z_o.
    """
    m = schedule.last_noisy
    alpha, sigma = schedule.alphas[m], schedule.sigmas[m]
    return (z_o - null(z_o * alpha, m)) * (alpha / sigma)


def _closed_form(boundary: torch.Tensor, schedule: Schedule, eta: float) -> Callable[[int], torch.Tensor]:
    """Return the boundary's noise map times exp(eta (lambda_m - lambda_s)), which is constant along the ODE."""
    lam_m = schedule.lam(schedule.last_noisy)

    def noise_map(point: int) -> torch.Tensor:
        if not eta:
            return boundary
        gain = math.exp(min(eta * (lam_m - schedule.lam(point)), 700.0)) if schedule.alphas[point] else math.inf
        if math.isinf(gain):
            raise ValueError(
                f"this anchor has no finite latents at point {point}, where the schedule holds no signal; use eta 0 or a later point"
            )
        return boundary * gain

    return noise_map


def _stochastic(
    z_o: torch.Tensor, schedule: Schedule, eta: float, noise: solver.Noise
) -> Callable[[int], torch.Tensor]:
    """Return the noise maps of equation 3 with its noise term.

    Each is computed from the boundary, so that points may be requested in any order.
    """

    def noise_map(point: int) -> torch.Tensor:
        e = torch.zeros_like(z_o)
        for step in range(schedule.last_noisy - 1, point - 1, -1):
            h = schedule.lam(step + 1) - schedule.lam(step)
            if math.isinf(h) and eta:
                raise ValueError(
                    f"the anchor 'stochastic' has no finite latents at point {step}, where the schedule holds no signal; "
                    "use another anchor or a later point"
                )
            if eta:
                e = math.exp(eta * h) * (e - math.sqrt(-math.expm1(-2.0 * eta * h)) * noise(step))
        return e

    return noise_map
