"""A loaded model with the sounds of a report, and measures of the likeness of results to them."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from evaluation import fine_tunes, measures, sounds
from evaluation.fine_tunes import FineTune
from evaluation.plan import Plan
from tertium.engine.fusion.similarity import correlation, log_mel, log_mel_correlation, mel_power
from tertium.engine.inputs import noise_of
from tertium.engine.models.loaded_model import LoadedModel, load_model
from tertium.engine.sampling import solver
from tertium.engine.settings import InvertSettings
from tertium.plots import spectrogram


@dataclass(frozen=True)
class Plate:
    """One panel of a plate.

    Args:
        row, column: names of its row and column, which are ordered by first appearance.
        image: (height, width): decibels of a spectrogram in the bands of :mod:`tertium.plots.spectrogram`, or other values that the figure draws.
    """

    row: str
    column: str
    image: np.ndarray


class Bench:
    """The model, the sounds and the measures that tasks use, in one process.

    Args:
        plan: of the report.
        store: folder of the fine-tunes.
    """

    def __init__(self, plan: Plan, store: Path):
        self.plan, self.store = plan, store
        self.model: LoadedModel = load_model(plan.model, device=plan.device)
        self.sound = functools.cache(lambda name: sounds.load(name, self.model, plan.seconds))
        self.latents = functools.cache(lambda name: self.model.encode(self.sound(name)))
        self.round_trip = functools.cache(lambda name: self.decoded(self.latents(name)))
        self.fine_tuned = functools.lru_cache(maxsize=2)(self._fine_tuned)
        self._power = functools.cache(lambda name: self.power(self.round_trip(name)))

    @property
    def samples(self) -> int:
        """The length of every sound in samples."""
        return round(self.plan.seconds * self.model.sample_rate)

    def decoded(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the audio (channels, samples) of latents (1, channels, frames)."""
        return self.model.decode(latents, samples=self.samples)[0]

    def power(self, audio: torch.Tensor) -> torch.Tensor:
        """See :func:`tertium.engine.fusion.similarity.mel_power`."""
        return mel_power(audio, self.model.sample_rate)

    def power_of(self, name: str) -> torch.Tensor:
        """Return :meth:`power` of a sound's round trip through the codec."""
        return self._power(name)

    def likeness(self, one: torch.Tensor, other: torch.Tensor) -> float:
        """Return the log-mel correlation of two sounds (channels, samples)."""
        return log_mel_correlation(log_mel(self.power(one)), log_mel(self.power(other)))

    def likeness_to(self, audio: torch.Tensor, name: str) -> float:
        """Return the log-mel correlation with a sound's round trip."""
        return log_mel_correlation(log_mel(self.power(audio)), log_mel(self.power_of(name)))

    def latent_likeness_to(self, audio: torch.Tensor, name: str) -> float:
        """Return the correlation of the result's latents, after encoding, with those of the sound."""
        return correlation(self.model.encode(audio), self.latents(name))

    def measures(self, audio: torch.Tensor, name: str) -> dict[str, float | None]:
        """Return all measures of a result (channels, samples) against a sound's round trip, see :mod:`evaluation.measures`."""
        return measures.measured(audio, self.round_trip(name), self.model.sample_rate, self.likeness_to(audio, name))

    def noise_of_seeds(self, seeds: Sequence[int], frames: int, *, each: int) -> solver.Noise:
        """Return noise for a batch in which every seed has ``each`` rows in succession, all with the same noise.

        Raises:
            ValueError: no seed.
        """
        draws = self._draws(seeds, frames)
        return lambda step: torch.cat([draw(step) for draw in draws for _ in range(each)])

    def initial_of_seeds(self, seeds: Sequence[int], frames: int) -> torch.Tensor:
        """Return the noise (seeds, channels, frames) with which the sampling of each seed starts, not yet scaled."""
        return torch.cat([draw.initial() for draw in self._draws(seeds, frames)])

    def _draws(self, seeds: Sequence[int], frames: int) -> list:
        if not seeds:
            raise ValueError("seeds is empty; give one or more")
        return [noise_of(self.model, InvertSettings(seed=seed), frames) for seed in seeds]

    def train(self, fine_tune: FineTune) -> bool:
        """See :func:`evaluation.fine_tunes.train`."""
        return fine_tunes.train(fine_tune, self.model, self.sound(fine_tune.reference), self.store)

    def facts(self) -> dict[str, str | int]:
        """Return the model's name, fingerprint, objective, size, device and precision."""
        model = self.model
        return {
            "name": model.name, "sha256": model.fingerprint, "objective": model.objective, "parameters": model.parameters,
            "device": str(model.device), "precision": str(model.dtype).removeprefix("torch."),
        }  # fmt: skip

    def _fine_tuned(self, fine_tune: FineTune) -> LoadedModel:
        """See :func:`evaluation.fine_tunes.load`."""
        return fine_tunes.load(fine_tune, self.model, self.sound(fine_tune.reference), self.store)

    def losses(self, fine_tune: FineTune) -> list[float]:
        """See :func:`evaluation.fine_tunes.losses`."""
        return fine_tunes.losses(fine_tune, self.model, self.sound(fine_tune.reference), self.store)

    def plate(self, row: str, column: str, audio: torch.Tensor) -> Plate:
        """Return a spectrogram of a sound, 0 dB at its own loudest point."""
        power = spectrogram.band_power(audio.numpy(), self.model.sample_rate)
        loudest = max(float(power.max()), 1e-12)
        decibels = 10 * np.log10(np.maximum(power / loudest, 10 ** (-spectrogram.RANGE_DB / 10)))
        return Plate(row, column, decibels.astype(np.float16))
