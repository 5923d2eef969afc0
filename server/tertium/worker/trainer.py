"""How a reference is learned, from a job's fields to a checkpoint and to the sound that its prompt then gives: the same way for every engine.

Runs in the worker. A learning may be paused for a job that goes before it; it stays here, whole, until it is taken up again. Every so often it is written
down, so that one whose process dies goes on from there in the next, to the same last bit. One that is cancelled, or fails, leaves what it learned so far
as a checkpoint.
"""

import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import safetensors

from tertium import __version__
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

LEARN, HEARD = 0.9, 0.92  # fractions at which the learning ends, and the sampling of its sound begins
UNFINISHED = " unfinished"  # ends the name of what was learned before an upgrade
SOUND_STEPS = 50
WRITE_EVERY = 10.0
"""Seconds of learning between two states that are written down."""
WRITE_SHARE = 0.05
"""Of the time may go into that, at most: where writing takes long, it is done less often."""


class Paused(Exception):
    """The learning stands still between two steps, for a job that goes first."""


class Learner(Protocol):
    """A learning under way.

    ``step``, ``losses``, ``seconds`` (of sound, at a time), ``settings``, ``method`` and ``rank`` say how it stands and what it is.
    """

    step: int
    losses: tuple[float, ...]
    seconds: float
    settings: Mapping[str, Any]
    method: str
    rank: int

    def run(self, on_step: Callable[[int, float | None], None]) -> None:
        """Take the steps that are left; ``on_step(step, loss of the one before)`` comes before each, and what it raises stops it between two."""
        ...

    def weights(self) -> bytes:
        """What was learned so far, as the content of a safetensors file."""
        ...

    def state(self) -> TrainingState:
        """All that another learner of the same reference and settings needs to go on exactly, of this moment between two steps."""
        ...

    def resume(self, state: TrainingState) -> None:
        """Take up a state; raises ValueError where it does not fit, and stays as it was."""
        ...


@dataclass(eq=False)
class TrainingRun:
    """A learning and its circumstances.

    Args:
        spec: of its job.
        spent: seconds that it has worked before.
        notes: what to say of it in the end.
        writing: how long that took the last time, seconds.
    """

    learner: Learner
    spec: Learn
    spent: float = 0.0
    notes: list[str] = field(default_factory=list)
    writing: float = 0.0


class Trainer:
    """Learns references with an engine.

    Args:
        engine: what computes.
        library: where references come from and the sounds go to.
        checkpoints: where what was learned is kept.
        learnings: where learnings under way are written down.
        renderer: makes the sound that the prompt gives in the end.
        write_every: seconds of learning between two states that are written down.
    """

    def __init__(
        self,
        engine: Engine,
        library: Library,
        checkpoints: Checkpoints,
        learnings: TrainingStates,
        renderer: Renderer,
        *,
        write_every: float = WRITE_EVERY,
    ):
        self._engine, self._library, self._checkpoints, self._renderer = engine, library, checkpoints, renderer
        self._states, self._write_every = learnings, write_every
        self._paused: dict[str, TrainingRun] = {}

    def learn(
        self,
        job: str,
        spec: Learn,
        notes: tuple[str, ...],
        on_progress: OnProgress,
        is_paused: Callable[[], bool],
    ) -> dict[str, Any]:
        """Carry out a job, or go on with it.

        Args:
            notes: what was said of the job before.
            on_progress: told the loss too; what it raises stops the learning.
            is_paused: whether the job is to make room; asked before each step.

        Returns:
            The fields of the protocol's result: the sound that the prompt gives from noise, and the checkpoint's name and last loss.

        Raises:
            Paused: it made room; call this again with the same job.
        """
        began, spent, told = time.monotonic(), None, [*notes]
        kept = self._kept_before(job, spec)
        if kept is None:
            work = self._taken_up(job, spec, on_progress)
            self._run(job, work, on_progress, is_paused, began)
            kept, spent = self._keep(job, work), work.spent
            told += work.notes
        else:
            told.append("learned before the daemon or its worker was ended, and kept")
        try:
            result = self._sound(job, kept, spec, told, on_progress)
        finally:
            self._states.remove(job)
        return result | {
            "checkpoint": kept.name,
            "loss": kept.losses[-1],
            "steps": kept.steps,
            "elapsed": None if spent is None else time.monotonic() - began + spent,  # of what went before nobody knows
            "seed": spec.seed,
        }

    def preview(self, spec: Preview, notes: tuple[str, ...], on_progress: OnProgress) -> dict[str, Any]:
        """What the prompt of a learning under way gives now, from noise. The learning is not touched.

        Args:
            notes: what was said of the job before.
            on_progress: what it raises stops the sampling.

        Returns:
            The fields of the protocol's result; ``learned`` says after how many steps of the learning, and ``loss`` is that of the last of them.

        Raises:
            TertiumError: conflict if the learning has ended meanwhile, or has taken no step yet.
        """
        job = spec.job
        work = self._paused.get(job)
        if work is None and job in self._states.jobs():  # the process is a new one, and has not come to it yet
            work = self._paused[job] = self._taken_up(job, spec.learning, on_progress)
        if work is None or not work.learner.step:
            raise _nothing_to_hear(job, begun=work is not None)
        learner = work.learner
        about = {
            "job": job,
            "step": learner.step,
            "loss": learner.losses[-1],
            "fields": work.spec.model_dump(exclude={"command"}),
        }
        said = (*notes, f"the prompt after {learner.step} of {work.spec.steps} steps of learning")
        with self._engine.as_learned(learner) as engine:
            result = self._renderer.preview(engine, spec, said, on_progress, learning=about)
        return result | {"learned": learner.step, "loss": learner.losses[-1]}

    def forget(self, job: str) -> Checkpoint | None:
        """Let go of a learning that ended while it was paused, or before this process came to it; returns the checkpoint of what it had learned, if it had begun."""
        work = self._paused.pop(job, None)
        if work is None:
            return self._saved(job)
        kept = self._keep(job, work) if work.learner.step else None
        self._states.remove(job)
        return kept

    def discard_ended(self, living: Iterable[str]) -> None:
        """Make checkpoints of what is written down of jobs that are no more; the rest stays. For when a process begins."""
        self._states.clean()
        for job in set(self._states.jobs()) - set(living):
            try:
                self._saved(job)
            except (OSError, TertiumError) as error:  # it stays as it is, for the next time
                traceback.print_exception(error)

    def _saved(self, job: str, *, ending: str = "") -> Checkpoint | None:
        """Make a checkpoint of what is written down of a job, which is then no more, under the learning's name and an ending."""
        kept = None
        with contextlib.suppress(UnusableState):
            state = self._states.read(job)
            if state is not None and state.facts["step"]:
                checkpoint, weights = state.checkpoint()
                room = LONGEST_BYTES - len(ending)
                name = checkpoint.name[: LONGEST_NAME - len(ending)].encode()[:room].decode(errors="ignore") + ending
                kept = self._saved_once(job, replace(checkpoint, name=name), weights)
        self._states.remove(job)
        return kept

    def _taken_up(self, job: str, spec: Learn, on_progress: OnProgress) -> TrainingRun:
        """The learning of a job: where it was paused, or where it was written down, or from its beginning."""
        if job in self._paused:
            return self._paused.pop(job)
        on_progress("reading", 0.0)
        reference = self._renderer.fitted(self._library.get(spec.reference), "reference")
        on_progress("encode", 0.0)
        work = TrainingRun(self._engine.learner(reference.samples, spec), spec)
        try:
            self._resume(job, work)
        except (UnusableState, ValueError, KeyError, TypeError) as reason:
            kept = self._saved(job, ending=UNFINISHED)
            also = "" if kept is None else f"; its {kept.steps} steps are kept as '{kept.name}'"
            work.notes.append(f"learned anew: what was written down of it cannot be used ({reason}){also}")
        return work

    def _resume(self, job: str, work: TrainingRun) -> None:
        """Go on from what is written down, if anything is. Raises UnusableState, ValueError, KeyError or TypeError if that does not fit."""
        state = self._states.read(job)
        if state is None:
            return
        facts = state.facts
        if facts["tertium"] != __version__:  # another version may compute otherwise in the last bit
            raise UnusableState(f"version {facts['tertium']} wrote it, and this is {__version__}")
        for name, now in self._about(work).items():
            if facts[name] != now:
                raise UnusableState(f"it is of another {'model' if name == 'fingerprint' else name}")
        spent, notes = float(facts["spent"]), list(facts["notes"])
        work.learner.resume(state)
        work.spent = spent
        work.notes = [*notes, f"resumed at step {work.learner.step}"]

    def _about(self, work: TrainingRun) -> dict[str, Any]:
        """What a learning is of."""
        engine, learner, spec = self._engine.about, work.learner, work.spec
        return {
            "reference": spec.reference, "fingerprint": engine["fingerprint"], "model": engine["name"], "name": spec.checkpoint,
            "prompt": spec.prompt, "method": learner.method, "rank": learner.rank,
        }  # fmt: skip

    def _run(
        self, job: str, work: TrainingRun, on_progress: OnProgress, is_paused: Callable[[], bool], since: float
    ) -> None:
        learner, steps = work.learner, work.spec.steps
        first, began = learner.step, time.monotonic()
        written = began

        def on_step(step: int, loss: float | None) -> None:
            nonlocal written
            taken = step - first
            left = (time.monotonic() - began) / taken * (steps - step) / LEARN if taken else None
            on_progress("learn", step / steps * LEARN, loss=loss, seconds_left=left)
            if is_paused():
                raise Paused
            if taken and time.monotonic() - written >= max(self._write_every, work.writing / WRITE_SHARE):
                self._write(job, work, spent=work.spent + time.monotonic() - since)
                written = time.monotonic()

        try:
            learner.run(on_step)
        except Paused:
            work.spent += time.monotonic() - since
            self._paused[job] = work
            raise
        except BaseException as stop:
            if lost_the_device(stop):  # another process goes on from what is written down
                raise
            if learner.step:
                kept = self._keep(job, work)
                steps = "1 step" if kept.steps == 1 else f"{kept.steps} steps"
                stop.add_note(f"What was learned in {steps} is kept as the checkpoint '{kept.name}'.")
            self._states.remove(job)
            raise

    def _write(self, job: str, work: TrainingRun, *, spent: float) -> None:
        """Write a learning down. It goes on where that fails."""
        began = time.monotonic()
        facts = {"chosen": dict(work.learner.settings), "spent": spent, "notes": work.notes}
        try:
            self._states.write(job, work.learner.state(), **self._about(work), **facts)
        except (OSError, safetensors.SafetensorError) as error:
            logging.getLogger(__name__).warning("a learning could not be written down: %s", error)
        work.writing = time.monotonic() - began

    def _kept_before(self, job: str, spec: Learn) -> Checkpoint | None:
        """What a job learned to its end before its process, or the daemon, was ended: it was not told of then, and need not be learned again."""
        kept = self._checkpoints.learned_by(job, spec.steps)
        of_this_model = kept is not None and kept.fingerprint == self._engine.about["fingerprint"]
        return kept if of_this_model else None

    def _keep(self, job: str, work: TrainingRun) -> Checkpoint:
        learner = work.learner
        checkpoint = Checkpoint(
            **self._about(work),
            steps=learner.step,
            seconds=learner.seconds,
            settings=dict(learner.settings),
            losses=learner.losses,
        )
        return self._saved_once(job, checkpoint, learner.weights())

    def _saved_once(self, job: str, checkpoint: Checkpoint, weights: bytes) -> Checkpoint:
        """Keep what a job learned, unless it did so before: its process may have died in the moment after."""
        before = self._checkpoints.learned_by(job, checkpoint.steps)
        if before is not None and before.fingerprint == checkpoint.fingerprint:
            return before
        return self._checkpoints.save(replace(checkpoint, job=job), weights)

    def _sound(
        self, job: str, kept: Checkpoint, spec: Learn, told: list[str], on_progress: OnProgress
    ) -> dict[str, Any]:
        """What the prompt gives in the end, as the fields of the protocol's result. It is named after what was kept."""
        name = spec.name
        if kept.name != spec.checkpoint:
            told = [*told, f"kept as '{kept.name}': the name '{spec.checkpoint}' was taken meanwhile"]
            name = f"{kept.name[:LONGEST_NAME]} learned"
        sound = Generate(
            checkpoint=kept.name, checkpoint_created=kept.created, prompt=kept.prompt, seconds=kept.seconds, guidance=1.0, steps=SOUND_STEPS,
            seed=spec.seed, name=name, format=spec.format,
        )  # fmt: skip

        def sampling(stage: str, fraction: float, **facts: Any) -> None:
            on_progress(stage, HEARD + fraction * (1 - HEARD), **facts)

        return self._renderer.make(sound, tuple(told), sampling, job=job)[0]


def _nothing_to_hear(job: str, *, begun: bool) -> TertiumError:
    message = (
        f"The learning {job} has taken no step yet." if begun else f"The learning {job} is not under way any more."
    )
    remedy = "Ask again in a moment." if begun else "Ask for its job: its result has the sound that the prompt gives."
    return TertiumError("conflict", message, field="job", value=job, remedy=remedy)
