"""A fake engine for the worker, without a model; its prompt controls how long steps take and which failures occur.

A prompt consists of words such as ``step=0.05`` (seconds per step), ``die=3`` (the process is killed at step 3),
``die-once=3`` (only the first time in this folder), ``lost=3`` and ``lost-once=3`` (the device fails at step 3 and stays
lost in this process), ``lost-memory=3`` (the same, out of memory), ``stuck=3`` (hangs at step 3), ``astray=3`` (a training
job fails at step 3), ``memory``, ``device-memory``, ``disk``, ``nan``, ``mistake``, ``unsaid`` (a loss and an intervention
of NaN, which messages cannot carry). Without a prompt, a step takes TERTIUM_FAKE_STEP seconds.
"""

import contextlib
import errno
import os
import signal
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from tertium.errors import TertiumError
from tertium.storage.training_states import TrainingState
from tertium.worker.engine_api import NOTHING_KNOWN, Rendered

RATE = 44100


class OutOfMemoryError(RuntimeError):
    """Has the name of PyTorch's own exception."""


def known_models():
    return [
        {"name": "fake", "available": True},
        {"name": "gated", "available": False, "message": "Accept its licence."},
    ]


def load(model, *, device, precision, on_wait=None):
    print("a library greets the world on standard output")
    if model == "gated":
        raise TertiumError(
            "model_unavailable", "The model is gated.", field="model", value=model, remedy="Accept its licence."
        )
    if model == "dies":
        os._exit(3)
    if model == "slow":
        on_wait("fetching slow from the model hub")
        time.sleep(3.0)
    return FakeEngine(model, precision)


def a_window(steps):
    """Return a window of three points, in the format of the engine's facts."""
    point = {"original": 0.5, "reference": 0.5, "latent_original": 0.4, "latent_reference": 0.6, "unexplained": 0.1}
    points = [
        {"intervention": None, "noise_to_signal": None, **point, "position": 0.0},
        {"intervention": steps // 2, "noise_to_signal": 1.0, **point, "position": 0.5},
        {"intervention": steps, "noise_to_signal": None, **point, "position": 1.0},
    ]
    ends = {"begin": 1.0, "equilibrium": 3.0, "end": 4.0}
    return {"steps": steps, "points": points, "ratios": [2.0, 1.0, 0.5], **ends}


class FakeLearner:
    """A learner of four numbers, which change at each step depending on all previous steps."""

    method, rank = "lora", 2

    def __init__(self, reference, spec, engine):
        self.orders = dict(word.partition("=")[::2] for word in spec.prompt.split())
        self.settings = {"steps": spec.steps, "seed": spec.seed}
        self.step, self.losses, self.seconds = 0, (), spec.seconds
        self.numbers = np.random.default_rng(spec.seed).uniform(-1, 1, 4)
        self._steps, self._engine = spec.steps, engine

    def run(self, on_step):
        while self.step < self._steps:
            on_step(self.step, np.nan if "unsaid" in self.orders else self.losses[-1] if self.losses else None)
            time.sleep(float(self.orders.get("step", 0)))
            self._engine._obey(self.orders, self.step)
            if int(self.orders.get("astray", -1)) == self.step:
                raise TertiumError("out_of_range", "Learning went astray.", field="rate", remedy="Lower it.")
            self.numbers = np.sin(1.7 * self.numbers + self.step)
            self.step += 1
            self.losses += (float(np.abs(self.numbers).mean()),)

    def weights(self):
        return save({"numbers": self.numbers})

    def state(self):
        facts = {"settings": self.settings, "step": self.step, "losses": list(self.losses), "seconds": self.seconds}
        return TrainingState(facts, {"weights/numbers": self.numbers})

    def resume(self, state):
        if state.facts["settings"] != self.settings:
            raise ValueError("other settings")
        self.step, self.losses = state.facts["step"], tuple(state.facts["losses"])
        self.numbers = state.tensors["weights/numbers"]


def _orders(spec):
    return dict(word.partition("=")[::2] for word in (getattr(spec, "prompt", None) or "").split())


class FakeEngine:
    lost = None  # the error of the device, once it is lost

    def __init__(self, model, precision="fp32"):
        self.about = {
            "name": model, "device": "cpu", "precision": "fp32" if precision == "auto" else precision, "sample_rate": RATE, "channels": 2, "max_seconds": 47.5,
            "default_guidance": 6.0, "fingerprint": "f" * 64,
        }  # fmt: skip

    def perform(self, spec, *, sounds, on_progress, known=NOTHING_KNOWN):
        if self.lost:
            raise RuntimeError(self.lost)
        orders = _orders(spec)
        flaw = self._flaw()
        pause = float(orders.get("step", os.environ.get("TERTIUM_FAKE_STEP", "0")))
        steps = spec.steps
        for step in range(steps):
            on_progress("sample", step / steps)
            time.sleep(pause)
            self._obey(orders, step)
        on_progress("decode", 1.0)
        frames = sounds["original"].shape[1] if "original" in sounds else round(spec.seconds * RATE)
        rng = np.random.default_rng(spec.seed)
        samples = rng.uniform(-1, 1, (2, frames)).astype(np.float32)
        if "reference" in sounds:
            samples = samples * 0.01 + 0.5 * sounds["original"] + 0.5 * np.resize(sounds["reference"], (2, frames))
        if "nan" in orders or flaw == "nan":
            samples[0, 5] = np.nan
        if flaw == "silent":
            samples *= 0
        if spec.command == "window":
            facts = {"steps": steps, "intervention": 3, "window": known.measured_window or a_window(steps)}
            return Rendered(samples, facts | {"measured": known.measured_window is None})
        latents = {"latents": np.zeros((steps + 1, 4, 8), np.float32)} if spec.command == "invert" else {}
        intervention = np.nan if "unsaid" in orders else getattr(spec, "intervention", None)
        facts = {"steps": steps, "intervention": intervention, "forwards": steps}
        return Rendered(samples.astype(np.float32), facts, latents)

    def takes(self, spec, *, sounds, on_progress, known=NOTHING_KNOWN):
        orders, count = _orders(spec), spec.count
        for index in (1, count, *range(2, count)):
            on_progress("completion", index / count)
            time.sleep(float(orders.get("step", os.environ.get("TERTIUM_FAKE_STEP", "0"))))
            self._obey(orders, index)
            blend = (index - 1) / (count - 1)
            samples = (blend * sounds["original"] + 0.1 * (1 - blend)).astype(np.float32)
            step = None if index == 1 else round(blend * spec.steps)
            facts = {"steps": spec.steps, "index": index, "blend": blend, "intervention": step}
            yield Rendered(samples, facts | ({"ratios": list(known.ratios)} if known.ratios else {}))

    def learner(self, reference, spec):
        return FakeLearner(reference, spec, self)

    def with_checkpoint(self, checkpoint, path):
        return self

    @contextlib.contextmanager
    def as_learned(self, learner):
        yield self

    def free_memory(self):
        pass

    def _flaw(self):
        """Raise or return the fault that a model has by its name."""
        name, half = self.about["name"], self.about["precision"] != "fp32"
        if name == "broken":
            raise ZeroDivisionError("division by zero")
        if name == "whole-only" and half:
            raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
        return name.removesuffix("-in-half") if half else None

    def _lose(self, words):
        self.lost = words
        raise RuntimeError(words)

    def _obey(self, orders, step):
        if int(orders.get("die", -1)) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        mark = Path(os.environ.get("TERTIUM_FAKE_FOLDER", ".")) / "died"
        if int(orders.get("die-once", -1)) == step and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if int(orders.get("lost", -1)) == step:
            self._lose("CUDA error: unspecified launch failure")
        if int(orders.get("lost-memory", -1)) == step:
            self._lose("MPS backend out of memory")
        if int(orders.get("lost-once", -1)) == step and not mark.exists():
            mark.touch()
            self._lose("CUDA error: unspecified launch failure")
        if int(orders.get("stuck", -1)) == step:
            time.sleep(600)
        if "memory" in orders:
            raise MemoryError
        if "device-memory" in orders:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if "disk" in orders:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if "mistake" in orders:
            raise ZeroDivisionError("division by zero")
