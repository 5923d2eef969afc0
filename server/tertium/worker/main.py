"""The child process: it loads the model once and does one job after another. Started by :mod:`tertium.daemon.jobs.supervisor`.

It reads the commands of :mod:`tertium.worker_messages` on standard input, and writes reports to what was standard output. When the input ends, the
daemon has gone, and this process ends at once.
"""

import contextlib
import faulthandler
import functools
import gc
import importlib
import json
import os
import queue
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from tertium import worker_messages as m
from tertium.cost_model import CostModel, estimate
from tertium.errors import TertiumError
from tertium.job_spec import Learn, Preview
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Library
from tertium.storage.training_states import TrainingStates
from tertium.storage.window_cache import WindowCache
from tertium.subprocess_env import die_with_the_daemon
from tertium.worker import self_test
from tertium.worker.device_faults import lost_the_device, told
from tertium.worker.engine_api import Engine
from tertium.worker.renderer import Renderer
from tertium.worker.self_test import calibrated
from tertium.worker.trainer import Paused, Trainer

SAY_INTERVAL = 0.02  # seconds between two reports of progress
LOST_DEVICE = 70  # exit status, EX_SOFTWARE


class Stopped(Exception):
    """The job was cancelled."""


class CommandReader:
    """What the daemon says, read by a thread of its own so that a cancellation is seen while a job runs."""

    def __init__(self, stream: TextIO):
        self.commands: queue.Queue[m.Command] = queue.Queue()
        self.cancelled: set[str] = set()
        self.paused: set[str] = set()
        self._stream = stream
        threading.Thread(target=self._read, daemon=True, name="reader").start()

    def _read(self) -> None:
        for line in self._stream:
            match message := m.parse_command(line):
                case m.Cancel():
                    self.cancelled.add(message.job)
                case m.Pause():
                    self.paused.add(message.job)
                case _:
                    self.commands.put(message)
        os._exit(0)  # the daemon has gone: nobody waits for what is being computed


class ProgressReport:
    """Progress of one job, said at every stage and at most fifty times a second within one; raises :class:`Stopped` once the job is cancelled.

    Args:
        say: sends a report to the daemon.
        reader: knows of cancellations.
        job: the job's id.
        expected: how long it should take in seconds, if anybody knows.
    """

    def __init__(self, say: Callable[[m.Report], None], reader: CommandReader, job: str, expected: float | None):
        self._say, self._reader, self._job, self._expected = say, reader, job, expected
        self._began = time.monotonic()
        self._said, self._stage = 0.0, ""

    def __call__(
        self, stage: str, fraction: float, *, loss: float | None = None, seconds_left: float | None = None
    ) -> None:
        if self._job in self._reader.cancelled:
            raise Stopped
        now = time.monotonic()
        if now - self._said >= SAY_INTERVAL or stage != self._stage:
            self._said, self._stage = now, stage
            left = self._left(fraction) if seconds_left is None else seconds_left
            self._say(m.Progress(job=self._job, stage=stage, fraction=fraction, seconds_left=left, loss=loss))

    def is_paused(self) -> bool:
        """Whether the job is to make room for another."""
        return self._job in self._reader.paused

    def _left(self, fraction: float) -> float | None:
        """Seconds left: what was expected counts at first, and how it really goes the more, the more is done."""
        elapsed = time.monotonic() - self._began
        if fraction <= 0:
            return self._expected
        whole = elapsed / fraction
        if self._expected is not None:
            whole = self._expected ** (1 - fraction) * whole**fraction
        return whole * (1 - fraction)


class Worker:
    """The loop: load, then jobs, until the input ends."""

    def __init__(self, reader: CommandReader, output: BinaryIO):
        self._reader = reader
        self._output = output
        self._costs: CostModel | None = None
        self._note: str | None = None

    def run(self) -> None:
        wanted = self._reader.commands.get()
        module = importlib.import_module(wanted.engine)
        self._say(m.Models(models=module.known_models()))
        try:
            load = functools.partial(module.load, wanted.model, device=wanted.device, on_wait=self._say_waiting)
            engine, self._note = self_test.loaded(load, precision=wanted.precision, on_trouble=self._tell_trouble)
            self._put_together(engine, wanted)
            self._engine = engine
            self._costs = calibrated(engine)
        except Exception as error:
            self._say(m.Unavailable(error=self._described(error)))
            return
        about = dict(engine.about) | ({"note": self._note} if self._note else {})
        self._say(m.Ready(model=about, costs=self._costs))
        while True:
            self._do(self._reader.commands.get())

    def _tell_trouble(self, error: Exception) -> None:
        self._say(m.Trouble(text="".join(traceback.format_exception(error))))

    def _say_waiting(self, text: str) -> None:
        self._say(m.Waits(what=text))

    def _put_together(self, engine: Engine, wanted: m.Load) -> None:
        home = Path(wanted.home)
        library, checkpoints, learnings = (
            Library(home),
            Checkpoints(home / "checkpoints"),
            TrainingStates(home / "cache"),
        )
        checkpoints.clean()
        self._renderer = Renderer(engine, library, WindowCache(home / "cache"), checkpoints)
        self._trainer = Trainer(engine, library, checkpoints, learnings, self._renderer, write_every=wanted.write_every)
        self._trainer.discard_ended(wanted.training_jobs)
        trajectories, limit = home / "cache" / "trajectories", wanted.trajectory_disk
        if limit:
            engine.remember_in(trajectories, limit=limit * 2**20)
        else:  # what an earlier daemon was allowed is not wanted any more
            shutil.rmtree(trajectories, ignore_errors=True)

    def _do(self, command: m.Run | m.Forget) -> None:
        if isinstance(command, m.Forget):
            self._forget(command.job)
            return
        job = command.job
        expected = estimate(self._costs, command.spec, self._engine.about) if self._costs else None
        report = ProgressReport(self._say, self._reader, job, expected)
        try:
            result, facts = self._made(command, report)
            _must_be_sayable(result)
        except Paused:
            self._say(m.Paused(job=job))
        except Stopped as stop:
            self._say(m.Cancelled(job=job, notes=tuple(getattr(stop, "__notes__", ()))))
        except Exception as error:
            if lost_the_device(error):
                self._say(m.DeviceLost(job=job, error=self._described(error), reason=self_test.described(error)))
                os._exit(LOST_DEVICE)  # nothing can be computed or freed here any more
            self._say(m.Failed(job=job, error=self._described(error)))
            del error
            gc.collect()
            self._engine.free_memory()
        else:
            if self._costs and "forwards" in facts:
                self._costs = self._costs.corrected(facts["seconds_computed"], facts["forwards"], result["elapsed"])
            self._say(m.Done(job=job, result=result, costs=self._costs))
        self._reader.cancelled.discard(job)
        self._reader.paused.discard(job)

    def _made(self, command: m.Run, report: ProgressReport) -> tuple[dict[str, Any], Mapping[str, Any]]:
        job, spec, notes = command.job, command.spec, command.notes
        if isinstance(spec, Learn):
            return self._trainer.learn(job, spec, notes, report, report.is_paused), {}
        if isinstance(spec, Preview):
            return self._trainer.preview(spec, notes, report), {}
        return self._renderer.make(spec, notes, report, lambda take: self._say(m.Take(job=job, take=take)), job=job)

    def _forget(self, job: str) -> None:
        try:
            self._trainer.forget(job)
        except Exception as error:  # it was cancelled: nobody waits for an answer, but the log shall have it
            self._described(error)
            traceback.print_exception(error)

    def _described(self, error: Exception) -> m.Problem:
        described = m.Problem(**told(error))
        if described.code == "internal":
            self._tell_trouble(error)
        return described

    def _say(self, report: m.Report) -> None:
        try:
            self._output.write(report.line())
            self._output.flush()
        except OSError:  # nobody listens any more
            os._exit(0)


def _must_be_sayable(result: Mapping[str, Any]) -> None:
    """Refuse a result that no message can carry, before anybody counts it as done. Raises TertiumError: internal."""
    try:
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TertiumError(
            "internal", f"The result holds what no message can carry: {error}.", remedy="The daemon's log has the details; please report them.",
        ) from error  # fmt: skip


def main() -> None:
    """Run the child on standard input and output. Whatever libraries print goes to standard error."""
    faulthandler.enable()
    die_with_the_daemon()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    reader = CommandReader(sys.stdin)
    with contextlib.suppress(KeyboardInterrupt):
        Worker(reader, output).run()
