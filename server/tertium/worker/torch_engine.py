"""The worker's engine: adapts :mod:`tertium.engine`, with its tensors and settings, to arrays and job specifications."""

import contextlib
import copy
import gc
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tertium import __version__
from tertium.engine import operations
from tertium.engine import window as windows
from tertium.engine.fusion.entrance import CANONICAL_STEPS
from tertium.engine.fusion.loops import Loop
from tertium.engine.fusion.reference_phase import Memory
from tertium.engine.models import hub, stable_audio
from tertium.engine.models.loaded_model import NAMES, LoadedModel, load_model
from tertium.engine.models.weights import CONFIG, POCKET, WEIGHTS
from tertium.engine.operations import FuseSettings, GenerateSettings, InvertSettings, MorphSettings, VarySettings
from tertium.engine.settings import WindowSettings
from tertium.engine.training.adapters import Residents, Weights
from tertium.job_spec import JobSpec, Learn, Morph
from tertium.storage.checkpoint_format import Checkpoint, CheckpointError
from tertium.worker import torch_learner
from tertium.worker.engine_api import NOTHING_KNOWN, OnProgress, Preparation, Rendered
from tertium.worker.trajectory_files import TrajectoryFiles

PRECISION_NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
SAMPLING = ("steps", "order", "eta", "seed", "null")
OF_A_PAIR = (
    "hold", "anchor", "prompt", "guidance", "completion_prompt", "completion_guidance", "negative", "spread", "strength",
)  # fmt: skip
CACHE_BYTES = 256 << 20  # of encoded sounds and reference phases that are cached for later fusions
ALIKE = 0.95
"""Log-mel correlation of the reference alone with the original alone from which on the measurement error dominates
their window."""
BALANCED = 0.1
"""The most by which a fusion's likenesses to its two sounds may differ where it counts as equally like both."""
RESIDENT_SHARE = 0.5
"""Memory for checkpoints beside the model, as a share of the model's own memory; at least 512 MiB."""


def known_models() -> list[dict[str, Any]]:
    """Return the models with a name: ``name``, ``available`` (without a download), and, if it is not, a ``message``
    with a remedy.
    """
    return [_availability(name) for name in NAMES]


def load(
    model: str, *, device: str, precision: str, on_wait: Callable[[str], None] = lambda text: None
) -> "TorchEngine":
    """Load a model; arguments and errors as of :func:`tertium.engine.models.loaded_model.load_model`.

    Args:
        on_wait: called with a line of text when a download starts or the hub is contacted.
    """
    with hub.reporting_to(on_wait):
        return TorchEngine(load_model(model, device=device, precision=precision))


class TorchEngine:
    """A :class:`tertium.worker.engine_api.Engine` of a loaded model."""

    def __init__(self, model: LoadedModel):
        self._model = self._base = model
        self._memory = Memory(CACHE_BYTES)
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
        self,
        spec: JobSpec,
        *,
        sounds: Mapping[str, np.ndarray],
        on_progress: OnProgress,
        known: Preparation = NOTHING_KNOWN,
    ) -> Rendered:
        """See :class:`tertium.worker.engine_api.Engine`."""
        tensors = {role: torch.from_numpy(samples) for role, samples in sounds.items()}
        return _COMMANDS[spec.command](_Task(self._model, self._memory, tensors, spec, known, on_progress))

    def takes(
        self,
        spec: Morph,
        *,
        sounds: Mapping[str, np.ndarray],
        on_progress: OnProgress,
        known: Preparation = NOTHING_KNOWN,
    ) -> Iterator[Rendered]:
        """See :class:`tertium.worker.engine_api.Engine`."""
        tensors = {role: torch.from_numpy(samples) for role, samples in sounds.items()}
        task = _Task(self._model, self._memory, tensors, spec, known, on_progress)
        settings = MorphSettings(**task.pair, count=spec.count)
        shared = {**task.schedule, "reference": task.leads}
        for take in operations.morph(*task.sounds_of_pair, settings, memory=self._memory, on_progress=on_progress):
            decided = {
                "index": take.index,
                "blend": take.blend,
                "intervention": take.intervention,
                "place": take.place,
            }
            yield Rendered(take.audio.numpy(), {**shared, **decided})

    def with_checkpoint(self, checkpoint: Checkpoint, path: str) -> "TorchEngine":
        """See :class:`tertium.worker.engine_api.Engine`. Recently used checkpoints stay in memory, as many as fit."""

        def load() -> Weights:
            return torch_learner.read(path, method=checkpoint.method, rank=checkpoint.rank)

        try:
            view = self._residents.get(checkpoint.key, load)
        except ValueError as error:
            raise CheckpointError(
                "conflict", f"The checkpoint '{checkpoint.name}' does not fit: {error}.", field="reference", value=checkpoint.name,
                remedy="Delete it and learn it again.",
            ) from error  # fmt: skip
        view.checkpoint, view.trained_seconds = " ".join(checkpoint.key), checkpoint.seconds
        engine = copy.copy(self)
        engine._model = view
        return engine

    def learner(self, reference: np.ndarray, spec: Learn) -> torch_learner.TorchLearner:
        """See :class:`tertium.worker.engine_api.Engine`."""
        return torch_learner.TorchLearner(self._base, reference, spec)

    @contextlib.contextmanager
    def as_learned(self, learner: torch_learner.TorchLearner) -> Iterator["TorchEngine"]:
        """See :class:`tertium.worker.engine_api.Engine`."""
        with learner.with_learned_weights() as model:
            engine = copy.copy(self)
            engine._model = model
            yield engine

    def store_reference_phases(self, folder: Path, *, limit: int) -> None:
        """See :class:`tertium.worker.engine_api.Engine`."""
        facts = [str(self.about[name]) for name in ("device_name", "threads", "precision")]
        context = " ".join([__version__, torch.__version__, platform.machine(), *facts])
        self._memory.store = TrajectoryFiles(folder, limit, context=context)

    def free_memory(self) -> None:
        """Clear the cache, drop the resident checkpoints, and return cached memory to the device."""
        self._memory.clear()
        self._residents.clear()
        gc.collect()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()


@dataclass(frozen=True)
class _Task:
    """One job: its specification, its sounds as tensors, and the engine's settings derived from them."""

    model: LoadedModel
    memory: Memory
    sounds: Mapping[str, torch.Tensor]
    spec: JobSpec
    known: Preparation
    on_progress: OnProgress

    @property
    def sampling(self) -> dict[str, Any]:
        """Settings of every sampling."""
        shared = {name: getattr(self.spec, name) for name in SAMPLING}
        return shared | ({} if self.known.loop is None else {"loop": Loop(*self.known.loop)})

    @property
    def pair(self) -> dict[str, Any]:
        """Settings of every fusion of a pair, including the calibration of blend if the pair's window was measured."""
        shared = {name: getattr(self.spec, name) for name in OF_A_PAIR}
        return self.sampling | shared | ({"window": tuple(self.known.ratios)} if self.known.ratios else {})

    @property
    def sounds_of_pair(self) -> tuple[LoadedModel, torch.Tensor, torch.Tensor | None]:
        return self.model, self.sounds["original"], self.sounds.get("reference")

    @property
    def leads(self) -> str:
        """The kind of the reference, for the recipe."""
        if self.spec.checkpoint:
            return "checkpoint"
        return "instant" if "reference" in self.sounds else "none: the prompt leads"

    @property
    def schedule(self) -> dict[str, Any]:
        """The facts of the schedule."""
        return _schedule(self.model, self.spec.steps)


def _generate(task: _Task) -> Rendered:
    model, spec = task.model, task.spec
    settings = GenerateSettings(
        **task.sampling, prompt=spec.prompt, seconds=spec.seconds, guidance=spec.guidance, negative=spec.negative
    )
    audio = operations.generate(model, settings, on_progress=task.on_progress)
    guidance = model.default_guidance if settings.guidance is None else settings.guidance
    forwards = settings.steps * _rows(guidance)
    return Rendered(audio.numpy(), {**task.schedule, "guidance": guidance, "forwards": forwards})


def _vary(task: _Task) -> Rendered:
    model, spec = task.model, task.spec
    settings = VarySettings(
        **task.sampling,
        strength=spec.strength,
        prompt=spec.prompt or "",
        guidance=spec.guidance,
        negative=spec.negative,
    )
    audio = operations.vary(model, task.sounds["original"], settings, on_progress=task.on_progress)
    guidance = model.default_guidance if settings.guidance is None else settings.guidance
    forwards = (settings.steps - settings.start) * (_rows(guidance) if settings.prompt else 1)
    decided = {"start": settings.start, "guidance": guidance if settings.prompt else 1.0, "forwards": forwards}
    return Rendered(audio.numpy(), {**task.schedule, **decided})


def _invert(task: _Task) -> Rendered:
    spec = task.spec
    settings = InvertSettings(**task.sampling, anchor=spec.anchor, reconstruct_from=spec.reconstruct_from)
    inverted = operations.invert(task.model, task.sounds["original"], settings, on_progress=task.on_progress)
    latents = {name: tensor.numpy() for name, tensor in inverted.latents.items()}
    decided = {"reconstruct_from": settings.reconstruct_from, "forwards": settings.steps - settings.reconstruct_from}
    return Rendered(inverted.reconstruction.numpy(), {**task.schedule, **decided}, latents)


def _fuse(task: _Task) -> Rendered:
    spec = task.spec
    settings = FuseSettings(**task.pair, blend=spec.blend, intervention=spec.intervention, place=spec.place)
    audio = operations.fuse(*task.sounds_of_pair, settings, memory=task.memory, on_progress=task.on_progress)
    schedule = task.model.schedule(settings.steps)
    turn = settings.turn_on(schedule)
    led = 0 if "reference" in task.sounds else _rows(settings.guidance)
    completed = settings.completion_steps(turn.intervention, schedule, task.model.schedule(CANONICAL_STEPS))
    forwards = settings.lead_steps(turn.intervention) * led + completed * (
        settings.completion_rows + (led if settings.hold else 0)
    )
    # The reference phase may come from the cache; then there were fewer forwards, and the cost model must not use the count.
    counted = "forwards_at_most" if led else "forwards"
    decided = {
        "intervention": turn.intervention,
        "place": turn.place,
        "reference": task.leads,
        counted: forwards,
    }
    return Rendered(audio.numpy(), {**task.schedule, **decided})


def _window(task: _Task) -> Rendered:
    """Measure the window, unless it is known; then fuse at the equilibrium."""
    spec, measured = task.spec, task.known.measured_window
    share = 0.1 if measured is None else 1.0  # of the computing time that the sound takes
    if measured is None:
        window = windows.measure(
            *task.sounds_of_pair, WindowSettings(**task.pair, points=spec.points), memory=task.memory,
            on_progress=lambda stage, fraction: task.on_progress(stage, fraction * (1 - share)),
        )  # fmt: skip
        measured = asdict(window)
    settings = FuseSettings(**task.pair | {"window": tuple(measured["ratios"])}, blend=0.5)
    audio = operations.fuse(
        *task.sounds_of_pair, settings, memory=task.memory,
        on_progress=lambda stage, fraction: task.on_progress(stage, 1 - share + fraction * share),
    )  # fmt: skip
    turn = settings.turn_on(task.model.schedule(spec.steps))
    decided = {
        "intervention": turn.intervention,
        "place": turn.place,
        "reference": task.leads,
        "window": measured,
    }
    return Rendered(audio.numpy(), {**task.schedule, **decided}, notes=_remarks(measured))


def _remarks(measured: Mapping[str, Any]) -> tuple[str, ...]:
    """Return notes if the two sounds are too similar for a window, if it has no gradual transition from the reference,
    or no fusion that is equally like both.
    """
    if measured["points"][0]["original"] > ALIKE:
        return ("the two sounds are so alike that there is hardly a window between them: its steps mean little",)
    notes = []
    if measured["points"][1]["position"] > 0.5:
        notes.append(
            "the result leaves the reference all at once, whatever the step: more hold, such as 0.2, would lead over gradually"
        )
    nearest = min(measured["points"], key=lambda point: abs(point["original"] - point["reference"]))
    original, reference = nearest["original"], nearest["reference"]
    if abs(original - reference) > BALANCED:
        notes.append(
            f"no fusion of this pair was found that is equally like both sounds: the nearest is {original:.2f} like the original and {reference:.2f} like the reference"
        )
    return tuple(notes)


_COMMANDS: dict[str, Callable[[_Task], Rendered]] = {
    "generate": _generate,
    "vary": _vary,
    "invert": _invert,
    "fuse": _fuse,
    "window": _window,
}


def _schedule(model: LoadedModel, steps: int) -> dict[str, Any]:
    schedule = model.schedule(steps)
    return {"steps": steps, "schedule": {"alphas": schedule.alphas, "sigmas": schedule.sigmas}}


def _completion_shares(model: LoadedModel) -> list[float]:
    """Return the shares of the steps that remain after the intervention, at blends just above 0, and 0.1, 0.2 … 1."""
    steps = 100
    schedule, settings = model.schedule(steps), FuseSettings(blend=0.0, steps=steps)
    turns = [settings.turn_at(blend, schedule) for blend in (0.001, *(tenths / 10 for tenths in range(1, 11)))]
    canonical = model.schedule(CANONICAL_STEPS)
    return [settings.completion_steps(turn.intervention, schedule, canonical) / steps for turn in turns]


def _rows(guidance: float) -> int:
    return 1 if guidance == 1.0 else 2


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def _availability(name: str) -> dict[str, Any]:
    if name == "pocket":
        installed = (POCKET / CONFIG).is_file()
        message = {} if installed else {"message": "Reinstall tertium: its files are missing."}
        return {"name": name, "available": installed} | message
    repository = hub.REPOSITORIES[name]
    try:
        cached = stable_audio.load("huggingface_hub").try_to_load_from_cache
    except ImportError:
        return {"name": name, "available": False, "message": "Install huggingface_hub, or give the model's folder."}
    if isinstance(cached(repository, CONFIG), str) and any(isinstance(cached(repository, w), str) for w in WEIGHTS):
        return {"name": name, "available": True}
    message = f"Not on this machine. Accept the licence of {repository} on the model hub, set HF_TOKEN, and start with --model {name}."
    return {"name": name, "available": False, "message": message}
