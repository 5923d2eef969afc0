"""Tasks and the processes that carry them out."""

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

from evaluation.fine_tunes import Lesson
from evaluation.plan import Plan
from evaluation.tables import Row
from evaluation.workbench import Bench, Plate


@dataclass
class Findings:
    """What a task found: rows of its figure's table, and panels of its plates."""

    rows: list[Row] = field(default_factory=list)
    plates: list[Plate] = field(default_factory=list)

    def __iadd__(self, other: "Findings") -> "Findings":
        self.rows += other.rows
        self.plates += other.plates
        return self


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Args:
        figure: whose findings it makes.
        label: for the progress.
        run: picklable; called with the bench of the process.
    """

    figure: str
    label: str
    run: Callable[[Bench], Findings]


@dataclass(frozen=True)
class Failure:
    """A task that failed, and with what."""

    task: str
    message: str


class Workshop:
    """Processes that each hold the model, and share what was learned through a folder.

    Args:
        jobs: how many processes; 1 works in this one.
        learned: folder that keeps what was learned beyond this run; None for a temporary one.
    """

    def __init__(self, plan: Plan, *, jobs: int, learned: Path | None = None):
        self._plan, self._jobs, self._began = plan, jobs, time.monotonic()
        self._temporary = None if learned else tempfile.TemporaryDirectory(prefix="evidence-")
        self.learned = learned or Path(self._temporary.name)
        self.learned.mkdir(parents=True, exist_ok=True)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workshop":
        if self._jobs > 1:
            self._pool = ProcessPoolExecutor(
                self._jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin,
                initargs=(self._plan, self.learned, max(1, torch.get_num_threads() // self._jobs)),
            )  # fmt: skip
        else:
            _begin(self._plan, self.learned, None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        if self._temporary:
            self._temporary.cleanup()

    @property
    def elapsed(self) -> float:
        """Seconds since this began."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"[{self.elapsed:6.1f} s] {text}", file=sys.stderr, flush=True)

    def teach(self, wanted: Sequence[Lesson]) -> None:
        """Learn whatever is not kept yet. Raises whatever a lesson raises: nothing that follows could do without it."""
        todo = {f"learn {one.reference} ({one.method}, null dropout {one.null_dropout:g})": one for one in wanted}
        for count, (label, future) in enumerate(
            self._done({label: functools.partial(_teach, one) for label, one in todo.items()}), 1
        ):
            fresh = future.result()
            self.say(f"{label}{'' if fresh else ': was kept'} · {count} of {len(todo)}")

    def facts(self) -> dict[str, str | int]:
        """See :meth:`evaluation.workbench.Bench.facts`."""
        return self._pool.submit(_facts).result() if self._pool else _facts()

    def carry_out(self, tasks: Sequence[Task], on_figure: Callable[[str, Findings], None]) -> list[Failure]:
        """Carry out tasks; a failed one takes only its own figure with it.

        Args:
            on_figure: called with each figure as soon as all of its tasks are done, its findings in their order.

        Returns:
            What failed.
        """
        calls = {f"{task.figure}: {task.label}": functools.partial(_run, task) for task in tasks}
        left = {label: task.figure for label, task in zip(calls, tasks, strict=True)}
        made: dict[str, Findings] = {}
        failures = []
        for count, (label, future) in enumerate(self._done(calls), 1):
            try:
                made[label] = future.result()
                self.say(f"{label} · {count} of {len(calls)}")
                figure = left.pop(label)
                if figure not in left.values():
                    whole = Findings()
                    for name, task in zip(calls, tasks, strict=True):
                        if task.figure == figure:
                            whole += made.pop(name)
                    on_figure(figure, whole)
            except Exception as error:  # whatever it is, the other figures shall be made, and it shall be told
                failures.append(Failure(label, f"{type(error).__name__}: {error}"))
                self.say(f"{label} FAILED: {type(error).__name__}: {error}")
        return failures

    def _done(self, calls: dict[str, Callable]) -> Iterator[tuple[str, Future]]:
        """Labels with their finished calls, as they are done."""
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


def _begin(plan: Plan, learned: Path, threads: int | None) -> None:
    global _bench
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    if threads:
        torch.set_num_threads(threads)
    _bench = Bench(plan, learned)


def _end_with(sentinel: int) -> None:
    """End this process when the one that started it has ended, however that came."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _teach(lesson: Lesson) -> bool:
    return _bench.teach(lesson)


def _facts() -> dict[str, str | int]:
    return _bench.facts()


@torch.no_grad()
def _run(task: Task) -> Findings:
    return task.run(_bench)
