"""The queue of received datagrams. Peers are served in turn, so that a flood from one does not delay the others."""

from collections import OrderedDict, deque

Address = tuple[str, int]
MOST_BYTES = 16 * 1024 * 1024
OVERHEAD = 256
"""Bytes added to the size of each datagram, so that empty ones are not free."""


class FairQueue:
    """A queue for each peer, served in turn, with a common bound.

    Args:
        most_bytes: limit on the size of all waiting datagrams, each counted with its overhead.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES):
        self._most = most_bytes
        self._bytes = 0
        self._waiting: OrderedDict[Address, deque[bytes]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, datagram: bytes, address: Address) -> bool:
        """Add a datagram. If the queue is full, the newest datagram of the peer with the most is dropped. Return whether none was dropped."""
        self._waiting.setdefault(address, deque()).append(datagram)
        self._bytes += len(datagram) + OVERHEAD
        if self._bytes <= self._most:
            return True
        greediest = max(self._waiting, key=lambda peer: len(self._waiting[peer]))
        self._bytes -= len(self._waiting[greediest].pop()) + OVERHEAD
        if not self._waiting[greediest]:
            del self._waiting[greediest]
        return False

    def take(self) -> tuple[bytes, Address]:
        """Remove and return the oldest datagram of the peer whose turn it is.

        Raises:
            KeyError: the queue is empty.
        """
        address, datagrams = self._waiting.popitem(last=False)
        datagram = datagrams.popleft()
        self._bytes -= len(datagram) + OVERHEAD
        if datagrams:
            self._waiting[address] = datagrams
        return datagram, address
