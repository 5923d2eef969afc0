"""How a sound is made, from a job's fields to a file in the library: the same way for every command and every engine.

Runs in the worker. The engine computes on samples; here they come from the library, and go back into it with everything that is
needed to make them again.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tertium import audio, files
from tertium.audio import Audio
from tertium.checkpoints import Checkpoint, Checkpoints
from tertium.errors import TertiumError
from tertium.library import Library, Sound
from tertium.recalls import as_request, told_checkpoint, versions
from tertium.windows import Windows

OnProgress = Callable[..., None]
"""(stage, fraction of the job done, 0 … 1), and by keyword what else is known: ``loss``, ``seconds_left``. What it raises stops the work."""
OnTake = Callable[[dict[str, Any]], None]
LONGEST_NAME = 90  # of a take, before its number
READ, WRITE = 0.02, 0.95  # fractions at which the computing begins and ends
SOUND_FIELDS = ("original", "reference")
SAME_LENGTH = 0.01
"""Seconds by which a reference may be shorter or longer than the original before it is worth a word."""


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
        """Carry out generate, vary, invert, fuse or window.

        Args:
            command: which of them.
            sounds: ``original`` and ``reference``, as far as there are any: float32, (channels, frames), at the engine's rate.
            fields: the job's resolved fields. ``ratios``, where there are any, are the pair's calibration of blend; ``measured`` is
                its window as it was measured before: then ``window`` makes its sound alone. The facts of ``window`` hold the curve as ``window``.
            on_progress: called with a stage and the fraction done (0 … 1), at least once a step; what it raises stops the work.
        """
        ...

    def takes(
        self, *, sounds: Mapping[str, np.ndarray], fields: Mapping[str, Any], on_progress: OnProgress
    ) -> Iterator[Made]:
        """Carry out morph: its takes as they are ready, each with ``index`` and ``blend`` among its facts. Arguments as for ``perform``."""
        ...

    def under(self, checkpoint: Checkpoint, path: str) -> "Engine":
        """This engine with what a checkpoint learned; ``path`` is its file of weights. The engine itself stays as it is."""
        ...

    def learner(self, reference: np.ndarray, fields: Mapping[str, Any]) -> Any:
        """A :class:`tertium.teaching.Learner` of a reference: float32, (channels, frames), at the engine's rate."""
        ...

    def heard(self, learner: Any) -> AbstractContextManager["Engine"]:
        """This engine with what a learner, as ``learner`` gave it, would keep now; the learner goes on as if nothing had been."""
        ...

    def remember_in(self, folder: Path, *, limit: int) -> None:
        """Keep reference phases in a folder too, at most so many bytes of them; sounds are the same with it and without."""
        ...

    def relieve(self) -> None:
        """Give back memory that is kept for later; called after the device ran out of it."""
        ...


class Maker:
    """Makes sounds with an engine, for a library.

    Args:
        engine: what computes.
        library: where sounds come from and go to.
        windows: where measured windows are kept.
        checkpoints: where learned references are; None where there are none.
    """

    def __init__(self, engine: Engine, library: Library, windows: Windows, checkpoints: Checkpoints | None = None):
        self._engine = engine
        self._library = library
        self._windows = windows
        self._checkpoints = checkpoints

    def make(
        self,
        command: str,
        fields: Mapping[str, Any],
        notes: tuple[str, ...],
        on_progress: OnProgress,
        on_take: OnTake = lambda take: None,
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Carry out a job.

        Args:
            command: generate, vary, invert, fuse, morph or window.
            fields: resolved: ``original`` and ``reference`` are ids of sounds, ``seed`` and ``name`` are given; ``checkpoint`` is the name of what
                the engine is to have learned.
            notes: what was said of the job before.
            on_progress: see :class:`Engine`; what it raises stops the work.
            on_take: called with the fields of the protocol's take, as each take of a morph is in the library.

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
        said = [*notes, *_told(conformed), *_told_length(checkpoint, given.get("original"))]
        samples = {name: sound.samples for name, sound in conformed.items()}

        def computing(stage: str, fraction: float, **facts: Any) -> None:
            on_progress(stage, READ + fraction * (WRITE - READ), **facts)

        known, more = self._calibrated(command, fields, checkpoint)
        task = _Task(command, {**fields, **known}, given, [*said, *more], began, engine, checkpoint)
        if command == "morph":
            return self._morph(task, samples, computing, on_take)
        made = engine.perform(command, sounds=samples, fields=task.fields, on_progress=computing)
        on_progress("writing", WRITE)
        result = self._stored(task, made, name=fields["name"])
        if command == "window":
            result["window"] = self._kept(task, made.facts["window"])
        return result, made.facts

    def preview(
        self,
        engine: Engine,
        fields: Mapping[str, Any],
        notes: tuple[str, ...],
        on_progress: OnProgress,
        *,
        learning: Mapping[str, Any],
    ) -> dict[str, Any]:
        """What a prompt gives while it is being learned.

        Args:
            engine: that has learned so far; see :meth:`Engine.heard`.
            fields: those of a generation.
            notes, on_progress: as in :meth:`make`.
            learning: what the recall says of it.

        Returns:
            The fields of the protocol's result.
        """
        task = _Task("preview", fields, {}, [*notes], time.monotonic(), engine, None, {"learning": dict(learning)})

        def computing(stage: str, fraction: float, **facts: Any) -> None:
            on_progress(stage, READ + fraction * (WRITE - READ), **facts)

        made = engine.perform("generate", sounds={}, fields=fields, on_progress=computing)
        on_progress("writing", WRITE)
        return self._stored(task, made, name=fields["name"])

    def _calibrated(
        self, command: str, fields: Mapping[str, Any], checkpoint: Checkpoint | None
    ) -> tuple[dict[str, Any], list[str]]:
        """What the pair's measured window adds to the fields, and what there is to say of it."""
        turned = command == "morph" or (command == "fuse" and 0 < (fields.get("blend") or 0) < 1)
        if not turned and command != "window":
            return {}, []
        found = self._windows.find(fields, self._model(checkpoint))
        if found is None:
            return {}, []
        if turned:
            return {"ratios": found["ratios"]}, ["blend goes by the measured window of this pair"]
        if (found["steps"], found.get("asked")) != (fields["steps"], fields["points"]):
            return {}, []
        return {"measured": found}, ["the window was measured before"]

    def _morph(
        self, task: "_Task", samples: Mapping[str, np.ndarray], on_progress: OnProgress, on_take: OnTake
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Store the takes as they come. The result is the take in the middle, with all of them listed."""
        count = task.fields["count"]
        results, facts = {}, {}
        for made in task.engine.takes(sounds=samples, fields=task.fields, on_progress=on_progress):
            index = made.facts["index"]
            name = f"{task.fields['name'][:LONGEST_NAME]} {index}"
            result = self._stored(task, made, name=name) | {"index": index, "blend": made.facts["blend"]}
            results[index], facts[index] = result, made.facts
            on_take({**result, "count": count})
        middle = (count + 1) // 2
        shown = ("index", "blend", "intervention", "sound", "path")
        takes = [{name: results[index][name] for name in shown} for index in sorted(results)]
        elapsed = time.monotonic() - task.began
        return {
            **results[middle],
            "takes": takes,
            "elapsed": elapsed,
            "notes": [*results[middle]["notes"], *_alike(takes)],
        }, facts[middle]

    def _kept(self, task: "_Task", window: Mapping[str, Any]) -> dict[str, Any]:
        if "measured" in task.fields:
            return dict(window)
        window = {**window, "asked": task.fields["points"]}
        return {**window, "path": self._windows.keep(task.fields, self._model(task.checkpoint), window)}

    def _stored(self, task: "_Task", made: Made, *, name: str) -> dict[str, Any]:
        """Put what was made into the library; returns the fields of the protocol's result."""
        rate, frames = self._shape(task.fields, task.given)
        result = _as_asked(Audio(made.samples, self._engine.about["sample_rate"]), sample_rate=rate, frames=frames)
        notes = [*task.notes, *made.notes, *result.notes]
        sound = self._library.store_result(
            result.samples, rate, name=name, format=task.fields["format"],
            recall=self._recall(task.command, task.fields, task.given, made, notes) | told_checkpoint(task.checkpoint) | dict(task.about),
        )  # fmt: skip
        return self._told_result(sound, task.fields, made, notes, time.monotonic() - task.began)

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

    def _model(self, checkpoint: Checkpoint | None) -> str:
        """What a window was measured on: the model, and what it had learned."""
        fingerprint = self._engine.about["fingerprint"]
        return fingerprint if checkpoint is None else " ".join([fingerprint, *checkpoint.key])

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
        """Everything needed to make the sound again: the command with these fields is a request that does."""
        shown = ("id", "name", "path", "frames", "channels", "sample_rate")
        command, request = as_request(command, fields, given, made.facts)
        return {
            "command": command,
            "fields": request,
            "sounds": {role: {name: getattr(sound, name) for name in shown} for role, sound in given.items()},
            "model": {name: fact for name, fact in self._engine.about.items() if name != "completion_shares"},
            "decided": {**made.facts, **{name: fields[name] for name in ("ratios",) if name in fields}},
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


@dataclass(frozen=True)
class _Task:
    """What all sounds of one job have in common."""

    command: str
    fields: Mapping[str, Any]
    given: Mapping[str, Sound]
    notes: list[str]
    began: float
    engine: Engine
    checkpoint: Checkpoint | None
    about: Mapping[str, Any] = field(default_factory=dict)


def _alike(takes: list[dict[str, Any]]) -> list[str]:
    """A word on takes that came in at the same step."""
    same = [
        f"{a['index']} and {b['index']}" for a, b in itertools.pairwise(takes) if a["intervention"] == b["intervention"]
    ]
    return [f"takes {', '.join(same)} enter at the same step: more steps would tell them apart"] if same else []


def _as_asked(made: Audio, *, sample_rate: int, frames: int) -> Audio:
    """Samples at a rate and of exactly so many frames; resampling alone may be a frame off."""
    conformed = audio.conform(made, sample_rate=sample_rate, channels=made.channels)
    samples = conformed.samples[:, :frames]
    missing = frames - samples.shape[1]
    return Audio(np.pad(samples, ((0, 0), (0, missing))) if missing else samples, sample_rate)


def _told(sounds: Mapping[str, Audio]) -> list[str]:
    said = [f"{role}: {note}" for role, sound in sounds.items() for note in sound.notes]
    if len(sounds) < len(SOUND_FIELDS):
        return said
    original, reference = (sounds[role] for role in SOUND_FIELDS)
    longer = (reference.frames - original.frames) / original.sample_rate
    if abs(longer) <= SAME_LENGTH:
        return said
    done = "longer than the original, cut" if longer > 0 else "shorter than the original, repeated from its start"
    return [*said, f"reference: {done}"]


def _told_length(checkpoint: Checkpoint | None, original: Sound | None) -> list[str]:
    """A word on what was learned at another length than the original's."""
    if checkpoint is None or original is None or abs(checkpoint.seconds - original.seconds) <= SAME_LENGTH:
        return []
    longer = checkpoint.seconds > original.seconds
    done = "longer than the original, cut" if longer else "shorter than the original, repeated from its start"
    return [f"reference: learned at {checkpoint.seconds:.2f} s, {done}"]


def _keep_latents(beside: Path, latents: Mapping[str, np.ndarray]) -> Path:
    """Write latents as ``<stem>.safetensors`` beside a result, whose name is its own already."""
    from safetensors.numpy import save

    path = beside.with_suffix(".safetensors")
    files.write_whole(path, save({name: np.ascontiguousarray(array) for name, array in latents.items()}))
    return path
