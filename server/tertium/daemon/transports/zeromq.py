"""The ZeroMQ transport: a ROUTER socket for requests and answers and a PUB socket for events."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence

import zmq
import zmq.asyncio

from tertium.daemon import log
from tertium.errors import TertiumError

Peer = tuple[bytes, ...]
"""The routing frames of a peer: its identity, and for a REQ socket an empty frame."""
Receive = Callable[[list[bytes], Peer], None]
LARGEST_FRAME = 512 * 1024 * 1024 + 65536
MOST_WAITING = 1000  # messages for a peer that does not read them; further ones are dropped
LINGER_MS = 500


class ZeroMqTransport:
    """The two bound sockets. Create them with :meth:`open`.

    Args:
        receive: called with the frames of each request, without the routing frames, and with its peer. Exceptions are logged and do not
            affect the sockets.
    """

    def __init__(self, receive: Receive):
        self._receive = receive
        self._context = zmq.asyncio.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._publisher = self._context.socket(zmq.PUB)
        self._task: asyncio.Task | None = None
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
            transport.endpoint = _bind(transport._router, endpoint)
            transport.events = _bind(transport._publisher, events)
        except TertiumError:
            await transport.close()
            raise
        transport._task = asyncio.ensure_future(transport._listen())
        return transport

    async def _listen(self) -> None:
        while True:
            identity, *frames = await self._router.recv_multipart()
            routing = 1 if len(frames) > 1 and frames[0] == b"" else 0
            try:
                self._receive(frames[routing:], (identity, *frames[:routing]))
            except Exception as problem:
                log.exception("message not handled", problem, frames=len(frames))

    def send(self, frames: Sequence[bytes], peer: Peer) -> None:
        """Send frames to a peer; they are dropped if it has disconnected."""
        self._put(self._router, [*peer, *frames])

    def publish(self, frames: Sequence[bytes]) -> None:
        """Send frames to all subscribers of the topic in the first frame."""
        self._put(self._publisher, frames)

    def _put(self, socket: zmq.asyncio.Socket, frames: Sequence[bytes]) -> None:
        with contextlib.suppress(zmq.ZMQError):  # the socket is closing
            # Neither socket type blocks: they drop messages that a peer does not read. The future is done at once; its error is discarded.
            socket.send_multipart(frames).add_done_callback(lambda sent: sent.cancelled() or sent.exception())

    async def close(self) -> None:
        """Stop listening, wait up to half a second for messages in transit, and close."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
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
    socket.setsockopt(zmq.RCVHWM, MOST_WAITING)
    socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_FRAME)
    socket.setsockopt(zmq.IPV6, 1 if "[" in endpoint else 0)
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
