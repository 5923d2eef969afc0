"""Datagrams that came and wait for their turn. Peers take turns, so that a flood from one keeps no other waiting."""

from collections import OrderedDict, deque

Address = tuple[str, int]
MOST_BYTES = 16 * 1024 * 1024
OVERHEAD = 256
"""Bytes that a datagram counts for beside its own, so that empty ones are not free."""


class FairQueue:
    """A bounded queue for each peer, emptied in turns.

    Args:
        most_bytes: of all datagrams that wait, each counted with its overhead.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES):
        self._most = most_bytes
        self._bytes = 0
        self._waiting: OrderedDict[Address, deque[bytes]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, datagram: bytes, address: Address) -> bool:
        """Let a datagram wait. When there is no room, the peer with the most datagrams loses its newest; returns whether none was lost."""
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
        """The oldest datagram of the peer whose turn it is.

        Raises:
            KeyError: nothing waits.
        """
        address, datagrams = self._waiting.popitem(last=False)
        datagram = datagrams.popleft()
        self._bytes -= len(datagram) + OVERHEAD
        if datagrams:
            self._waiting[address] = datagrams
        return datagram, address
