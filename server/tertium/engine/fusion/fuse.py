"""Fusion: a reference phase up to step k, the inverted original entering there, and a null-prompt completion.

Section 3.3 of arXiv 2506.11811. At the intervention the latents carried forward by the update formula are replaced by
the inverted latents of the original. The data prediction computed from the reference's own latents stays, and so does
its history:

    x_(k+1) = (sigma_t / sigma_s) exp(-eta h) x_inv(k) + alpha_t (1 - exp(-(1 + eta) h)) x_theta(x_k, prompt)
              + higher orders + noise
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tertium.engine.fusion.completion import complete, last_led
from tertium.engine.fusion.entrance import AsThePaper, Enter
from tertium.engine.fusion.inversion import Inversion
from tertium.engine.fusion.reference_phase import InstantLead, Lead, Trajectory
from tertium.engine.sampling import solver
from tertium.engine.sampling.schedule import Schedule


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
    intervention: float | None,
    order: int = 3,
    eta: float = 1.0,
    hold: float = 0.0,
    lead: Lead | None = None,
    enter: Enter | None = None,
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
            latents enter before the last prediction. Between two steps the result is between theirs.
        hold: see :func:`hold_reference`; 0 … 1.
        lead: the reference phase, as far as it is known, of the same reference, schedule, noise, order and eta; see
            :func:`lead_of`. None computes it. The result is bit-identical either way.
        enter: how the original enters; None for :class:`tertium.engine.fusion.entrance.AsThePaper`.
        on_step: called with each step before it is taken; an exception it raises stops the fusion.

    Raises:
        ValueError: intervention, hold, order or eta out of range.
    """
    schedule = inversion.schedule
    solver.check(schedule, order, eta, 0)
    check_intervention(intervention, schedule)
    if intervention == schedule.steps:
        return inversion.latent(schedule.steps)
    sampling = {"noise": noise, "order": order, "eta": eta}
    lead = lead or lead_of(reference, initial=initial, schedule=schedule, **sampling)
    if intervention is None:
        return lead.end(on_step=on_step)
    entrance = (enter or AsThePaper(inversion, lead, **sampling))(intervention)
    if entrance.led:
        lead.predictions(last_led(entrance), on_step=on_step)
    completion = hold_reference(null, reference, hold=hold)
    fused = complete([entrance], completion, lead=lead, schedule=schedule, on_step=on_step, **sampling)[0]
    beyond = intervention - (schedule.steps - 1)
    return torch.lerp(fused, inversion.z_o, beyond) if beyond > 0 else fused


def check_intervention(intervention: float | None, schedule: Schedule) -> None:
    """Refuse a step that the schedule does not have. Raises ValueError."""
    if intervention is not None and not 0 <= intervention <= schedule.steps:
        raise ValueError(
            f"intervention must lie between 0 and the number of steps, {schedule.steps}; got {intervention}"
        )
