"""A loaded model with the sounds of a report, and how like a result is to one of them."""

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from evaluation import fine_tunes, sounds
from evaluation.fine_tunes import Lesson
from evaluation.plan import Plan
from tertium.engine.fusion.similarity import correlation, log_mel, log_mel_correlation, mel_power
from tertium.engine.models.loaded_model import LoadedModel, load_model
from tertium.plots import spectrogram


@dataclass(frozen=True)
class Plate:
    """One panel of a plate.

    Args:
        row, column: which; panels are ordered as they come.
        image: (height, width): decibels of a spectrogram in the bands of :mod:`tertium.plots.spectrogram`, or whatever the figure draws.
    """

    row: str
    column: str
    image: np.ndarray


class Bench:
    """Everything that a task measures with, in one process.

    Args:
        plan: what is measured.
        learned: folder of what was learned.
    """

    def __init__(self, plan: Plan, learned: Path):
        self.plan, self.learned = plan, learned
        self.model: LoadedModel = load_model(plan.model, device=plan.device)
        self.sound = functools.cache(lambda name: sounds.load(name, self.model, plan.seconds))
        self.latents = functools.cache(lambda name: self.model.encode(self.sound(name)))
        self.round_trip = functools.cache(lambda name: self.decoded(self.latents(name)))
        self.taught = functools.lru_cache(maxsize=2)(self._taught)
        self._power = functools.cache(lambda name: self.power(self.round_trip(name)))

    @property
    def samples(self) -> int:
        """Length of every sound."""
        return round(self.plan.seconds * self.model.sample_rate)

    def decoded(self, latents: torch.Tensor) -> torch.Tensor:
        """(channels, samples) of latents (1, channels, frames)."""
        return self.model.decode(latents, samples=self.samples)[0]

    def power(self, audio: torch.Tensor) -> torch.Tensor:
        """See :func:`tertium.engine.fusion.similarity.mel_power`."""
        return mel_power(audio, self.model.sample_rate)

    def power_of(self, name: str) -> torch.Tensor:
        """Of a sound's round trip."""
        return self._power(name)

    def likeness(self, one: torch.Tensor, other: torch.Tensor) -> float:
        """Log-mel correlation of two sounds (channels, samples)."""
        return log_mel_correlation(log_mel(self.power(one)), log_mel(self.power(other)))

    def likeness_to(self, audio: torch.Tensor, name: str) -> float:
        """Log-mel correlation with a sound's round trip."""
        return log_mel_correlation(log_mel(self.power(audio)), log_mel(self.power_of(name)))

    def latent_likeness_to(self, audio: torch.Tensor, name: str) -> float:
        """Correlation of latents: those of the result, encoded, with those of the sound."""
        return correlation(self.model.encode(audio), self.latents(name))

    def level_to(self, audio: torch.Tensor, name: str) -> float:
        """Decibels by which a result is louder (root mean square) than a sound's round trip."""
        return 20.0 * math.log10(max(float(audio.square().mean().sqrt()), 1e-6) / self._loudness(name))

    def _loudness(self, name: str) -> float:
        return max(float(self.round_trip(name).square().mean().sqrt()), 1e-6)

    def teach(self, lesson: Lesson) -> bool:
        """See :func:`evaluation.fine_tunes.learn`."""
        return fine_tunes.learn(lesson, self.model, self.sound(lesson.reference), self.learned)

    def facts(self) -> dict[str, str | int]:
        """What the model is, and where it computes."""
        model = self.model
        return {
            "name": model.name, "sha256": model.fingerprint, "objective": model.objective, "parameters": model.parameters,
            "device": str(model.device), "precision": str(model.dtype).removeprefix("torch."),
        }  # fmt: skip

    def _taught(self, lesson: Lesson) -> LoadedModel:
        """See :func:`evaluation.fine_tunes.recall`."""
        return fine_tunes.recall(lesson, self.model, self.sound(lesson.reference), self.learned)

    def losses(self, lesson: Lesson) -> list[float]:
        """See :func:`evaluation.fine_tunes.losses`."""
        return fine_tunes.losses(lesson, self.model, self.sound(lesson.reference), self.learned)

    def plate(self, row: str, column: str, audio: torch.Tensor) -> Plate:
        """A spectrogram of a sound, 0 dB at its own loudest point."""
        power = spectrogram.band_power(audio.numpy(), self.model.sample_rate)
        loudest = max(float(power.max()), 1e-12)
        decibels = 10 * np.log10(np.maximum(power / loudest, 10 ** (-spectrogram.RANGE_DB / 10)))
        return Plate(row, column, decibels.astype(np.float16))
