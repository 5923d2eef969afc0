"""What is learned for a report, and where it is kept while the report is made."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from evaluation import sounds
from pocket.material import recordings
from tertium.engine.models.loaded_model import LoadedModel
from tertium.engine.settings import LearnSettings
from tertium.engine.training import adapters
from tertium.engine.training.fine_tune import Learner

DEFAULT_DROPOUT = LearnSettings(prompt="any").null_dropout


@dataclass(frozen=True)
class Lesson:
    """One reference, learned one way.

    Args:
        reference: name of a sound.
        method, steps, batch, rate, null_dropout: as in :class:`tertium.engine.settings.LearnSettings`.
    """

    reference: str
    method: str = "lora"
    steps: int = 150
    batch: int = 4
    rate: float | None = None
    null_dropout: float = DEFAULT_DROPOUT

    @property
    def prompt(self) -> str:
        """What the reference answers to: the words of its file's name, as the embedded model's captions have them."""
        return " ".join(recordings.words(sounds.SOUNDS[self.reference].recording))

    @property
    def settings(self) -> LearnSettings:
        """For the engine."""
        return LearnSettings(
            prompt=self.prompt, method=self.method, steps=self.steps, batch=self.batch, rate=self.rate, null_dropout=self.null_dropout,
        )  # fmt: skip

    def path(self, folder: Path, model: LoadedModel, reference: torch.Tensor) -> Path:
        """The file that keeps it: the name follows from the base's weights, the sound and all settings."""
        about = json.dumps([model.fingerprint, asdict(self.settings), self.settings.peak_rate], sort_keys=True).encode()
        digest = hashlib.sha256(about + reference.numpy().tobytes()).hexdigest()[:16]
        return folder / f"{self.reference.replace(' ', '_')}-{self.method}-{digest}.safetensors"


def learn(lesson: Lesson, model: LoadedModel, reference: torch.Tensor, folder: Path) -> bool:
    """Learn a reference and keep it; False if it was kept already.

    Args:
        reference: (channels, samples) at the model's rate.

    Raises:
        TertiumError: the engine refused, or learning went astray.
    """
    path = lesson.path(folder, model, reference)
    if path.exists():
        return False
    learner = Learner(model, reference, lesson.settings)
    learner.run()
    weights = learner.weights()
    about = {"method": weights.method, "rank": str(weights.rank), "losses": json.dumps(learner.losses)}
    part = path.with_suffix(".part")
    save_file(dict(weights.tensors), part, metadata=about)
    part.rename(path)
    return True


def recall(lesson: Lesson, model: LoadedModel, reference: torch.Tensor, folder: Path) -> LoadedModel:
    """The model that has learned it. Raises FileNotFoundError if :func:`learn` was not called."""
    path = lesson.path(folder, model, reference)
    with safe_open(path, "pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    view = adapters.apply(model, adapters.Weights(about["method"], tensors, int(about["rank"])))
    view.checkpoint = path.stem
    return view


def losses(lesson: Lesson, model: LoadedModel, reference: torch.Tensor, folder: Path) -> list[float]:
    """The loss of each step. Raises FileNotFoundError as :func:`recall`."""
    with safe_open(lesson.path(folder, model, reference), "pt") as file:
        return json.loads(file.metadata()["losses"])
