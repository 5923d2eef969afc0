"""What the worker asks of whatever computes, and what it gets: plain fields and arrays, so that a real model and a test's are used alike."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tertium.job_spec import JobSpec, Learn, Morph
from tertium.storage.checkpoint_format import Checkpoint

OnProgress = Callable[..., None]
"""(stage, fraction of the job done, 0 … 1), and by keyword what else is known: ``loss``, ``seconds_left``. What it raises stops the work."""


@dataclass(frozen=True)
class Rendered:
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


@dataclass(frozen=True)
class Preparation:
    """What the renderer found out about a job before the engine begins.

    Args:
        ratios: the pair's calibration of blend; see :attr:`tertium.engine.window.Window.ratios`.
        window: the pair's window, as it was measured before.
        loop: frames before the loop and frames of it, in an original that has some of itself around it; None for one that is no loop.
    """

    ratios: tuple[float, ...] | None = None
    window: Mapping[str, Any] | None = None
    loop: tuple[int, int] | None = None


NOTHING_KNOWN = Preparation()


class Engine(Protocol):
    """A loaded model, as the worker uses it.

    ``about`` says what it is: name, device, precision, sample_rate (Hz), channels, max_seconds, fingerprint and more.
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
        """Carry out generate, vary, invert, fuse or window.

        Args:
            spec: what to do.
            sounds: ``original`` and ``reference``, as far as there are any: float32, (channels, frames), at the engine's rate.
            on_progress: called with a stage and the fraction done (0 … 1), at least once a step; what it raises stops the work.
            known: with a ``window``, the command window makes its sound alone. The facts of ``window`` hold the curve as ``window``.
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
        """Carry out morph: its takes as they are ready, each with ``index`` and ``blend`` among its facts. Arguments as for ``perform``."""
        ...

    def under(self, checkpoint: Checkpoint, path: str) -> "Engine":
        """This engine with what a checkpoint learned; ``path`` is its file of weights. The engine itself stays as it is."""
        ...

    def learner(self, reference: np.ndarray, spec: Learn) -> Any:
        """A :class:`tertium.worker.trainer.Learner` of a reference: float32, (channels, frames), at the engine's rate."""
        ...

    def as_learned(self, learner: Any) -> AbstractContextManager["Engine"]:
        """This engine with what a learner, as ``learner`` gave it, would keep now; the learner goes on as if nothing had been."""
        ...

    def remember_in(self, folder: Path, *, limit: int) -> None:
        """Keep reference phases in a folder too, at most so many bytes of them; sounds are the same with it and without."""
        ...

    def free_memory(self) -> None:
        """Give back memory that is kept for later; called after the device ran out of it."""
        ...
