"""Fusion: a reference leads, the inverted original comes in at step k, the null prompt finishes.

Section 3.3 of arXiv 2506.11811. At the intervention the latents that the update formula carries on are replaced by the inverted latents of
the original, while the data prediction made from the reference's own latents, and the history before it, stay:

    x_(k+1) = (sigma_t / sigma_s) exp(-eta h) x_inv(k) + alpha_t (1 - exp(-(1 + eta) h)) x_theta(x_k, prompt) + higher orders + noise
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tertium.engine import solver
from tertium.engine.inversion import Inversion
from tertium.engine.schedule import Schedule

CALIBRATION = ((0.0, 9.8), (0.25, 2.5), (0.5, 1.0), (0.75, 0.55), (1.0, 0.3))
"""(blend, noise-to-signal ratio sigma / alpha of its intervention): where on the way from reference to original a blend enters.

Measured with the ``pocket`` model and an instant reference held at 0.2, so that equal turns of the knob are about equal steps of likeness to the
original (log-mel correlation 0.45, 0.58, 0.70, 0.82, 0.95); a pair of sounds may differ. By ratio and not by step, so that it serves
every number of steps and kind of schedule. Blend 0 and 1 themselves are the two sounds.
"""


@dataclass(frozen=True)
class InstantReference:
    """A model that has perfectly memorised one sound, as a data prediction: whatever it is given, it answers ``z_r``.

    Args:
        z_r: latents of the reference, (1, channels, frames), as long as the original's.
    """

    z_r: torch.Tensor

    def __call__(self, x: torch.Tensor, step: int) -> torch.Tensor:
        return self.z_r.expand_as(x)


def held(null: solver.Predict, reference: solver.Predict, *, hold: float) -> solver.Predict:
    """The completion's data prediction, (1 - hold) x_theta(null) + hold x_theta(reference).

    Args:
        hold: 0 (the null prompt alone) … 1 (the reference alone). At either end only one of the two is called.
    """
    if not 0.0 <= hold <= 1.0:
        raise ValueError(f"hold must lie between 0 and 1; got {hold}")
    if hold == 0.0:
        return null
    if hold == 1.0:
        return reference
    return lambda x, step: torch.lerp(null(x, step), reference(x, step), hold)


def fuse_latents(
    reference: solver.Predict,
    null: solver.Predict,
    inversion: Inversion,
    *,
    noise: solver.Noise,
    initial: torch.Tensor,
    intervention: int | None,
    order: int = 3,
    eta: float = 1.0,
    hold: float = 0.0,
    on_step: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Fuse an inverted original with a reference: latents of the shape of ``initial``.

    Args:
        reference: data prediction of the reference: the fine-tuned model under its prompt, or an :class:`InstantReference`.
        null: data prediction under the null prompt.
        initial: standard normal noise to start from, (batch, channels, frames).
        intervention: k, 0 … N, or None for none at all: the reference alone. At N the result is the original's own latents. At N - 1
            the update carries nothing on (its sigma is 0), so there the inverted latents go in before the last prediction.
        hold: see :func:`held`; 0 … 1.
        on_step: called with each step before it is taken; what it raises stops the fusion.

    Raises:
        ValueError: intervention, hold, order or eta out of range.
    """
    schedule = inversion.schedule
    if intervention is not None and not 0 <= intervention <= schedule.steps:
        raise ValueError(
            f"intervention must lie between 0 and the number of steps, {schedule.steps}; got {intervention}"
        )
    if intervention == schedule.steps:
        return inversion.latent(schedule.steps)
    completion = held(null, reference, hold=hold)
    if intervention == schedule.steps - 1:
        return solver.sample(
            completion,
            inversion.latent(intervention),
            schedule,
            noise=noise,
            order=order,
            eta=eta,
            start=intervention,
            on_step=on_step,
        )

    def predict(x: torch.Tensor, step: int) -> torch.Tensor:
        leads = intervention is None or step <= intervention
        return reference(x, step) if leads else completion(x, step)

    def carry(x: torch.Tensor, step: int) -> torch.Tensor:
        return inversion.latent(step) if step == intervention else x

    start = initial * schedule.sigmas[0]
    return solver.sample(predict, start, schedule, noise=noise, order=order, eta=eta, carry=carry, on_step=on_step)


def blend_to_intervention(
    blend: float, schedule: Schedule, *, calibration: tuple[tuple[float, float], ...] = CALIBRATION
) -> int | None:
    """The intervention of a blend: None for 0 (the reference), N for 1 (the original), between them the step nearest to its calibrated ratio.

    N - 2 is passed over: after it comes only the last step, whose update is the prediction itself, so that what the intervention has taken
    from the reference stays in the result; the steps before and after it lead further to the original.

    Args:
        blend: 0 … 1.
        calibration: rising blends from 0 to 1, each with its noise-to-signal ratio, interpolated in the logarithm of the ratio.
    """
    if not 0.0 <= blend <= 1.0:
        raise ValueError(f"blend must lie between 0 (the reference) and 1 (the original); got {blend}")
    if blend == 0.0:
        return None
    if blend == 1.0:
        return schedule.steps
    wanted = _interpolated(blend, calibration)
    points = [
        point
        for point in range(schedule.steps)
        if point != schedule.steps - 2 and math.isfinite(schedule.noise_to_signal(point))
    ]
    return min(points, key=lambda point: abs(math.log(schedule.noise_to_signal(point)) - wanted), default=0)


def _interpolated(blend: float, calibration: tuple[tuple[float, float], ...]) -> float:
    """Logarithm of the ratio at a blend."""
    for (low, first), (high, last) in itertools.pairwise(calibration):
        if blend <= high:
            share = (blend - low) / (high - low)
            return (1.0 - share) * math.log(first) + share * math.log(last)
    return math.log(calibration[-1][1])
