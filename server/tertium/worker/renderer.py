"""How a sound is made, from a job's fields to a file in the library: the same way for every command and every engine.

Runs in the worker. The engine computes on samples; here they come from the library, and go back into it with everything that is
needed to make them again.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tertium import cost_model
from tertium.audio import loops
from tertium.audio.loops import Decision
from tertium.audio.signal import Audio
from tertium.errors import TertiumError
from tertium.job_spec import Fuse, JobSpec, Morph, Preview, Vary, Window
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Library, Sound, latents_path
from tertium.storage.window_cache import WindowCache
from tertium.worker import fitting, recipe
from tertium.worker.engine_api import NOTHING_KNOWN, Engine, OnProgress, Preparation, Rendered

OnTake = Callable[[dict[str, Any]], None]
LONGEST_NAME = 90  # of a take, before its number
READ, WRITE = 0.02, 0.95  # fractions at which the computing begins and ends
ROLES = ("original", "reference")


class Renderer:
    """Makes sounds with an engine, for a library.

    Args:
        engine: what computes.
        library: where sounds come from and go to.
        windows: where measured windows are kept.
        checkpoints: where learned references are; None where there are none.
    """

    def __init__(self, engine: Engine, library: Library, windows: WindowCache, checkpoints: Checkpoints | None = None):
        self._engine = engine
        self._library = library
        self._windows = windows
        self._checkpoints = checkpoints

    def make(
        self,
        spec: JobSpec,
        notes: tuple[str, ...],
        on_progress: OnProgress,
        on_take: OnTake = lambda take: None,
        *,
        job: str | None = None,
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Carry out a job.

        Args:
            spec: of generate, vary, invert, fuse, morph or window.
            notes: what was said of the job before.
            on_progress: see :class:`tertium.worker.engine_api.Engine`; what it raises stops the work.
            on_take: called with the fields of the protocol's take, as each take of a morph is in the library.
            job: its id. What it stored before it was ended is found by that and not stored again.

        Returns:
            The fields of the protocol's result, and the engine's facts.
        """
        began = time.monotonic()
        on_progress("reading", 0.0)
        given = {role: self._library.get(sound) for role in ROLES if (sound := getattr(spec, role, None))}
        if "original" in given:
            self._must_fit(given["original"])
        checkpoint, engine = self._learned(spec)
        if checkpoint is not None:
            spec = spec.model_copy(update={"checkpoint": checkpoint.name})  # it may have been renamed meanwhile
        read = {role: self._library.read(sound) for role, sound in given.items()}
        decision = self._loop(spec, read)
        loop = decision and decision.loop
        if decision is not None:
            spec = spec.model_copy(update={"loop": "off" if loop is None else "on"})
        fitted = {
            role: fitting.fitted(sound, role, self._engine.about, loop if role == "original" else None)
            for role, sound in read.items()
        }
        known, more = self._known(spec, checkpoint, loop)
        said = [
            *notes,
            *fitting.told(fitted, given, checkpoint),
            *([decision.note] if decision and decision.note else []),
            *more,
        ]
        task = _Task(spec, given, said, began, engine, checkpoint, job, known=known, looped=decision)
        found = self._found(task)
        if found is not None:
            return found, {}
        samples = {role: sound.samples for role, sound in fitted.items()}
        computing = _within(on_progress)
        if isinstance(spec, Morph):
            return self._morph(task, samples, computing, on_take)
        made = engine.perform(spec, sounds=samples, on_progress=computing, known=known)
        on_progress("writing", WRITE)
        result = self._stored(task, made, name=spec.name)
        if isinstance(spec, Window):
            result["window"] = self._kept(task, made.facts["window"])
        return result, {**made.facts, "seconds_computed": cost_model.seconds_computed(spec)}

    def preview(
        self,
        engine: Engine,
        spec: Preview,
        notes: tuple[str, ...],
        on_progress: OnProgress,
        *,
        learning: Mapping[str, Any],
    ) -> dict[str, Any]:
        """What a prompt gives while it is being learned.

        Args:
            engine: that has learned so far; see :meth:`Engine.heard`.
            notes, on_progress: as in :meth:`make`.
            learning: what the recall says of it.

        Returns:
            The fields of the protocol's result.
        """
        task = _Task(spec, {}, [*notes], time.monotonic(), engine, None, None, about={"learning": dict(learning)})
        made = engine.perform(spec.generation, sounds={}, on_progress=_within(on_progress))
        on_progress("writing", WRITE)
        return self._stored(task, made, name=spec.name)

    def _loop(self, spec: JobSpec, read: Mapping[str, Audio]) -> Decision | None:
        """Whether the original is a loop; None for a command that does not ask."""
        if not isinstance(spec, Vary | Fuse | Morph):
            return None
        return loops.decide(spec.loop, read["original"], self._engine.about)

    def _known(
        self, spec: JobSpec, checkpoint: Checkpoint | None, loop: loops.Loop | None
    ) -> tuple[Preparation, list[str]]:
        """What the engine is told beside the specification, and what there is to say of it."""
        known = Preparation(loop=loop and loop.at(self._engine.about["sample_rate"]))
        calibrated = isinstance(spec, Morph) or (isinstance(spec, Fuse) and 0 < (spec.blend or 0) < 1)
        if not calibrated and not isinstance(spec, Window):
            return known, []
        found = self._windows.find(spec, self._model(checkpoint))
        if found is None:
            return known, []
        if calibrated:
            return replace(known, ratios=tuple(found["ratios"])), ["blend goes by the measured window of this pair"]
        if (found["steps"], found.get("asked")) != (spec.steps, spec.points):
            return known, []
        return replace(known, window=found), ["the window was measured before"]

    def _morph(
        self, task: "_Task", samples: Mapping[str, np.ndarray], on_progress: OnProgress, on_take: OnTake
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Store the takes as they come. The result is the take in the middle, with all of them listed."""
        count = task.spec.count
        results, facts = {}, {}
        for made in task.engine.takes(task.spec, sounds=samples, on_progress=on_progress, known=task.known):
            index = made.facts["index"]
            name = f"{task.spec.name[:LONGEST_NAME]} {index}"
            result = self._stored(task, made, name=name, take=index) | {"index": index, "blend": made.facts["blend"]}
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
        if task.known.window is not None:
            return dict(window)
        window = {**window, "asked": task.spec.points}
        return {**window, "path": self._windows.save(task.spec, self._model(task.checkpoint), window)}

    def _found(self, task: "_Task") -> dict[str, Any] | None:
        """The result that a job stored before it was ended: it was not told of then, and need not be made again."""
        sound = None if task.job is None else self._library.of_job(task.job)
        if sound is None:
            return None
        result = self._told_again(task, sound)
        if not isinstance(task.spec, Window):
            return result
        measured = task.known.window or self._library.recall(sound).get("decided", {}).get("window")
        return measured and {**result, "window": self._kept(task, measured)}

    def _stored(self, task: "_Task", made: Rendered, *, name: str, take: int | None = None) -> dict[str, Any]:
        """Put what was made into the library, unless the same job did so before; returns the fields of the protocol's result."""
        before = None if task.job is None else self._library.of_job(task.job, take)
        if before is not None:
            return self._told_again(task, before)
        rate, frames = self._shape(task.spec, task.given)
        result = fitting.as_asked(
            Audio(made.samples, self._engine.about["sample_rate"]),
            sample_rate=rate, frames=frames, loop=task.looped and task.looped.loop,
        )  # fmt: skip
        notes = [*task.notes, *made.notes, *result.notes]
        sound = self._library.store_result(
            result.samples, rate, name=name, format=task.spec.format, latents=_encoded(made.latents), job=task.job, take=take,
            recall=self._recall(task, made, notes) | recipe.told_checkpoint(task.checkpoint) | dict(task.about),
        )  # fmt: skip
        return self._told_result(sound, task, made.facts, notes) | {"elapsed": time.monotonic() - task.began}

    def _must_fit(self, original: Sound) -> None:
        about = self._engine.about
        if original.seconds > about["max_seconds"]:
            raise TertiumError(
                "bad_sound", f"'{original.name}' lasts {original.seconds:.1f} s, and {about['name']} takes {about['max_seconds']:g} s.",
                field="original", value=original.id, remedy="Cut it, and send the piece.",
            )  # fmt: skip

    def _learned(self, spec: JobSpec) -> tuple[Checkpoint | None, Engine]:
        """The checkpoint that a job names, and the engine that has learned it; without one, the engine."""
        if not getattr(spec, "checkpoint", None) or self._checkpoints is None:
            return None, self._engine
        checkpoint = self._checkpoints.resolve(spec.checkpoint, spec.checkpoint_created)
        path = self._checkpoints.weights(checkpoint, fingerprint=self._engine.about["fingerprint"])
        return checkpoint, self._engine.under(checkpoint, str(path))

    def _model(self, checkpoint: Checkpoint | None) -> str:
        """What a window was measured on: the model, and what it had learned."""
        fingerprint = self._engine.about["fingerprint"]
        return fingerprint if checkpoint is None else " ".join([fingerprint, *checkpoint.key])

    def fitted(self, sound: Sound, role: str) -> Audio:
        """The samples of a sound as the engine takes them; see :func:`tertium.worker.fitting.fitted`."""
        return fitting.fitted(self._library.read(sound), role, self._engine.about)

    def _shape(self, spec: JobSpec, given: Mapping[str, Sound]) -> tuple[int, int]:
        """Rate (Hz) and frames of the result: as long as the original, at the rate that was asked for or the original's."""
        original = given.get("original")
        if original is None:
            rate = spec.sample_rate or self._engine.about["sample_rate"]
            return rate, round(spec.seconds * rate)
        rate = spec.sample_rate or original.sample_rate
        return rate, original.frames if rate == original.sample_rate else round(
            original.frames * rate / original.sample_rate
        )

    def _recall(self, task: "_Task", made: Rendered, notes: list[str]) -> dict[str, Any]:
        """Everything needed to make the sound again: the command with these fields is a request that does."""
        shown = ("id", "name", "path", "frames", "channels", "sample_rate")
        given, ratios = task.given, task.known.ratios
        command, request = recipe.as_request(task.spec, given, made.facts, calibrated=ratios is not None)
        return {
            "command": command,
            "fields": request,
            "sounds": {role: {name: getattr(sound, name) for name in shown} for role, sound in given.items()},
            "model": {name: fact for name, fact in self._engine.about.items() if name != "completion_shares"},
            "decided": {
                **made.facts,
                **({} if ratios is None else {"ratios": list(ratios)}),
                **({"loop": task.looped.facts} if task.looped else {}),
            },
            "notes": notes,
            "versions": recipe.versions(),
        }

    def _told_again(self, task: "_Task", sound: Sound) -> dict[str, Any]:
        """The fields of the result that a sound in the library is, by its sidecar. How long it took is not known any more."""
        kept = self._library.recall(sound)
        notes = [*kept.get("notes", task.notes), "made before the daemon or its worker was ended, and kept"]
        return self._told_result(sound, task, kept.get("decided", {}), notes)

    def _told_result(self, sound: Sound, task: "_Task", facts: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
        told = {
            "sound": sound.id,
            "path": sound.path,
            "frames": sound.frames,
            "channels": sound.channels,
            "sample_rate": sound.sample_rate,
            "seconds": sound.seconds,
            "peak_dbtp": sound.peak_dbtp,
            "seed": task.spec.seed,
            "steps": facts.get("steps"),
            "intervention": facts.get("intervention"),
            "model": self._engine.about["name"],
            "recall": sound.sidecar,
            "notes": [*notes, *sound.notes],
        }
        latents = latents_path(sound.path)
        return told | ({"latents": str(latents)} if latents.exists() else {})


@dataclass(frozen=True)
class _Task:
    """What all sounds of one job have in common."""

    spec: JobSpec
    given: Mapping[str, Sound]
    notes: list[str]
    began: float
    engine: Engine
    checkpoint: Checkpoint | None
    job: str | None
    known: Preparation = NOTHING_KNOWN
    about: Mapping[str, Any] = field(default_factory=dict)
    looped: Decision | None = None


def _within(on_progress: OnProgress) -> OnProgress:
    """Reports of the computing, as the part of the whole job that it is."""

    def computing(stage: str, fraction: float, **facts: Any) -> None:
        on_progress(stage, READ + fraction * (WRITE - READ), **facts)

    return computing


def _alike(takes: list[dict[str, Any]]) -> list[str]:
    """A word on takes that came in at the same step."""
    same = [
        f"{a['index']} and {b['index']}" for a, b in itertools.pairwise(takes) if a["intervention"] == b["intervention"]
    ]
    return [f"takes {', '.join(same)} enter at the same step: more steps would tell them apart"] if same else []


def _encoded(latents: Mapping[str, np.ndarray]) -> bytes | None:
    """Latents as the content of a safetensors file; None where there are none."""
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(array) for name, array in latents.items()}) if latents else None
