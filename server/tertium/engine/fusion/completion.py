"""The completion: from the entrance of the original to the end, one fusion or many in one batch.

A row joins the batch at its entrance, with the history of the reference phase up to there; from then on all rows take
the same steps with the same noise, as each would alone. The arithmetic of a row is that of a single fusion; only the
rounding of a matrix product may depend on the number of rows.
"""

from collections.abc import Callable, Sequence

import torch

from tertium.engine.fusion.entrance import Entrance
from tertium.engine.fusion.reference_phase import Lead
from tertium.engine.sampling import solver
from tertium.engine.sampling.schedule import Schedule


def complete(
    entrances: Sequence[Entrance],
    completion: solver.Predict,
    *,
    lead: Lead,
    schedule: Schedule,
    noise: solver.Noise,
    order: int,
    eta: float,
    on_step: Callable[[int], None] | None = None,
) -> list[torch.Tensor]:
    """Sample from each entrance to the end: the latents in the order of the entrances, (1, channels, frames) each.

    Args:
        entrances: one or more; either all are led or none is.
        completion: data prediction; called once a step, with a row for each entrance that is passed.
        lead: the reference phase, known as far as :func:`last_led` of each entrance.
        on_step: called with each step before it is taken; an exception it raises stops the sampling.
    """
    ordered = sorted(range(len(entrances)), key=lambda index: entrances[index].point)
    waiting, joined = list(ordered), []
    x, predictions = None, ()
    for step in range(entrances[ordered[0]].point, schedule.steps):
        while waiting and entrances[waiting[0]].point == step:
            entrance = entrances[waiting[0]]
            history = lead.predictions(step - 1)[: order - 1] if entrance.led and step else ()
            x, predictions = _append_row(x, predictions, entrance.latents(), history)
            joined.append(waiting.pop(0))
        if on_step is not None:
            on_step(step)
        predictions = (completion(x, step), *predictions)[:order]
        x = solver.take_step(x, predictions, schedule, step, noise=noise, order=order, eta=eta)
        for row, index in enumerate(joined):
            if entrances[index].point == step and entrances[index].later is not None:
                x, predictions = _mix_later(x, predictions, row, entrances[index], lead.predictions(step)[0])
        predictions = predictions[: max(order - 1, 0)]
    return [x[joined.index(index)][None] for index in range(len(entrances))]


def last_led(entrance: Entrance) -> int:
    """Return the last step of the reference phase that an entrance uses."""
    return max(entrance.point if entrance.later is not None else entrance.point - 1, 0)


def _append_row(
    x: torch.Tensor | None,
    predictions: tuple[torch.Tensor, ...],
    entering: torch.Tensor,
    history: tuple[torch.Tensor, ...],
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Append one row to the batch."""
    if x is None:
        return entering, history
    return torch.cat([x, entering]), tuple(torch.cat(pair) for pair in zip(predictions, history, strict=True))


def _mix_later(
    x: torch.Tensor, predictions: tuple[torch.Tensor, ...], row: int, entrance: Entrance, led: torch.Tensor
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Mix into a row, one step after its entrance, what the later entrance starts with, and into its latest prediction the reference's."""
    x, latest = x.clone(), predictions[0].clone()
    x[row] = torch.lerp(entrance.later()[0], x[row], entrance.part)
    latest[row] = torch.lerp(led[0], latest[row], entrance.part)
    return x, (latest, *predictions[1:])
