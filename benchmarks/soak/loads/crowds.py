"""Loads of many clients, and of clients that do not read."""

import contextlib
import socket

import zmq

from benchmarks.soak.loads import Ground, load
from benchmarks.soak.peers import OscPeer, ZeroMqPeer, dealer, found, lives
from tertium_protocol.codecs import osc_requests, zeromq
from tertium_protocol.codecs.envelope import Call

CLIENTS = 64


@load
def never_reads_zeromq(ground: Ground) -> None:
    """Peers that ask for long answers and never take them."""
    peer = ZeroMqPeer(ground.home)
    for _ in ground.turns(3.0):
        facts = found(ground.home)
        with contextlib.closing(dealer(facts)) as made, contextlib.suppress(zmq.ZMQError):
            made.rcvhwm = 1
            for number in range(200):
                call = Call("commands", number, token=facts.token)
                made.send_multipart(zeromq.encode_call(call), zmq.NOBLOCK)
            ground.expect("never_reads_zeromq", peer, "status")


@load
def never_reads_osc(ground: Ground) -> None:
    """Subscribed peers with hardly any buffer that never read, and some whose port has gone."""
    peer = OscPeer(ground.home)
    for number in ground.turns(3.0):
        address = found(ground.home).osc
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf, contextlib.suppress(OSError):
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            deaf.bind(("127.0.0.1", 0))
            deaf.sendto(osc_requests.encode_call("subscribe", number, {"seconds": 5.0}), address)
            for _ in range(50):
                deaf.sendto(osc_requests.encode_call("commands", number, {}), address)
            ground.expect("never_reads_osc", peer, "status")


@load
def crowd(ground: Ground) -> None:
    """64 clients that come, ask once, and go."""
    for _ in ground.turns(1.5):
        facts = found(ground.home)
        clients = [dealer(facts) for _ in range(CLIENTS)]
        answered = 0
        for number, made in enumerate(clients):
            with contextlib.suppress(zmq.ZMQError):
                made.send_multipart(zeromq.encode_call(Call("status", number, token=facts.token)))
        for made in clients:
            made.rcvtimeo = 5000 if lives(facts) else 10
            with contextlib.suppress(zmq.ZMQError):
                made.recv_multipart()
                answered += 1
            made.close()
        ground.notes.tried("crowd", CLIENTS)
        ground.notes.passed("crowd", answered)
        (ground.notes.unanswered if lives(facts) else ground.notes.away)("crowd", CLIENTS - answered)
