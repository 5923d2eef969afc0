"""The probes: clients that have nothing to do with the loads, and ask twenty times a second. Beside them a plain echo, which tells what the machine itself costs.

python -m benchmarks.soak.probes '{"name": "osc" | "zeromq" | "echo", "home": …, "folder": …, "seconds": …}'
"""

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.soak.loads.__main__ import end_with_parent
from benchmarks.soak.notes import Notes
from benchmarks.soak.peers import LARGEST, PATIENCE, OscPeer, ZeroMqPeer, lives, udp
from tertium_protocol.client import NoDaemon

PROBES = ("osc", "zeromq", "echo")
EVERY = 0.05
MOST = 2_000_000


def probe(home: Path, notes: Notes, name: str, end: float) -> None:
    """Ask for ``status`` again and again, and note how long each answer takes and which do not come."""
    peer = OscPeer(home) if name == "osc" else ZeroMqPeer(home)

    def ask() -> bool | None:
        answer = peer.ask("status")
        # If it was killed meanwhile, ZeroMQ hands the request to the next daemon, whose start is no answer's time.
        if not lives(peer.facts):
            return None
        return answer is not None

    _measure(ask, notes, name, end, ready=peer.ready)


def echoed(notes: Notes, end: float) -> None:
    """The same to a process that does nothing but to send back what it gets."""
    address, plain = _echo_server(end), udp()
    plain.settimeout(PATIENCE)

    def ask() -> bool:
        plain.sendto(os.urandom(40), address)
        try:
            return bool(plain.recv(LARGEST))
        except TimeoutError:
            return False

    _measure(ask, notes, "echo", end)


def _measure(
    ask: Callable[[], bool | None], notes: Notes, name: str, end: float, *, ready: Callable[[], None] = lambda: None
) -> None:
    for _ in range(MOST):
        ready()  # a daemon that is killed and started is waited for here: that is no answer's time
        began = time.monotonic()
        if began >= end:
            return
        answered = ask()
        if answered is not None:
            notes.tried(name)
        if answered:
            notes.passed(name)
            notes.latency(name, time.monotonic() - began)
        time.sleep(EVERY * random.uniform(0.7, 1.3))  # not in step with anything


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        self._transport.sendto(data, addr)


def _echo_server(end: float) -> tuple[str, int]:
    """Fork a process that echoes; return its address. It ends with this one, or when the time is over."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        try:
            end_with_parent()
            asyncio.run(_serve_echo(writing, end + PATIENCE))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as said:
        return "127.0.0.1", int(said.read())


async def _serve_echo(writing: int, end: float) -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Echo, local_addr=("127.0.0.1", 0))
    os.write(writing, str(transport.get_extra_info("sockname")[1]).encode())
    os.close(writing)
    await asyncio.sleep(end - time.monotonic())


def main(*, name: str, home: str, folder: str, seconds: float) -> None:
    """Run one probe to its end."""
    end_with_parent()
    notes, end = Notes(Path(folder) / f"probe-{name}.notes"), time.monotonic() + seconds
    with contextlib.suppress(NoDaemon):  # it was stopped for good
        echoed(notes, end) if name == "echo" else probe(Path(home), notes, name, end)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
