"""The OSC transport: UDP datagrams through a single socket, since many clients drop answers from any other port."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable

from tertium.daemon import log
from tertium.daemon.transports.fair_queue import Address, FairQueue
from tertium.errors import TertiumError

Receive = Callable[[bytes, Address], None]
RECEIVE_BUFFER = 1 << 22
"""Bytes asked of the system, which may give less: what comes while the process waits for a core must fit, or is lost."""
LARGEST = 65536
EMPTYING_SECONDS = 0.001
"""How long the socket is read at a time. A flood can fill it as fast as it is read, so that it would never be empty."""
MOST_A_TURN = 8
"""Datagrams handled before everything else in the loop has its turn; each may start a task that takes a while."""
TURN_SECONDS = 0.001
"""How long datagrams are handled before the socket is emptied again: under a flood, a typical system buffer overflows after about twice this."""


class OscTransport(asyncio.DatagramProtocol):
    """A bound UDP socket. Create it with :meth:`open`.

    All received datagrams are read from the system at once and handled afterwards: when the system's buffer overflows, it drops the
    newest, which are most often the ones that a client is waiting for.

    Args:
        receive: called with each datagram and its source address. Exceptions are logged and do not affect the socket.
        bound: the socket, non-blocking.
    """

    def __init__(self, receive: Receive, bound: socket.socket):
        self._receive = receive
        self._socket = bound
        self._inbox = FairQueue()
        self._dropped = 0
        self._turn: asyncio.Handle | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self.address: Address = ("", 0)

    @classmethod
    async def open(cls, host: str, port: int, receive: Receive) -> "OscTransport":
        """Bind a socket.

        Args:
            host: a loopback address.
            port: 0 … 65535; 0 lets the system choose.

        Raises:
            TertiumError: busy when the port is in use, not_allowed when it may not be bound.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_DGRAM)
        try:
            with contextlib.suppress(OSError):  # some systems refuse what is too large, instead of giving less
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            bound.bind((host, port))
        except OSError as error:
            bound.close()
            raise TertiumError(
                "busy" if error.errno != 13 else "not_allowed", f"UDP port {port} on {host} cannot be used: {error.strerror}.",
                field="osc", value=f"{host}:{port}", remedy="Choose another with --osc HOST:PORT; port 0 takes any free port.",
            ) from error  # fmt: skip
        bound.setblocking(False)
        loop = asyncio.get_running_loop()
        _, transport = await loop.create_datagram_endpoint(lambda: cls(receive, bound), sock=bound)
        return transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        self._put(data, addr)
        self._empty_socket()
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def error_received(self, exc: OSError) -> None:
        """Log that a datagram could not be delivered, usually because a client has closed its port."""
        log.event("datagram not delivered", level=logging.DEBUG, reason=str(exc))

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one datagram, without any confirmation of its arrival."""
        if self._transport is not None and not self._transport.is_closing() and address != self.address:
            with contextlib.suppress(OSError, ValueError):
                self._transport.sendto(datagram, address)

    async def close(self) -> None:
        """Close the socket."""
        if self._turn is not None:
            self._turn.cancel()
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)

    def _put(self, data: bytes, addr: tuple) -> None:
        if (
            addr[:2] == self.address
        ):  # an answer of the daemon's own, from a client that gave this port as its reply port
            return
        self._dropped += not self._inbox.put(data, (addr[0], addr[1]))

    def _empty_socket(self) -> None:
        """Read all waiting datagrams: the event loop alone reads one per iteration, which is too slow for a flood."""
        end = time.monotonic() + EMPTYING_SECONDS
        with contextlib.suppress(OSError):  # the socket is empty, or a client's port was closed
            while time.monotonic() < end:
                self._put(*self._socket.recvfrom(LARGEST))

    def _tell_dropped(self) -> None:
        if self._dropped:
            log.event("datagrams dropped", level=logging.WARNING, count=self._dropped, reason="too many are waiting")
            self._dropped = 0

    def _take_turn(self) -> None:
        self._turn = None
        end = time.monotonic() + TURN_SECONDS
        for _ in range(MOST_A_TURN):
            if not self._inbox or time.monotonic() > end:
                break
            self._handle(*self._inbox.take())
        self._empty_socket()
        self._tell_dropped()
        if self._inbox:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def _handle(self, data: bytes, address: Address) -> None:
        try:
            self._receive(data, address)
        except Exception as problem:
            log.exception("datagram not handled", problem, peer=f"{address[0]}:{address[1]}", bytes=len(data))
