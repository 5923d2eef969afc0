"""Fusion: a reference phase up to step k, the inverted original entering there, and a null-prompt completion.

Section 3.3 of arXiv 2506.11811. At the intervention the latents carried forward by the update formula are replaced by
the inverted latents of the original. The data prediction computed from the reference's own latents stays, and so does
its history:

    x_(k+1) = (sigma_t / sigma_s) exp(-eta h) x_inv(k) + alpha_t (1 - exp(-(1 + eta) h)) x_theta(x_k, prompt)
              + higher orders + noise
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tertium.engine.fusion.inversion import Inversion
from tertium.engine.fusion.reference_phase import InstantLead, Lead, Trajectory
from tertium.engine.sampling import solver
from tertium.engine.sampling.schedule import Schedule

WINDOW = (9.8, 2.5, 1.0, 0.55, 0.3)
"""Noise-to-signal ratios sigma / alpha at evenly spaced blends, from the reference's end of the window to the original's.

Measured with the ``pocket`` model and an instant reference held at 0.2, so that equal turns of the knob give about
equal steps of similarity to the original (log-mel correlation 0.45, 0.58, 0.70, 0.82, 0.95). Pairs of sounds differ;
the measured window of a pair replaces this default. Ratios rather than steps make it valid for any number of steps and
any schedule. Blends 0 and 1 are the two sounds themselves.
"""


@dataclass(frozen=True)
class InstantReference:
    """A model that has perfectly memorised one sound, as a data prediction: it returns ``z_r`` for any input.

    Args:
        z_r: latents of the reference, (1, channels, frames), with as many frames as the original's.
    """

    z_r: torch.Tensor

    def __call__(self, x: torch.Tensor, step: int) -> torch.Tensor:
        return self.z_r.expand_as(x)


def hold_reference(null: solver.Predict, reference: solver.Predict, *, hold: float) -> solver.Predict:
    """Return the data prediction of the completion, (1 - hold) x_theta(null) + hold x_theta(reference).

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


def lead_of(
    reference: solver.Predict,
    *,
    initial: torch.Tensor,
    schedule: Schedule,
    noise: solver.Noise,
    order: int = 3,
    eta: float = 1.0,
) -> Lead:
    """Return the reference phase of a reference, nothing of it computed yet; an instant one needs no computation."""
    if isinstance(reference, InstantReference) and schedule.sigmas[-1] == 0.0:
        return InstantLead(reference.z_r, schedule, order)
    return Trajectory(reference, initial=initial, schedule=schedule, noise=noise, order=order, eta=eta)


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
    lead: Lead | None = None,
    on_step: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Fuse an inverted original with a reference: return latents of the shape of ``initial``.

    Args:
        reference: data prediction of the reference: the fine-tuned model under its prompt, or an
            :class:`InstantReference`.
        null: data prediction under the null prompt.
        initial: standard normal noise to start from, (batch, channels, frames).
        intervention: k, 0 … N, or None for the reference alone, without an intervention. At N the result is the
            original's own latents. At N - 1 the update carries nothing forward (its sigma is 0), so the inverted
            latents enter before the last prediction.
        hold: see :func:`hold_reference`; 0 … 1.
        lead: the reference phase, as far as it is known, of the same reference, schedule, noise, order and eta; see
            :func:`lead_of`. None computes it. The result is bit-identical either way.
        on_step: called with each step before it is taken; an exception it raises stops the fusion.

    Raises:
        ValueError: intervention, hold, order or eta out of range.
    """
    schedule = inversion.schedule
    solver.check(schedule, order, eta, 0)
    check_intervention(intervention, schedule)
    completion = hold_reference(null, reference, hold=hold)
    if intervention == schedule.steps:
        return inversion.latent(schedule.steps)
    sampling = {"noise": noise, "order": order, "eta": eta}
    if intervention == schedule.steps - 1:
        x = inversion.latent(intervention)
        return solver.sample(completion, x, schedule, start=intervention, on_step=on_step, **sampling)
    lead = lead or lead_of(reference, initial=initial, schedule=schedule, **sampling)
    if intervention is None:
        return lead.end(on_step=on_step)
    # The intervention: the inverted latents are carried forward; the reference's prediction and history stay.
    known = lead.predictions(intervention, on_step=on_step)
    x = solver.take_step(inversion.latent(intervention), known, schedule, intervention, **sampling)
    return solver.sample(
        completion, x, schedule, start=intervention + 1, history=known[: order - 1], on_step=on_step, **sampling
    )


def check_intervention(intervention: int | None, schedule: Schedule) -> None:
    """Refuse a step that the schedule does not have. Raises ValueError."""
    if intervention is not None and not 0 <= intervention <= schedule.steps:
        raise ValueError(
            f"intervention must lie between 0 and the number of steps, {schedule.steps}; got {intervention}"
        )


def blend_to_intervention(blend: float, schedule: Schedule, *, window: tuple[float, ...] = WINDOW) -> int | None:
    """Return the intervention of a blend: None at 0 (the reference), N at 1 (the original).

    Between them it is the step whose noise-to-signal ratio is nearest to the blend's in the window.

    N - 2 is skipped: only the last step follows it, whose update is the prediction itself, so that the result would keep
    what the intervention took from the reference; the steps before and after it move further towards the original.

    Args:
        blend: 0 … 1.
        window: noise-to-signal ratios at evenly spaced blends, starting at the reference's end of the window; two or
            more.
    """
    if not 0.0 <= blend <= 1.0:
        raise ValueError(f"blend must lie between 0 (the reference) and 1 (the original); got {blend}")
    if blend == 0.0:
        return None
    if blend == 1.0:
        return schedule.steps
    place = blend * (len(window) - 1)
    before = min(int(place), len(window) - 2)
    part = place - before
    wanted = (1.0 - part) * math.log(window[before]) + part * math.log(window[before + 1])
    points = [
        point
        for point in range(schedule.steps)
        if point != schedule.steps - 2 and math.isfinite(schedule.noise_to_signal(point))
    ]
    return min(points, key=lambda point: abs(math.log(schedule.noise_to_signal(point)) - wanted), default=0)


def intervention_to_blend(intervention: int | None, schedule: Schedule, *, window: tuple[float, ...] = WINDOW) -> float:
    """Return the blend of an intervention, 0 … 1: the inverse of :func:`blend_to_intervention`, without its rounding.

    Steps before the window have blend 0, those after it 1.
    """
    if intervention is None:
        return 0.0
    if intervention >= schedule.steps:
        return 1.0
    ratio = schedule.noise_to_signal(intervention)
    if ratio >= window[0]:
        return 0.0
    for knot in range(1, len(window)):
        if ratio > window[knot]:
            part = math.log(window[knot - 1] / ratio) / math.log(window[knot - 1] / window[knot])
            return (knot - 1 + part) / (len(window) - 1)
    return 1.0
