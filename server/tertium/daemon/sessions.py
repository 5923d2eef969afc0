"""Sessions: the peers of the transports and how to answer them. The audience of a job is the sessions that requested it and those that subscribed."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from tertium.daemon import log
from tertium.daemon.cancellation import Cancellation
from tertium.errors import TertiumError
from tertium_protocol.codecs import osc_answers, zeromq
from tertium_protocol.codecs.audio_buffer import AudioBuffer
from tertium_protocol.commands import Transport
from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages.events import TERMINAL_EVENTS, Answer, ErrorInfo, Failed, RequestId

MOST_SESSIONS = 1024
MOST_SUBSCRIBERS = 32
SILENT_SUBSCRIBER = 120.0
"""Seconds without a request after which a subscriber gives way to another, where there are too many."""
MOST_FOLLOWERS = 16  # of one job
UNSENT = ErrorInfo(
    code="internal",
    message="The daemon produced an answer that cannot be encoded.",
    remedy="The daemon's log has the details; please report them.",
)


def substitute(answer: Answer) -> Answer | None:
    """Return the answer to send in place of one that cannot be encoded: ``failed`` for the end of a job, ``error`` for a reply.

    None for ``accepted``, ``progress`` and ``take``: another answer always follows, and no client waits for these.
    """
    if answer.event in TERMINAL_EVENTS:
        payload = Failed(job=answer.fields["job"], **UNSENT.wire())
    elif answer.event == "reply":
        payload = UNSENT
    else:
        return None
    return Answer.of(payload, id=answer.id, command=answer.command)


class Session:
    """One peer of one transport.

    Args:
        transport: the transport of its messages.
        name: its name in the log.
        local: whether it is on this machine.
        trusted: whether the transport alone authorises it; otherwise each request needs the token.
        put: sends an answer and its audio to the peer.
    """

    def __init__(
        self,
        transport: Transport,
        name: str,
        *,
        local: bool,
        trusted: bool,
        put: Callable[[Answer, Sequence[AudioBuffer]], None],
    ):
        self.transport = transport
        self.name = name
        self.local = local
        self.trusted = trusted
        self.lasting = False  # whether it has said something that must not be forgotten, such as a port for its answers
        self.active = time.monotonic()
        self.order = asyncio.Lock()  # jobs of one peer are accepted in the order of its requests
        self.under_way: dict[asyncio.Task, tuple[RequestId, Cancellation]] = {}  # requests that can be cancelled
        self._put = put

    def send(self, answer: Answer, buffers: Iterable[AudioBuffer] = ()) -> None:
        """Send an answer without waiting for its arrival. One that cannot be encoded is an internal error: it is logged, and its :func:`substitute` is sent."""
        try:
            self._put(answer, tuple(buffers))
        except ProtocolError as problem:
            log.exception("answer not sent", problem, peer=self.name, answer=answer.event, request=answer.id)
            fallback = substitute(answer)
            if fallback is not None:
                self._put(fallback, ())

    def answer_at(self, port: int) -> None:
        """Send all answers to another port of the peer from now on.

        Raises:
            TertiumError: not_allowed for transports other than OSC.
        """
        raise TertiumError(
            "not_allowed", "reply_port applies to OSC only; ZeroMQ answers return by the connection of the request.", field="reply_port",
            value=port, remedy="Leave it out.",
        )  # fmt: skip


class OscSession(Session):
    """A peer that sends datagrams.

    Args:
        address: the source of its datagrams.
        own: the daemon's own address.
        send: sends one datagram to an address.
        local: whether the address is this machine's.
    """

    def __init__(
        self,
        address: tuple[str, int],
        own: tuple[str, int],
        send: Callable[[bytes, tuple[str, int]], None],
        *,
        local: bool,
    ):
        super().__init__("osc", f"osc {address[0]}:{address[1]}", local=local, trusted=True, put=self._put_datagrams)
        self._host, self._port = address
        self._own = own
        self._send = send

    def answer_at(self, port: int) -> None:
        if (self._host, port) == self._own:
            raise TertiumError(
                "conflict", f"Port {port} is the daemon's own.", field="reply_port", value=port,
                remedy="Name the port that the client listens on.",
            )  # fmt: skip
        self._port = port
        self.lasting = True

    def _put_datagrams(self, answer: Answer, buffers: Sequence[AudioBuffer]) -> None:
        for datagram in osc_answers.encode_answer(answer):
            self._send(datagram, (self._host, self._port))


class ZeroMqSession(Session):
    """A peer of the ROUTER socket, which accepts connections from this machine only.

    Answers that it does not read are lost once a thousand wait for it; it is told how many as soon as it reads again.

    Args:
        peer: its routing frames.
        send: sends frames to it; returns False if they are lost.
        trusted: see :class:`Session`.
    """

    def __init__(
        self, peer: tuple[bytes, ...], send: Callable[[list[bytes], tuple[bytes, ...]], bool], *, trusted: bool
    ):
        super().__init__("zeromq", f"zeromq {peer[0].hex()[:10]}", local=True, trusted=trusted, put=self._put_frames)
        self._peer, self._send = peer, send
        self._lost = 0

    def _put_frames(self, answer: Answer, buffers: Sequence[AudioBuffer]) -> None:
        frames = zeromq.encode_answer(answer, buffers)
        if self._lost:
            if not self._send(zeromq.encode_answer(self._notice()), self._peer):
                self._lost += 1
                return
            self._lost = 0
        if not self._send(frames, self._peer):
            if not self._lost:
                log.event("answers lost", level=logging.WARNING, peer=self.name, reason="the peer does not read them")
            self._lost += 1

    def _notice(self) -> Answer:
        lost = ErrorInfo(
            code="busy",
            message=f"{self._lost} answers were lost, because they were not read.",
            remedy="Read answers while you send requests, and ask for the state of jobs with: job.",
        )
        return Answer.of(lost, id=None, command=None)


class Sessions:
    """Recent peers and the audience of each job. All numbers are bounded; the least recently active peer is evicted first."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[object, Session] = OrderedDict()
        self._followers: OrderedDict[str, list[Session]] = OrderedDict()
        self._subscribers: dict[Session, float] = {}

    def of(self, peer: object, make: Callable[[], Session]) -> Session:
        """Return the session of a peer, created if the peer is new."""
        session = self._sessions.get(peer)
        if session is None:
            session = self._sessions[peer] = make()
            while len(self._sessions) > MOST_SESSIONS:
                self._evict()
        self._sessions.move_to_end(peer)
        session.active = time.monotonic()
        return session

    def _evict(self) -> None:
        """Forget the session that has been silent longest; one that has named a port for its answers only if all have."""
        oldest = next((peer for peer, one in self._sessions.items() if not one.lasting), next(iter(self._sessions)))
        del self._sessions[oldest]

    def follow(self, job: str, session: Session) -> None:
        """Send the events of a job to a session."""
        followers = self._followers.setdefault(job, [])
        if session not in followers:
            followers.append(session)
            del followers[:-MOST_FOLLOWERS]

    def leave(self, job: str) -> None:
        """Remove the followers of a job."""
        self._followers.pop(job, None)

    def subscribe(self, session: Session, seconds: float) -> None:
        """Send the events of all jobs to a session for some seconds; 0 ends the subscription.

        Raises:
            TertiumError: busy when there are :data:`MOST_SUBSCRIBERS` already.
        """
        self._forget_expired()
        self._subscribers.pop(session, None)
        if seconds <= 0:
            return
        silent = min(self._subscribers, key=lambda one: one.active, default=None)
        if len(self._subscribers) >= MOST_SUBSCRIBERS and time.monotonic() - silent.active > SILENT_SUBSCRIBER:
            del self._subscribers[silent]  # most probably it has gone
        if len(self._subscribers) >= MOST_SUBSCRIBERS:
            raise TertiumError(
                "busy", f"{MOST_SUBSCRIBERS} clients are subscribed already.", field="seconds", value=seconds,
                remedy="End other subscriptions (seconds 0), or take the events from the ZeroMQ publisher.",
            )  # fmt: skip
        self._subscribers[session] = time.monotonic() + seconds

    def audience(self, job: str) -> list[Session]:
        """Return the followers of a job and the subscribers, each once."""
        self._forget_expired()
        return list(dict.fromkeys([*self._followers.get(job, []), *self._subscribers]))

    def _forget_expired(self) -> None:
        now = time.monotonic()
        self._subscribers = {session: until for session, until in self._subscribers.items() if until > now}
