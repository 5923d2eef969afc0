"""Everything at once for some minutes, and a table of what was promised and what was kept.

    python -m benchmarks.soak [MINUTES] [--engine fake|pocket] [--seed 0] [--json FILE]

A daemon with an engine that takes its time without a model (or with the embedded model) stands under all of :mod:`benchmarks.soak.loads`, while its
worker and now and then the daemon itself are killed. Beside them, a client that has nothing to do with any of this asks for ``status`` twenty times a
second. In the end the daemon is started once more, finishes its queue, and every job that was ever accepted is looked for.

It binds and sends to this machine alone, and ends only processes that it started.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.soak.loads import LOADS, counted
from tertium.daemon.jobs.journal import MOST_FINISHED
from tests.end_to_end.daemons import ROOT, Daemon, Osc, children, until

ENGINES = {"fake": {}, "pocket": {"engine": "tertium.worker.torch_engine", "model": "pocket"}}
PROBE_EVERY = 0.05
LATE = 2.0  # seconds after which an answer counts as lost
KILL_WORKER, KILL_DAEMON = (15.0, 30.0), (70.0, 110.0)
WARM_UP = 30.0  # seconds before memory is taken as flat


@dataclass
class Run:
    """What was measured."""

    latencies: list[float] = field(default_factory=list)
    lost: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    descriptors: int = 0
    threads: int = 0
    kills: dict[str, int] = field(default_factory=lambda: {"worker": 0, "daemon": 0})


class Stage:
    """The daemon and its loads.

    Args:
        folder: for the home, the clips and the notes.
        engine: of :data:`ENGINES`.
        seed: of the times at which something is killed.
    """

    def __init__(self, folder: Path, engine: str, seed: int):
        self.folder, self._options, self._rng = folder, ENGINES[engine], random.Random(seed)
        self.run = Run()
        self._serving = threading.Event()
        self._over = threading.Event()

    def play(self, seconds: float) -> None:
        """All loads at once for so long."""
        self.start()
        loads = [self._load(name) for name in LOADS]
        probe = threading.Thread(target=self._probe)
        probe.start()
        try:
            self._disturb(time.monotonic() + seconds)
        finally:
            self._over.set()
            probe.join()
            for one in loads:
                one.kill()
                one.wait()

    def start(self) -> None:
        self.daemon = Daemon(self.folder / "home", **self._options)
        self.daemon.ready()
        self._began = time.monotonic()
        self._serving.set()

    def settle(self) -> dict:
        """Start once more without loads, wait for the queue's end, and look for every job that was accepted."""
        if self.daemon.process.poll() is None:
            self.daemon.stop()
        self.daemon = Daemon(self.folder / "home", **self._options).ready()
        _, accepted = counted(self.folder)
        with Osc(self.daemon.osc) as client:
            end = time.monotonic() + 600
            while client.ask("status").get("queued", 0) or client.ask("status")["state"] == "busy":
                if time.monotonic() > end:
                    break
                time.sleep(0.2)
            states = {job: _state(client, job) for job in accepted}
        status = self.daemon.stop()
        return {"accepted": len(accepted), "exit": status, **self._fates(states)}

    def _fates(self, states: dict[str, str]) -> dict:
        results = self.folder / "home" / "results"
        made: dict[str, int] = {}
        for sidecar in results.glob("*.json"):
            with contextlib.suppress(ValueError, KeyError):
                about = json.loads(sidecar.read_text())
                if about.get("job"):
                    key = f"{about['job']} {about.get('take')}"
                    made[key] = made.get(key, 0) + 1
        ended = {state: sum(one == state for one in states.values()) for state in ("done", "failed", "cancelled")}
        done = [job for job, state in states.items() if state == "done"]
        return {
            **ended,
            **_unknown(len(states), len(states) - sum(ended.values())),
            "without a file": sum(f"{job} None" not in made for job in done),
            "doubled": sum(count > 1 for count in made.values()),
            "left unfinished": len([path for path in (self.folder / "home").rglob("*.part") if path.exists()]),
        }

    def _load(self, name: str) -> subprocess.Popen:
        given = json.dumps([name, str(self.folder / "home"), str(self.folder / f"{name}.notes")])
        path = os.pathsep.join(map(str, (ROOT, ROOT / "server", ROOT / "protocol")))
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.soak.loads", given], cwd=ROOT, env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def _disturb(self, end: float) -> None:
        """Kill the worker and the daemon now and then; sample the daemon meanwhile."""
        worker_at = time.monotonic() + self._rng.uniform(*KILL_WORKER)
        daemon_at = time.monotonic() + self._rng.uniform(*KILL_DAEMON)
        while (now := time.monotonic()) < end:
            time.sleep(0.5)
            self._sample(now)
            if now > worker_at:
                worker_at = now + self._rng.uniform(*KILL_WORKER)
                for pid in children(self.daemon.process.pid, "tertium.worker.main"):
                    os.kill(pid, signal.SIGKILL)
                    self.run.kills["worker"] += 1
            if now > daemon_at and now < end - 20:
                daemon_at = now + self._rng.uniform(*KILL_DAEMON)
                self._serving.clear()
                self.daemon.stop(signal.SIGKILL)
                self.run.kills["daemon"] += 1
                self.start()

    def _sample(self, now: float) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            process = Path(f"/proc/{self.daemon.process.pid}")
            said = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
            if now - self._began > WARM_UP:
                self.run.memory.append((now - self._began, int(said["VmRSS"].split()[0]) / 1024))
            self.run.threads = max(self.run.threads, int(said["Threads"]))
            self.run.descriptors = max(self.run.descriptors, len(list((process / "fd").iterdir())))

    def _probe(self) -> None:
        """Ask for ``status`` again and again, as a client that has nothing to do with the rest."""
        while not self._over.is_set():
            if not self._serving.wait(0.1):
                continue
            with Osc(self.daemon.osc) as client:
                client.socket.settimeout(LATE)
                while self._serving.is_set() and not self._over.is_set():
                    began = time.monotonic()
                    try:
                        client.ask("status")
                        self.run.latencies.append(time.monotonic() - began)
                    except (TimeoutError, AssertionError, OSError):
                        if self._serving.is_set():
                            self.run.lost += 1
                    time.sleep(PROBE_EVERY)


def _unknown(accepted: int, unknown: int) -> dict[str, int]:
    """Jobs of which the daemon knows nothing any more: it remembers so many ended ones and no more; beyond that, they are lost."""
    forgotten = min(unknown, max(0, accepted - MOST_FINISHED))
    return {"ended and forgotten": forgotten, "lost": unknown - forgotten}


def _state(client: Osc, job: str) -> str:
    try:
        return client.ask("job", job=job)["state"]
    except AssertionError:
        return "unknown"


def table(stage: Stage, fates: dict, minutes: float) -> dict:
    """All figures, to be printed and kept."""
    loads, _ = counted(stage.folder)
    waits = np.array(stage.run.latencies) * 1000
    memory = np.array(stage.run.memory) if stage.run.memory else np.zeros((1, 2))
    early = memory[: len(memory) // 2 + 1, 1]
    return {
        "minutes": minutes,
        "status": {
            "asked": len(waits) + stage.run.lost, "lost": stage.run.lost,
            **{name: round(float(np.percentile(waits, at)), 1) for name, at in (("p50", 50), ("p99", 99), ("worst", 100))},
        },
        "jobs": fates,
        "kills": stage.run.kills,
        "memory_mib": {"median of the first half": round(float(np.median(early))), "most": round(float(memory[:, 1].max()))},
        "descriptors": stage.run.descriptors,
        "threads": stage.run.threads,
        "loads": loads,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float, nargs="?", default=5.0)
    parser.add_argument("--engine", choices=ENGINES, default="fake")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tertium-soak-", ignore_cleanup_errors=True) as folder:
        stage = Stage(Path(folder), options.engine, options.seed)
        try:
            stage.play(options.minutes * 60)
            fates = stage.settle()
        finally:
            if stage.daemon.process.poll() is None:
                until(lambda: stage.daemon.stop(signal.SIGKILL) is not None)
        made = table(stage, fates, options.minutes)
    text = json.dumps(made, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 1 if any(fates[name] for name in ("lost", "doubled", "without a file")) else 0


if __name__ == "__main__":
    sys.exit(main())
