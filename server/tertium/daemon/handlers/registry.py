"""Which function answers which command, and what it has to work with."""

import importlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tertium.daemon.allowed_folders import AllowedFolders
from tertium.daemon.config import Settings
from tertium.daemon.jobs.queue import JobQueue
from tertium.daemon.jobs.supervisor import Supervisor
from tertium.daemon.notifier import Notifier
from tertium.daemon.sessions import Session, Sessions
from tertium.daemon.single_flight import SingleFlight
from tertium.storage.home import Home
from tertium.storage.library import Library, Sound
from tertium_protocol.codecs.audio_buffer import AudioBuffer
from tertium_protocol.commands import COMMANDS
from tertium_protocol.messages.events import Payload, RequestId

MODULES = ("status", "sounds", "render", "checkpoints")
_HANDLERS: dict[str, "Handler"] = {}


@dataclass
class Services:
    """The parts of a running daemon, put together by :mod:`tertium.daemon.app`.

    Args:
        allowed_folders: the folders whose files clients may name.
        endpoints: what the daemon listens on, as ``hello`` tells it: osc, zmq, events.
        stop: begins the daemon's end.
        started: when it was started, by the monotonic clock.
        adding: files that are being taken into the library.
    """

    settings: Settings
    home: Home
    library: Library
    jobs: JobQueue
    supervisor: Supervisor
    sessions: Sessions
    notifier: Notifier
    stop: Callable[[str], None]
    started: float
    allowed_folders: AllowedFolders
    endpoints: dict[str, str] = field(default_factory=dict)
    adding: SingleFlight[Sound] = field(default_factory=SingleFlight)

    @property
    def state(self) -> str:
        """loading, ready, busy, failed or stopping; busy from the moment in which a job is accepted."""
        at_work = self.jobs.running is not None or self.jobs.waiting
        return "busy" if self.supervisor.state == "ready" and at_work else self.supervisor.state


@dataclass
class Context:
    """The circumstances of one request.

    Args:
        session: who asked.
        id: the request's id.
        buffers: audio that came with it.
        arrived: when it came, by the monotonic clock.
        attached: audio to send with the reply.
    """

    session: Session
    id: RequestId
    buffers: Sequence[AudioBuffer] = ()
    arrived: float = field(default_factory=time.monotonic)
    attached: list[AudioBuffer] = field(default_factory=list)


Handler = Callable[[Services, Any, Context], Awaitable[Payload | None]]


def handles(command: str) -> Callable[[Handler], Handler]:
    """Register the function that answers a command: immediate ones return their reply, queued ones see their job accepted and return None."""

    def register(handler: Handler) -> Handler:
        if command in _HANDLERS:
            raise ValueError(f"{command} is answered by {_HANDLERS[command].__name__} already")
        _HANDLERS[command] = handler
        return handler

    return register


def handlers() -> dict[str, Handler]:
    """Command to handler, for every command of the protocol's table and no other.

    Raises:
        LookupError: the table and the handlers differ.
    """
    for room in MODULES:
        importlib.import_module(f"tertium.daemon.handlers.{room}")
    differing = COMMANDS.keys() ^ _HANDLERS.keys()
    if differing:
        raise LookupError(f"commands and handlers differ in {', '.join(sorted(differing))}")
    return dict(_HANDLERS)
