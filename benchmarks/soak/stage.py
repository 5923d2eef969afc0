"""The stage: a daemon, its loads, what is killed meanwhile, and the end. Nothing that it started outlives it."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.soak.fates import states
from benchmarks.soak.loads import loads
from benchmarks.soak.loads.small_disk import FOLDER
from benchmarks.soak.peers import ZeroMqPeer
from benchmarks.soak.probes import PROBES
from benchmarks.soak.processes import Usage
from tests.end_to_end.daemons import ROOT, Daemon, children

ENGINES = {"fake": {}, "pocket": {"engine": "tertium.worker.torch_engine", "model": "pocket"}}
SMALL_DISK = "24m"
TROUBLE = (8.0, 16.0)
"""Seconds between two troubles of the worker: killed, or stopped as if it hung, in turn."""
DAEMON_KILLS = 40.0
"""Seconds of the first half for each time that the daemon is killed. In the second half it lives, so that one can see whether it grows."""
MOST_HUNG = 30.0
"""Seconds after which a worker that hangs with its model loaded must have been replaced."""
LONGEST_SETTLING = 50.0
PROBLEMS = "problems"
KEPT = 5
"""Queued jobs that are not cancelled in the end."""


class Stage:
    """Use it in a ``with`` statement.

    Args:
        folder: for the home, the files of loads and the notes.
        engine: of :data:`ENGINES`.
        seed: of the times at which something is killed.
        program: the module that the daemon is started with.
    """

    def __init__(self, folder: Path, *, engine: str, seed: int = 0, program: str = "tests.end_to_end.serve"):
        self.folder, self.home = folder, folder / "home"
        self._options = ENGINES[engine] | {"program": program, "own_session": True}
        self._rng = random.Random(seed)
        self._processes: list[subprocess.Popen] = []
        self._small: Daemon | None = None
        self._hung: dict[int, float] = {}
        self.states: dict[str, str] = {}
        self.small_states: dict[str, str] | None = None
        self.troubles: Counter = Counter()
        self.usage = Usage()
        self.crashed = 0
        self.daemon: Daemon | None = None

    def __enter__(self) -> "Stage":
        self._mount()
        return self

    def __exit__(self, *_) -> None:
        for process in self._processes:
            _kill(process)
        self._end_hung()
        for daemon in (self.daemon, self._small):
            if daemon is not None and daemon.process.poll() is None:
                daemon.stop(signal.SIGKILL)
        self._unmount()

    def play(self, seconds: float) -> None:
        """All loads and probes at once for so long."""
        self._start()
        for name in loads():
            self._run("benchmarks.soak.loads", name, seconds)
        for name in PROBES:
            self._run("benchmarks.soak.probes", name, seconds)
        self._disturb(seconds)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            self.crashed += process.poll() not in (0, None)
            _kill(process)

    def settle(self) -> float:
        """Kill the daemon once more, start it, cancel what waits but a few jobs, and let these end. Return the seconds that this took."""
        began, measured = time.monotonic(), self.usage
        self._kill_daemon()
        self.usage = measured  # of the life under load
        with contextlib.closing(ZeroMqPeer(self.home)) as peer:
            _cancel(peer, "queued", keep=KEPT)
            _wait_for_end(peer, began + LONGEST_SETTLING / 2)
            for state in ("queued", "running"):
                _cancel(peer, state, keep=0)
            _wait_for_end(peer, began + LONGEST_SETTLING)
        self.daemon.stop()
        self.states |= states(self.home)
        if self._small is not None:
            with contextlib.closing(ZeroMqPeer(self._small.home)) as peer:
                _wait_for_end(peer, began + LONGEST_SETTLING)
            self._small.stop()
            self.small_states = states(self._small.home)
        return time.monotonic() - began

    @property
    def problems(self) -> str:
        """What loads and probes wrote on standard error: nothing, unless they themselves are at fault."""
        return (self.folder / PROBLEMS).read_text(errors="replace")[-4000:]

    def _start(self) -> None:
        self.daemon = Daemon(self.home, **self._options)
        self.daemon.ready()
        self.usage = Usage()

    def _run(self, module: str, name: str, seconds: float) -> None:
        given = {"name": name, "home": str(self.home), "folder": str(self.folder), "seconds": seconds}
        path = os.pathsep.join(map(str, (ROOT, ROOT / "server", ROOT / "protocol")))
        with open(self.folder / PROBLEMS, "ab") as problems:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", module, json.dumps(given)], cwd=ROOT, env=os.environ | {"PYTHONPATH": path},
                    stdout=problems, stderr=problems, start_new_session=True,
                )
            )  # fmt: skip

    def _disturb(self, seconds: float) -> None:
        """Kill or stop the worker and the daemon now and then; look at them meanwhile."""
        began = time.monotonic()
        kills = [
            began + (at + self._rng.uniform(0.3, 0.9)) * seconds / 2 / count
            for count in [max(1, round(seconds / 2 / DAEMON_KILLS))]
            for at in range(count)
        ]
        trouble = began + min(self._rng.uniform(*TROUBLE), seconds / 6)
        while (now := time.monotonic()) < began + seconds:
            time.sleep(0.5)
            self.usage.sample(self.daemon.process.pid)
            self._look_at_hung(now)
            if now > trouble:
                trouble = now + self._rng.uniform(*TROUBLE)
                self._trouble_worker(now)
            if kills and now > kills[0]:
                kills.pop(0)
                self._kill_daemon()

    def _kill_daemon(self) -> None:
        self.daemon.stop(signal.SIGKILL)
        self._end_hung()
        self.troubles["daemon killed"] += 1
        self.states |= states(self.home)
        self._start()

    def _trouble_worker(self, now: float) -> None:
        hang = self.troubles["worker killed"] > self.troubles["worker hung"] and self._is_loaded()
        for pid in children(self.daemon.process.pid, "tertium.worker.main"):
            if pid in self._hung:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP if hang else signal.SIGKILL)
                self.troubles["worker hung" if hang else "worker killed"] += 1
                if hang:
                    self._hung[pid] = now

    def _is_loaded(self) -> bool:
        """Whether the worker has its model. While it loads, it is given minutes before it counts as hung, which no soak waits for."""
        with contextlib.closing(ZeroMqPeer(self.home)) as peer:
            return _ask(peer, "status").get("state") in ("ready", "busy")

    def _look_at_hung(self, now: float) -> None:
        """A worker that hangs must be replaced; whether it is, is counted."""
        living = children(self.daemon.process.pid, "tertium.worker.main")
        for pid, since in list(self._hung.items()):
            if pid not in living:
                self.troubles["hung worker replaced"] += 1
                del self._hung[pid]
            elif now - since > MOST_HUNG:
                self.troubles["hung worker not replaced"] += 1
                self._end_hung()

    def _end_hung(self) -> None:
        """End the stopped workers: one whose daemon was killed would stay for ever."""
        for pid in self._hung:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._hung.clear()

    def _mount(self) -> None:
        """Start a daemon on a small file system, if one may be mounted here."""
        disk = self.folder / FOLDER
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", disk]
        if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
            disk.rmdir()
            return
        self._small = Daemon(disk / "home", own_session=True)
        self._small.ready()

    def _unmount(self) -> None:
        disk = self.folder / FOLDER
        if disk.is_mount():
            subprocess.run(["umount", "-l", disk], check=False)


def _kill(process: subprocess.Popen) -> None:
    """Kill a load or a probe with what it has forked: each is a session of its own. What one that has ended has forked ends by itself."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _cancel(peer: ZeroMqPeer, state: str, *, keep: int) -> None:
    """Cancel the jobs in a state but a few short ones."""
    for _ in range(5):  # what was still on its way may be accepted meanwhile
        waiting = _ask(peer, "jobs", state=state, limit=500).get("jobs", [])
        kept = [job for job in waiting if job["command"] != "learn"][:keep]
        over = [job for job in waiting if job not in kept]
        if not over:
            return
        for job in over:
            _ask(peer, "cancel", job=job["job"])


def _wait_for_end(peer: ZeroMqPeer, end: float) -> None:
    while time.monotonic() < end:
        status = _ask(peer, "status")
        if status.get("state") == "ready" and not status.get("queued"):
            return
        time.sleep(0.2)


def _ask(peer: ZeroMqPeer, command: str, **fields: Any) -> dict[str, Any]:
    answer = peer.ask(command, **fields)
    return {} if answer is None else answer.fields
