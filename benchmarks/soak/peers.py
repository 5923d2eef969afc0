"""Clients of the daemon that is there now: each looks it up again for every request, since daemons are killed and started."""

import contextlib
import itertools
import os
import socket
import time
from pathlib import Path
from typing import Any

import zmq

from tertium_protocol.client import NoDaemon, find_daemon
from tertium_protocol.client.discovery import Daemon
from tertium_protocol.codecs import osc_requests, zeromq
from tertium_protocol.codecs.envelope import Call
from tertium_protocol.codecs.osc_answers import Assembler
from tertium_protocol.messages.events import Answer

PATIENCE = 5.0
"""Seconds after which an answer counts as lost."""
LONGEST_AWAY = 120.0
LARGEST = 65536


def found(home: Path) -> Daemon:
    """The facts of the daemon, once it is there. Raises NoDaemon when none comes."""
    end = time.monotonic() + LONGEST_AWAY
    while True:
        try:
            facts = find_daemon(home)
            if lives(facts):
                return facts
        except NoDaemon:
            if time.monotonic() > end:
                raise
        if time.monotonic() > end:
            raise NoDaemon(f"{home}: its daemon does not come back")
        time.sleep(0.05)


def lives(facts: Daemon) -> bool:
    """Return whether this daemon still runs."""
    try:
        os.kill(facts.pid, 0)
    except OSError:
        return False
    return True


def udp() -> socket.socket:
    """A bound socket that does not wait."""
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.bind(("127.0.0.1", 0))
    plain.setblocking(False)
    return plain


def drained(plain: socket.socket) -> list[bytes]:
    """All datagrams that have come."""
    datagrams = []
    with contextlib.suppress(OSError):
        while True:
            datagrams.append(plain.recv(LARGEST))
    return datagrams


class OscPeer:
    """A client over OSC."""

    def __init__(self, home: Path):
        self._home, self._socket = home, udp()
        self._assembler = Assembler()
        self._ids = (f"{os.urandom(3).hex()}-{number}" for number in itertools.count())
        self.facts = found(home)

    def ready(self) -> None:
        """Wait until there is a daemon."""
        self.facts = found(self._home)

    def send(self, command: str, /, id: str | None = None, **fields: Any) -> str:
        """Send a request; return its id."""
        self.ready()
        id = id or next(self._ids)
        with contextlib.suppress(OSError):
            self._socket.sendto(osc_requests.encode_call(command, id, fields), self.facts.osc)
        return id

    def answers(self, wait: float = 0.0) -> list[Answer]:
        """All answers that have come, after waiting for the first."""
        if wait:
            self._socket.settimeout(wait)
            try:
                first = [self._socket.recv(LARGEST)]
            except OSError:
                return []
            finally:
                self._socket.setblocking(False)
        else:
            first = []
        fed = (self._assembler.feed(datagram) for datagram in [*first, *drained(self._socket)])
        return [answer for answer in fed if answer is not None]

    def ask(self, command: str, /, *, patience: float = PATIENCE, **fields: Any) -> Answer | None:
        """Return the first answer to a request, if one comes."""
        return _awaited(self, self.send(command, **fields), patience)

    def close(self) -> None:
        self._socket.close()


class ZeroMqPeer:
    """A client over ZeroMQ."""

    def __init__(self, home: Path):
        self._home = home
        self._socket: zmq.Socket | None = None
        self._ids = (f"{os.urandom(3).hex()}-{number}" for number in itertools.count())
        self._connect()

    def ready(self) -> None:
        """Wait until there is a daemon, and connect to it."""
        if not lives(self.facts):
            self._connect()

    def send(self, command: str, /, id: str | None = None, **fields: Any) -> str:
        """Send a request; return its id."""
        self.ready()
        id = id or next(self._ids)
        with contextlib.suppress(zmq.ZMQError):
            self._socket.send_multipart(zeromq.encode_call(Call(command, id, fields, token=self.facts.token)))
        return id

    def answers(self, wait: float = 0.0) -> list[Answer]:
        """All answers that have come, after waiting for the first."""
        answers = []
        if wait and not self._socket.poll(wait * 1000):
            return []
        with contextlib.suppress(zmq.ZMQError):
            while True:
                answers.append(zeromq.decode_answer(self._socket.recv_multipart(zmq.NOBLOCK))[0])
        return answers

    def ask(self, command: str, /, *, patience: float = PATIENCE, **fields: Any) -> Answer | None:
        """Return the first answer to a request, if one comes."""
        return _awaited(self, self.send(command, **fields), patience)

    def close(self) -> None:
        self._socket.close()

    def _connect(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self.facts = found(self._home)
        self._socket = dealer(self.facts)


def dealer(facts: Daemon) -> zmq.Socket:
    """A socket that is connected to this daemon."""
    made = zmq.Context.instance().socket(zmq.DEALER)
    made.linger, made.sndtimeo, made.rcvtimeo = 0, 1000, 1000
    made.connect(facts.zmq)
    return made


def _awaited(peer: OscPeer | ZeroMqPeer, id: str, patience: float) -> Answer | None:
    end = time.monotonic() + patience
    while (left := end - time.monotonic()) > 0:
        for answer in peer.answers(min(left, 0.5)):
            if answer.id == id and answer.event != "item":
                return answer
        if not lives(peer.facts):
            return None
    return None
