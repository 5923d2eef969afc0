"""The asyncio client: requests, jobs, events and audio over ZeroMQ.

The client survives a restart of the daemon. While it waits for an answer it reads ``daemon.json`` periodically; when that file names another
process, it reconnects and sends the unanswered request again under the same id. That is safe because the same id is the same job.
On Windows asyncio must run the selector event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

import zmq
import zmq.asyncio

from tertium_protocol.client.discovery import Daemon, NoDaemon, find_daemon
from tertium_protocol.client.errors import NoAnswer, RemoteError
from tertium_protocol.client.job import AsyncJob, TakeWatcher, Watcher
from tertium_protocol.codecs import zeromq
from tertium_protocol.codecs.audio_buffer import AudioBuffer
from tertium_protocol.codecs.envelope import Call
from tertium_protocol.commands import COMMANDS
from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages.events import Answer, ErrorInfo
from tertium_protocol.messages.replies import SoundInfo

if TYPE_CHECKING:
    import numpy

LOOK_AGAIN = 1.0
"""Seconds between two reads of ``daemon.json`` while the client waits for an answer."""

Reply = tuple[Answer, tuple[AudioBuffer, ...]]


class AsyncClient:
    """A connection to one daemon. Use it in ``async with``, or call :meth:`connect` and :meth:`close`.

    Args:
        home: the daemon's folder or its ``daemon.json``; None means TERTIUM_HOME, else the platform's data folder.
        timeout: seconds to wait for the answer to a request, unless the call gives its own.
        name: the client's name in the daemon's log.
    """

    def __init__(self, home: str | os.PathLike[str] | None = None, *, timeout: float = 10.0, name: str = "python"):
        self.timeout = timeout
        self.daemon: Daemon | None = None
        self._home = home
        self._name = name
        self._ids = (f"{uuid.uuid4().hex[:16]}-{number}" for number in itertools.count(1))
        self._context: zmq.asyncio.Context | None = None
        self._socket: zmq.asyncio.Socket | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[str, asyncio.Queue[Reply]] = {}

    async def __aenter__(self) -> AsyncClient:
        return await self.connect()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> AsyncClient:
        """Find the daemon and greet it.

        Raises:
            NoDaemon: no daemon is running.
            NoAnswer: a daemon should be running but does not answer.
            RemoteError: the daemon speaks another protocol version, or refuses the token.
        """
        self._open(find_daemon(self._home))
        try:
            await self.ask("hello", client=self._name, protocol=zeromq.PROTOCOL_VERSION)
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Close the connection. Jobs continue."""
        self._shut()
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    async def ask(self, command: str, *, timeout: float | None = None, **fields: Any) -> Any:
        """Send an immediate command and return its reply, as the model in the command table.

        If the waiting task is cancelled, the daemon is asked to cancel the request, so that a long import or export ends too.

        Raises:
            RemoteError: the daemon refused.
            NoAnswer: no answer arrived within ``timeout`` seconds.
        """
        answer, _ = await self._request(command, fields, timeout=timeout)
        return COMMANDS[command].reply.model_validate(answer.fields)

    async def submit(
        self,
        command: str,
        *,
        on_progress: Watcher | None = None,
        on_take: TakeWatcher | None = None,
        timeout: float | None = None,
        **fields: Any,
    ) -> AsyncJob:
        """Put a job into the queue. Return when the daemon has accepted it, that is, when the job would survive a crash.

        Args:
            command: a queued command: generate, vary, invert, fuse, morph, window, learn or preview.
            on_progress: called with each progress event while :meth:`AsyncJob.wait` waits.
            on_take: called in the same way, once for each take of a morph. A take whose event was lost is only in the result.
            timeout: seconds to wait for the acceptance.
            fields: the command's fields.

        Raises:
            RemoteError: the daemon refused.
            NoAnswer: no answer arrived in time.
        """
        id = next(self._ids)
        queue = self._waiting[id] = asyncio.Queue()
        try:
            answer, _ = await self._exchange(queue, Call(command, id, fields), timeout)
        except BaseException:
            del self._waiting[id]
            raise
        return AsyncJob(self, id, answer, queue, on_progress, on_take)

    def forget(self, id: str) -> None:
        """Discard all further answers to a request."""
        self._waiting.pop(id, None)

    async def upload(
        self, samples: numpy.ndarray, sample_rate: int, *, name: str | None = None, timeout: float = 60.0
    ) -> SoundInfo:
        """Add a sound from memory: floats of shape (channels, frames) or (frames,), at ``sample_rate`` Hz."""
        buffer = AudioBuffer.from_array(samples, sample_rate)
        answer, _ = await self._request("add_sound", {"name": name}, buffers=(buffer,), timeout=timeout)
        return SoundInfo.model_validate(answer.fields)

    async def download(self, sound: str, *, timeout: float = 60.0) -> AudioBuffer:
        """Return a sound's samples; ``.to_array()`` gives float32 of shape (channels, frames)."""
        _, buffers = await self._request("sound_audio", {"sound": sound}, timeout=timeout)
        if not buffers:
            raise ProtocolError("bad_message", "The daemon sent no audio.", "buffers", None, "Update the daemon.")
        return buffers[0]

    async def events(self) -> AsyncIterator[tuple[Answer, int]]:
        """Yield the events of all clients' jobs from now on, each with its sequence number. A gap in the numbers means missed events."""
        daemon = self._reach()
        while True:
            with self._subscription(daemon) as socket:
                while daemon.events == self._reach().events:
                    if not await socket.poll(1000 * LOOK_AGAIN):
                        self.look_again()
                        continue
                    try:
                        event = zeromq.decode_event(await socket.recv_multipart())
                    except ProtocolError:
                        continue  # probably an event that only a newer daemon knows
                    yield event
            daemon = self._reach()

    def _subscription(self, daemon: Daemon) -> zmq.asyncio.Socket:
        if daemon.events is None or self._context is None:
            raise NoDaemon("The daemon publishes no events. Start it with a ZeroMQ endpoint.")
        socket = self._context.socket(zmq.SUB)
        socket.linger = 0
        socket.subscribe(zeromq.TOPIC.encode())
        socket.connect(daemon.events)
        return socket

    async def _request(
        self, command: str, fields: dict[str, Any], *, buffers: Iterable[AudioBuffer] = (), timeout: float | None = None
    ) -> Reply:
        id = next(self._ids)
        queue = self._waiting[id] = asyncio.Queue()
        try:
            return await self._exchange(queue, Call(command, id, fields, tuple(buffers)), timeout)
        except asyncio.CancelledError:
            with contextlib.suppress(NoDaemon, zmq.ZMQError):
                await self._send(Call("cancel", next(self._ids), {"request": id}))
            raise
        finally:
            del self._waiting[id]

    async def _exchange(self, queue: asyncio.Queue[Reply], call: Call, timeout: float | None) -> Reply:
        """Send a call and return the first answer; send it again if the daemon was restarted meanwhile."""
        loop = asyncio.get_running_loop()
        limit = self.timeout if timeout is None else timeout
        end = loop.time() + limit
        sent_to = await self._send(call)
        while (left := end - loop.time()) > 0:
            try:
                answer, buffers = await asyncio.wait_for(queue.get(), min(left, LOOK_AGAIN))
            except asyncio.TimeoutError:
                if self.look_again() != sent_to:
                    sent_to = await self._send(call)
                continue
            if answer.event == "error":
                raise RemoteError(ErrorInfo.model_validate(answer.fields))
            return answer, buffers
        raise NoAnswer(self._silence(call.command, limit))

    async def _send(self, call: Call) -> Daemon:
        """Send a call to the present daemon, and return that daemon."""
        fields = {name: value for name, value in call.fields.items() if value is not None}
        daemon = self._reach()
        assert self._socket is not None
        await self._socket.send_multipart(
            zeromq.encode_call(Call(call.command, call.id, fields, call.buffers, daemon.token)), copy=False
        )
        return daemon

    def _reach(self) -> Daemon:
        if self.daemon is None:
            raise NoDaemon("The client is not connected. Use it in a with statement, or call connect().")
        return self.daemon

    def look_again(self) -> Daemon:
        """Return the present daemon; connect to it if it is not the one that the client is connected to."""
        try:
            found = find_daemon(self._home)
        except NoDaemon:
            return self._reach()
        if found != self.daemon:
            self._open(found)
        return found

    def _open(self, daemon: Daemon) -> None:
        if daemon.zmq is None:
            raise NoDaemon(
                f"The daemon in {daemon.home} has no ZeroMQ endpoint. Start it with: tertium serve --zmq ENDPOINT"
            )
        self._shut()
        self._context = self._context or zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(daemon.zmq)
        self.daemon = daemon
        self._reader = asyncio.create_task(self._read(self._socket))

    def _shut(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
        if self._socket is not None:
            self._socket.close()
        self._reader = self._socket = self.daemon = None

    async def _read(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            try:
                answer, buffers = zeromq.decode_answer(await socket.recv_multipart())
            except ProtocolError:
                continue  # not a message of this protocol, so not an answer to one of our requests
            if answer.id in self._waiting:
                self._waiting[answer.id].put_nowait((answer, buffers))

    def _silence(self, command: str, seconds: float) -> str:
        remedy = "See its log, or try again with a longer timeout."
        if self.daemon is not None and os.name == "posix" and not _runs(self.daemon.pid):
            remedy = f"Process {self.daemon.pid} is gone; start the daemon again with: tertium serve"
        return f"The daemon did not answer {command} within {seconds:g} s. {remedy}"


def _runs(pid: int) -> bool:
    """Return whether a process with this id exists (POSIX)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
