"""A loop among what comes around it: noise, reference and reference phase go round with the original.

The original of a loop comes with some of its end before it and some of its beginning after it. What is laid under it is laid under the loop as it
would be without these, and repeated with it: so what is made of the loop's end and of what comes before its beginning is much the same.
"""

from dataclasses import dataclass

import torch

from tertium.engine.fusion.reference_phase import Lead, OnStep
from tertium.engine.sampling.noise import StepNoise

CROSSFADE = 882
"""Samples at the beginning of a loop over which a reference that goes on after the loop's end is led over to its own beginning."""


@dataclass(frozen=True)
class Loop:
    """Where in an original its loop lies.

    Args:
        before: samples of its end that come before it.
        samples: of the loop.
    """

    before: int
    samples: int

    def places(self, frames: int, downsampling: int) -> torch.Tensor:
        """Which latent frame of the loop each of so many of the original is: (frames,), whole numbers from 0."""
        period = max(1, round(self.samples / downsampling))
        return (torch.arange(frames) - round(self.before / downsampling)) % period

    def around(self, reference: torch.Tensor, samples: int) -> torch.Tensor:
        """A reference (channels, any) under an original of so many samples: (channels, samples).

        Under the loop it is repeated or cut to its length, as it is without one; where it goes on beyond that, it is led over.
        """
        own, fade = reference.shape[1], min(CROSSFADE, self.samples)
        under = reference[:, torch.arange(self.samples + fade) % own]
        rising = (torch.arange(fade) + 0.5) / fade
        first = torch.lerp(under[:, self.samples :], under[:, :fade], rising)
        once = torch.cat([first, under[:, fade : self.samples]], dim=1)
        return once[:, (torch.arange(samples) - self.before) % self.samples]


@dataclass(frozen=True)
class LoopedNoise:
    """The noise of a loop, repeated with it.

    Args:
        noise: of the loop alone.
        places: see :meth:`Loop.places`.
    """

    noise: StepNoise
    places: torch.Tensor

    def initial(self) -> torch.Tensor:
        """See :class:`tertium.engine.sampling.noise.StepNoise`."""
        return self._repeated(self.noise.initial())

    def __call__(self, step: int) -> torch.Tensor:
        """See :class:`tertium.engine.sampling.noise.StepNoise`."""
        return self._repeated(self.noise(step))

    def _repeated(self, draw: torch.Tensor) -> torch.Tensor:
        return draw[..., self.places.to(draw.device)]


@dataclass(frozen=True)
class LoopedLead:
    """The reference phase of a loop, repeated with it.

    Args:
        lead: of the loop alone.
        places: see :meth:`Loop.places`.
    """

    lead: Lead
    places: torch.Tensor

    def predictions(self, step: int, *, on_step: OnStep | None = None) -> tuple[torch.Tensor, ...]:
        """See :class:`tertium.engine.fusion.reference_phase.Lead`."""
        return tuple(self._repeated(one) for one in self.lead.predictions(step, on_step=on_step))

    def end(self, *, on_step: OnStep | None = None) -> torch.Tensor:
        """See :class:`tertium.engine.fusion.reference_phase.Lead`."""
        return self._repeated(self.lead.end(on_step=on_step))

    def _repeated(self, latents: torch.Tensor) -> torch.Tensor:
        return latents[..., self.places.to(latents.device)]
