"""Morph: interventions whose completions run as one batch and share encoding, inversion and reference phase.

A row joins the batch at its intervention, with the history of the reference phase up to there; from then on all rows
take the same steps with the same noise, as each would alone. The arithmetic of a row is that of a single fusion; only
the rounding of a matrix product may depend on the number of rows.
"""

from collections.abc import Callable, Sequence

import torch

from tertium.engine.fusion.fuse import check_intervention, fuse_latents, hold_reference, lead_of
from tertium.engine.fusion.inversion import Inversion
from tertium.engine.fusion.reference_phase import Lead
from tertium.engine.sampling import solver

Intervention = int | None


def morph_latents(
    reference: solver.Predict,
    null: solver.Predict,
    inversion: Inversion,
    *,
    noise: solver.Noise,
    initial: torch.Tensor,
    interventions: Sequence[Intervention],
    order: int = 3,
    eta: float = 1.0,
    hold: float = 0.0,
    lead: Lead | None = None,
    on_step: Callable[[int], None] | None = None,
) -> dict[Intervention, torch.Tensor]:
    """Fuse one pair at several interventions.

    Args:
        interventions: as in :func:`tertium.engine.fusion.fuse.fuse_latents`, in any order; duplicates are computed
            once.
        on_step: called with each step of the reference phase, then with each of the batch; an exception it raises stops
            the morph.
        reference, null, inversion, noise, initial, order, eta, hold, lead: as in
            :func:`tertium.engine.fusion.fuse.fuse_latents`.

    Returns:
        Intervention to latents, each of the shape of ``initial``.

    Raises:
        ValueError: as :func:`tertium.engine.fusion.fuse.fuse_latents`.
    """
    schedule = inversion.schedule
    solver.check(schedule, order, eta, 0)
    for intervention in interventions:
        check_intervention(intervention, schedule)
    sampling = {"noise": noise, "order": order, "eta": eta}
    lead = lead or lead_of(reference, initial=initial, schedule=schedule, **sampling)
    batched = sorted({k for k in interventions if k is not None and k < schedule.steps - 1})
    latents = {}
    for end in set(interventions) - set(batched):
        latents[end] = fuse_latents(
            reference, null, inversion, initial=initial, intervention=end, hold=hold, lead=lead, on_step=on_step, **sampling
        )  # fmt: skip
    if not batched:
        return latents
    lead.predictions(batched[-1], on_step=on_step)
    completion = hold_reference(null, reference, hold=hold)
    x, predictions = None, ()
    for step in range(batched[0], schedule.steps):
        if x is not None:
            if on_step is not None:
                on_step(step)
            predictions = (completion(x, step), *predictions)[:order]
            x = solver.take_step(x, predictions, schedule, step, **sampling)
        if step in batched:
            known = lead.predictions(step)
            entering = solver.take_step(inversion.latent(step), known, schedule, step, **sampling)
            x, predictions = _append_row(x, predictions, entering, known)
    return latents | {k: x[row : row + 1] for row, k in enumerate(batched)}


def count_steps(interventions: Sequence[Intervention], steps: int, *, sampled: bool) -> int:
    """Return the greatest number of steps that a morph reports on a schedule of ``steps`` steps.

    Args:
        sampled: whether the reference phase is sampled rather than instant.
    """
    inner = {k for k in interventions if k is not None and k < steps}
    leads = {steps if k is None else k + 1 for k in interventions if k is None or k < steps - 1}
    reference = max(leads, default=0) if sampled else 0
    batched = inner - {steps - 1}
    return reference + len(inner - batched) + (steps - min(batched) - 1 if batched else 0)


def spread(count: int) -> list[float]:
    """Return the evenly spaced blends of ``count`` takes, from 0 (the reference) to 1 (the original).

    Raises:
        ValueError: fewer than 2.
    """
    if count < 2:
        raise ValueError(f"count must be 2 or more: a morph has two ends; got {count}")
    return [take / (count - 1) for take in range(count)]


def _append_row(
    x: torch.Tensor | None,
    predictions: tuple[torch.Tensor, ...],
    entering: torch.Tensor,
    known: tuple[torch.Tensor, ...],
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Append one row to the batch."""
    if x is None:
        return entering, known
    return torch.cat([x, entering]), tuple(torch.cat(pair) for pair in zip(predictions, known, strict=True))
