"""The trainer: runs training jobs, from a job specification to a checkpoint and the sound of its prompt, in the same
way for every engine.

It runs in the worker. A training job that is paused for another job stays in memory until it is resumed. Its state is also
saved to disk at intervals, so that after a crash the next process resumes it bit-exactly. A job that is cancelled or fails
leaves a checkpoint of its progress.
"""

import contextlib
import logging
import math
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import safetensors

from tertium import __version__
from tertium.audio.levels import loudness_lufs
from tertium.errors import TertiumError
from tertium.file_names import LONGEST_BYTES
from tertium.job_spec import Generate, Learn, Preview
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Library
from tertium.storage.training_states import TrainingState, TrainingStates, UnusableState
from tertium.worker.device_faults import lost_the_device
from tertium.worker.engine_api import Engine, OnProgress
from tertium.worker.renderer import LONGEST_NAME, Renderer

TRAINING_END, SAMPLING_BEGIN = 0.9, 0.92  # fractions at which the training ends, and the sampling of its sound begins
UNFINISHED = " unfinished"  # ends the name of a checkpoint whose training could not be resumed
SOUND_STEPS = 50
WRITE_EVERY = 10.0
"""Seconds of training between two saved states."""
WRITE_SHARE = 0.05
"""Largest share of the time to spend on saving states: if saving is slow, it is done less often."""


class Paused(Exception):
    """The training job paused between two steps, for a job that goes first."""


class Learner(Protocol):
    """The training of one reference, advanced step by step.

    ``step`` is the number of completed steps, ``losses`` has the loss of each, ``seconds`` is the length of the excerpts
    that it trains on; ``settings``, ``method`` and ``rank`` are as in a checkpoint.
    """

    step: int
    losses: tuple[float, ...]
    seconds: float
    settings: Mapping[str, Any]
    method: str
    rank: int

    def run(self, on_step: Callable[[int, float | None], None]) -> None:
        """Take the remaining steps.

        ``on_step(step, loss of the previous one)`` is called before each; an exception that it raises stops the
        training between two steps.
        """
        ...

    def weights(self) -> bytes:
        """Return the weights learned so far, as the content of a safetensors file."""
        ...

    def state(self) -> TrainingState:
        """Return the current state, from which a learner with the same reference and settings continues exactly."""
        ...

    def resume(self, state: TrainingState) -> None:
        """Restore a state. Raises ValueError, and changes nothing, if it does not fit."""
        ...


@dataclass(eq=False)
class TrainingRun:
    """A training job in this process.

    Args:
        spec: of the job.
        spent: seconds of work before the present run.
        notes: for the result.
        write_seconds: time that saving the state took last.
        loudness: of the reference in LUFS; None for silence.
    """

    learner: Learner
    spec: Learn
    spent: float = 0.0
    notes: list[str] = field(default_factory=list)
    write_seconds: float = 0.0
    loudness: float | None = None


class Trainer:
    """Runs training jobs with an engine.

    Args:
        engine: the engine without a checkpoint.
        library: source of the references and destination of the sounds.
        checkpoints: destination of the learned references.
        states: saved training states.
        renderer: computes the sound of the prompt after the training.
        write_every: seconds of training between two saved states.
    """

    def __init__(
        self,
        engine: Engine,
        library: Library,
        checkpoints: Checkpoints,
        states: TrainingStates,
        renderer: Renderer,
        *,
        write_every: float = WRITE_EVERY,
    ):
        self._engine = engine
        self._library = library
        self._checkpoints = checkpoints
        self._states = states
        self._renderer = renderer
        self._write_every = write_every
        self._paused: dict[str, TrainingRun] = {}

    def learn(
        self,
        job: str,
        spec: Learn,
        notes: tuple[str, ...],
        on_progress: OnProgress,
        is_paused: Callable[[], bool],
    ) -> dict[str, Any]:
        """Run a training job, or resume it.

        Args:
            notes: notes from the job's acceptance.
            on_progress: gets the loss too; an exception that it raises stops the training.
            is_paused: called before each step; True pauses the job.

        Returns:
            The fields of the protocol's result: the sound of the prompt, sampled from noise, and the checkpoint's name and
            last loss.

        Raises:
            Paused: the job was paused; call this again to resume it.
        """
        began, spent, all_notes = time.monotonic(), None, [*notes]
        checkpoint = self._finished(job, spec)
        if checkpoint is None:
            run = self._open(job, spec, on_progress)
            self._train(job, run, on_progress, is_paused, began)
            checkpoint, spent = self._save_checkpoint(job, run), run.spent
            all_notes += run.notes
        else:
            all_notes.append("checkpoint saved before the daemon or its worker was stopped")
        try:
            result = self._sample(job, checkpoint, spec, all_notes, on_progress)
        finally:
            self._states.remove(job)
        return result | {
            "checkpoint": checkpoint.name,
            "loss": checkpoint.losses[-1],
            "steps": checkpoint.steps,
            "elapsed": None if spent is None else time.monotonic() - began + spent,  # unknown for an earlier process
            "seed": spec.seed,
        }

    def preview(self, spec: Preview, notes: tuple[str, ...], on_progress: OnProgress) -> dict[str, Any]:
        """Compute the sound of a paused training job's prompt, sampled from noise with the weights learned so far.

        The training job is not affected.

        Args:
            notes: notes from the preview's acceptance.
            on_progress: an exception that it raises stops the sampling.

        Returns:
            The fields of the protocol's result; ``learned`` is the number of completed training steps, ``loss`` the last loss.

        Raises:
            TertiumError: conflict if the training job has ended, or has not completed a step yet.
        """
        job = spec.job
        run = self._paused.get(job)
        if run is None and job in self._states.jobs():  # saved by an earlier process, and not resumed yet
            run = self._paused[job] = self._open(job, spec.learning, on_progress)
        if run is None or not run.learner.step:
            raise _no_preview(job, begun=run is not None)
        learner = run.learner
        training = {
            "job": job,
            "step": learner.step,
            "loss": learner.losses[-1],
            "fields": run.spec.model_dump(exclude={"command"}),
        }
        all_notes = (*notes, f"the prompt after {learner.step} of {run.spec.steps} steps of learning")
        with self._engine.as_learned(learner) as engine:
            result = self._renderer.preview(engine, spec, all_notes, on_progress, training=training)
        return result | {"learned": learner.step, "loss": learner.losses[-1]}

    def forget(self, job: str) -> Checkpoint | None:
        """Discard a training job that was cancelled while it was paused or not resumed yet.

        Returns the checkpoint of its progress; None if it had not completed a step.
        """
        run = self._paused.pop(job, None)
        if run is None:
            return self._convert_state(job)
        checkpoint = self._save_checkpoint(job, run) if run.learner.step else None
        self._states.remove(job)
        return checkpoint

    def discard_ended(self, living: Iterable[str]) -> None:
        """Convert the saved states of jobs that have ended, those not in ``living``, to checkpoints.

        Called when a process starts.
        """
        self._states.clean()
        for job in set(self._states.jobs()) - set(living):
            try:
                self._convert_state(job)
            except (OSError, TertiumError) as error:  # the state is preserved for the next start
                traceback.print_exception(error)

    def _convert_state(self, job: str, *, ending: str = "") -> Checkpoint | None:
        """Replace the saved state of a job by a checkpoint, whose name is the job's with ``ending``.

        Returns None if the state is unusable or has no steps.
        """
        saved = None
        with contextlib.suppress(UnusableState):
            state = self._states.read(job)
            if state is not None and state.facts["step"]:
                checkpoint, weights = state.checkpoint()
                limit = LONGEST_BYTES - len(ending)
                name = checkpoint.name[: LONGEST_NAME - len(ending)].encode()[:limit].decode(errors="ignore") + ending
                saved = self._save_once(job, replace(checkpoint, name=name), weights)
        self._states.remove(job)
        return saved

    def _open(self, job: str, spec: Learn, on_progress: OnProgress) -> TrainingRun:
        """Return the run of a job: the paused one, one from the saved state, or a new one."""
        if job in self._paused:
            return self._paused.pop(job)
        on_progress("reading", 0.0)
        reference = self._renderer.fitted(self._library.get(spec.reference), "reference")
        on_progress("encode", 0.0)
        loudness = loudness_lufs(reference.samples, reference.sample_rate)
        run = TrainingRun(
            self._engine.learner(reference.samples, spec), spec, loudness=loudness if math.isfinite(loudness) else None
        )
        try:
            self._resume(job, run)
        except (UnusableState, ValueError, KeyError, TypeError) as reason:
            saved = self._convert_state(job, ending=UNFINISHED)
            rest = "" if saved is None else f"; its {saved.steps} steps are kept as '{saved.name}'"
            run.notes.append(f"started again: the saved training state cannot be resumed ({reason}){rest}")
        return run

    def _resume(self, job: str, run: TrainingRun) -> None:
        """Restore the saved state of a job, if there is one.

        Raises:
            UnusableState, ValueError, KeyError, TypeError: the state does not fit; ``run`` is not changed.
        """
        state = self._states.read(job)
        if state is None:
            return
        facts = state.facts
        if facts["tertium"] != __version__:  # another version may round differently
            raise UnusableState(f"version {facts['tertium']} wrote it, and this is {__version__}")
        for name, now in self._facts(run).items():
            if facts[name] != now:
                raise UnusableState(f"it is of another {'model' if name == 'fingerprint' else name}")
        spent, notes = float(facts["spent"]), list(facts["notes"])
        run.learner.resume(state)
        run.spent = spent
        run.notes = [*notes, f"resumed at step {run.learner.step}"]

    def _facts(self, run: TrainingRun) -> dict[str, Any]:
        """Return the facts shared by a checkpoint and a saved state, by which a state is matched to its job."""
        engine, learner, spec = self._engine.about, run.learner, run.spec
        return {
            "reference": spec.reference, "fingerprint": engine["fingerprint"], "model": engine["name"], "name": spec.checkpoint,
            "prompt": spec.prompt, "method": learner.method, "rank": learner.rank,
        }  # fmt: skip

    def _train(
        self, job: str, run: TrainingRun, on_progress: OnProgress, is_paused: Callable[[], bool], since: float
    ) -> None:
        """Take the remaining steps, reporting progress and saving states.

        Args:
            since: time at which the work on the job began in this call, by the monotonic clock.
        """
        learner, steps = run.learner, run.spec.steps
        first, began = learner.step, time.monotonic()
        written = began

        def on_step(step: int, loss: float | None) -> None:
            nonlocal written
            done = step - first
            left = (time.monotonic() - began) / done * (steps - step) / TRAINING_END if done else None
            on_progress("learn", step / steps * TRAINING_END, loss=loss, seconds_left=left)
            if is_paused():
                raise Paused
            if done and time.monotonic() - written >= max(self._write_every, run.write_seconds / WRITE_SHARE):
                self._save_state(job, run, spent=run.spent + time.monotonic() - since)
                written = time.monotonic()

        try:
            learner.run(on_step)
        except Paused:
            run.spent += time.monotonic() - since
            self._paused[job] = run
            raise
        except BaseException as stop:
            if not lost_the_device(stop):  # after a lost device, the next process resumes the saved state
                self._abandon(job, run, stop)
            raise

    def _abandon(self, job: str, run: TrainingRun, stop: BaseException) -> None:
        """Save the progress of a job that was cancelled or failed as a checkpoint, and note that on the exception."""
        if run.learner.step:
            checkpoint = self._save_checkpoint(job, run)
            steps = "1 step" if checkpoint.steps == 1 else f"{checkpoint.steps} steps"
            stop.add_note(f"What was learned in {steps} is kept as the checkpoint '{checkpoint.name}'.")
        self._states.remove(job)

    def _save_state(self, job: str, run: TrainingRun, *, spent: float) -> None:
        """Save the training state; an error is only logged, and the training continues."""
        began = time.monotonic()
        facts = {"chosen": dict(run.learner.settings), "spent": spent, "notes": run.notes}
        try:
            self._states.write(job, run.learner.state(), **self._facts(run), **facts)
        except (OSError, safetensors.SafetensorError) as error:
            logging.getLogger(__name__).warning("a training state could not be saved: %s", error)
        run.write_seconds = time.monotonic() - began

    def _finished(self, job: str, spec: Learn) -> Checkpoint | None:
        """Return the checkpoint of a job that completed its training before its process, or the daemon, was stopped."""
        checkpoint = self._checkpoints.learned_by(job, spec.steps)
        of_this_model = checkpoint is not None and checkpoint.fingerprint == self._engine.about["fingerprint"]
        return checkpoint if of_this_model else None

    def _save_checkpoint(self, job: str, run: TrainingRun) -> Checkpoint:
        learner = run.learner
        checkpoint = Checkpoint(
            **self._facts(run),
            steps=learner.step,
            seconds=learner.seconds,
            settings=dict(learner.settings),
            losses=learner.losses,
            loudness=run.loudness,
        )
        return self._save_once(job, checkpoint, learner.weights())

    def _save_once(self, job: str, checkpoint: Checkpoint, weights: bytes) -> Checkpoint:
        """Save a job's checkpoint, unless it exists: the job's process may have been stopped just after saving it."""
        existing = self._checkpoints.learned_by(job, checkpoint.steps)
        if existing is not None and existing.fingerprint == checkpoint.fingerprint:
            return existing
        return self._checkpoints.save(replace(checkpoint, job=job), weights)

    def _sample(
        self, job: str, checkpoint: Checkpoint, spec: Learn, notes: list[str], on_progress: OnProgress
    ) -> dict[str, Any]:
        """Compute the sound of the prompt after the training, named after the checkpoint.

        Returns the fields of the protocol's result.
        """
        name = spec.name
        if checkpoint.name != spec.checkpoint:
            notes = [*notes, f"kept as '{checkpoint.name}': the name '{spec.checkpoint}' was taken meanwhile"]
            name = f"{checkpoint.name[:LONGEST_NAME]} learned"
        sound = Generate(
            checkpoint=checkpoint.name, checkpoint_created=checkpoint.created, prompt=checkpoint.prompt, seconds=checkpoint.seconds,
            guidance=1.0, steps=SOUND_STEPS, seed=spec.seed, name=name, format=spec.format,
        )  # fmt: skip

        def sampling(stage: str, fraction: float, **facts: Any) -> None:
            on_progress(stage, SAMPLING_BEGIN + fraction * (1 - SAMPLING_BEGIN), **facts)

        return self._renderer.make(sound, tuple(notes), sampling, job=job)[0]


def _no_preview(job: str, *, begun: bool) -> TertiumError:
    message = (
        f"The training job {job} has not completed a step yet."
        if begun
        else f"The training job {job} is not in progress."
    )
    remedy = "Ask again in a moment." if begun else "Ask for its job: its result has the sound that the prompt gives."
    return TertiumError("conflict", message, field="job", value=job, remedy=remedy)
