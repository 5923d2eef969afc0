"""Morph: interventions whose completions run as one batch and share encoding, inversion and reference phase."""

from collections.abc import Callable, Sequence

import torch

from tertium.engine.fusion.completion import complete, last_led
from tertium.engine.fusion.entrance import AsThePaper, Enter, Entrance
from tertium.engine.fusion.fuse import check_intervention, fuse_latents, hold_reference, lead_of
from tertium.engine.fusion.inversion import Inversion
from tertium.engine.fusion.reference_phase import Lead
from tertium.engine.sampling import solver

Intervention = float | None


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
    enter: Enter | None = None,
    on_step: Callable[[int], None] | None = None,
) -> dict[Intervention, torch.Tensor]:
    """Fuse one pair at several interventions.

    Args:
        interventions: as in :func:`tertium.engine.fusion.fuse.fuse_latents`, in any order; duplicates are computed
            once.
        on_step: called with each step of the reference phase, then with each of the batch; an exception it raises stops
            the morph.
        reference, null, inversion, noise, initial, order, eta, hold, lead, enter: as in
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
    enter = enter or AsThePaper(inversion, lead, **sampling)
    entrances = {k: enter(k) for k in set(interventions) if k is not None and k < schedule.steps}
    batched = {k: entrance for k, entrance in entrances.items() if entrance.led}
    latents = {}
    for end in set(interventions) - set(batched):
        latents[end] = fuse_latents(
            reference, null, inversion, initial=initial, intervention=end, hold=hold, lead=lead, enter=enter, on_step=on_step, **sampling
        )  # fmt: skip
    if not batched:
        return latents
    lead.predictions(max(map(last_led, batched.values())), on_step=on_step)
    completion = hold_reference(null, reference, hold=hold)
    made = complete(list(batched.values()), completion, lead=lead, schedule=schedule, on_step=on_step, **sampling)
    return latents | dict(zip(batched, made, strict=True))


def count_steps(entrances: Sequence[Entrance], steps: int) -> int:
    """Return the number of steps that the completions of a morph report on a schedule of ``steps`` steps."""
    batched = [entrance.point for entrance in entrances if entrance.led]
    return len(entrances) - len(batched) + (steps - min(batched) if batched else 0)


def spread(count: int) -> list[float]:
    """Return the evenly spaced blends of ``count`` takes, from 0 (the reference) to 1 (the original).

    Raises:
        ValueError: fewer than 2.
    """
    if count < 2:
        raise ValueError(f"count must be 2 or more: a morph has two ends; got {count}")
    return [take / (count - 1) for take in range(count)]
