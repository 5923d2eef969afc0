"""Loops: noise, reference and reference phase repeat with the loop within the original.

The original of a loop is extended by some of its end before it and some of its beginning after it. Noise and reference
are laid out for the loop as for a sound without extensions, and repeat with it. The result at the loop's end therefore
nearly equals the result just before its beginning.
"""

from dataclasses import dataclass

import torch

from tertium.engine.fusion.reference_phase import Lead, OnStep
from tertium.engine.sampling.noise import StepNoise

CROSSFADE = 882
"""Length of the crossfade at the loop's beginning, from the reference's continuation beyond the loop's end, in samples."""


@dataclass(frozen=True)
class Loop:
    """The position of the loop within its original.

    Args:
        before: samples of the loop's end that precede it.
        samples: length of the loop.
    """

    before: int
    samples: int

    def places(self, frames: int, downsampling: int) -> torch.Tensor:
        """Map each of ``frames`` latent frames of the original to its frame in the loop: (frames,), integers from 0."""
        period = max(1, round(self.samples / downsampling))
        return (torch.arange(frames) - round(self.before / downsampling)) % period

    def around(self, reference: torch.Tensor, samples: int) -> torch.Tensor:
        """Lay a reference (channels, any) under an original of ``samples`` samples: (channels, samples).

        Under the loop it is repeated or cut to the loop's length, as for a sound that is not a loop; its continuation
        beyond that is crossfaded in.
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
