"""Tasks, and the processes that run them."""

import functools
import multiprocessing
import multiprocessing.connection
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import torch

from evaluation.fine_tunes import FineTune
from evaluation.plan import Plan
from evaluation.tables import Row
from evaluation.workbench import Bench, Plate


@dataclass
class Findings:
    """The results of a task: rows of its figure's table, and panels of its plates."""

    rows: list[Row] = field(default_factory=list)
    plates: list[Plate] = field(default_factory=list)

    def __iadd__(self, other: "Findings") -> "Findings":
        self.rows += other.rows
        self.plates += other.plates
        return self


@dataclass(frozen=True)
class Task:
    """One measurement, run in one process.

    Args:
        figure: name of the figure that it belongs to.
        label: for the progress.
        run: picklable; called with the bench of the process.
    """

    figure: str
    label: str
    run: Callable[[Bench], Findings]


@dataclass(frozen=True)
class Failure:
    """A task that failed, and its error."""

    task: str
    message: str


class TaskRunner:
    """Processes that each hold the model, and share the fine-tunes through a folder.

    Args:
        jobs: number of processes; with 1, tasks run in this one.
        store: folder that stores the fine-tunes beyond this run; None for a temporary one.
    """

    def __init__(self, plan: Plan, *, jobs: int, store: Path | None = None):
        self._plan, self._jobs, self._began = plan, jobs, time.monotonic()
        self._temporary = None if store else tempfile.TemporaryDirectory(prefix="evaluation-")
        self._store = store or Path(self._temporary.name)
        self._store.mkdir(parents=True, exist_ok=True)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "TaskRunner":
        if self._jobs > 1:
            self._pool = ProcessPoolExecutor(
                self._jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin,
                initargs=(self._plan, self._store, max(1, torch.get_num_threads() // self._jobs)),
            )  # fmt: skip
        else:
            _begin(self._plan, self._store, None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        if self._temporary:
            self._temporary.cleanup()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def log(self, text: str) -> None:
        """Print a line of progress to stderr."""
        print(f"[{self.elapsed:6.1f} s] {text}", file=sys.stderr, flush=True)

    def train(self, wanted: Sequence[FineTune]) -> None:
        """Train the fine-tunes that are not stored yet. Any failure is raised, since tasks need all of them."""
        todo = {f"train {one.reference} ({one.method}, null dropout {one.null_dropout:g})": one for one in wanted}
        for count, (label, future) in enumerate(
            self._done({label: functools.partial(_train, one) for label, one in todo.items()}), 1
        ):
            fresh = future.result()
            self.log(f"{label}{'' if fresh else ': stored already'} · {count} of {len(todo)}")

    def facts(self) -> dict[str, str | int]:
        """See :meth:`evaluation.workbench.Bench.facts`."""
        return self._pool.submit(_facts).result() if self._pool else _facts()

    def run(self, tasks: Sequence[Task], on_figure: Callable[[str, Findings], None]) -> list[Failure]:
        """Run tasks and return the failures. A failed task prevents only its own figure.

        Args:
            on_figure: called with each figure's name and findings, in order of its tasks, as soon as all of them are done.
        """
        calls = {f"{task.figure}: {task.label}": functools.partial(_run, task) for task in tasks}
        left = {label: task.figure for label, task in zip(calls, tasks, strict=True)}
        finished: dict[str, Findings] = {}
        failures = []
        for count, (label, future) in enumerate(self._done(calls), 1):
            try:
                finished[label] = future.result()
                self.log(f"{label} · {count} of {len(calls)}")
                figure = left.pop(label)
                if figure not in left.values():
                    whole = Findings()
                    for name, task in zip(calls, tasks, strict=True):
                        if task.figure == figure:
                            whole += finished.pop(name)
                    on_figure(figure, whole)
            except Exception as error:  # of any kind: the other figures are still measured, and the page reports it
                failures.append(Failure(label, f"{type(error).__name__}: {error}"))
                self.log(f"{label} FAILED: {type(error).__name__}: {error}")
        return failures

    def _done(self, calls: dict[str, Callable]) -> Iterator[tuple[str, Future]]:
        """Yield labels with their finished calls, as they complete."""
        if self._pool is None:
            for label, call in calls.items():
                future: Future = Future()
                try:
                    future.set_result(call())
                except Exception as error:
                    future.set_exception(error)
                yield label, future
            return
        labels = {self._pool.submit(call): label for label, call in calls.items()}
        for future in as_completed(labels):
            yield labels[future], future


_bench: Bench | None = None


def _begin(plan: Plan, store: Path, threads: int | None) -> None:
    global _bench
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    if threads:
        torch.set_num_threads(threads)
    _bench = Bench(plan, store)


def _end_with(sentinel: int) -> None:
    """End this process when its parent process has ended for any reason."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _train(fine_tune: FineTune) -> bool:
    return _bench.train(fine_tune)


def _facts() -> dict[str, str | int]:
    return _bench.facts()


@torch.no_grad()
def _run(task: Task) -> Findings:
    return task.run(_bench)
