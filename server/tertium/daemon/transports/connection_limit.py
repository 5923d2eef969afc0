"""A limit on connections to the ZeroMQ sockets: libzmq ends the whole process when it finds no free file descriptor.

Unbinding an endpoint would end its existing connections as well. Therefore connections beyond the limit are accepted and ended at once; ZeroMQ
clients try again by themselves until there is room.
"""

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Sequence

import zmq

from tertium.daemon import log

MOST_CONNECTIONS = 1024
RESERVED = 32
"""Descriptors of the daemon's own before any client connects: files, the other sockets, the pipes to its processes."""
_WATCHED = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED
_EVENT = struct.Struct("=HI")
"""A monitor's message: the event, and for those watched a descriptor."""


def most_connections() -> int:
    """Return how many connections fit under this process's limit of descriptors: a third of what the daemon itself does not need.

    The rest is for those that libzmq accepts in a burst before any can be ended, some hundreds under a flood on a busy machine, and for clients' files.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY:
            return max(1, min(MOST_CONNECTIONS, (soft - RESERVED) // 3))
    return MOST_CONNECTIONS


class ConnectionLimit:
    """Watches the connections of bound sockets, from a thread of its own, since the event loop may be held up. Call :meth:`close` before the sockets are closed.

    Args:
        context: the sockets' context.
        sockets: bound or to be bound; not used by the thread, which only receives their monitors' messages.
        most: how many connections they may have together.

    Attributes:
        endpoints: the sockets' endpoints, to be added as they are bound. Only connections to these are ended.
    """

    def __init__(self, context: zmq.Context, sockets: Sequence[zmq.Socket], *, most: int):
        self.endpoints: list[str] = []
        self._sockets, self._most = sockets, most
        self._open: set[int] = set()
        self._refused = 0
        self._monitors = []
        for number, watched in enumerate(sockets):
            address = f"inproc://connections-{number}"
            watched.monitor(address, _WATCHED)
            monitor = context.socket(zmq.PAIR)
            monitor.linger = 0
            monitor.connect(address)
            self._monitors.append(monitor)
        self._thread = threading.Thread(target=self._watch, name="connections", daemon=True)
        self._thread.start()

    @property
    def message(self) -> str | None:
        """A sentence on connections that are refused now; None if there is room for more."""
        if not self._refused:
            return None
        return f"New ZeroMQ connections are refused, since {self._most} are open; close clients that are not used."

    def close(self) -> None:
        """Stop watching."""
        for watched in self._sockets:
            watched.disable_monitor()
        self._thread.join()

    def _watch(self) -> None:
        poller = zmq.Poller()
        for monitor in self._monitors:
            poller.register(monitor, zmq.POLLIN)
        watched = len(self._monitors)
        while watched:
            for monitor, _ in poller.poll():
                event, descriptor = _EVENT.unpack(monitor.recv_multipart()[0])
                if event == zmq.EVENT_MONITOR_STOPPED:
                    poller.unregister(monitor)
                    watched -= 1
                else:
                    self._note(event, descriptor)
        for monitor in self._monitors:
            monitor.close()

    def _note(self, event: int, descriptor: int) -> None:
        if event == zmq.EVENT_DISCONNECTED:
            self._open.discard(descriptor)
            self._accept_again()
        elif descriptor in self._open or len(self._open) < self._most:
            self._open.add(descriptor)
        else:
            self._refuse(descriptor)

    def _refuse(self, descriptor: int) -> None:
        """End a connection; libzmq notices that and closes its descriptor. If it is closed already, the descriptor may be another file's by now."""
        with contextlib.suppress(OSError):
            connection = socket.socket(fileno=descriptor)
            try:
                if _endpoint(connection) in self.endpoints:
                    connection.shutdown(socket.SHUT_RDWR)
            finally:
                connection.detach()
        self._refused += 1
        if self._refused == 1:
            log.event("connections refused", level=logging.WARNING, reason=self.message)

    def _accept_again(self) -> None:
        if self._refused and len(self._open) < self._most:
            log.event("connections accepted again", open=len(self._open), refused=self._refused)
            self._refused = 0


def _endpoint(connection: socket.socket) -> str:
    """The endpoint to which a connection was made, as ZeroMQ spells it."""
    name = connection.getsockname()
    if not isinstance(name, tuple):
        return f"ipc://{name}"
    host, port = name[:2]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
