"""ZeroMQ: a ROUTER for requests and answers, a PUB for events. Frames and peers' identities, and nothing else."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence

import zmq
import zmq.asyncio

from tertium.daemon import log
from tertium.errors import TertiumError

Peer = tuple[bytes, ...]
"""The routing frames that lead to a peer: its identity, and for a REQ socket an empty frame."""
Receive = Callable[[list[bytes], Peer], None]
LARGEST_FRAME = 512 * 1024 * 1024 + 65536
MOST_WAITING = 1000  # messages for one peer that does not take them; further ones are dropped
LINGER_MS = 500


class ZeroMqTransport:
    """Two bound sockets. Make it with :meth:`open`.

    Args:
        receive: called with the frames of each request, without those of its routing, and with its peer. What it raises is logged, and
            the socket goes on.
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
            endpoint: for requests.
            events: for events.

        Raises:
            TertiumError: busy when an endpoint is in use, path_refused when it cannot be made.
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
                log.trouble("message not handled", problem, frames=len(frames))

    def send(self, frames: Sequence[bytes], peer: Peer) -> None:
        """Send to one peer; to one that has gone, nothing."""
        self._put(self._router, [*peer, *frames])

    def publish(self, frames: Sequence[bytes]) -> None:
        """Send to all who subscribed to the topic in the first frame."""
        self._put(self._publisher, frames)

    def _put(self, socket: zmq.asyncio.Socket, frames: Sequence[bytes]) -> None:
        with contextlib.suppress(zmq.ZMQError):  # the socket is closing
            # Neither kind of socket waits: what a peer does not take is dropped. So the future is done, for better or worse.
            socket.send_multipart(frames).add_done_callback(lambda sent: sent.cancelled() or sent.exception())

    async def close(self) -> None:
        """Stop listening, give what is on its way half a second, and close."""
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
            field="zmq", value=endpoint, remedy="Choose another with --zmq; tcp://127.0.0.1:0 takes any port that is free.",
        ) from error  # fmt: skip
    bound = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    if bound.startswith("ipc://"):
        os.chmod(bound.removeprefix("ipc://"), 0o600)
    return bound
