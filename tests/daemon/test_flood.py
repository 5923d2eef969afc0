"""Floods of datagrams: each is handled, peers are served in turn, and the log stays short."""

import asyncio
import io
import logging
import socket
import time

import pytest

from tertium.daemon import log
from tertium.daemon.transports.fair_queue import OVERHEAD, FairQueue
from tertium.daemon.transports.osc import OscTransport


async def test_a_flood_that_no_system_buffer_holds_is_handled_whole():
    came = []
    transport = await OscTransport.open("127.0.0.1", 0, lambda datagram, address: came.append(datagram))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        for burst in range(20):
            for number in range(150):  # as many as the smallest system buffer holds
                sender.sendto(b"%d" % (150 * burst + number), transport.address)
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # two iterations, in which the event loop alone would read two datagrams
        async with asyncio.timeout(5):
            while len(came) < 3000:
                await asyncio.sleep(0.001)
    finally:
        sender.close()
        await transport.close()
    assert came == [b"%d" % number for number in range(3000)]


async def test_one_peer_s_flood_keeps_no_other_waiting():
    came = []

    def slow(datagram, address):
        came.append((datagram, address[1]))
        end = asyncio.get_running_loop().time() + 0.0005
        while asyncio.get_running_loop().time() < end:
            pass

    transport = await OscTransport.open("127.0.0.1", 0, slow)
    flooding, asking = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    try:
        for _ in range(150):
            flooding.sendto(b"x", transport.address)
        asking.sendto(b"status", transport.address)
        async with asyncio.timeout(5):
            while len(came) < 151:
                await asyncio.sleep(0)
    finally:
        flooding.close()
        asking.close()
        await transport.close()
    assert [datagram for datagram, _ in came].index(b"status") < 10


class Endless:
    """A socket that is filled as fast as it is read."""

    def __init__(self):
        self.read = 0

    def recvfrom(self, size):
        self.read += 1
        time.sleep(0.001)
        return b"flood", ("127.0.0.1", 9)


async def test_a_socket_that_is_never_empty_gives_the_others_their_turn():
    came = []
    transport = await OscTransport.open("127.0.0.1", 0, lambda datagram, address: came.append(datagram))
    bound, transport._socket = transport._socket, Endless()
    try:
        transport.datagram_received(b"first", ("127.0.0.1", 8))
        read = transport._socket.read
        assert 1 <= read <= 2, "as many as the time holds"
        await asyncio.sleep(0)
        assert came[0] == b"first"
        assert transport._socket.read <= read + 2
    finally:
        transport._socket = bound
        await transport.close()


def test_an_inbox_is_bounded_and_the_greediest_loses():
    inbox = FairQueue(most_bytes=5 * (OVERHEAD + 1))
    assert all(inbox.put(b"g", ("127.0.0.1", 1)) for _ in range(4))
    assert inbox.put(b"a", ("127.0.0.1", 2))
    assert not inbox.put(b"b", ("127.0.0.1", 3))
    served = [inbox.take() for _ in range(5)]
    assert not inbox
    assert [datagram for datagram, _ in served] == [b"g", b"a", b"b", b"g", b"g"]
    with pytest.raises(KeyError):
        inbox.take()


def test_a_flood_of_warnings_is_logged_in_few_lines_with_their_number(monkeypatch):
    stream = io.StringIO()
    before = {name: logging.getLogger(name).handlers[:] for name in (log.LOGGER, "asyncio")}
    now = [1000.0]
    monkeypatch.setattr(logging.time, "time", lambda: now[0])
    monkeypatch.setattr(logging.time, "time_ns", lambda: int(now[0] * 1e9), raising=False)
    try:
        log.set_up(as_json=False, stream=stream)
        for number in range(500):
            log.event("message refused", level=logging.WARNING, number=number)
        log.event("job done", job="x")
        now[0] += 1
        log.event("message refused", level=logging.WARNING, number=500)
    finally:
        for name, handlers in before.items():
            logging.getLogger(name).handlers[:] = handlers
    lines = stream.getvalue().splitlines()
    assert len(lines) == log.MOST_WARNINGS + 2
    assert "job done" in lines[-2]
    assert f"left_out_before={500 - log.MOST_WARNINGS}" in lines[-1]
