"""The fine-tunes of a report, and the folder that stores them."""

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
class FineTune:
    """A reference and the settings by which the model is fine-tuned on it.

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
        """The words of the recording's name, as in the embedded model's captions."""
        return " ".join(recordings.words(sounds.SOUNDS[self.reference].recording))

    @property
    def settings(self) -> LearnSettings:
        """The settings for the engine."""
        return LearnSettings(
            prompt=self.prompt, method=self.method, steps=self.steps, batch=self.batch, rate=self.rate, null_dropout=self.null_dropout,
        )  # fmt: skip

    def path(self, folder: Path, model: LoadedModel, reference: torch.Tensor) -> Path:
        """Return the file of the fine-tune. Its name depends on the base model's weights, the sound and all settings."""
        about = json.dumps([model.fingerprint, asdict(self.settings), self.settings.peak_rate], sort_keys=True).encode()
        digest = hashlib.sha256(about + reference.numpy().tobytes()).hexdigest()[:16]
        return folder / f"{self.reference.replace(' ', '_')}-{self.method}-{digest}.safetensors"


def train(fine_tune: FineTune, model: LoadedModel, reference: torch.Tensor, folder: Path) -> bool:
    """Fine-tune the model and save the result; return False if the file exists already.

    Args:
        reference: (channels, samples) at the model's sample rate.

    Raises:
        TertiumError: the engine refused the settings, or the loss diverged.
    """
    path = fine_tune.path(folder, model, reference)
    if path.exists():
        return False
    learner = Learner(model, reference, fine_tune.settings)
    learner.run()
    weights = learner.weights()
    about = {"method": weights.method, "rank": str(weights.rank), "losses": json.dumps(learner.losses)}
    part = path.with_suffix(".part")
    save_file(dict(weights.tensors), part, metadata=about)
    part.rename(path)
    return True


def load(fine_tune: FineTune, model: LoadedModel, reference: torch.Tensor, folder: Path) -> LoadedModel:
    """Return the fine-tuned model.

    Raises:
        FileNotFoundError: :func:`train` was not called.
    """
    path = fine_tune.path(folder, model, reference)
    with safe_open(path, "pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    view = adapters.apply(model, adapters.Weights(about["method"], tensors, int(about["rank"])))
    view.checkpoint = path.stem
    return view


def losses(fine_tune: FineTune, model: LoadedModel, reference: torch.Tensor, folder: Path) -> list[float]:
    """Return the loss of each step. Raises as :func:`load`."""
    with safe_open(fine_tune.path(folder, model, reference), "pt") as file:
        return json.loads(file.metadata()["losses"])
