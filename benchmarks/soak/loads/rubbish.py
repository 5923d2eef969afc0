"""Loads that send what no client should: damaged messages, floods, wrong tokens."""

import contextlib
import itertools
import random
import time

import zmq

from benchmarks.soak.loads import Ground, load, refused
from benchmarks.soak.peers import OscPeer, ZeroMqPeer, dealer, drained, found, lives, udp
from tertium_protocol.codecs import osc_requests, zeromq
from tertium_protocol.codecs.envelope import Call

GUARDED = {
    "delete_checkpoint": {"checkpoint": "none"},
    "rename_checkpoint": {"checkpoint": "none", "name": "other"},
    "allow": {"path": "/"},
    "shutdown": {},
}


@load
def osc_fuzz(ground: Ground) -> None:
    """Random bytes, and requests with bytes changed, 200 a second; now and then a good request, which must be answered."""
    rng, plain, peer = random.Random(1), udp(), OscPeer(ground.home)
    good = osc_requests.encode_call("status", "fuzz", {})
    for number in ground.turns(0.1):
        address = found(ground.home).osc
        for _ in range(20):
            with contextlib.suppress(OSError):
                plain.sendto(_damaged(good, rng), address)
        drained(plain)
        if number % 10 == 0:
            ground.expect("osc_fuzz", peer, "status")


@load
def zeromq_fuzz(ground: Ground) -> None:
    """Random frames and headers with bytes changed, 200 a second; now and then a good request, which must be answered."""
    rng, peer = random.Random(2), ZeroMqPeer(ground.home)
    for _ in ground.turns(0.0):
        facts = found(ground.home)
        good = zeromq.encode_call(Call("status", "fuzz", token=facts.token))[0]
        with contextlib.closing(dealer(facts)) as made:
            for number, _ in zip(range(20), ground.turns(0.1), strict=False):
                with contextlib.suppress(zmq.ZMQError):
                    for _ in range(20):
                        more = (rng.randbytes(10) for _ in range(rng.randrange(3)))
                        made.send_multipart([_damaged(good, rng), *more], zmq.NOBLOCK)
                if number % 10 == 0:
                    ground.expect("zeromq_fuzz", peer, "status")


@load
def osc_flood(ground: Ground) -> None:
    """One peer that sends as fast as it can, a tenth of the time. So many answers as its own socket holds come back."""
    plain, count = udp(), itertools.count()
    for _ in ground.turns(1.8):
        address, end, sent = found(ground.home).osc, time.monotonic() + 0.2, 0
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                plain.sendto(osc_requests.encode_call("status", next(count) % 2**30, {}), address)
                sent += 1
        ground.notes.tried("osc_flood", sent)
        ground.notes.passed("osc_flood", len(drained(plain)))


@load
def zeromq_flood(ground: Ground) -> None:
    """One peer that sends rubbish as fast as the socket takes it, a tenth of the time, and reads nothing."""
    peer = ZeroMqPeer(ground.home)
    for _ in ground.turns(0.0):
        facts = found(ground.home)
        with contextlib.closing(dealer(facts)) as made:
            for _, _ in zip(range(10), ground.turns(1.8), strict=False):
                end = time.monotonic() + 0.2
                while time.monotonic() < end and lives(facts):
                    try:
                        made.send(b"x", zmq.DONTWAIT)
                    except zmq.ZMQError:
                        time.sleep(0.001)
                ground.expect("zeromq_flood", peer, "status")


@load
def wrong_tokens(ground: Ground) -> None:
    """Guarded commands without the daemon's token, which must be refused."""
    peer, rng = OscPeer(ground.home), random.Random(3)
    for number in ground.turns(0.2):
        command = list(GUARDED)[number % len(GUARDED)]
        token = {} if number % 3 == 0 else {"token": rng.randbytes(rng.randrange(1, 30)).hex()}
        ground.expect("wrong_tokens", peer, command, promised=refused, **GUARDED[command], **token)


def _damaged(good: bytes, rng: random.Random) -> bytes:
    data = bytearray(good if rng.random() < 0.5 else rng.randbytes(rng.randrange(1, 400)))
    for _ in range(1 + rng.randrange(3)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)
