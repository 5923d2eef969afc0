"""The dispatcher: passes calls to their handlers and turns results and exceptions into answers. No client request raises beyond this module."""

import asyncio
import hmac
import logging
from collections import Counter
from collections.abc import Sequence

from tertium.daemon import cancellation, log
from tertium.daemon.handlers.registry import AT_ONCE, Context, Services, handlers
from tertium.daemon.sessions import Session
from tertium.errors import TertiumError
from tertium_protocol.codecs import osc_requests, zeromq
from tertium_protocol.codecs.envelope import Call
from tertium_protocol.commands import COMMANDS, parse_request
from tertium_protocol.errors import ERROR_CODES, ProtocolError
from tertium_protocol.messages.events import Answer, ErrorInfo

MOST_AT_ONCE = 2048
"""Calls of all peers that may wait for something at a time, such as for a file to be read."""
MOST_OF_A_PEER = 256


class Dispatcher:
    """The dispatcher of calls from all transports.

    Args:
        services: passed to the handlers.
        token: required in calls of untrusted sessions.
    """

    def __init__(self, services: Services, *, token: str):
        self._services = services
        self._token = token
        self._handlers = handlers()
        self._tasks: set[asyncio.Task] = set()
        self._waiting: Counter[Session] = Counter()

    def datagram(self, session: Session, datagram: bytes) -> None:
        """Dispatch the calls in an OSC datagram."""
        try:
            calls = osc_requests.decode(datagram)
        except ProtocolError as problem:
            self._refuse_message(session, problem)
            return
        for call in calls:
            self.dispatch(session, call)

    def message(self, session: Session, parts: Sequence[bytes]) -> None:
        """Dispatch the call in a ZeroMQ message."""
        try:
            call = zeromq.decode_call(parts)
        except ProtocolError as problem:
            self._refuse_message(session, problem)
            return
        self.dispatch(session, call)

    def dispatch(self, session: Session, call: Call) -> None:
        """Start to answer a call. Its deadline counts from here."""
        context = Context(session, call.id, call.buffers)
        waits = call.command not in AT_ONCE
        if waits and (busy := self._too_many(session)) is not None:
            self._refuse(session, call, busy)
            return
        if not waits:
            self._answer_at_once(call, context)
            return
        task = asyncio.ensure_future(self._answer(call, context))
        self._tasks.add(task)
        self._waiting[session] += 1
        if call.command != "cancel":
            session.under_way[task] = call.id, context.cancellation

        def forget(task: asyncio.Task) -> None:
            self._tasks.discard(task)
            session.under_way.pop(task, None)
            self._waiting[session] -= 1
            if not self._waiting[session]:
                del self._waiting[session]

        task.add_done_callback(forget)

    def _too_many(self, session: Session) -> TertiumError | None:
        """The error for one call more, if there are too many calls that wait."""
        for most, count, whose in (
            (MOST_OF_A_PEER, self._waiting[session], "of this client "),
            (MOST_AT_ONCE, self._waiting.total(), ""),
        ):
            if count >= most:
                return TertiumError(
                    "busy",
                    f"{most} requests {whose}are being answered already.",
                    remedy="Send it again, and send requests more slowly.",
                )
        return None

    async def close(self) -> None:
        """Cancel the calls that are still being answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _answer_at_once(self, call: Call, context: Context) -> None:
        """Answer a call that never waits, within the turn of the transport that received it: as tasks, the answers of one turn would all come in the
        next iteration of the loop, however long they take together."""
        answering = self._answer(call, context)
        try:
            answering.send(None)
        except StopIteration:
            return
        answering.close()
        raise RuntimeError(f"the handler of {call.command} waits, though it is registered as at_once")

    async def _answer(self, call: Call, context: Context) -> None:
        session = context.session
        cancellation.enter(context.cancellation)
        try:
            self._authorise(session, call)
            request = parse_request(call.command, call.fields, transport=session.transport, buffers=len(call.buffers))
            handler = self._handlers[call.command]
            if COMMANDS[call.command].kind == "queued":
                async with session.order:
                    await handler(self._services, request, context)
                return
            reply = await handler(self._services, request, context)
            session.send(Answer.of(reply, id=call.id, command=call.command), context.attached)
        except Exception as problem:
            self._refuse(session, call, problem)

    def _authorise(self, session: Session, call: Call) -> None:
        row = COMMANDS.get(call.command)
        guarded = session.transport == "osc" and row is not None and row.guarded
        if session.trusted and not guarded:
            return
        given = (call.token or "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._token.encode()):
            what = f"{call.command} over OSC needs" if guarded else "Requests over TCP need"
            raise TertiumError(
                "not_allowed", f"{what} the daemon's token.", field="token",
                remedy=f"Send the token that {self._services.home.folder / 'daemon.json'} holds, which this user alone can read.",
            )  # fmt: skip

    def _refuse_message(self, session: Session, problem: ProtocolError) -> None:
        if problem.silent:
            return
        log.event(
            "message refused", level=logging.WARNING, peer=session.name, code=problem.code, reason=problem.message
        )
        session.send(Answer.of(error_info(problem), id=problem.request_id, command=None))

    def _refuse(self, session: Session, call: Call, problem: Exception) -> None:
        error = error_info(problem)
        known = call.command if call.command in COMMANDS else None
        if error.code == "internal":
            log.exception("request failed", problem, peer=session.name, command=call.command, request=call.id)
        else:
            log.event(
                "request refused", level=logging.WARNING, peer=session.name, command=call.command, request=call.id,
                code=error.code, reason=error.message,
            )  # fmt: skip
        session.send(Answer.of(error, id=call.id, command=known))


def error_info(problem: Exception) -> ErrorInfo:
    """Return the ``error`` that describes an exception."""
    if isinstance(problem, TertiumError) and problem.code in ERROR_CODES:
        problem = ProtocolError(problem.code, problem.message, problem.field, problem.value, problem.remedy)
    if isinstance(problem, ProtocolError):
        return ErrorInfo(**problem.fields())
    if isinstance(problem, MemoryError):
        return ErrorInfo(code="out_of_memory", message="There was not enough memory.", remedy="Send less at once.")
    return ErrorInfo(
        code="internal",
        message="An internal error occurred while the daemon handled this request.",
        remedy="The daemon's log has the details; please report them.",
    )
