"""The worker's learner: adapts the engine's learner, with its tensors and settings, to arrays and plain fields."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import safetensors.torch
import torch

from tertium.engine.models.loaded_model import LoadedModel
from tertium.engine.settings import LearnSettings
from tertium.engine.training.adapters import Weights
from tertium.engine.training.fine_tune import Learner
from tertium.job_spec import Learn
from tertium.storage.training_states import TrainingState

FIELDS = ("prompt", "method", "steps", "batch", "seconds", "rank", "rate", "null_dropout", "ema", "seed")
LARGE = 2e8
"""Number of parameters from which on activations are recomputed instead of stored."""


class TorchLearner:
    """A :class:`tertium.worker.trainer.Learner` of a loaded model.

    Args:
        reference: float32, (channels, frames), at the model's rate.
        spec: of the training job. Fields that are None take the defaults of the settings.
    """

    def __init__(self, model: LoadedModel, reference: np.ndarray, spec: Learn):
        chosen = {name: value for name in FIELDS if (value := getattr(spec, name)) is not None}
        settings = LearnSettings(**chosen, checkpointing=model.parameters > LARGE)
        self._learner = Learner(model, torch.from_numpy(reference), settings)
        self.settings = dataclasses.asdict(settings) | {"rate": settings.peak_rate}
        self.method, self.seconds = settings.method, self._learner.seconds
        self.rank = settings.rank if settings.method == "lora" else 0

    @property
    def step(self) -> int:
        """Number of completed steps."""
        return self._learner.step

    @property
    def losses(self) -> tuple[float, ...]:
        """The loss of each step."""
        return tuple(self._learner.losses)

    def run(self, on_step: Callable[[int, float | None], None]) -> None:
        """See :meth:`tertium.engine.training.fine_tune.Learner.run`."""
        self._learner.run(on_step)

    def weights(self) -> bytes:
        """Return the weights learned so far, as the content of a safetensors file."""
        return safetensors.torch.save(dict(self._learner.weights().tensors))

    def state(self) -> TrainingState:
        """See :class:`tertium.worker.trainer.Learner`. 16-bit floats are converted to 32 bits, which is lossless."""
        state = self._learner.state_dict()
        return TrainingState(state["facts"], {name: _array(tensor) for name, tensor in state["tensors"].items()})

    def resume(self, state: TrainingState) -> None:
        """See :meth:`tertium.engine.training.fine_tune.Learner.load_state_dict`."""
        tensors = {name: torch.from_numpy(array) for name, array in state.tensors.items()}
        self._learner.load_state_dict({"facts": state.facts, "tensors": tensors})

    def with_learned_weights(self) -> AbstractContextManager[LoadedModel]:
        """See :meth:`tertium.engine.training.fine_tune.Learner.with_learned_weights`."""
        return self._learner.with_learned_weights()


def _array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).contiguous().numpy()


def read(path: str, *, method: str, rank: int) -> Weights:
    """Read the weights in a checkpoint's file."""
    return Weights(method, safetensors.torch.load_file(path), rank)
