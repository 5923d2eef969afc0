"""A stable-audio-tools model as a data prediction: (latents, step, conditioning) -> the estimate of x_0.

With r = sqrt(alpha^2 + sigma^2) and s = alpha + sigma, the latents x = alpha x_0 + sigma noise are converted to the
scale and the time that the network was trained with, and its output is converted back:

    v               x_0 = alpha / r^2 x - sigma / r v(x / r, t)      t = 2 / pi atan(sigma / alpha)
    flows           x_0 =      1 / s  x - sigma / s v(x / s, t)      t = sigma / s

For alpha = 1 the first is the EDM scaling of k-diffusion's ``VDenoiser`` (Karras et al., arXiv 2206.00364, table 1); on
the straight path alpha = 1 - t the second is x_0 = x - t v. Therefore every model works with every schedule.
"""

import math
from dataclasses import dataclass

import torch

from tertium.engine.sampling.conditioning import Conditioning
from tertium.engine.sampling.schedule import Schedule
from tertium.engine.sampling.solver import Predict

OBJECTIVES = ("v", "rectified_flow", "rf_denoiser")
"""Prediction targets of the networks. ``rf_denoiser`` is a flow distilled to few steps, evaluated like any flow."""


@dataclass(frozen=True)
class Scaling:
    """x_0 = skip * x + out * network(scale * x, time)."""

    skip: float
    out: float
    scale: float
    time: float


def scaling(objective: str, alpha: float, sigma: float) -> Scaling:
    """Return the scaling of a network at one point of a schedule.

    Raises:
        ValueError: an objective that is not in :data:`OBJECTIVES`.
    """
    if objective == "v":
        r = math.hypot(alpha, sigma)
        return Scaling(alpha / r**2, -sigma / r, 1 / r, math.atan2(sigma, alpha) * 2 / math.pi)
    if objective in OBJECTIVES:
        s = alpha + sigma
        return Scaling(1 / s, -sigma / s, 1 / s, sigma / s)
    raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}; got {objective!r}")


class Denoiser:
    """The data prediction of a diffusion transformer along one schedule.

    The latents keep the precision in which they arrive (float32 during sampling), whatever the network computes in. No
    step waits for the device: scales are Python floats, and the times are on the device from the start.

    Args:
        model: stable-audio-tools' conditioned diffusion model with a transformer (``dit``).

    Raises:
        ValueError: an unknown objective.
    """

    def __init__(self, model: torch.nn.Module, schedule: Schedule):
        self.transformer = model.model.model
        weight = next(self.transformer.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        points = zip(schedule.alphas, schedule.sigmas, strict=True)
        self._scalings = [scaling(model.diffusion_objective, alpha, sigma) for alpha, sigma in points]
        self._times = torch.tensor([point.time for point in self._scalings], device=self.device)

    @torch.no_grad()
    def __call__(
        self,
        x: torch.Tensor,
        step: int,
        conditioning: Conditioning,
        *,
        guidance: float = 1.0,
        null: Conditioning | None = None,
    ) -> torch.Tensor:
        """Estimate x_0 from latents ``x`` (batch, channels, frames) at point ``step``; same shape and dtype as ``x``.

        Args:
            step: 0 … N - 1.
            conditioning: of one row, or of as many rows as ``x`` has.
            guidance: w in null + w (conditioned - null). At 1, and for the null conditioning, the network runs once for
                each row; otherwise the conditioned and the null rows share one batch.
            null: the conditioning that guidance subtracts, of one row; None for the model's own unconditional branch.
        """
        at = self._scalings[step]
        rows = conditioning.to(self.device, self.dtype).expand(x.shape[0])
        scaled = (x * at.scale).to(self.dtype)
        if guidance == 1.0 or conditioning.is_null:
            output = self._network(scaled, step, rows).to(x.dtype)
        else:
            away = rows.null() if null is None else null.to(self.device, self.dtype).expand(x.shape[0])
            both = self._network(torch.cat([scaled, scaled]), step, rows.beside(away))
            conditioned, null = both.to(x.dtype).chunk(2)
            output = null + (conditioned - null) * guidance
        return x * at.skip + output * at.out

    def under(self, conditioning: Conditioning, *, guidance: float = 1.0, null: Conditioning | None = None) -> Predict:
        """Bind this denoiser to one conditioning, in the form that the sampler calls: (x, step) -> data prediction."""
        placed = conditioning.to(self.device, self.dtype)
        away = None if null is None else null.to(self.device, self.dtype)
        return lambda x, step: self(x, step, placed, guidance=guidance, null=away)

    def _network(self, x: torch.Tensor, step: int, rows: Conditioning) -> torch.Tensor:
        # Upstream's outer forward rounds the time to the network's precision, where neighbouring steps coincide in
        # bfloat16. It also applies its own guidance, with a comparison that waits for the device.
        return self.transformer._forward(
            x,
            self._times[step].expand(x.shape[0]),
            cross_attn_cond=rows.cross_attention,
            global_embed=rows.global_embedding,
            prepend_cond=rows.prepend,
            prepend_cond_mask=rows.prepend_mask,
        )
