"""The registry of handlers, and the services and context that they are given."""

import importlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tertium.daemon.allowed_folders import AllowedFolders
from tertium.daemon.cancellation import Cancellation
from tertium.daemon.config import Settings
from tertium.daemon.helper_pool import HelperPool
from tertium.daemon.housekeeper import Housekeeper
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
AT_ONCE: set[str] = set()
"""Commands whose handlers never wait."""


@dataclass
class Services:
    """The parts of a running daemon, put together by :mod:`tertium.daemon.app`.

    Args:
        allowed_folders: the folders whose files clients may name.
        endpoints: the addresses that ``hello`` reports: osc, zmq, events.
        refusing: returns a sentence on connections that are refused now; None if none are.
        stop: stops the daemon, given a reason for the log.
        started: start of the daemon on the monotonic clock.
        adding: files that are being added to the library.
    """

    settings: Settings
    home: Home
    library: Library
    jobs: JobQueue
    supervisor: Supervisor
    sessions: Sessions
    notifier: Notifier
    helpers: HelperPool | None
    housekeeper: Housekeeper
    stop: Callable[[str], None]
    started: float
    allowed_folders: AllowedFolders
    endpoints: dict[str, str] = field(default_factory=dict)
    refusing: Callable[[], str | None] = lambda: None
    adding: SingleFlight[Sound] = field(default_factory=SingleFlight)

    @property
    def message(self) -> str | None:
        """What there is to say of the model, of connections and of the library's budget; None if nothing."""
        return " ".join(filter(None, (self.supervisor.message, self.refusing(), self.housekeeper.message))) or None

    @property
    def state(self) -> str:
        """loading, ready, busy, failed or stopping; busy from the moment a job is accepted."""
        has_jobs = self.jobs.running is not None or self.jobs.waiting
        return "busy" if self.supervisor.state == "ready" and has_jobs else self.supervisor.state


@dataclass
class Context:
    """The context of one request.

    Args:
        session: the peer that sent it.
        id: the request's id.
        buffers: audio sent with the request.
        arrived: time of arrival on the monotonic clock.
        attached: audio to send with the reply.
        cancellation: of this request, by the command ``cancel``.
    """

    session: Session
    id: RequestId
    buffers: Sequence[AudioBuffer] = ()
    arrived: float = field(default_factory=time.monotonic)
    attached: list[AudioBuffer] = field(default_factory=list)
    cancellation: Cancellation = field(default_factory=Cancellation)


Handler = Callable[[Services, Any, Context], Awaitable[Payload | None]]


def handles(command: str, *, at_once: bool = False) -> Callable[[Handler], Handler]:
    """Register the handler of a command: for an immediate command it returns the reply; for a queued one it has the job accepted and returns None.

    Args:
        at_once: the handler never waits, not even for a thread; so many of its calls as come are answered.
    """

    def register(handler: Handler) -> Handler:
        if command in _HANDLERS:
            raise ValueError(f"{command} is answered by {_HANDLERS[command].__name__} already")
        _HANDLERS[command] = handler
        if at_once:
            AT_ONCE.add(command)
        return handler

    return register


def handlers() -> dict[str, Handler]:
    """Return the handlers by command, for exactly the commands of the protocol's table.

    Raises:
        LookupError: the table and the handlers differ.
    """
    for module in MODULES:
        importlib.import_module(f"tertium.daemon.handlers.{module}")
    differing = COMMANDS.keys() ^ _HANDLERS.keys()
    if differing:
        raise LookupError(f"commands and handlers differ in {', '.join(sorted(differing))}")
    return dict(_HANDLERS)
