"""The child process: it loads the model once and does one job after another. Started by :mod:`tertium.daemon.jobs.supervisor`.

It hears JSON lines on standard input: ``{"do": "load", …}`` first, then ``run`` and ``cancel``. When that input ends the daemon
has gone, and so does this process, at once. What it says are JSON lines on what was standard output.
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
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from tertium.cost_model import Pace, estimate
from tertium.errors import TertiumError
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Library
from tertium.storage.training_states import Learnings
from tertium.storage.window_cache import Windows
from tertium.subprocess_env import die_with_the_daemon
from tertium.worker import self_test
from tertium.worker.device_faults import lost_the_device, told
from tertium.worker.engine_api import Engine
from tertium.worker.renderer import Maker
from tertium.worker.self_test import calibrated
from tertium.worker.trainer import WRITE_EVERY, Paused, Teacher

SAY_INTERVAL = 0.02  # seconds between two reports of progress
LOST_DEVICE = 70  # exit status, EX_SOFTWARE


class Stopped(Exception):
    """The job was cancelled."""


class Inbox:
    """What the daemon says, read by a thread of its own so that a cancellation is seen while a job runs."""

    def __init__(self, stream: TextIO):
        self.commands: queue.Queue[dict[str, Any]] = queue.Queue()
        self.cancelled: set[str] = set()
        self.paused: set[str] = set()
        self._stream = stream
        threading.Thread(target=self._read, daemon=True, name="inbox").start()

    def _read(self) -> None:
        for line in self._stream:
            message = json.loads(line)
            if message["do"] == "cancel":
                self.cancelled.add(message["job"])
            elif message["do"] == "pause":
                self.paused.add(message["job"])
            else:
                self.commands.put(message)
        os._exit(0)  # the daemon has gone: nobody waits for what is being computed


class Report:
    """Progress of one job, said at every stage and at most fifty times a second within one; raises :class:`Stopped` once the job is cancelled.

    Args:
        say: sends a message to the daemon.
        inbox: knows of cancellations.
        job: the job's id.
        expected: how long it should take in seconds, if anybody knows.
    """

    def __init__(self, say: Callable[..., None], inbox: Inbox, job: str, expected: float | None):
        self._say, self._inbox, self._job, self._expected = say, inbox, job, expected
        self._began = time.monotonic()
        self._said, self._stage = 0.0, ""

    def __call__(
        self, stage: str, fraction: float, *, loss: float | None = None, seconds_left: float | None = None
    ) -> None:
        if self._job in self._inbox.cancelled:
            raise Stopped
        now = time.monotonic()
        if now - self._said >= SAY_INTERVAL or stage != self._stage:
            self._said, self._stage = now, stage
            left = self._left(fraction) if seconds_left is None else seconds_left
            self._say("progress", job=self._job, stage=stage, fraction=fraction, seconds_left=left, loss=loss)

    def is_paused(self) -> bool:
        """Whether the job is to make room for another."""
        return self._job in self._inbox.paused

    def _left(self, fraction: float) -> float | None:
        """Seconds left: what was expected counts at first, and how it really goes the more, the more is done."""
        elapsed = time.monotonic() - self._began
        if fraction <= 0:
            return self._expected
        whole = elapsed / fraction
        if self._expected is not None:
            whole = self._expected ** (1 - fraction) * whole**fraction
        return whole * (1 - fraction)


class Child:
    """The loop: load, then jobs, until the input ends."""

    def __init__(self, inbox: Inbox, output: TextIO):
        self._inbox = inbox
        self._output = output
        self._pace: Pace | None = None
        self._note: str | None = None

    def run(self) -> None:
        options = self._inbox.commands.get()
        module = importlib.import_module(options["engine"])
        self._say("models", models=module.known_models())
        try:
            load = functools.partial(module.load, options["model"], device=options["device"], on_wait=self._say_waiting)
            engine, self._note = self_test.loaded(load, precision=options["precision"], on_trouble=self._tell_trouble)
            self._put_together(engine, Path(options["home"]), options)
            self._engine = engine
            self._pace = calibrated(engine)
        except Exception as error:
            self._say("unavailable", error=self._told(error))
            return
        about = dict(engine.about) | ({"note": self._note} if self._note else {})
        self._say("ready", model=about, pace=asdict(self._pace) if self._pace else None)
        while True:
            self._do(self._inbox.commands.get())

    def _tell_trouble(self, error: Exception) -> None:
        self._say("trouble", text="".join(traceback.format_exception(error)))

    def _say_waiting(self, text: str) -> None:
        self._say("waits", **{"for": text})

    def _put_together(self, engine: Engine, home: Path, options: Mapping[str, Any]) -> None:
        library, checkpoints, learnings = Library(home), Checkpoints(home / "checkpoints"), Learnings(home / "cache")
        checkpoints.clean()
        self._maker = Maker(engine, library, Windows(home / "cache"), checkpoints)
        self._teacher = Teacher(
            engine, library, checkpoints, learnings, self._maker, write_every=options.get("write_every", WRITE_EVERY)
        )
        self._teacher.settle(options.get("learnings", ()))
        trajectories, limit = home / "cache" / "trajectories", options.get("trajectory_disk", 0)
        if limit:
            engine.remember_in(trajectories, limit=limit * 2**20)
        else:  # what an earlier daemon was allowed is not wanted any more
            shutil.rmtree(trajectories, ignore_errors=True)

    def _do(self, message: dict[str, Any]) -> None:
        if message["do"] == "forget":
            self._forget(message["job"])
            return
        job, fields = message["job"], message["fields"]
        expected = estimate(self._pace, fields, self._engine.about) if self._pace else None
        report = Report(self._say, self._inbox, job, expected)
        try:
            result, facts = self._made(message, report)
            _must_be_sayable(result)
        except Paused:
            self._say("paused", job=job)
        except Stopped as stop:
            self._say("cancelled", job=job, notes=getattr(stop, "__notes__", []))
        except Exception as error:
            if lost_the_device(error):
                self._say("lost", job=job, error=self._told(error), reason=self_test.described(error))
                os._exit(LOST_DEVICE)  # nothing can be computed or freed here any more
            self._say("failed", job=job, error=self._told(error))
            del error
            gc.collect()
            self._engine.relieve()
        else:
            if self._pace and "forwards" in facts:
                self._pace = self._pace.corrected(facts["seconds_made"], facts["forwards"], result["elapsed"])
            self._say("done", job=job, result=result, pace=asdict(self._pace) if self._pace else None)
        self._inbox.cancelled.discard(job)
        self._inbox.paused.discard(job)

    def _made(self, message: dict[str, Any], report: Report) -> tuple[dict[str, Any], Mapping[str, Any]]:
        fields, notes = message["fields"], tuple(message["notes"])
        if message["command"] == "learn":
            return self._teacher.learn(message["job"], fields, notes, report, report.is_paused), {}
        if message["command"] == "preview":
            return self._teacher.preview(fields, notes, report), {}
        job = message["job"]
        return self._maker.make(
            message["command"], fields, notes, report, lambda take: self._say("take", job=job, take=take), job=job
        )

    def _forget(self, job: str) -> None:
        try:
            self._teacher.forget(job)
        except Exception as error:  # it was cancelled: nobody waits for an answer, but the log shall have it
            self._told(error)
            traceback.print_exception(error)

    def _told(self, error: Exception) -> dict[str, Any]:
        described = told(error)
        if described["code"] == "internal":
            self._tell_trouble(error)
        return described

    def _say(self, what: str, **facts: Any) -> None:
        try:
            self._output.write(json.dumps({"say": what, **facts}) + "\n")
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
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    inbox = Inbox(sys.stdin)
    with contextlib.suppress(KeyboardInterrupt):
        Child(inbox, output).run()
