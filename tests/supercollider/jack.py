"""Audio without a sound card: jackd with its dummy driver under a name of its own, and scsynth or supernova on it, on a port of their own."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest

PATIENCE = 60.0
RATE, PERIOD = 44100, 512
STATUS = b"/status\0,\0\0\0"


def missing(*programs):
    """Those of the programs that are not installed."""
    return [program for program in programs if shutil.which(program) is None]


def needs(*programs):
    """Skips a test, with the reason, where a program is missing."""
    return pytest.mark.skipif(bool(missing(*programs)), reason=f"{' and '.join(missing(*programs))} not installed")


@contextlib.contextmanager
def playing(folder, program="scsynth", *, channels=2):
    """A sound server that plays to nowhere, for as long as the context lasts."""
    name = f"tertium-{uuid.uuid4().hex[:8]}"
    environment = os.environ | {
        "JACK_NO_AUDIO_RESERVATION": "1",
        "JACK_NO_START_SERVER": "1",
        "JACK_DEFAULT_SERVER": name,
        "HOME": str(folder),
    }
    Path(folder, ".local/share/SuperCollider/synthdefs").mkdir(parents=True, exist_ok=True)
    command = ["jackd", "-r", "-n", name, "-d", "dummy", "-r", str(RATE), "-p", str(PERIOD)]
    with _process(command, Path(folder) / "jackd.log", environment) as jackd:
        _until(lambda: _answers(environment), jackd)
        port = _free_port()
        command = [
            program,
            "-u",
            str(port),
            "-B",
            "127.0.0.1",
            "-a",
            "256",
            "-i",
            "2",
            "-o",
            str(channels),
            "-R",
            "0",
            "-l",
            "8",
        ]
        with _process(command, Path(folder) / f"{program}.log", environment) as server:
            server.port, server.jackd = port, jackd
            _until(lambda: _alive(port), server)
            yield server


class Process:
    """A process and what it said so far."""

    def __init__(self, command, log, environment):
        self._log = Path(log)
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment
            )

    @property
    def log(self):
        return self._log.read_text(errors="replace")

    @property
    def late(self):
        """What scsynth said of messages that came too late."""
        return re.findall(r"^late .*$", self.log, re.MULTILINE)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextlib.contextmanager
def _process(command, log, environment):
    process = Process(command, log, environment)
    try:
        yield process
    finally:
        process.end()


def _until(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.process.poll() is None, f"{process.process.args[0]} ended: {process.log}"
        assert time.monotonic() < end, f"{process.process.args[0]} is not up after {PATIENCE} s: {process.log}"
        time.sleep(0.05)


def _answers(environment):
    return subprocess.run(["jack_lsp"], env=environment, capture_output=True).returncode == 0


def _free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _alive(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.5)
        probe.sendto(STATUS, ("127.0.0.1", port))
        with contextlib.suppress(OSError):
            return probe.recv(1024).startswith(b"/status.reply")
    return False
