"""How a reference is learned, from a job's fields to a checkpoint and to the sound that its prompt then gives: the same way for every engine.

Runs in the worker. A learning may be paused for a job that goes before it; it stays here, whole, until it is taken up again. One that is
cancelled leaves what it learned so far as a checkpoint.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tertium.checkpoints import Checkpoint, Checkpoints
from tertium.library import Library
from tertium.making import Engine, Maker, OnProgress

LEARN, HEARD = 0.9, 0.92  # fractions at which the learning ends, and the sampling of its sound begins
SOUND_STEPS = 50
CHOSEN = ("prompt", "method", "steps", "batch", "seconds", "rank", "rate", "null_dropout", "seed")


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


class Teacher:
    """Learns references with an engine.

    Args:
        engine: what computes.
        library: where references come from and the sounds go to.
        checkpoints: where what was learned is kept.
        maker: makes the sound that the prompt gives in the end.
    """

    def __init__(self, engine: Engine, library: Library, checkpoints: Checkpoints, maker: Maker):
        self._engine, self._library, self._checkpoints, self._maker = engine, library, checkpoints, maker
        self._paused: dict[str, tuple[Learner, Mapping[str, Any], float]] = {}

    def learn(
        self,
        job: str,
        fields: Mapping[str, Any],
        notes: tuple[str, ...],
        on_progress: OnProgress,
        is_paused: Callable[[], bool],
    ) -> dict[str, Any]:
        """Carry out a job, or go on with it.

        Args:
            fields: resolved: ``reference`` is the id of a sound, ``checkpoint`` the name of what is to be kept; and see :data:`CHOSEN`.
            notes: what was said of the job before.
            on_progress: told the loss too; what it raises stops the learning.
            is_paused: whether the job is to make room; asked before each step.

        Returns:
            The fields of the protocol's result: the sound that the prompt gives from noise, and the checkpoint's name and last loss.

        Raises:
            Paused: it made room; call this again with the same job.
        """
        began = time.monotonic()
        learner, spent = self._taken_up(job, fields, on_progress)
        self._run(job, learner, fields, on_progress, is_paused, began - spent)
        kept = self._keep(learner, fields)
        told = [*notes]
        if kept.name != fields["checkpoint"]:
            told.append(f"kept as '{kept.name}': the name '{fields['checkpoint']}' was taken meanwhile")
        sound = {
            "checkpoint": kept.name, "prompt": kept.prompt, "seconds": kept.seconds, "guidance": 1.0, "steps": SOUND_STEPS, "order": 3, "eta": 1.0,
            "seed": fields["seed"], "name": fields["name"], "format": fields["format"], "sample_rate": None,
        }  # fmt: skip

        def sampling(stage: str, fraction: float, **facts: Any) -> None:
            on_progress(stage, HEARD + fraction * (1 - HEARD), **facts)

        result, _ = self._maker.make("generate", sound, tuple(told), sampling)
        elapsed = time.monotonic() - began + spent
        return result | {
            "checkpoint": kept.name,
            "loss": kept.losses[-1],
            "steps": kept.steps,
            "elapsed": elapsed,
            "seed": fields["seed"],
        }

    def forget(self, job: str) -> Checkpoint | None:
        """Let go of a paused learning that was cancelled; returns the checkpoint of what it had learned, if it had begun."""
        learner, fields, _ = self._paused.pop(job, (None, {}, 0.0))
        return self._keep(learner, fields) if learner is not None and learner.step else None

    def _taken_up(self, job: str, fields: Mapping[str, Any], on_progress: OnProgress) -> tuple[Learner, float]:
        """The learner of a job, and the seconds that it has worked already."""
        if job in self._paused:
            learner, _, spent = self._paused.pop(job)
            return learner, spent
        on_progress("reading", 0.0)
        reference = self._maker.conformed(self._library.get(fields["reference"]))
        on_progress("encode", 0.0)
        return self._engine.learner(reference.samples, fields), 0.0

    def _run(
        self,
        job: str,
        learner: Learner,
        fields: Mapping[str, Any],
        on_progress: OnProgress,
        is_paused: Callable[[], bool],
        since: float,
    ) -> None:
        steps, first, began = fields["steps"], learner.step, time.monotonic()

        def on_step(step: int, loss: float | None) -> None:
            taken = step - first
            left = (time.monotonic() - began) / taken * (steps - step) / LEARN if taken else None
            on_progress("learn", step / steps * LEARN, loss=loss, seconds_left=left)
            if is_paused():
                raise Paused

        try:
            learner.run(on_step)
        except Paused:
            self._paused[job] = (learner, fields, time.monotonic() - since)
            raise
        except BaseException as stop:
            if learner.step:
                kept = self._keep(learner, fields)
                stop.add_note(f"What was learned in {kept.steps} steps is kept as the checkpoint '{kept.name}'.")
            raise

    def _keep(self, learner: Learner, fields: Mapping[str, Any]) -> Checkpoint:
        about = self._engine.about
        checkpoint = Checkpoint(
            name=fields["checkpoint"],
            prompt=fields["prompt"],
            reference=fields["reference"],
            model=about["name"],
            fingerprint=about["fingerprint"],
            method=learner.method,
            rank=learner.rank,
            steps=learner.step,
            seconds=learner.seconds,
            settings=dict(learner.settings),
            losses=learner.losses,
        )
        return self._checkpoints.save(checkpoint, learner.weights())
