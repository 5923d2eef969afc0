"""The ZeroMQ transport: a ROUTER socket for requests and answers and a PUB socket for events."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Sequence

import zmq

from tertium.daemon import log
from tertium.daemon.transports.connection_limit import ConnectionLimit, most_connections
from tertium.errors import TertiumError

Peer = tuple[bytes, ...]
"""The routing frames of a peer: its identity, and for a REQ socket an empty frame."""
Receive = Callable[[list[bytes | memoryview], Peer], None]
LARGEST_FRAME = 512 * 1024 * 1024 + 65536
MOST_WAITING = 1000  # messages for a peer that does not read them; further ones are dropped
MOST_RECEIVED = 32
"""Messages of a peer that are received ahead of being handled; further ones wait with the peer, and take no memory here."""
COPIED = 65536
"""Bytes of a frame up to which it is copied. Larger ones, such as audio, stay in ZeroMQ's memory: copying them would hold up the event loop."""
RELEASE_SECONDS = 0.001
LINGER_MS = 500
MOST_A_TURN = 4
"""Messages handled before everything else in the loop has its turn, OSC among it."""
TURN_SECONDS = 0.001
LOOK_AGAIN_MS = 1000
"""Time after which the socket is looked at without a signal: signals come for all messages, and this would mend one that was missed."""


class ZeroMqTransport:
    """The two bound sockets. Create them with :meth:`open`.

    Args:
        receive: called with the frames of each request, without the routing frames, and with its peer. Exceptions are logged and do not
            affect the sockets.
    """

    def __init__(self, receive: Receive):
        self._receive = receive
        # Not those of zmq.asyncio: its futures cost ten times as much, and one more iteration of the loop before a message is seen.
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._publisher = self._context.socket(zmq.PUB)
        sockets = (self._router, self._publisher)
        self._connections = ConnectionLimit(self._context, sockets, most=most_connections())
        self._looking: asyncio.Handle | None = None
        self._turn: asyncio.Handle | None = None
        self._held: deque[zmq.Frame] = deque()
        self.endpoint = ""
        self.events = ""

    @classmethod
    async def open(cls, endpoint: str, events: str, receive: Receive) -> "ZeroMqTransport":
        """Bind both sockets.

        Args:
            endpoint: the endpoint for requests.
            events: the endpoint for events.

        Raises:
            TertiumError: busy when an endpoint is in use, path_refused when it cannot be created.
        """
        transport = cls(receive)
        try:
            transport.endpoint = transport._bind(transport._router, endpoint)
            transport.events = transport._bind(transport._publisher, events)
        except TertiumError:
            await transport.close()
            raise
        asyncio.get_running_loop().add_reader(transport._router.getsockopt(zmq.FD), transport._look)
        transport._look_again()
        return transport

    @property
    def message(self) -> str | None:
        """A sentence on connections that are refused now; None if there is room for more."""
        return self._connections.message

    def _bind(self, socket: zmq.Socket, endpoint: str) -> str:
        bound = _bind(socket, endpoint)
        self._connections.endpoints.append(bound)
        return bound

    def _look_again(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(LOOK_AGAIN_MS / 1000, self._look_again)
        self._look()

    def _look(self) -> None:
        """Handle messages if there are any, and if it is not being done already."""
        if self._turn is None:
            self._take_turn()

    def _take_turn(self) -> None:
        """Handle a few messages. The socket itself takes them from its peers in turns."""
        loop = asyncio.get_running_loop()
        # Booked before anything is answered: else each answer would book one more, and the turns would double with each turn.
        self._turn = loop.call_soon(self._take_turn)
        end = loop.time() + TURN_SECONDS
        for _ in range(MOST_A_TURN):
            try:
                parts = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.ZMQError:  # there is nothing more, or the socket is closing
                self._turn.cancel()
                self._turn = None
                return
            self._handle(parts)
            if loop.time() > end:
                return

    def _handle(self, parts: list[zmq.Frame]) -> None:
        identity, *frames = (part.bytes if len(part) <= COPIED else part.buffer for part in parts)
        large = [part for part in parts if len(part) > COPIED]
        if large:
            self._hold(large)
        routing = 1 if len(frames) > 1 and frames[0] == b"" else 0
        try:
            self._receive(frames[routing:], (identity, *frames[:routing]))
        except Exception as problem:
            log.exception("message not handled", problem, frames=len(frames))

    def _hold(self, large: list[zmq.Frame]) -> None:
        """Keep frames alive, to be released one by one between other work: releasing 100 MB takes some 15 ms."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._release_one)
        self._held.extend(large)

    def _release_one(self) -> None:
        if self._held:
            self._held.popleft()
            asyncio.get_running_loop().call_later(RELEASE_SECONDS, self._release_one)

    def send(self, frames: Sequence[bytes], peer: Peer) -> bool:
        """Send frames to a peer. Return False if they are lost because it does not read its answers; if it has disconnected, nobody misses them."""
        try:
            self._router.send_multipart([*peer, *frames], zmq.NOBLOCK, copy=False)  # small ones are copied all the same
        except zmq.Again:
            return False
        except zmq.ZMQError:  # it has disconnected, or the socket is closing
            return True
        finally:
            self._wake()
        return True

    def publish(self, frames: Sequence[bytes]) -> None:
        """Send frames to all subscribers of the topic in the first frame; a subscriber that does not read them loses them, as the numbers show."""
        with contextlib.suppress(zmq.ZMQError):
            self._publisher.send_multipart(frames, zmq.NOBLOCK)

    def _wake(self) -> None:
        """Look for messages once more: sending can swallow the signal that some have come."""
        if self._turn is not None or self._looking is None or self._router.closed:
            return
        if self._router.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    async def close(self) -> None:
        """Stop listening, wait up to half a second for messages in transit, and close."""
        if self._looking is not None:
            asyncio.get_running_loop().remove_reader(self._router.getsockopt(zmq.FD))
            self._looking.cancel()
            self._looking = None
        if self._turn is not None:
            self._turn.cancel()
        self._connections.close()
        for socket in (self._router, self._publisher):
            socket.close(linger=LINGER_MS)
        await asyncio.get_running_loop().run_in_executor(None, self._context.term)
        for endpoint in (self.endpoint, self.events):
            if endpoint.startswith("ipc://"):
                with contextlib.suppress(OSError):
                    os.unlink(endpoint.removeprefix("ipc://"))


def _bind(socket: zmq.Socket, endpoint: str) -> str:
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.setsockopt(zmq.SNDHWM, MOST_WAITING)
    socket.setsockopt(zmq.RCVHWM, MOST_RECEIVED)
    socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_FRAME)
    socket.setsockopt(zmq.IPV6, 1 if "[" in endpoint else 0)
    if socket.type == zmq.ROUTER:
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # so that a lost answer is known to be lost
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        in_use = error.errno == zmq.EADDRINUSE
        raise TertiumError(
            "busy" if in_use else "path_refused", f"The ZeroMQ endpoint '{endpoint}' cannot be used: {error.strerror}.",
            field="zmq", value=endpoint, remedy="Choose another with --zmq; tcp://127.0.0.1:0 takes any free port.",
        ) from error  # fmt: skip
    bound = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    if bound.startswith("ipc://"):
        os.chmod(bound.removeprefix("ipc://"), 0o600)
    return bound
