"""Noise with random access: the draw of a step does not depend on the step at which sampling started."""

import numpy
import torch

_INITIAL, _STEPS = 0, 1


class StepNoise:
    """Standard normal noise for each step of a sampling, from one seed.

    Every draw has its own ``torch.Generator`` on the CPU, seeded by (seed, stream, step). The same seed therefore gives
    the same noise on every device and for every intervention step, whether or not the first steps came from a cache. No
    global random state is used.

    Args:
        seed: 0 or greater.
        shape: of a draw, (batch, channels, frames).
        stream: a number that separates independent uses of one seed.
    """

    def __init__(
        self,
        seed: int,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        stream: int = 0,
    ):
        self.seed, self.shape, self.dtype, self.device, self.stream = seed, tuple(shape), dtype, device, stream

    def initial(self) -> torch.Tensor:
        """Return the draw that sampling starts from, not yet scaled by the first sigma."""
        return self._draw(_INITIAL, 0)

    def __call__(self, step: int) -> torch.Tensor:
        """Return the draw that step ``step`` adds."""
        return self._draw(_STEPS, step)

    def _draw(self, kind: int, step: int) -> torch.Tensor:
        state = numpy.random.SeedSequence([self.seed, self.stream, kind, step]).generate_state(1, numpy.uint64)
        generator = torch.Generator().manual_seed(int(state[0]) >> 1)
        return torch.randn(self.shape, generator=generator, dtype=self.dtype).to(self.device)
