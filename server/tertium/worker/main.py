"""The worker process: loads the model once and runs one job after another. Started by
:mod:`tertium.daemon.jobs.supervisor`.

It reads commands of :mod:`tertium.worker_messages` from standard input and writes reports to the original standard output.
When the input ends, the daemon has ended, and this process exits at once.
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

from tertium import worker_messages as wm
from tertium.cost_model import CostModel, estimate
from tertium.errors import TertiumError
from tertium.job_spec import Learn, Preview
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Library
from tertium.storage.training_states import TrainingStates
from tertium.storage.window_cache import WindowCache
from tertium.subprocess_env import die_with_the_daemon
from tertium.worker import device_faults, self_test
from tertium.worker.device_faults import lost_the_device
from tertium.worker.engine_api import Engine
from tertium.worker.renderer import Renderer
from tertium.worker.self_test import calibrated
from tertium.worker.trainer import Paused, Trainer

PROGRESS_INTERVAL = 0.02  # seconds between two progress reports within a stage
LOST_DEVICE = 70  # exit status, EX_SOFTWARE


class Stopped(Exception):
    """The job was cancelled."""


class CommandReader:
    """The daemon's commands, read in a separate thread so that a cancellation is noticed while a job runs."""

    def __init__(self, stream: TextIO):
        self.commands: queue.Queue[wm.Command] = queue.Queue()
        self.cancelled: set[str] = set()
        self.paused: set[str] = set()
        self._stream = stream
        threading.Thread(target=self._read, daemon=True, name="reader").start()

    def _read(self) -> None:
        for line in self._stream:
            match message := wm.parse_command(line):
                case wm.Cancel():
                    self.cancelled.add(message.job)
                case wm.Pause():
                    self.paused.add(message.job)
                case _:
                    self.commands.put(message)
        os._exit(0)  # the daemon has ended: the running job has no recipient


class ProgressReport:
    """The progress callback of one job: reports each new stage, and progress within one at most fifty times a second.

    Calling it raises :class:`Stopped` once the job is cancelled.

    Args:
        send: sends a report to the daemon.
        reader: receives cancellations and pauses.
        job: the job's id.
        expected: estimated time of the job in seconds, if known.
    """

    def __init__(self, send: Callable[[wm.Report], None], reader: CommandReader, job: str, expected: float | None):
        self._send, self._reader, self._job, self._expected = send, reader, job, expected
        self._began = time.monotonic()
        self._sent, self._stage = 0.0, ""

    def __call__(
        self, stage: str, fraction: float, *, loss: float | None = None, seconds_left: float | None = None
    ) -> None:
        if self._job in self._reader.cancelled:
            raise Stopped
        now = time.monotonic()
        if now - self._sent >= PROGRESS_INTERVAL or stage != self._stage:
            self._sent, self._stage = now, stage
            left = self._left(fraction) if seconds_left is None else seconds_left
            self._send(wm.Progress(job=self._job, stage=stage, fraction=fraction, seconds_left=left, loss=loss))

    def is_paused(self) -> bool:
        """Return whether the job should pause so that another can go first."""
        return self._job in self._reader.paused

    def _left(self, fraction: float) -> float | None:
        """Return the seconds left: at first by the estimate, increasingly by the measured pace as the job advances."""
        elapsed = time.monotonic() - self._began
        if fraction <= 0:
            return self._expected
        whole = elapsed / fraction
        if self._expected is not None:
            whole = self._expected ** (1 - fraction) * whole**fraction
        return whole * (1 - fraction)


class Worker:
    """The main loop: loads the model, then runs jobs until the input ends."""

    def __init__(self, reader: CommandReader, output: BinaryIO):
        self._reader = reader
        self._output, self._sending = output, threading.Lock()
        self._costs: CostModel | None = None
        self._note: str | None = None

    def run(self) -> None:
        settings = self._reader.commands.get()
        module = importlib.import_module(settings.engine)
        self._send(wm.Models(models=module.known_models()))
        try:
            load = functools.partial(module.load, settings.model, device=settings.device, on_wait=self._report_wait)
            engine, self._note = self_test.loaded(load, precision=settings.precision, on_trouble=self._report_trouble)
            self._build(engine, settings)
            self._engine = engine
            self._costs = calibrated(engine)
        except Exception as error:
            self._send(wm.Unavailable(error=self._problem(error)))
            return
        about = dict(engine.about) | ({"note": self._note} if self._note else {})
        self._send(wm.Ready(model=about, costs=self._costs))
        while True:
            self._do(self._reader.commands.get())

    def _report_trouble(self, error: Exception) -> None:
        self._send(wm.Trouble(text="".join(traceback.format_exception(error))))

    def _report_wait(self, text: str) -> None:
        self._send(wm.Waits(what=text))

    def _build(self, engine: Engine, settings: wm.Load) -> None:
        """Create the renderer and the trainer, and clean up after earlier processes."""
        home = Path(settings.home)
        library, checkpoints = Library(home), Checkpoints(home / "checkpoints")
        states = TrainingStates(home / "cache")
        library.reconcile()
        checkpoints.clean()
        self._renderer = Renderer(engine, library, WindowCache(home / "cache"), checkpoints)
        self._trainer = Trainer(engine, library, checkpoints, states, self._renderer, write_every=settings.write_every)
        self._trainer.discard_ended(settings.training_jobs)
        trajectories, limit = home / "cache" / "trajectories", settings.trajectory_disk
        if limit:
            engine.store_reference_phases(trajectories, limit=limit * 2**20)
        else:  # remove those that an earlier daemon was allowed to store
            shutil.rmtree(trajectories, ignore_errors=True)

    def _do(self, command: wm.Run | wm.Forget) -> None:
        if isinstance(command, wm.Forget):
            self._forget(command.job)
            return
        job = command.job
        expected = estimate(self._costs, command.spec, self._engine.about) if self._costs else None
        report = ProgressReport(self._send, self._reader, job, expected)
        try:
            result, facts = self._run_job(command, report)
            _must_be_json(result)
        except Paused:
            self._send(wm.Paused(job=job))
        except Stopped as stop:
            self._send(wm.Cancelled(job=job, notes=tuple(getattr(stop, "__notes__", ()))))
        except Exception as error:
            self._fail(job, error)
            del error
            gc.collect()
            self._engine.free_memory()
        else:
            if self._costs and "forwards" in facts:
                self._costs = self._costs.corrected(facts["seconds_computed"], facts["forwards"], result["elapsed"])
            self._send(wm.Done(job=job, result=result, costs=self._costs))
        self._reader.cancelled.discard(job)
        self._reader.paused.discard(job)

    def _run_job(self, command: wm.Run, report: ProgressReport) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Run a job. Returns the fields of its result, and the engine's facts."""
        job, spec, notes = command.job, command.spec, command.notes
        if isinstance(spec, Learn):
            return self._trainer.learn(job, spec, notes, report, report.is_paused), {}
        if isinstance(spec, Preview):
            return self._trainer.preview(spec, notes, report), {}
        return self._renderer.make(spec, notes, report, lambda take: self._send(wm.Take(job=job, take=take)), job=job)

    def _fail(self, job: str, error: Exception) -> None:
        """Report a failed job.

        If the device is lost, end this process: nothing can be computed or freed here any more.
        """
        if lost_the_device(error):
            self._send(wm.DeviceLost(job=job, error=self._problem(error), reason=self_test.described(error)))
            os._exit(LOST_DEVICE)
        self._send(wm.Failed(job=job, error=self._problem(error)))

    def _forget(self, job: str) -> None:
        try:
            self._trainer.forget(job)
        except Exception as error:  # the job was cancelled, so no client waits for an answer; the log gets the error
            self._problem(error)
            traceback.print_exception(error)

    def _problem(self, error: Exception) -> wm.Problem:
        """Return an error as a message's field; an internal error also goes to the log."""
        problem = wm.Problem(**device_faults.described(error))
        if problem.code == "internal":
            self._report_trouble(error)
        return problem

    def beat(self) -> None:
        """Send signs of life for ever, in a thread of its own."""
        while True:
            time.sleep(wm.HEARTBEAT_SECONDS)
            self._send(wm.Heartbeat())

    def _send(self, report: wm.Report) -> None:
        try:
            with self._sending:
                self._output.write(report.line())
                self._output.flush()
        except OSError:  # the daemon has ended
            os._exit(0)


def _must_be_json(result: Mapping[str, Any]) -> None:
    """Refuse a result that cannot be encoded as JSON, before the job counts as done. Raises TertiumError: internal."""
    try:
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TertiumError(
            "internal", f"The result cannot be encoded as a message: {error}.", remedy="The daemon's log has the details; please report them.",
        ) from error  # fmt: skip


def main() -> None:
    """Run the worker on standard input and output. Output of libraries is redirected to standard error."""
    faulthandler.enable()
    die_with_the_daemon()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    reader = CommandReader(sys.stdin)
    with contextlib.suppress(KeyboardInterrupt):
        worker = Worker(reader, output)
        threading.Thread(target=worker.beat, daemon=True, name="heartbeat").start()
        worker.run()
