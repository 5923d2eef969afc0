"""The loads: each is a function that runs in a process of its own until it is ended, and sends to the daemon on this machine alone.

Each takes the home of the daemon and a folder for what it notes down: one line for each thing that it tried, and one for each that went through
(``tried NAME``, ``passed NAME``). Bounded in rate, so that two cores can bear all of them at once.
"""

import contextlib
import itertools
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import zmq

from tertium_protocol.client import NoDaemon, find_daemon
from tertium_protocol.codecs import osc_requests, zeromq
from tertium_protocol.codecs.envelope import Call

Load = Callable[[Path, "Notes"], None]
LOADS: dict[str, Load] = {}


class Notes:
    """Counts of what a load tried, appended to a file so that nothing is lost when the load is killed."""

    def __init__(self, path: Path):
        self._file = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 it lives as long as the process

    def tried(self, name: str, count: int = 1) -> None:
        self._file.write(f"tried {name} {count}\n")

    def passed(self, name: str, count: int = 1) -> None:
        self._file.write(f"passed {name} {count}\n")

    def accepted(self, job: str) -> None:
        self._file.write(f"accepted {job} 1\n")


def load(function: Load) -> Load:
    LOADS[function.__name__] = function
    return function


def found(home: Path):
    """The daemon's facts, once it is there."""
    while True:
        with contextlib.suppress(NoDaemon):
            return find_daemon(home)
        time.sleep(0.1)


def udp() -> socket.socket:
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.bind(("127.0.0.1", 0))
    plain.setblocking(False)
    return plain


@contextlib.contextmanager
def dealer(home: Path) -> Iterator[tuple[zmq.Socket, str | None]]:
    """A socket connected to the daemon that is there now, and the token."""
    facts = found(home)
    made = zmq.Context.instance().socket(zmq.DEALER)
    made.linger, made.sndtimeo, made.rcvtimeo = 0, 1000, 1000
    made.connect(facts.zmq)
    try:
        yield made, facts.token
    finally:
        made.close()


def drained(plain: socket.socket) -> list[bytes]:
    datagrams = []
    with contextlib.suppress(BlockingIOError):
        while True:
            datagrams.append(plain.recv(65536))
    return datagrams


@load
def osc_fuzz(home: Path, notes: Notes) -> None:
    """Random bytes, and requests with bytes changed, 200 a second."""
    rng, plain = random.Random(1), udp()
    good = osc_requests.encode_call("status", "fuzz", {})
    while True:
        address = found(home).osc
        for _ in range(20):
            data = bytearray(good if rng.random() < 0.5 else rng.randbytes(rng.randrange(1, 400)))
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            with contextlib.suppress(OSError):
                plain.sendto(bytes(data), address)
        notes.tried("osc_fuzz", 20)
        drained(plain)
        time.sleep(0.1)


@load
def zeromq_fuzz(home: Path, notes: Notes) -> None:
    """Random frames and headers with bytes changed, 200 a second."""
    rng = random.Random(2)
    while True:
        with contextlib.suppress(zmq.ZMQError), dealer(home) as (made, token):
            good = zeromq.encode_call(Call("status", "fuzz", token=token))[0]
            for _ in range(20):
                for _ in range(20):
                    data = bytearray(good if rng.random() < 0.5 else rng.randbytes(rng.randrange(1, 400)))
                    data[rng.randrange(len(data))] = rng.randrange(256)
                    made.send_multipart([bytes(data), *(rng.randbytes(10) for _ in range(rng.randrange(3)))])
                notes.tried("zeromq_fuzz", 20)
                time.sleep(0.1)


@load
def osc_flood(home: Path, notes: Notes) -> None:
    """One peer that sends as fast as it can, a tenth of the time."""
    plain, count = udp(), itertools.count()
    while True:
        address, end = found(home).osc, time.monotonic() + 0.2
        sent = 0
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                plain.sendto(osc_requests.encode_call("status", next(count) % 2**30, {}), address)
                sent += 1
        notes.tried("osc_flood", sent)
        notes.passed("osc_flood", len(drained(plain)))
        time.sleep(1.8)


@load
def zeromq_flood(home: Path, notes: Notes) -> None:
    """One peer that sends rubbish as fast as the socket takes it, a tenth of the time, and reads nothing."""
    while True:
        with contextlib.suppress(NoDaemon), dealer(home) as (made, _):
            for _ in range(10):
                end, sent = time.monotonic() + 0.2, 0
                while time.monotonic() < end:
                    try:
                        made.send(b"x", zmq.DONTWAIT)
                        sent += 1
                    except zmq.ZMQError:
                        time.sleep(0.001)
                notes.tried("zeromq_flood", sent)
                time.sleep(1.8)


@load
def never_reads(home: Path, notes: Notes) -> None:
    """Peers that ask for long answers and never take them."""
    while True:
        with contextlib.suppress(zmq.ZMQError), dealer(home) as (made, token):
            made.rcvhwm = 1
            for number in range(200):
                made.send_multipart(zeromq.encode_call(Call("commands", number, token=token)))
            notes.tried("never_reads", 200)
            time.sleep(5)


@load
def slider(home: Path, notes: Notes) -> None:
    """A knob at 100 Hz: fusions of one slot, each of which takes the place of the last."""
    sounds, plain, count = _clips(home), udp(), itertools.count()
    run = os.urandom(3).hex()
    while True:
        address = found(home).osc
        for _ in range(100):
            number = next(count)
            asked = {
                "original": sounds[0],
                "reference": sounds[1],
                "blend": number % 100 / 100,
                "steps": 4,
                "slot": "knob",
            }
            with contextlib.suppress(OSError):
                plain.sendto(osc_requests.encode_call("fuse", f"knob-{run}-{number}", asked), address)
            notes.tried("slider")
            for event, job in _events(drained(plain)):
                if event == "accepted":
                    notes.accepted(job)
                notes.passed("slider") if event == "accepted" else None
            time.sleep(0.01)
        time.sleep(2)


@load
def jobs(home: Path, notes: Notes) -> None:
    """Generations one after the other over ZeroMQ, and a training job now and then: every one accepted is remembered, and looked for in the end."""
    sounds, number = _clips(home), itertools.count()
    run = os.urandom(3).hex()
    while True:
        with contextlib.suppress(zmq.ZMQError, Exception), dealer(home) as (made, token):
            for _ in range(50):
                at = next(number)
                call = Call(
                    "generate", f"job-{run}-{at}", {"prompt": "step=0.02", "seconds": 0.5, "steps": 5}, token=token
                )
                if at % 20 == 0:
                    asked = {"reference": sounds[0], "prompt": "step=0.05", "steps": 30, "name": f"soak {run} {at}"}
                    call = Call("learn", f"job-{run}-{at}", asked, token=token)
                notes.tried("jobs")
                made.send_multipart(zeromq.encode_call(call))
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    answer, _ = zeromq.decode_answer(made.recv_multipart())
                    if answer.id == call.id and answer.event == "accepted":
                        notes.accepted(answer.fields["job"])
                        notes.passed("jobs")
                        break
                    if answer.id == call.id and answer.event == "error":
                        break
                time.sleep(0.2)


@load
def stretches(home: Path, notes: Notes) -> None:
    """A part of a file stretched, a different one each time, once a second."""
    path, number = _noise(home, seconds=30.0), itertools.count()
    plain = udp()
    while True:
        asked = {"path": path, "start": next(number) % 20 * 0.5, "end": 12.0 + next(number) % 7, "seconds": 20.0}
        with contextlib.suppress(OSError):
            plain.sendto(osc_requests.encode_call("add_sound", next(number), asked), found(home).osc)
        notes.tried("stretches")
        time.sleep(1)
        notes.passed("stretches", sum(event == "reply" for event, _ in _events(drained(plain))))


@load
def crowd(home: Path, notes: Notes) -> None:
    """64 clients that come, ask once, and go."""
    while True:
        facts = found(home)
        sockets = []
        for number in range(64):
            made = zmq.Context.instance().socket(zmq.DEALER)
            made.linger, made.rcvtimeo = 0, 2000
            with contextlib.suppress(zmq.ZMQError):
                made.connect(facts.zmq)
                made.send_multipart(zeromq.encode_call(Call("status", number, token=facts.token)))
            sockets.append(made)
        notes.tried("crowd", 64)
        answered = 0
        for made in sockets:
            with contextlib.suppress(zmq.ZMQError):
                made.recv_multipart()
                answered += 1
            made.close()
        notes.passed("crowd", answered)
        time.sleep(1)


def _events(datagrams: list[bytes]) -> list[tuple[str, str]]:
    told = []
    for datagram in datagrams:
        with contextlib.suppress(Exception):
            for address, _, fields in osc_requests.decode_messages(datagram):
                told.append((address.rpartition("/")[2], str(fields.get("job", ""))))
    return told


def _clips(home: Path) -> list[str]:
    return [_noise(home, seconds=1.0, seed=seed) for seed in (1, 2)]


def _noise(home: Path, *, seconds: float, seed: int = 0) -> str:
    path = home.parent / f"clip-{seed}-{seconds:g}.wav"
    if not path.exists():
        samples = np.random.default_rng(seed).uniform(-0.3, 0.3, (round(seconds * 44_100), 2))
        part = path.with_suffix(f".{os.getpid()}")
        soundfile.write(part, samples, 44_100, format="WAV")
        os.replace(part, path)
    return str(path)


def counted(folder: Path) -> tuple[dict[str, dict[str, int]], set[str]]:
    """What all loads noted down: by load what was tried and passed, and the jobs that were accepted."""
    table: dict[str, dict[str, int]] = {}
    accepted: set[str] = set()
    for path in folder.glob("*.notes"):
        for line in path.read_text(encoding="utf-8").splitlines():
            what, name, count = (*line.split(" "), "", "")[:3]
            if what == "accepted" and count:
                accepted.add(name)
            elif count.isdecimal():
                row = table.setdefault(name, {"tried": 0, "passed": 0})
                row[what] += int(count)
    return table, accepted


def main(name: str, home: str, notes: str) -> None:
    """Run one load until the process is ended. It gives way to the daemon: what is measured is the daemon, not the number of cores."""
    os.nice(10)
    LOADS[name](Path(home), Notes(Path(notes)))


if __name__ == "__main__":
    import sys

    main(*json.loads(sys.argv[1]))
