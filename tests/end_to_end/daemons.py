"""Real daemons for tests, each in its own process, and a plain OSC client for them."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tertium.storage import home as homes
from tertium_protocol.codecs import osc_requests as osc
from tertium_protocol.codecs.osc_answers import Assembler

ROOT = Path(__file__).parents[2]
FAKE = "tests.worker.fake_engine"
PATIENCE = 60.0


class Daemon:
    """A daemon in its own process; ``facts`` is the content of its daemon.json.

    Args:
        step: seconds per step of the fake engine.
        program: the module to run.
        descriptors: its limit of open files and sockets.
        file_limit: largest size of any file it writes, in bytes; to the daemon this looks like a full disk.
        own_session: whether it runs in a session of its own, which the system may schedule apart from this one's other processes.
        options: those of ``tertium.daemon.config.settings``.
    """

    def __init__(
        self,
        home,
        *,
        step=0.0,
        file_limit=resource.RLIM_INFINITY,
        descriptors=None,
        program="tests.end_to_end.serve",
        own_session=False,
        **options,
    ):
        self.home = Path(home)
        given = {"home": str(home), "osc": "127.0.0.1:0", "engine": FAKE, "model": "fake", **options}
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "server", ROOT / "protocol"))),
            "TERTIUM_FAKE_STEP": str(step),
            "TERTIUM_FAKE_FOLDER": str(self.home),
            "OMP_NUM_THREADS": "1",
        }
        self.home.mkdir(parents=True, exist_ok=True)
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", program, json.dumps(given)],
                cwd=ROOT, env=environment, stderr=log, stdout=log, start_new_session=own_session,
                preexec_fn=lambda: _limit(file_limit, descriptors),
            )  # fmt: skip

    @property
    def log(self):
        return (self.home / "log").read_text(errors="replace")

    @property
    def osc(self):
        return tuple(self.facts["osc"])

    def up(self):
        """Wait until it serves."""
        self.facts = until(lambda: self._announced(), lambda: self.log)
        return self

    def _announced(self):
        facts = homes.find(self.home)
        assert self.process.poll() is None, self.log
        return facts if facts and facts["pid"] == self.process.pid else None

    def ready(self):
        """Wait until its model is loaded."""
        self.up()
        with Osc(self.osc) as client:
            until(lambda: client.ask("status")["state"] in ("ready", "busy"), lambda: self.log)
        return self

    def worker(self):
        """Process id of the worker."""
        return until(lambda: next(iter(children(self.process.pid, "tertium.worker.main")), None))

    def helpers(self):
        """Process ids of the helper processes, once there are any."""
        return until(lambda: children(self.process.pid, "tertium.helper.main"))

    def stop(self, how=signal.SIGTERM):
        """Stop it, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(20)


def _limit(file_limit, descriptors):
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


@contextlib.contextmanager
def running(home, **options):
    """A daemon whose model is loaded, for as long as the context lasts."""
    daemon = Daemon(home, **options)
    try:
        yield daemon.ready()
    finally:
        daemon.stop()


class Osc:
    """A client that speaks OSC over a plain socket."""

    def __init__(self, address, *, port=0):
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.socket.settimeout(20)
        self.port = self.socket.getsockname()[1]
        self.assembler = Assembler()
        self.ids = iter(range(1, 10**6))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, command, id, **fields):
        self.socket.sendto(osc.encode_call(command, id, fields), self.address)

    def receive(self):
        """Return the next answer to any request."""
        while True:
            datagram, sender = self.socket.recvfrom(65536)
            assert sender == self.address, "answers must come from the port that was asked"
            assert len(datagram) < 1400
            answer = self.assembler.feed(datagram)
            if answer is not None:
                return answer

    def ask(self, command, **fields):
        """Return the fields of the reply to an immediate command. Guarded commands need the daemon's ``token``."""
        id = f"ask-{self.port}-{next(self.ids)}"
        self.send(command, id, **fields)
        while True:
            answer = self.receive()
            if answer.id == id and answer.event != "item":
                assert answer.event == "reply", answer
                return answer.fields

    def refused(self, command, **fields):
        """Return the fields of the error that a request gets."""
        id = f"refused-{self.port}-{next(self.ids)}"
        self.send(command, id, **fields)
        while True:
            answer = self.receive()
            if answer.id == id:
                assert answer.event == "error", answer
                return answer.fields

    def events(self, id, last=("done", "failed", "cancelled", "error")):
        """Return all answers to a request, up to the one that ends it."""
        answers = []
        while not answers or answers[-1].event not in last:
            answer = self.receive()
            if answer.id == id:
                answers.append(answer)
        return answers

    def silent(self, seconds=0.3):
        """Return True if no datagram arrives."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recvfrom(65536)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)
        return False


def until(condition, explain=lambda: ""):
    """Wait until ``condition`` returns something true, and return that."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE} s: {explain()}")


def children(pid, running=""):
    """Return the ids of a process's children whose command contains ``running`` (Linux only)."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_text()
                if int(stat[1]) == pid and stat[0] != "Z" and running in command:
                    found.append(int(folder.name))
    return found


def lives(pid):
    """Return whether a process runs and is not a zombie (Linux only)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
