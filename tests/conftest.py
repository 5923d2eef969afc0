"""Exact denoisers: models whose data prediction is known in closed form, so that the engine is tested in double
precision without a network.
"""

import os

# Read when PyTorch is loaded: spinning threads would take the cores from each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tertium.engine.sampling.schedule import Schedule

HERE = Path(__file__).parent
SLOW = (
    "end_to_end", "supercollider", "max_for_live", "evaluation", "cli/test_listening_page.py", "pocket/test_pipeline.py", "engine/test_fine_tune.py", "engine/test_adapters.py",
    "engine/test_precision.py", "engine/test_devices.py", "engine/test_repeatable.py", "daemon/test_supervisor.py", "daemon/test_helper_pool.py", "worker/test_trainer.py", "protocol/test_client.py",
)  # fmt: skip
"""Tests left out by ``make test-fast``: daemons and other processes, training, other languages, large models."""


def pytest_collection_modifyitems(items):
    """Mark the tests in the files and folders of ``SLOW`` as slow."""
    for item in items:
        place = item.path.relative_to(HERE)
        if any(place.is_relative_to(slow) for slow in SLOW):
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class GaussianDenoiser:
    """The denoiser of Gaussian latents with variance ``power`` P at each frequency of their frames: x_0 = alpha P /
    (alpha^2 P + sigma^2) x.
    """

    power: torch.Tensor
    schedule: Schedule

    def __call__(self, x: torch.Tensor, step: int) -> torch.Tensor:
        alpha, sigma = self.schedule.alphas[step], self.schedule.sigmas[step]
        gain = alpha * self.power / (alpha**2 * self.power + sigma**2)
        return torch.fft.irfft(torch.fft.rfft(x) * gain, n=x.shape[-1])


@dataclass(frozen=True)
class MemorisedDenoiser:
    """The denoiser of latents distributed around one sound z_r with ``variance`` v: z_r + alpha v / (alpha^2 v +
    sigma^2) (x - alpha z_r).
    """

    z_r: torch.Tensor
    variance: float
    schedule: Schedule

    def __call__(self, x: torch.Tensor, step: int) -> torch.Tensor:
        alpha, sigma, v = self.schedule.alphas[step], self.schedule.sigmas[step], self.variance
        return self.z_r + alpha * v / (alpha**2 * v + sigma**2) * (x - alpha * self.z_r)


@pytest.fixture
def latents():
    """A function that returns seeded double-precision latents with a falling spectrum: latents(seed) -> (1, 4, 64)."""

    def make(seed: int, frames: int = 64) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        white = torch.randn(1, 4, frames, generator=generator, dtype=torch.float64)
        return torch.fft.irfft(torch.fft.rfft(white) * falling_power(frames).sqrt(), n=frames)

    return make


def falling_power(frames: int) -> torch.Tensor:
    """Return a falling power spectrum for ``frames`` frames with a mean of 1, like that of real latents."""
    power = 1.0 / (1.0 + torch.arange(frames // 2 + 1, dtype=torch.float64) * 8 / frames)
    return power / power.mean()


def similarity(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the Pearson correlation of two tensors."""
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
