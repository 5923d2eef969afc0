"""Exact denoisers: models whose data prediction is known, so that the engine is testable to double precision without a network."""

import os

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # read when PyTorch is loaded: spinning threads take the cores from each other

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tertium.engine.sampling.schedule import Schedule

HERE = Path(__file__).parent
SLOW = (
    "end_to_end", "supercollider", "max_for_live", "evaluation", "pocket/test_pipeline.py", "engine/test_fine_tune.py", "engine/test_adapters.py",
    "engine/test_precision.py", "engine/test_devices.py", "engine/test_repeatable.py", "daemon/test_supervisor.py", "daemon/test_reader_pool.py", "worker/test_trainer.py", "protocol/test_client.py",
)  # fmt: skip
"""What ``make test-fast`` leaves out: daemons and other processes, training, other languages, large models."""


def pytest_collection_modifyitems(items):
    """Mark what is slow by where it lies."""
    for item in items:
        place = item.path.relative_to(HERE)
        if any(place.is_relative_to(slow) for slow in SLOW):
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class GaussianDenoiser:
    """Latents that are Gaussian with variance ``power`` at each frequency of their frames: x_0 = alpha P / (alpha^2 P + sigma^2) x, per frequency."""

    power: torch.Tensor
    schedule: Schedule

    def __call__(self, x: torch.Tensor, step: int) -> torch.Tensor:
        alpha, sigma = self.schedule.alphas[step], self.schedule.sigmas[step]
        gain = alpha * self.power / (alpha**2 * self.power + sigma**2)
        return torch.fft.irfft(torch.fft.rfft(x) * gain, n=x.shape[-1])


@dataclass(frozen=True)
class MemorisedDenoiser:
    """A model that knows one sound, with ``variance`` v around it: z_r + alpha v / (alpha^2 v + sigma^2) (x - alpha z_r)."""

    z_r: torch.Tensor
    variance: float
    schedule: Schedule

    def __call__(self, x: torch.Tensor, step: int) -> torch.Tensor:
        alpha, sigma, v = self.schedule.alphas[step], self.schedule.sigmas[step], self.variance
        return self.z_r + alpha * v / (alpha**2 * v + sigma**2) * (x - alpha * self.z_r)


@pytest.fixture
def latents():
    """Seeded double-precision latents: latents(seed) -> (1, 4, 64), with a falling spectrum."""

    def make(seed: int, frames: int = 64) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        white = torch.randn(1, 4, frames, generator=generator, dtype=torch.float64)
        return torch.fft.irfft(torch.fft.rfft(white) * falling_power(frames).sqrt(), n=frames)

    return make


def falling_power(frames: int) -> torch.Tensor:
    """Power at each frequency of ``frames`` frames: falling, 1 in the mean, as latents are."""
    power = 1.0 / (1.0 + torch.arange(frames // 2 + 1, dtype=torch.float64) * 8 / frames)
    return power / power.mean()


def similarity(a: torch.Tensor, b: torch.Tensor) -> float:
    """Pearson correlation of two tensors."""
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
