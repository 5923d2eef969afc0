"""The renderer: computes sounds from job specifications and stores them in the library, in the same way for every
command and engine.

It runs in the worker. Sounds are read from the library and converted for the engine; results are stored with a recipe that
suffices to compute them again.
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
from tertium.worker import fitting, loudness_law, recipe
from tertium.worker.engine_api import NOTHING_KNOWN, Engine, OnProgress, Preparation, Rendered

OnTake = Callable[[dict[str, Any]], None]
LONGEST_NAME = 90  # of a take, without its number
READ, WRITE = 0.02, 0.95  # fractions at which the computing begins and ends
ROLES = ("original", "reference")


class Renderer:
    """Computes sounds with an engine and stores them in a library.

    Args:
        engine: the engine without a checkpoint.
        library: source of the sounds and destination of the results.
        windows: measured windows.
        checkpoints: learned references; None if there are none.
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
            spec: of a generate, vary, invert, fuse, morph or window job.
            notes: notes from the job's acceptance.
            on_progress: see :data:`tertium.worker.engine_api.OnProgress`; an exception that it raises stops the work.
            on_take: called with the fields of the protocol's take after each take of a morph has been stored.
            job: its id. Results that it stored before its process was stopped are found by the id and not computed again.

        Returns:
            The fields of the protocol's result, and the engine's facts.
        """
        began = time.monotonic()
        on_progress("reading", 0.0)
        task, samples = self._prepare(spec, notes, began, job)
        stored = self._stored_result(task)
        if stored is not None:
            return stored, {}
        computing = _within(on_progress)
        if isinstance(task.spec, Morph):
            return self._morph(task, samples, computing, on_take)
        rendered = task.engine.perform(task.spec, sounds=samples, on_progress=computing, known=task.known)
        on_progress("writing", WRITE)
        result = self._store(task, rendered, name=task.spec.name)
        if isinstance(task.spec, Window):
            result["window"] = self._save_window(task, rendered.facts["window"])
        return result, {**rendered.facts, "seconds_computed": cost_model.seconds_computed(task.spec)}

    def preview(
        self,
        engine: Engine,
        spec: Preview,
        notes: tuple[str, ...],
        on_progress: OnProgress,
        *,
        training: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Compute the sound of a prompt during a training job.

        Args:
            engine: with the weights learned so far; see :meth:`Engine.as_learned`.
            notes, on_progress: as in :meth:`make`.
            training: facts about the training job, for the recipe.

        Returns:
            The fields of the protocol's result.
        """
        extra = {"learning": dict(training)}
        task = _Task(spec, {}, [*notes], time.monotonic(), engine, None, None, recipe=extra)
        rendered = engine.perform(spec.generation, sounds={}, on_progress=_within(on_progress))
        on_progress("writing", WRITE)
        return self._store(task, rendered, name=spec.name)

    def fitted(self, sound: Sound, role: str) -> Audio:
        """Read a sound and convert it for the engine; see :func:`tertium.worker.fitting.fitted`."""
        return fitting.fitted(self._library.read(sound), role, self._engine.about)

    def _prepare(
        self, spec: JobSpec, notes: tuple[str, ...], began: float, job: str | None
    ) -> tuple["_Task", dict[str, np.ndarray]]:
        """Read a job's sounds and choose its engine and loop.

        Returns the task, and by role the samples for the engine.
        """
        given = {role: self._library.get(sound) for role in ROLES if (sound := getattr(spec, role, None))}
        if "original" in given:
            self._must_fit(given["original"])
        checkpoint, engine = self._engine_for(spec)
        if checkpoint is not None:
            spec = spec.model_copy(update={"checkpoint": checkpoint.name})  # it may have been renamed since
        read = {role: self._library.read(sound) for role, sound in given.items()}
        decision = self._decide_loop(spec, read)
        loop = decision and decision.loop
        if decision is not None:
            spec = spec.model_copy(update={"loop": "off" if loop is None else "on"})
        fitted = {
            role: fitting.fitted(sound, role, self._engine.about, loop if role == "original" else None)
            for role, sound in read.items()
        }
        known, remarks = self._preparation(spec, checkpoint, loop)
        facts = {}
        if "reference" in fitted and spec.align != "off":
            found = fitting.aligned(spec.align, fitted, given, known.loop)
            fitted, facts = {**fitted, "reference": found.reference}, {"alignment": found.facts}
        all_notes = [
            *notes,
            *fitting.notes_on(fitted, given, checkpoint),
            *([decision.note] if decision and decision.note else []),
            *remarks,
        ]
        loudness = loudness_law.of_sounds(fitted, given, known.loop, checkpoint)
        task = _Task(
            spec, given, all_notes, began, engine, checkpoint, job,
            known=known, decision=decision, loudness=loudness, facts=facts, mono=fitting.are_mono(fitted),
        )  # fmt: skip
        return task, {role: sound.samples for role, sound in fitted.items()}

    def _must_fit(self, original: Sound) -> None:
        about = self._engine.about
        if original.seconds > about["max_seconds"]:
            raise TertiumError(
                "bad_sound", f"'{original.name}' lasts {original.seconds:.1f} s, and {about['name']} takes {about['max_seconds']:g} s.",
                field="original", value=original.id, remedy="Cut it, and send the piece.",
            )  # fmt: skip

    def _engine_for(self, spec: JobSpec) -> tuple[Checkpoint | None, Engine]:
        """Return the checkpoint that a job names and the engine with its weights.

        Without one, None and the plain engine.
        """
        if not getattr(spec, "checkpoint", None) or self._checkpoints is None:
            return None, self._engine
        checkpoint = self._checkpoints.resolve(spec.checkpoint, spec.checkpoint_created)
        path = self._checkpoints.weights(checkpoint, fingerprint=self._engine.about["fingerprint"])
        return checkpoint, self._engine.with_checkpoint(checkpoint, str(path))

    def _decide_loop(self, spec: JobSpec, read: Mapping[str, Audio]) -> Decision | None:
        """Decide whether the original is computed as a loop; None for commands without that option."""
        if not isinstance(spec, Vary | Fuse | Morph):
            return None
        return loops.decide(spec.loop, read["original"], self._engine.about)

    def _preparation(
        self, spec: JobSpec, checkpoint: Checkpoint | None, loop: loops.Loop | None
    ) -> tuple[Preparation, list[str]]:
        """Return the facts for the engine beside the specification, and notes on them."""
        known = Preparation(loop=loop and loop.at(self._engine.about["sample_rate"]))
        calibrated = isinstance(spec, Morph) or (isinstance(spec, Fuse) and 0 < (spec.blend or 0) < 1)
        if not calibrated and not isinstance(spec, Window):
            return known, []
        window = self._windows.find(spec, self._model_key(checkpoint))
        if window is None:
            return known, []
        if calibrated:
            return replace(known, ratios=tuple(window["ratios"])), ["blend goes by the measured window of this pair"]
        if (window["steps"], window.get("asked")) != (spec.steps, spec.points):
            return known, []
        return replace(known, measured_window=window), ["the window was measured before"]

    def _model_key(self, checkpoint: Checkpoint | None) -> str:
        """Return a key for windows: the fingerprint of the model, and the checkpoint's key if there is one."""
        fingerprint = self._engine.about["fingerprint"]
        return fingerprint if checkpoint is None else " ".join([fingerprint, *checkpoint.key])

    def _morph(
        self, task: "_Task", samples: Mapping[str, np.ndarray], on_progress: OnProgress, on_take: OnTake
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Store the takes as they are ready. The result is the middle take, with a list of all of them."""
        count = task.spec.count
        results, facts = {}, {}
        for rendered in task.engine.takes(task.spec, sounds=samples, on_progress=on_progress, known=task.known):
            index, blend = rendered.facts["index"], rendered.facts["blend"]
            name = f"{task.spec.name[:LONGEST_NAME]} {index}"
            result = self._store(task, rendered, name=name, take=index) | {"index": index, "blend": blend}
            results[index], facts[index] = result, rendered.facts
            on_take({**result, "count": count})
        middle = (count + 1) // 2
        shown = ("index", "blend", "intervention", "sound", "path")
        takes = [{name: results[index][name] for name in shown} for index in sorted(results)]
        elapsed = time.monotonic() - task.began
        return {
            **results[middle],
            "takes": takes,
            "elapsed": elapsed,
            "notes": [*results[middle]["notes"], *(_equal_takes(takes) if task.spec.strength == "paper" else [])],
        }, facts[middle]

    def _save_window(self, task: "_Task", window: Mapping[str, Any]) -> dict[str, Any]:
        """Save a window, unless it comes from the cache; returns it with the path of its file."""
        if task.known.measured_window is not None:
            return dict(window)
        window = {**window, "asked": task.spec.points}
        return {**window, "path": self._windows.save(task.spec, self._model_key(task.checkpoint), window)}

    def _stored_result(self, task: "_Task") -> dict[str, Any] | None:
        """Return the result that the same job stored before its process was stopped; None if there is none."""
        sound = None if task.job is None else self._library.of_job(task.job)
        if sound is None:
            return None
        result = self._stored_fields(task, sound)
        if not isinstance(task.spec, Window):
            return result
        measured = task.known.measured_window or self._library.recall(sound).get("decided", {}).get("window")
        return measured and {**result, "window": self._save_window(task, measured)}

    def _store(self, task: "_Task", rendered: Rendered, *, name: str, take: int | None = None) -> dict[str, Any]:
        """Store a sound in the library, unless the same job has done so before.

        Returns the fields of the protocol's result.
        """
        stored = None if task.job is None else self._library.of_job(task.job, take)
        if stored is not None:
            return self._stored_fields(task, stored)
        rate, frames = self._result_shape(task.spec, task.given)
        output = fitting.as_requested(
            Audio(rendered.samples, self._engine.about["sample_rate"]),
            sample_rate=rate, frames=frames, loop=task.decision and task.decision.loop,
        )  # fmt: skip
        if task.mono:
            output = fitting.as_mono(output)
        levelled = loudness_law.levelled(output, task.target_lufs(rendered.facts))
        rendered = replace(rendered, facts={**rendered.facts, **levelled.facts, **task.facts})
        near_silence = loudness_law.near_silence(levelled.natural, task.loudness, command=task.spec.command)
        notes = [*task.notes, *rendered.notes, *near_silence, *levelled.sound.notes]
        sound = self._library.store_result(
            levelled.sound.samples, rate, name=name, format=task.spec.format, latents=_encoded(rendered.latents), job=task.job, take=take,
            recall=self._recipe(task, rendered, notes) | recipe.checkpoint_facts(task.checkpoint) | dict(task.recipe),
        )  # fmt: skip
        return self._result_fields(sound, task, rendered.facts, notes) | {"elapsed": time.monotonic() - task.began}

    def _result_shape(self, spec: JobSpec, given: Mapping[str, Sound]) -> tuple[int, int]:
        """Return the rate (Hz) and the frames of the result: as long as the original, at the requested rate or else
        the original's.
        """
        original = given.get("original")
        if original is None:
            rate = spec.sample_rate or self._engine.about["sample_rate"]
            return rate, round(spec.seconds * rate)
        rate = spec.sample_rate or original.sample_rate
        if rate == original.sample_rate:
            return rate, original.frames
        return rate, round(original.frames * rate / original.sample_rate)

    def _recipe(self, task: "_Task", rendered: Rendered, notes: list[str]) -> dict[str, Any]:
        """Return the recipe of a sound. Its command and fields form a request that computes the sound again."""
        shown = ("id", "name", "path", "frames", "channels", "sample_rate")
        given, ratios = task.given, task.known.ratios
        command, request = recipe.as_request(task.spec, given, rendered.facts, calibrated=ratios is not None)
        return {
            "command": command,
            "fields": request,
            "sounds": {role: {name: getattr(sound, name) for name in shown} for role, sound in given.items()},
            "model": {name: fact for name, fact in self._engine.about.items() if name != "completion_shares"},
            "decided": {
                **rendered.facts,
                **({} if ratios is None else {"ratios": list(ratios)}),
                **({"loop": task.decision.facts} if task.decision else {}),
            },
            "notes": notes,
            "versions": recipe.versions(),
        }

    def _stored_fields(self, task: "_Task", sound: Sound) -> dict[str, Any]:
        """Return the fields of the result for a stored sound, from its sidecar, which does not contain the elapsed
        time.
        """
        content = self._library.recall(sound)
        notes = [*content.get("notes", task.notes), "stored before the daemon or its worker was stopped"]
        return self._result_fields(sound, task, content.get("decided", {}), notes)

    def _result_fields(self, sound: Sound, task: "_Task", facts: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
        fields = {
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
            "gain_db": facts.get("gain_db"),
            "loudness": facts.get("loudness"),
            **{name: facts.get("alignment", {}).get(name) for name in ("shift", "transposition")},
            "model": self._engine.about["name"],
            "recall": sound.sidecar,
            "notes": [*notes, *sound.notes],
        }
        latents = latents_path(sound.path)
        return fields | ({"latents": str(latents)} if latents.exists() else {})


@dataclass(frozen=True)
class _Task:
    """The facts shared by all sounds of one job.

    Args:
        spec: with the loop decided and the checkpoint's present name.
        given: the job's sounds by role.
        notes: so far.
        began: time at which the job began, by the monotonic clock.
        engine: with the checkpoint's weights, if there is one.
        job: its id, if the sounds belong to one.
        recipe: further fields of the recipe.
        decision: on the loop; None for commands without that option.
        loudness: of the job's sounds by role, in LUFS.
        facts: on the preparation of its sounds, for the recipe.
        mono: whether its two sounds have equal channels; its results then have too.
    """

    spec: JobSpec
    given: Mapping[str, Sound]
    notes: list[str]
    began: float
    engine: Engine
    checkpoint: Checkpoint | None
    job: str | None
    known: Preparation = NOTHING_KNOWN
    recipe: Mapping[str, Any] = field(default_factory=dict)
    decision: Decision | None = None
    loudness: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    mono: bool = False

    def target_lufs(self, facts: Mapping[str, Any]) -> float | None:
        """Return the loudness that a result of this job should have; see :func:`tertium.worker.loudness_law.target_lufs`."""
        level = getattr(self.spec, "level", "natural")
        return loudness_law.target_lufs(level, facts.get("place", 1.0), self.loudness)


def _within(on_progress: OnProgress) -> OnProgress:
    """Return a progress callback for the computing, which maps its fractions to those of the whole job."""

    def computing(stage: str, fraction: float, **facts: Any) -> None:
        on_progress(stage, READ + fraction * (WRITE - READ), **facts)

    return computing


def _equal_takes(takes: list[dict[str, Any]]) -> list[str]:
    """Return a note on takes with the same intervention step, which with the strength ``paper`` are nearly the same sound."""
    same = [
        f"{a['index']} and {b['index']}" for a, b in itertools.pairwise(takes) if a["intervention"] == b["intervention"]
    ]
    return [f"takes {', '.join(same)} enter at the same step: more steps would tell them apart"] if same else []


def _encoded(latents: Mapping[str, np.ndarray]) -> bytes | None:
    """Encode latents as the content of a safetensors file; None if there are none."""
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(array) for name, array in latents.items()}) if latents else None
