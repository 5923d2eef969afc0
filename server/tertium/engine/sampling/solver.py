"""DPM-Solver++ of orders 1, 2 and 3 for any (alpha, sigma), from the ODE (eta = 0) to the SDE (eta = 1).

Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models" (arXiv 2211.01095). Orders
2 and 3 are the multistep forms with the weights of the paper and of k-diffusion (and hence of stable-audio-tools):
order 2 uses the midpoint, order 3 half of the quadratic term. The asymptotic orders of convergence are 1, 2 and 2. A
step is linear in all its inputs, so it is expressed by its weights:

    x_t = carry * x_s + data[0] * x0_s + data[1] * x0_(s-1) + data[2] * x0_(s-2) + noise * z

The weights are Python floats in double precision; no step reads anything back from the device.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tertium.engine.sampling.schedule import Schedule

Predict = Callable[[torch.Tensor, int], torch.Tensor]
"""Data prediction: (latents at point i of the schedule, i) -> the estimate of x_0, of the same shape."""

Noise = Callable[[int], torch.Tensor]
"""(step) -> standard normal noise that broadcasts against the latents."""


@dataclass(frozen=True)
class StepWeights:
    """The weights of one step; ``data`` starts with the weight of the latest data prediction."""

    carry: float
    data: tuple[float, ...]
    noise: float


def step_weights(schedule: Schedule, step: int, *, order: int = 3, eta: float = 1.0, known: int = 1) -> StepWeights:
    """Return the weights of step ``step``: equation 2 (eta = 1) or 4 (eta = 0) with the terms of its order.

    Args:
        order: 1, 2 or 3. The effective order is at most ``known``.
        eta: 0 … 1.
        known: the number of data predictions available, including the one at this step.
    """
    sigma_s, sigma_t, alpha_t = schedule.sigmas[step], schedule.sigmas[step + 1], schedule.alphas[step + 1]
    if sigma_t == 0.0:
        return StepWeights(0.0, (alpha_t,), 0.0)
    h = schedule.lam(step + 1) - schedule.lam(step)
    carry = sigma_t / sigma_s * math.exp(-eta * h) if eta else sigma_t / sigma_s
    noise = sigma_t * math.sqrt(-math.expm1(-2.0 * eta * h)) if eta else 0.0
    past = min(order, known) - 1
    # r_j: the length of the earlier steps relative to this one. A first step from pure noise is infinitely long in
    # lambda, which gives earlier predictions the weight 0, as it should.
    ratios = tuple((schedule.lam(step - j) - schedule.lam(step - j - 1)) / h for j in range(past))
    scale = (1.0 + eta) * h
    # As in k-diffusion, order 3 integrates its second step, with a single difference, exactly; only order 2 uses the
    # midpoint.
    data = _data_weights(scale, ratios, midpoint=order == 2)
    return StepWeights(carry, tuple(alpha_t * weight for weight in data), noise)


def _data_weights(scale: float, ratios: tuple[float, ...], *, midpoint: bool) -> tuple[float, ...]:
    """Return the weights of the data predictions, before the factor alpha_t, for a step of length (1 + eta) h.

    The exact integral would have twice the quadratic term.
    """
    phi_1 = -math.expm1(-scale)
    if not ratios:
        return (phi_1,)
    phi_2 = 1.0 - phi_1 / scale
    if len(ratios) == 1:
        slope = (0.5 * phi_1 if midpoint else phi_2) / ratios[0]
        return phi_1 + slope, -slope
    phi_3 = phi_2 / scale - 0.5
    r_0, r_1 = ratios
    # x0' and x0'' at s from the divided differences D_0 = (x0_s - x0_(s-1)) / r_0 and D_1 = (x0_(s-1) - x0_(s-2)) / r_1:
    # D = D_0 + (D_0 - D_1) r_0 / (r_0 + r_1) enters with phi_2, and (D_0 - D_1) / (r_0 + r_1) with -phi_3.
    bend = 0.0 if math.isinf(r_1) else (phi_2 * r_0 - phi_3) / (r_0 + r_1)
    first, second = (phi_2 + bend) / r_0, -bend / r_1
    return phi_1 + first, second - first, -second


def advance(
    x: torch.Tensor, predictions: tuple[torch.Tensor, ...], weights: StepWeights, *, noise: torch.Tensor | None = None
) -> torch.Tensor:
    """Take one step: return the latents at the next point, of the shape of ``x``.

    Args:
        x: the latents carried forward.
        predictions: data predictions, the latest first; as many as ``weights.data`` has are used.
        noise: standard normal noise; optional where its weight is 0.
    """
    out = predictions[0] * weights.data[0]
    if weights.carry:
        out = out + x * weights.carry
    for prediction, weight in zip(predictions[1:], weights.data[1:], strict=False):
        out = out + prediction * weight
    if weights.noise:
        out = out + noise * weights.noise
    return out


def take_step(
    x: torch.Tensor,
    predictions: tuple[torch.Tensor, ...],
    schedule: Schedule,
    step: int,
    *,
    noise: Noise,
    order: int = 3,
    eta: float = 1.0,
) -> torch.Tensor:
    """Take step ``step`` with its noise: return the latents at point ``step`` + 1.

    Args:
        x: the latents carried forward.
        predictions: data predictions at this step and before it, the latest first; their number limits the effective
            order.
        noise: called with the step if the step adds noise.
    """
    weights = step_weights(schedule, step, order=order, eta=eta, known=len(predictions))
    return advance(x, predictions, weights, noise=noise(step) if weights.noise else None)


def sample(
    predict: Predict,
    x: torch.Tensor,
    schedule: Schedule,
    *,
    noise: Noise,
    order: int = 3,
    eta: float = 1.0,
    start: int = 0,
    history: tuple[torch.Tensor, ...] = (),
    on_step: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Sample from point ``start`` to the end of the schedule.

    Args:
        x: latents at point ``start``, (batch, channels, frames).
        noise: called with the step, once for each step that adds noise.
        order: 1, 2 or 3; the first steps use the history available.
        eta: 0 (ODE) … 1 (SDE).
        start: 0 … N; at N no step remains.
        history: data predictions of the steps before ``start``, the latest first; empty to start without history.
        on_step: called with each step before it is taken; an exception it raises stops the sampling.

    Raises:
        ValueError: order, eta or start out of range.
    """
    check(schedule, order, eta, start)
    predictions = history
    for step in range(start, schedule.steps):
        if on_step is not None:
            on_step(step)
        predictions = (predict(x, step), *predictions)[:order]
        x = take_step(x, predictions, schedule, step, noise=noise, order=order, eta=eta)
    return x


def check(schedule: Schedule, order: int, eta: float, start: int) -> None:
    """Refuse parameters out of range. Raises ValueError with the parameter, its value and its range."""
    if order not in (1, 2, 3):
        raise ValueError(f"order must be 1, 2 or 3; got {order}")
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta must lie between 0 (ODE) and 1 (SDE); got {eta}")
    if not 0 <= start <= schedule.steps:
        raise ValueError(f"start must lie between 0 and the number of steps, {schedule.steps}; got {start}")
