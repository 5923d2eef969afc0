"""One ZeroMQ peer's flood keeps nobody waiting, and the socket never sleeps on a message."""

import asyncio

import zmq
import zmq.asyncio

from tertium.daemon.transports.zeromq import COPIED, MOST_A_TURN, MOST_RECEIVED, ZeroMqTransport


async def opened(tmp_path, receive):
    return await ZeroMqTransport.open(f"ipc://{tmp_path}/requests", f"ipc://{tmp_path}/events", receive)


async def test_everything_else_has_its_turn_between_a_few_messages(tmp_path):
    came, turns = [], []
    transport = await opened(tmp_path, lambda frames, peer: came.append(len(turns)))
    context = zmq.Context()
    try:
        with context.socket(zmq.DEALER) as flooding:
            flooding.connect(transport.endpoint)
            for _ in range(500):
                flooding.send(b"x")
            async with asyncio.timeout(10):
                while len(came) < 500:
                    turns.append(1)
                    await asyncio.sleep(0)
    finally:
        await transport.close()
        context.term()
    most = max(came.count(turn) for turn in set(came))
    assert most <= 2 * MOST_A_TURN


async def test_answers_do_not_multiply_the_turns(tmp_path):
    came, turns = [], []

    def answer(frames, peer):
        came.append(len(turns))
        transport.send([b"refused"], peer)

    transport = await opened(tmp_path, answer)
    context = zmq.Context()
    try:
        with context.socket(zmq.DEALER) as flooding:
            flooding.connect(transport.endpoint)
            for _ in range(500):
                flooding.send(b"x")
            async with asyncio.timeout(10):
                while len(came) < 500:
                    turns.append(1)
                    await asyncio.sleep(0)
    finally:
        await transport.close()
        context.term()
    assert max(came.count(turn) for turn in set(came)) <= 2 * MOST_A_TURN


async def test_peers_take_turns(tmp_path):
    came = []
    transport = await opened(tmp_path, lambda frames, peer: came.append(frames[0]))
    context = zmq.Context()
    try:
        with context.socket(zmq.DEALER) as flooding, context.socket(zmq.DEALER) as asking:
            flooding.connect(transport.endpoint)
            asking.connect(transport.endpoint)
            asking.send(b"hello")
            async with asyncio.timeout(10):
                while b"hello" not in came:
                    await asyncio.sleep(0)
            for _ in range(900):
                flooding.send(b"x")
            while b"x" not in came:
                await asyncio.sleep(0)
            asking.send(b"status")
            async with asyncio.timeout(10):
                while b"status" not in came:
                    await asyncio.sleep(0)
            behind = len(came)
            while len(came) < 902:
                await asyncio.sleep(0)
    finally:
        await transport.close()
        context.term()
    assert behind < 902, "it does not wait for the whole flood"


async def test_a_message_that_comes_while_one_is_sent_is_not_slept_on(tmp_path):
    """As many as fit between receiving and sending, a thousand times over."""
    transport = None

    def echo(frames, peer):
        assert transport.send(frames, peer)

    transport = await opened(tmp_path, echo)
    context = zmq.asyncio.Context()
    try:
        with context.socket(zmq.DEALER) as asking:
            asking.connect(transport.endpoint)
            for number in range(1000):
                await asking.send(b"%d" % number)
                if number % 7 == 0:
                    await asyncio.sleep(0)
            async with asyncio.timeout(10):
                assert [await asking.recv() for _ in range(1000)] == [b"%d" % number for number in range(1000)]
    finally:
        await transport.close()
        context.term()


async def test_it_sleeps_while_nothing_comes(tmp_path, monkeypatch):
    looks, take_turn = [], ZeroMqTransport._take_turn

    def counted(self):
        looks.append(1)
        take_turn(self)

    monkeypatch.setattr(ZeroMqTransport, "_take_turn", counted)
    transport = await opened(tmp_path, lambda frames, peer: None)
    try:
        await asyncio.sleep(0.5)
    finally:
        await transport.close()
    assert len(looks) <= 5  # at the start, and once a second


async def test_it_is_known_when_a_peer_does_not_read(tmp_path):
    sent, peers = [], []
    transport = await opened(tmp_path, lambda frames, peer: peers.append(peer))
    context = zmq.Context()
    try:
        with context.socket(zmq.DEALER) as asking:
            asking.setsockopt(zmq.RCVHWM, 1)
            asking.connect(transport.endpoint)
            asking.send(b"x")
            async with asyncio.timeout(10):
                while not peers:
                    await asyncio.sleep(0)
            for _ in range(20_000):
                sent.append(transport.send([b"answer" * 1000], peers[0]))
        async with asyncio.timeout(10):
            while transport.send([b"late"], peers[0]) is False:
                await asyncio.sleep(0.01)
    finally:
        await transport.close()
        context.term()
    assert sent[0] and not all(sent)


async def test_large_frames_are_handed_over_without_a_copy_and_then_released(tmp_path):
    came = []
    transport = await opened(tmp_path, lambda frames, peer: came.append(frames))
    context = zmq.Context()
    large = bytes(range(256)) * (COPIED // 256 + 1)
    try:
        with context.socket(zmq.DEALER) as sending:
            sending.connect(transport.endpoint)
            sending.send_multipart([b"header", large, large])
            async with asyncio.timeout(10):
                while not came:
                    await asyncio.sleep(0)
                (header, *buffers) = came.pop()
                assert isinstance(header, bytes) and all(isinstance(buffer, memoryview) for buffer in buffers)
                assert [bytes(buffer) for buffer in buffers] == [large, large]
                while transport._held:
                    await asyncio.sleep(0.001)
    finally:
        await transport.close()
        context.term()


async def test_little_is_received_ahead_of_a_peer_that_sends_faster_than_it_is_handled(tmp_path):
    transport = await opened(tmp_path, lambda frames, peer: None)
    context = zmq.Context()
    try:
        with context.socket(zmq.DEALER) as sending:
            sending.sndhwm, sending.linger = 1, 0
            sending.connect(transport.endpoint)
            sent = 0
            while sending.poll(300, zmq.POLLOUT) and sent < 500:  # the loop has no turn, so nothing is handled
                sending.send(bytes(10**6))
                sent += 1
            assert MOST_RECEIVED <= sent <= 2 * MOST_RECEIVED
    finally:
        await transport.close()
        context.term()
