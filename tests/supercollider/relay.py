"""A UDP relay between clients and a daemon that loses, repeats and swaps datagrams, the same ones each time for the same seed."""

import random
import selectors
import socket
import threading


class Relay:
    """A port that forwards to ``target``, both ways.

    Args:
        lose, repeat, swap: share of the datagrams that is dropped, sent twice, kept back behind the next one.
        seed: for which ones it is.
    """

    def __init__(self, target, *, lose=0.0, repeat=0.0, swap=0.0, seed=1):
        self.target = target
        self.lose, self.repeat, self.swap = lose, repeat, swap
        self.lost = self.repeated = self.swapped = self.passed = 0
        self._random = random.Random(seed)
        self._front = self._socket()
        self.port = self._front.getsockname()[1]
        self._backs = {}
        self._held = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)

    @staticmethod
    def _socket():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        return made

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._open = False
        self._thread.join(5)
        for each in (self._front, *self._backs.values()):
            each.close()
        self._selector.close()

    def _run(self):
        while self._open:
            for key, _ in self._selector.select(0.1):
                client = key.data
                datagram, sender = key.fileobj.recvfrom(65536)
                if client is None:
                    self._pass((sender, "in"), self._back(sender), self.target, datagram)
                else:
                    self._pass((client, "out"), self._front, client, datagram)

    def _back(self, client):
        """The socket that speaks to the target for a client."""
        if client not in self._backs:
            back = self._backs[client] = self._socket()
            self._selector.register(back, selectors.EVENT_READ, client)
        return self._backs[client]

    def _pass(self, way, through, to, datagram):
        chance = self._random.random
        if chance() < self.lose:
            self.lost += 1
            return
        held = self._held.pop(way, None)
        if held is None and chance() < self.swap:
            self._held[way] = datagram
            self.swapped += 1
            return
        self.passed += 1
        through.sendto(datagram, to)
        if chance() < self.repeat:
            self.repeated += 1
            through.sendto(datagram, to)
        if held is not None:
            through.sendto(held, to)
