"""The engine as the worker uses it: arrays and plain fields on this side, tensors and settings on the other."""

import copy
import gc
import platform
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from tertium import worker_learning
from tertium.checkpoints import Checkpoint, CheckpointError
from tertium.engine import hub, operations, upstream
from tertium.engine.adapters import Residents, Weights
from tertium.engine.fusion import blend_to_intervention
from tertium.engine.models import NAMES, LoadedModel, load_model
from tertium.engine.operations import FuseSettings, GenerateSettings, InvertSettings, VarySettings
from tertium.engine.weights import CONFIG, POCKET, WEIGHTS
from tertium.making import Made, OnProgress

PRECISION_NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
SAMPLING = ("steps", "order", "eta", "seed")
RESIDENT_SHARE = 0.5
"""Memory for checkpoints beside the model, as a share of what the model itself takes; 512 MiB at least."""


def known_models() -> list[dict[str, Any]]:
    """Every model known by name: ``name``, ``available`` without a download, and a ``message`` that says what to do where it is not."""
    return [_known(name) for name in NAMES]


def load(model: str, *, device: str, precision: str) -> "TorchEngine":
    """Load a model, as :func:`tertium.engine.models.load_model` does, with its errors."""
    return TorchEngine(load_model(model, device=device, precision=precision))


class TorchEngine:
    """A :class:`tertium.making.Engine` of a loaded model."""

    def __init__(self, model: LoadedModel):
        self._model = self._base = model
        budget = max(512 * 2**20, round(model.memory_bytes * RESIDENT_SHARE))
        self._residents = Residents(model, budget=budget)
        self.about: dict[str, Any] = {
            "name": model.name,
            "fingerprint": model.fingerprint,
            "objective": model.objective,
            "parameters": model.parameters,
            "sample_rate": model.sample_rate,
            "channels": model.channels,
            "max_seconds": model.max_seconds,
            "latent_channels": model.latent_channels,
            "downsampling": model.downsampling,
            "completion_shares": _completion_shares(model),
            "default_guidance": model.default_guidance,
            "device": model.device.type,
            "device_name": _device_name(model.device),
            "threads": torch.get_num_threads(),
            "precision": PRECISION_NAMES.get(model.dtype, str(model.dtype)),
        }

    def perform(
        self, command: str, *, sounds: Mapping[str, np.ndarray], fields: Mapping[str, Any], on_progress: OnProgress
    ) -> Made:
        """See :class:`tertium.making.Engine`."""
        tensors = {role: torch.from_numpy(samples) for role, samples in sounds.items()}
        return _COMMANDS[command](self._model, tensors, fields, on_progress)

    def under(self, checkpoint: Checkpoint, path: str) -> "TorchEngine":
        """See :class:`tertium.making.Engine`. Checkpoints that were used before are there at once, as many as fit into the memory for them."""

        def load() -> Weights:
            return worker_learning.read(path, method=checkpoint.method, rank=checkpoint.rank)

        try:
            view = self._residents.get(checkpoint.key, load)
        except ValueError as error:
            raise CheckpointError(
                "conflict", f"The checkpoint '{checkpoint.name}' does not fit: {error}.", field="reference", value=checkpoint.name,
                remedy="Delete it and learn it again.",
            ) from error  # fmt: skip
        engine = copy.copy(self)
        engine._model = view
        return engine

    def learner(self, reference: np.ndarray, fields: Mapping[str, Any]) -> worker_learning.TorchLearner:
        """See :class:`tertium.making.Engine`."""
        return worker_learning.TorchLearner(self._base, reference, fields)

    def relieve(self) -> None:
        """Give cached memory back to the device, and that of the checkpoints."""
        self._residents.clear()
        gc.collect()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()


def _generate(model: LoadedModel, sounds: Mapping, fields: Mapping[str, Any], on_progress: OnProgress) -> Made:
    settings = GenerateSettings(
        **_sampling(fields), prompt=fields["prompt"], seconds=fields["seconds"], guidance=fields.get("guidance")
    )
    audio = operations.generate(model, settings, on_progress=on_progress)
    guidance = model.default_guidance if settings.guidance is None else settings.guidance
    forwards = settings.steps * _rows(guidance)
    return Made(audio.numpy(), {**_schedule(model, settings.steps), "guidance": guidance, "forwards": forwards})


def _vary(model: LoadedModel, sounds: Mapping, fields: Mapping[str, Any], on_progress: OnProgress) -> Made:
    settings = VarySettings(
        **_sampling(fields), strength=fields["strength"], prompt=fields["prompt"] or "", guidance=fields.get("guidance")
    )
    audio = operations.vary(model, sounds["original"], settings, on_progress=on_progress)
    guidance = model.default_guidance if settings.guidance is None else settings.guidance
    forwards = (settings.steps - settings.start) * (_rows(guidance) if settings.prompt else 1)
    decided = {"start": settings.start, "guidance": guidance if settings.prompt else 1.0, "forwards": forwards}
    return Made(audio.numpy(), {**_schedule(model, settings.steps), **decided})


def _invert(model: LoadedModel, sounds: Mapping, fields: Mapping[str, Any], on_progress: OnProgress) -> Made:
    settings = InvertSettings(**_sampling(fields), anchor=fields["anchor"], reconstruct_from=fields["reconstruct_from"])
    inverted = operations.invert(model, sounds["original"], settings, on_progress=on_progress)
    latents = {name: tensor.numpy() for name, tensor in inverted.latents.items()}
    decided = {"reconstruct_from": settings.reconstruct_from, "forwards": settings.steps - settings.reconstruct_from}
    return Made(inverted.reconstruction.numpy(), {**_schedule(model, settings.steps), **decided}, latents)


def _fuse(model: LoadedModel, sounds: Mapping, fields: Mapping[str, Any], on_progress: OnProgress) -> Made:
    named = ("blend", "intervention", "hold", "anchor", "prompt", "guidance")
    settings = FuseSettings(**_sampling(fields), **{name: fields[name] for name in named})
    audio = operations.fuse(model, sounds["original"], sounds.get("reference"), settings, on_progress=on_progress)
    step = settings.intervention_on(model.schedule(settings.steps))
    leading = settings.steps if step is None else min(step + 1, settings.steps)
    led = 0 if "reference" in sounds else _rows(settings.guidance)
    forwards = leading * led + (settings.steps - leading) * (1 + (led if settings.hold else 0))
    reference = "none: the prompt leads" if "reference" not in sounds else "instant"
    if fields.get("checkpoint"):
        reference = "checkpoint"
    decided = {"intervention": step, "reference": reference, "forwards": forwards}
    return Made(audio.numpy(), {**_schedule(model, settings.steps), **decided})


_Perform = Callable[[LoadedModel, Mapping, Mapping[str, Any], OnProgress], Made]
_COMMANDS: dict[str, _Perform] = {"generate": _generate, "vary": _vary, "invert": _invert, "fuse": _fuse}


def _sampling(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in SAMPLING}


def _schedule(model: LoadedModel, steps: int) -> dict[str, Any]:
    schedule = model.schedule(steps)
    return {"steps": steps, "schedule": {"alphas": schedule.alphas, "sigmas": schedule.sigmas}}


def _completion_shares(model: LoadedModel) -> list[float]:
    """Which share of the steps is left after the intervention, at blends 0 (just above it), 0.1 … 1."""
    schedule = model.schedule(100)
    blends = [0.001, *(tenths / 10 for tenths in range(1, 11))]
    return [1 - blend_to_intervention(blend, schedule) / schedule.steps for blend in blends]


def _rows(guidance: float) -> int:
    return 1 if guidance == 1.0 else 2


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def _known(name: str) -> dict[str, Any]:
    if name == "pocket":
        here = (POCKET / CONFIG).is_file()
        return {"name": name, "available": here} | (
            {} if here else {"message": "Reinstall tertium: its files are missing."}
        )
    repository = hub.REPOSITORIES[name]
    try:
        cached = upstream.load("huggingface_hub").try_to_load_from_cache
    except ImportError:
        return {"name": name, "available": False, "message": "Install huggingface_hub, or give the model's folder."}
    if isinstance(cached(repository, CONFIG), str) and any(isinstance(cached(repository, w), str) for w in WEIGHTS):
        return {"name": name, "available": True}
    message = f"Not on this machine. Accept the licence of {repository} on the model hub, set HF_TOKEN, and start with --model {name}."
    return {"name": name, "available": False, "message": message}
