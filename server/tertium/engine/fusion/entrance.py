"""How the original enters the sampling: the latents with which the completion starts.

Two strengths, see :data:`tertium.engine.fusion.knob.Strength`. An entrance between two steps starts at the earlier one,
with the original's part reduced; one step later, what the later entrance would start with is mixed in. At whole steps
both are exactly the entrance at that step, so the result changes continuously with the intervention.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tertium.engine.fusion.inversion import Inversion
from tertium.engine.fusion.knob import Strength, lam_at
from tertium.engine.fusion.reference_phase import Lead
from tertium.engine.sampling import solver
from tertium.engine.sampling.schedule import Schedule

CANONICAL_STEPS = 50
"""The strength ``even`` is that of a step on a schedule of this many steps."""


@dataclass(frozen=True)
class Entrance:
    """The start of one completion.

    Args:
        point: of the schedule, at which the completion starts, 0 … N - 1.
        latents: () -> latents at that point.
        part: above 0 … 1: how much of the result one step later is the completion's own.
        later: () -> the latents one step later that are mixed in with the rest of the weight; None where part is 1.
        led: whether the reference phase has a part in it, whose latest predictions then are its history.
    """

    point: int
    latents: Callable[[], torch.Tensor]
    part: float = 1.0
    later: Callable[[], torch.Tensor] | None = None
    led: bool = True


Enter = Callable[[float], Entrance]
"""(intervention, 0 … N) -> its entrance, of one pair. N itself is the original, and has none."""


@dataclass(frozen=True)
class AsThePaper:
    """The strength ``paper``: at step k, the update formula with the inverted latents in place of the carried ones.

    Between two steps, the carried latents are between the inverted ones and the reference's own prediction.
    """

    inversion: Inversion
    lead: Lead
    noise: solver.Noise
    order: int
    eta: float

    def __call__(self, intervention: float) -> Entrance:
        """Return the entrance at an intervention below N."""
        schedule = self.inversion.schedule
        step = int(intervention)
        rest = intervention - step
        if step == schedule.steps - 1:  # the update carries nothing forward: its sigma is 0
            return Entrance(step, lambda: self.inversion.latent(step), led=False)
        if rest == 0.0:
            return Entrance(step + 1, lambda: self._entered(step))
        if step == schedule.steps - 2:  # both of its neighbours start at the same point
            return Entrance(step + 1, lambda: torch.lerp(self._entered(step), self.inversion.latent(step + 1), rest))
        return Entrance(
            step + 1, lambda: self._entered(step, 1.0 - rest), part=1.0 - rest, later=lambda: self._entered(step + 1)
        )

    def _entered(self, step: int, part: float = 1.0) -> torch.Tensor:
        known = self.lead.predictions(step)
        carried, schedule = self.inversion.latent(step), self.inversion.schedule
        if part < 1.0:
            carried = torch.lerp(known[0] * schedule.alphas[step], carried, part)
        return solver.take_step(carried, known, schedule, step, noise=self.noise, order=self.order, eta=self.eta)


@dataclass(frozen=True)
class Even:
    """The strength ``even``: a first-order step of the SDE with the length of a step of the canonical schedule.

    It departs at the intervention's noise level and lands between two points of the schedule. With the data prediction
    D of the reference and h the length of the step, it lands at

        x_t = alpha_t (exp(-2h) z_o + (1 - exp(-2h)) D) + sigma_t (exp(-h) e + sqrt(1 - exp(-2h)) z)

    which is equation 2 with the inverted latents of the original, and does not depend on N, order or eta. The noise z is
    the same wherever it lands. A noise map e that is louder than the noise of its level is lowered to it.

    Args:
        noise: standard normal noise, of the shape of the latents.
        canonical: the model's schedule of :data:`CANONICAL_STEPS` steps.
    """

    inversion: Inversion
    lead: Lead
    noise: torch.Tensor
    canonical: Schedule

    def __call__(self, intervention: float) -> Entrance:
        """Return the entrance at an intervention below N."""
        at = landing(intervention, self.inversion.schedule, self.canonical)
        if at.rest == 0.0:
            return Entrance(at.point, lambda: self._landed(at.point, at.length, beyond=at.beyond))
        return Entrance(
            at.point,
            lambda: self._landed(at.point, at.length, part=1.0 - at.rest),
            part=1.0 - at.rest,
            later=lambda: self._landed(at.point + 1, at.length),
        )

    def _landed(self, point: int, length: float, *, part: float = 1.0, beyond: float = 0.0) -> torch.Tensor:
        """Return the latents after the step.

        Args:
            part: of the original's weight.
            beyond: 0 … 1, how far the step would lead beyond the last noisy point, where the original is alone.
        """
        schedule, z_o = self.inversion.schedule, self.inversion.z_o
        alpha, sigma = schedule.alphas[point], schedule.sigmas[point]
        weight = part * math.exp(-2.0 * length)
        before = max(point - 1, 0)
        data = torch.lerp(self.lead.predictions(before)[0], z_o, weight + (1.0 - weight) * beyond)
        noise = self.noise * math.sqrt(-math.expm1(-2.0 * length)) * (1.0 - beyond)
        if alpha and self.inversion.noise_maps(point) is not None:  # without signal there is no noise map
            noise = noise + _no_louder_than_noise(self.inversion.noise_map(point)) * math.exp(-length)
        return data * alpha + noise * sigma


@dataclass(frozen=True)
class Landing:
    """Where a step of the strength ``even`` leads.

    Args:
        point: the last point of the schedule that is not beyond it.
        length: of the step, in half the log-SNR.
        rest: 0 … below 1, how far it is on the way to the next point.
        beyond: 0 … 1, how far it is beyond the last noisy point, as a part of its length.
    """

    point: int
    length: float
    rest: float = 0.0
    beyond: float = 0.0


def landing(intervention: float, schedule: Schedule, canonical: Schedule) -> Landing:
    """Return the landing of a step that departs at an intervention, 0 … N, of a schedule."""
    departs = lam_at(intervention, schedule)
    length = step_length(departs, canonical)
    lands, last = departs + length, schedule.steps - 1
    if lands >= schedule.lam(last):
        return Landing(last, length, beyond=min((lands - schedule.lam(last)) / length, 1.0))
    # Not at the first point, since no prediction of the reference comes before it.
    point = max((p for p in range(1, last) if schedule.lam(p) <= lands), default=min(1, last))
    whole = schedule.lam(point + 1) - schedule.lam(point)
    return Landing(point, length, rest=max((lands - schedule.lam(point)) / whole, 0.0))


def first_point(intervention: float, schedule: Schedule, *, strength: Strength, canonical: Schedule) -> int:
    """Return the point at which the completion of an intervention below N starts."""
    if strength == "even":
        return landing(intervention, schedule, canonical).point
    return min(int(intervention) + 1, schedule.steps - 1)


def step_length(lam: float, schedule: Schedule) -> float:
    """Return the length, in half the log-SNR, of the step that departs at ``lam``, interpolated between the schedule's steps."""
    points = schedule.mixed
    starts = [schedule.lam(p) for p in points[:-1]]
    lengths = [schedule.lam(p + 1) - schedule.lam(p) for p in points[:-1]]
    for i in range(1, len(starts)):
        if lam < starts[i]:
            part = min(max((lam - starts[i - 1]) / (starts[i] - starts[i - 1]), 0.0), 1.0)
            return lengths[i - 1] + part * (lengths[i] - lengths[i - 1])
    return lengths[-1]


def _no_louder_than_noise(noise_map: torch.Tensor) -> torch.Tensor:
    rms = noise_map.square().mean().sqrt()
    return noise_map / rms.clamp_min(1.0)
