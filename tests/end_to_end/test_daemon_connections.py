"""Connections beyond the limit of file descriptors are refused; without that libzmq would end the daemon."""

import contextlib
import socket
import time

import pytest
import zmq

from tertium_protocol.codecs import zeromq
from tertium_protocol.codecs.envelope import Call
from tests.end_to_end.daemons import Osc, running, until

pytestmark = pytest.mark.slow

DESCRIPTORS = 256
MOST = 74
"""A third of what the daemon does not need itself."""


def connected(endpoint):
    """A plain connection to a ZeroMQ endpoint."""
    scheme, _, rest = endpoint.partition("://")
    host, _, port = rest.rpartition(":")
    connection = socket.socket(socket.AF_UNIX if scheme == "ipc" else socket.AF_INET)
    connection.connect(rest if scheme == "ipc" else (host, int(port)))
    connection.setblocking(False)
    return connection


def has_ended(connection):
    """Whether the daemon has ended a connection."""
    try:
        while connection.recv(100):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def answered(dealer, id, token):
    dealer.send_multipart(zeromq.encode_call(Call("status", id, token=token)))
    answer, _ = zeromq.decode_answer(dealer.recv_multipart())
    return (answer.id, answer.event) == (id, "reply")


@pytest.mark.parametrize("zmq_endpoint", ["ipc://", "tcp://127.0.0.1:0"])
def test_more_connections_than_descriptors_are_refused_and_those_that_exist_go_on(tmp_path, zmq_endpoint):
    with (
        running(tmp_path / "home", zmq=zmq_endpoint, descriptors=DESCRIPTORS) as daemon,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
        contextlib.ExitStack() as stack,
        Osc(daemon.osc) as client,
    ):
        dealer.linger, dealer.rcvtimeo = 0, 20000
        dealer.connect(daemon.facts["zmq"])
        assert answered(dealer, 1, daemon.facts["token"])
        opened = []
        # Not all at once: before any is ended, libzmq accepts what comes, and where descriptors are this few it finds none left.
        for _ in range(10):
            opened.extend(stack.enter_context(connected(daemon.facts["zmq"])) for _ in range(40))
            until(lambda: sum(map(has_ended, opened)) == max(0, len(opened) - (MOST - 1)), lambda: daemon.log)
        message = client.ask("status")["message"]
        assert message == "New ZeroMQ connections are refused, since 74 are open; close clients that are not used."
        assert answered(dealer, 2, daemon.facts["token"])
        of_events = stack.enter_context(connected(daemon.facts["events"]))
        until(lambda: has_ended(of_events))
        assert f'reason="{message}"' in daemon.log

        for connection in opened:
            connection.close()
        until(lambda: "message" not in client.ask("status"), lambda: daemon.log)
        assert "connections accepted again" in daemon.log


def test_a_client_that_was_refused_is_served_once_there_is_room(tmp_path):
    with (
        running(tmp_path / "home", descriptors=DESCRIPTORS) as daemon,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
        contextlib.ExitStack() as stack,
    ):
        held = [stack.enter_context(connected(daemon.facts["zmq"])) for _ in range(MOST)]
        beyond = stack.enter_context(connected(daemon.facts["zmq"]))
        until(lambda: has_ended(beyond))
        dealer.linger = 0
        dealer.connect(daemon.facts["zmq"])
        held[0].close()

        def is_served():  # what is sent on a connection that is being ended is lost: a client asks again
            dealer.send_multipart(zeromq.encode_call(Call("status", 1)))
            return dealer.poll(500)

        until(is_served, lambda: daemon.log)
        answer, _ = zeromq.decode_answer(dealer.recv_multipart())
        assert answer.event == "reply"


def test_connections_that_talk_nonsense_do_not_use_up_the_limit(tmp_path):
    with (
        running(tmp_path / "home", descriptors=DESCRIPTORS) as daemon,
        Osc(daemon.osc) as client,
        zmq.Context() as context,
    ):
        for number in range(3 * MOST):
            with connected(daemon.facts["zmq"]) as connection, contextlib.suppress(OSError):
                connection.sendall((b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"")[number % 3])
                time.sleep(0.002)
        until(lambda: "message" not in client.ask("status"), lambda: daemon.log)
        with context.socket(zmq.DEALER) as dealer:
            dealer.linger, dealer.rcvtimeo = 0, 20000
            dealer.connect(daemon.facts["zmq"])
            assert answered(dealer, 1, daemon.facts["token"])


def test_a_low_limit_is_mentioned_at_the_start(tmp_path):
    with running(tmp_path / "home", descriptors=DESCRIPTORS) as daemon:
        assert "few descriptors  limit=256" in daemon.log and "ulimit" in daemon.log
