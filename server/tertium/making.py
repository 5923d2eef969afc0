"""How a sound is made, from a job's fields to a file in the library: the same way for every command and every engine.

Runs in the worker. The engine computes on samples; here they come from the library, and go back into it with everything that is
needed to make them again.
"""

import importlib.metadata
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tertium import __version__, audio, files
from tertium.audio import Audio
from tertium.checkpoints import Checkpoint, Checkpoints
from tertium.errors import TertiumError
from tertium.library import Library, Sound

OnProgress = Callable[..., None]
"""(stage, fraction of the job done, 0 … 1), and by keyword what else is known: ``loss``, ``seconds_left``. What it raises stops the work."""
PACKAGES = ("torch", "numpy", "stable-audio-tools", "k-diffusion", "soxr", "scipy")
READ, WRITE = 0.02, 0.95  # fractions at which the computing begins and ends
SOUND_FIELDS = ("original", "reference")


@dataclass(frozen=True)
class Made:
    """What an engine made.

    Args:
        samples: float32, (channels, frames), at the engine's rate.
        facts: what was decided on the way: ``steps``, ``intervention``, ``forwards`` (calls of the model), the schedule …
        latents: name to array, to be kept beside the sound.
        notes: what was limited or converted, sentences.
    """

    samples: np.ndarray
    facts: Mapping[str, Any] = field(default_factory=dict)
    latents: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Engine(Protocol):
    """A loaded model, as the worker uses it.

    ``about`` says what it is: name, device, precision, sample_rate (Hz), channels, max_seconds, fingerprint and more.
    """

    about: Mapping[str, Any]

    def perform(
        self, command: str, *, sounds: Mapping[str, np.ndarray], fields: Mapping[str, Any], on_progress: OnProgress
    ) -> Made:
        """Carry out generate, vary, invert or fuse.

        Args:
            command: which of them.
            sounds: ``original`` and ``reference``, as far as there are any: float32, (channels, frames), at the engine's rate.
            fields: the job's resolved fields.
            on_progress: called with a stage and the fraction done (0 … 1), at least once a step; what it raises stops the work.
        """
        ...

    def under(self, checkpoint: Checkpoint, path: str) -> "Engine":
        """This engine with what a checkpoint learned; ``path`` is its file of weights. The engine itself stays as it is."""
        ...

    def learner(self, reference: np.ndarray, fields: Mapping[str, Any]) -> Any:
        """A :class:`tertium.teaching.Learner` of a reference: float32, (channels, frames), at the engine's rate."""
        ...

    def relieve(self) -> None:
        """Give back memory that is kept for later; called after the device ran out of it."""
        ...


class Maker:
    """Makes sounds with an engine, for a library.

    Args:
        engine: what computes.
        library: where sounds come from and go to.
        checkpoints: where learned references are; None where there are none.
    """

    def __init__(self, engine: Engine, library: Library, checkpoints: Checkpoints | None = None):
        self._engine = engine
        self._library = library
        self._checkpoints = checkpoints

    def make(
        self, command: str, fields: Mapping[str, Any], notes: tuple[str, ...], on_progress: OnProgress
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Carry out a job.

        Args:
            command: generate, vary, invert or fuse.
            fields: resolved: ``original`` and ``reference`` are ids of sounds, ``seed`` and ``name`` are given; ``checkpoint`` is the name of what
                the engine is to have learned.
            notes: what was said of the job before.
            on_progress: see :class:`Engine`; what it raises stops the work.

        Returns:
            The fields of the protocol's result, and the engine's facts.
        """
        began = time.monotonic()
        on_progress("reading", 0.0)
        given = {name: self._library.get(fields[name]) for name in SOUND_FIELDS if fields.get(name)}
        if "original" in given:
            self._must_fit(given["original"])
        checkpoint, engine = self._learned(fields)
        conformed = {name: self.conformed(sound) for name, sound in given.items()}
        said = [*notes, *_told(conformed)]
        samples = {name: sound.samples for name, sound in conformed.items()}

        def computing(stage: str, fraction: float, **facts: Any) -> None:
            on_progress(stage, READ + fraction * (WRITE - READ), **facts)

        made = engine.perform(command, sounds=samples, fields=fields, on_progress=computing)
        on_progress("writing", WRITE)
        rate, frames = self._shape(fields, given)
        result = _as_asked(Audio(made.samples, self._engine.about["sample_rate"]), sample_rate=rate, frames=frames)
        said += [*made.notes, *result.notes]
        sound = self._library.store_result(
            result.samples, rate, name=fields["name"], format=fields["format"],
            recall=self._recall(command, fields, given, made, said) | _told_checkpoint(checkpoint),
        )  # fmt: skip
        return self._told_result(sound, fields, made, said, time.monotonic() - began), made.facts

    def _must_fit(self, original: Sound) -> None:
        about = self._engine.about
        if original.seconds > about["max_seconds"]:
            raise TertiumError(
                "bad_sound", f"'{original.name}' lasts {original.seconds:.1f} s, and {about['name']} takes {about['max_seconds']:g} s.",
                field="original", value=original.id, remedy="Cut it, and send the piece.",
            )  # fmt: skip

    def _learned(self, fields: Mapping[str, Any]) -> tuple[Checkpoint | None, Engine]:
        """The checkpoint that a job names, and the engine that has learned it; without one, the engine."""
        if not fields.get("checkpoint") or self._checkpoints is None:
            return None, self._engine
        checkpoint = self._checkpoints.get(fields["checkpoint"])
        path = self._checkpoints.weights(checkpoint, fingerprint=self._engine.about["fingerprint"])
        return checkpoint, self._engine.under(checkpoint, str(path))

    def conformed(self, sound: Sound) -> Audio:
        """The samples of a sound at the engine's rate and with its channels."""
        about = self._engine.about
        return audio.conform(self._library.read(sound), sample_rate=about["sample_rate"], channels=about["channels"])

    def _shape(self, fields: Mapping[str, Any], given: Mapping[str, Sound]) -> tuple[int, int]:
        """Rate (Hz) and frames of the result: as long as the original, at the rate that was asked for or the original's."""
        original = given.get("original")
        if original is None:
            rate = fields.get("sample_rate") or self._engine.about["sample_rate"]
            return rate, round(fields["seconds"] * rate)
        rate = fields.get("sample_rate") or original.sample_rate
        return rate, original.frames if rate == original.sample_rate else round(
            original.frames * rate / original.sample_rate
        )

    def _recall(
        self, command: str, fields: Mapping[str, Any], given: Mapping[str, Sound], made: Made, notes: list[str]
    ) -> dict[str, Any]:
        """Everything needed to make the sound again."""
        shown = ("id", "name", "path", "frames", "channels", "sample_rate")
        return {
            "command": command,
            "fields": dict(fields),
            "sounds": {role: {name: getattr(sound, name) for name in shown} for role, sound in given.items()},
            "model": {name: fact for name, fact in self._engine.about.items() if name != "completion_shares"},
            "decided": dict(made.facts),
            "notes": notes,
            "versions": versions(),
        }

    def _told_result(
        self, sound: Sound, fields: Mapping[str, Any], made: Made, notes: list[str], elapsed: float
    ) -> dict[str, Any]:
        told = {
            "sound": sound.id,
            "path": sound.path,
            "frames": sound.frames,
            "channels": sound.channels,
            "sample_rate": sound.sample_rate,
            "seconds": sound.seconds,
            "peak_dbtp": sound.peak_dbtp,
            "seed": fields.get("seed"),
            "steps": made.facts.get("steps"),
            "intervention": made.facts.get("intervention"),
            "model": self._engine.about["name"],
            "recall": sound.sidecar,
            "elapsed": elapsed,
            "notes": [*notes, *sound.notes],
        }
        if made.latents:
            told["latents"] = str(_keep_latents(Path(sound.path), made.latents))
        return told


def versions() -> dict[str, str]:
    """Versions of what the samples depend on."""
    found = {"tertium": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _as_asked(made: Audio, *, sample_rate: int, frames: int) -> Audio:
    """Samples at a rate and of exactly so many frames; resampling alone may be a frame off."""
    conformed = audio.conform(made, sample_rate=sample_rate, channels=made.channels)
    samples = conformed.samples[:, :frames]
    missing = frames - samples.shape[1]
    return Audio(np.pad(samples, ((0, 0), (0, missing))) if missing else samples, sample_rate)


def _told_checkpoint(checkpoint: Checkpoint | None) -> dict[str, Any]:
    """What a recall says of the checkpoint: enough to learn it again."""
    if checkpoint is None:
        return {}
    shown = ("name", "prompt", "reference", "model", "fingerprint", "method", "rank", "steps", "settings", "created")
    return {"checkpoint": {name: getattr(checkpoint, name) for name in shown}}


def _told(sounds: Mapping[str, Audio]) -> list[str]:
    return [f"{role}: {note}" for role, sound in sounds.items() for note in sound.notes]


def _keep_latents(beside: Path, latents: Mapping[str, np.ndarray]) -> Path:
    """Write latents as ``<stem>.safetensors`` beside a result, whose name is its own already."""
    from safetensors.numpy import save

    path = beside.with_suffix(".safetensors")
    files.write_whole(path, save({name: np.ascontiguousarray(array) for name, array in latents.items()}))
    return path
