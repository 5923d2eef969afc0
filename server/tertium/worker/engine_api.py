"""The interface between the worker and an engine: plain fields and arrays, so that tests can replace the real engine."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tertium.job_spec import JobSpec, Learn, Morph
from tertium.storage.checkpoint_format import Checkpoint

OnProgress = Callable[..., None]
"""Called with the stage and the fraction done (0 … 1), and optionally ``loss`` and ``seconds_left``. An exception
that it raises stops the work."""


@dataclass(frozen=True)
class Rendered:
    """A sound computed by an engine.

    Args:
        samples: float32, (channels, frames), at the engine's rate.
        facts: values chosen by the engine: ``steps``, ``intervention``, ``forwards`` (calls of the model), the schedule …
        latents: arrays by name, to be stored beside the sound.
        notes: remarks for the user.
    """

    samples: np.ndarray
    facts: Mapping[str, Any] = field(default_factory=dict)
    latents: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preparation:
    """Facts about a job that the renderer determines before the engine starts.

    Args:
        ratios: the pair's calibration of blend; see :attr:`tertium.engine.window.Window.ratios`.
        measured_window: the pair's window, if it was measured before.
        loop: frames before the loop and frames of the loop, in an original with context on either side; None if it is not a loop.
    """

    ratios: tuple[float, ...] | None = None
    measured_window: Mapping[str, Any] | None = None
    loop: tuple[int, int] | None = None


NOTHING_KNOWN = Preparation()


class Engine(Protocol):
    """A loaded model, as the worker uses it.

    ``about`` holds its facts: name, device, precision, sample_rate (Hz), channels, max_seconds, fingerprint and more.
    """

    about: Mapping[str, Any]

    def perform(
        self,
        spec: JobSpec,
        *,
        sounds: Mapping[str, np.ndarray],
        on_progress: OnProgress,
        known: Preparation = NOTHING_KNOWN,
    ) -> Rendered:
        """Carry out a generate, vary, invert, fuse or window job.

        Args:
            spec: the job.
            sounds: ``original`` and ``reference``, if the job has them: float32, (channels, frames), at the engine's rate.
            on_progress: called at least once per step; see :data:`OnProgress`.
            known: if it contains a ``window``, a window job does not measure again and only computes its sound.

        Returns:
            The sound. For a window job, its facts contain the measured ``window``.
        """
        ...

    def takes(
        self,
        spec: Morph,
        *,
        sounds: Mapping[str, np.ndarray],
        on_progress: OnProgress,
        known: Preparation = NOTHING_KNOWN,
    ) -> Iterator[Rendered]:
        """Carry out a morph job. Yield its takes as they are ready, with ``index`` and ``blend`` among the facts.

        The arguments are those of :meth:`perform`.
        """
        ...

    def with_checkpoint(self, checkpoint: Checkpoint, path: str) -> "Engine":
        """Return an engine with the weights of a checkpoint, stored at ``path``. This engine is not changed."""
        ...

    def learner(self, reference: np.ndarray, spec: Learn) -> Any:
        """Return a new :class:`tertium.worker.trainer.Learner` of a reference: float32, (channels, frames), at the
        engine's rate.
        """
        ...

    def as_learned(self, learner: Any) -> AbstractContextManager["Engine"]:
        """Return a context with an engine that has the weights a checkpoint of ``learner`` would get now.

        The learner is not affected.
        """
        ...

    def store_reference_phases(self, folder: Path, *, limit: int) -> None:
        """Store reference phases in a folder too, at most ``limit`` bytes of them.

        The sounds are the same with or without.
        """
        ...

    def free_memory(self) -> None:
        """Release cached memory; called after the device ran out of memory."""
        ...
