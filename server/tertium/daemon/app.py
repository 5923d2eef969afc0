"""The composition root: creates the parts of the daemon in order and closes them in reverse order."""

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from tertium import __version__
from tertium.daemon import log
from tertium.daemon.allowed_folders import AllowedFolders
from tertium.daemon.config import Settings, is_loopback
from tertium.daemon.dispatcher import Dispatcher
from tertium.daemon.handlers.registry import Services
from tertium.daemon.helper_pool import HelperPool
from tertium.daemon.housekeeper import Housekeeper
from tertium.daemon.jobs.job import Job
from tertium.daemon.jobs.journal import Journal
from tertium.daemon.jobs.queue import JobQueue
from tertium.daemon.jobs.supervisor import Supervisor
from tertium.daemon.notifier import Notifier
from tertium.daemon.sessions import OscSession, Sessions, ZeroMqSession
from tertium.daemon.transports.osc import OscTransport
from tertium.daemon.transports.zeromq import ZeroMqTransport
from tertium.errors import TertiumError
from tertium.storage.home import Home
from tertium.storage.library import Library
from tertium.worker_messages import Load

EXIT_REFUSED = 2
"""Exit status when the daemon could not start because its folder or a port is in use or unusable."""

LONGEST_STOP = 9.0
"""Seconds that stopping may take before the process is ended by force."""

MOST_DESCRIPTORS, FEW_DESCRIPTORS = 8192, 1024
FLUSH_SECONDS = 2.0

EXIT_BROKEN = 1
"""Exit status after an internal error that stopped the daemon."""


def run(settings: Settings) -> int:
    """Serve until a signal or ``shutdown``. Return the exit status: 0, 2 if the daemon could not start, 1 after an internal error."""
    log.set_up(as_json=settings.log_json)
    _allow_descriptors()
    last_resort = threading.Timer(LONGEST_STOP, _force_exit)
    last_resort.daemon = True
    daemon = Daemon(settings, on_stopping=last_resort.start)
    gc.freeze()  # what is loaded by now stays: no full collection needs to look through it while answers wait
    try:
        asyncio.run(daemon.serve())
    except TertiumError as error:
        log.event("not started", level=logging.ERROR, reason=error.message, remedy=error.remedy)
        return EXIT_REFUSED
    except KeyboardInterrupt:  # raised where the loop cannot handle signals; the daemon has stopped by now
        return 0
    finally:
        last_resort.cancel()
    return EXIT_BROKEN if daemon.broken else 0


def _allow_descriptors() -> None:
    """Raise the limit of open files and sockets: macOS gives 256, which some sixty clients use up.

    The transport limits connections by what it is then.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MOST_DESCRIPTORS, hard)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        if wanted < FEW_DESCRIPTORS:
            remedy = f"Raise it to {FEW_DESCRIPTORS} or more (ulimit -Hn); a flood of connections could end the daemon."
            log.event("few descriptors", level=logging.WARNING, limit=wanted, remedy=remedy)


def _force_exit() -> None:
    """End this process even if one of its threads hangs. Nothing is lost: accepted jobs are in the journal."""
    log.event("forced exit", level=logging.WARNING, reason=f"the daemon had not stopped after {LONGEST_STOP:g} s")
    os._exit(0)


class Daemon:
    """One daemon. :meth:`serve` runs it from start to stop.

    Args:
        settings: see :func:`tertium.daemon.config.settings`.
        on_stopping: called when the daemon begins to stop.
    """

    def __init__(self, settings: Settings, *, on_stopping: Callable[[], None] = lambda: None):
        self._settings = settings
        self._on_stopping = on_stopping
        self._token = secrets.token_urlsafe(24)
        self.broken = False

    async def serve(self) -> None:
        """Start, serve until :meth:`stop` is called, and stop.

        Raises:
            TertiumError: the daemon could not start; everything already opened is closed again.
        """
        self._stopping = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            await self._stopping.wait()
            log.event("stopping")
            self._on_stopping()
            self._services.supervisor.state = "stopping"
        log.event("stopped")

    def stop(self, reason: str) -> None:
        """Begin to stop."""
        log.event("stop requested", reason=reason)
        self._stopping.set()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        """Open each part after the parts it depends on; the stack closes it before them."""
        settings = self._settings
        self._catch_signals(stack)
        home = Home(settings.home)
        home.open()
        stack.callback(home.close)
        stack.callback(log.stop_keeping, log.keep_in(home.log))
        journal = Journal(home.journal)
        rows = _open_journal(journal, home)
        stack.callback(journal.close)
        jobs = JobQueue(journal, limit=settings.queue)
        jobs.on_full_disk(home.release)
        restored = jobs.restore(rows)
        worker = Supervisor(self._load(), jobs)
        sessions = Sessions()
        notifier = Notifier(jobs, sessions, lambda frames: self._zmq.publish(frames))
        helpers = (
            HelperPool(settings.home) if hasattr(socket, "send_fds") else None
        )  # Windows cannot pass an open file to another process
        library = Library(settings.home, adder=helpers)
        library.reconcile()
        housekeeper = Housekeeper(library, jobs, settings.home, settings.budget)
        self._services = Services(
            settings, home, library, jobs, worker, sessions, notifier, helpers, housekeeper, self.stop,
            started=time.monotonic(), allowed_folders=AllowedFolders(settings.home, settings.roots),
        )  # fmt: skip
        dispatcher = self._dispatcher = Dispatcher(self._services, token=self._token)
        stack.push_async_callback(worker.close)
        await self._open_transports(stack)
        stack.push_async_callback(dispatcher.close)
        if helpers is not None:
            stack.callback(
                helpers.close
            )  # runs before dispatcher.close, so that calls waiting for a file fail and are answered
        flushing = asyncio.ensure_future(_flush_again(jobs, home))
        stack.push_async_callback(_cancel, flushing)
        keeping = asyncio.ensure_future(housekeeper.run())
        keeping.add_done_callback(_tell_failure)
        stack.push_async_callback(_cancel, keeping)
        task = asyncio.ensure_future(worker.run())
        task.add_done_callback(self._supervisor_ended)
        stack.push_async_callback(_cancel, task)
        self._announce(restored)
        if helpers is not None:
            await asyncio.to_thread(helpers.warm)

    async def _open_transports(self, stack: contextlib.AsyncExitStack) -> None:
        host, port = self._settings.osc
        self._osc = await OscTransport.open(host, port, self._datagram)
        stack.push_async_callback(self._osc.close)
        endpoint, events = self._endpoints()
        self._zmq = await ZeroMqTransport.open(endpoint, events, self._message)
        stack.push_async_callback(self._zmq.close)
        host, port = self._osc.address
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._services.refusing = lambda: self._zmq.message
        self._services.endpoints.update(osc=shown, zmq=self._zmq.endpoint, events=self._zmq.events)

    def _endpoints(self) -> tuple[str, str]:
        """Return the endpoints for requests and events: sockets in the home, or the configured endpoint and one beside it (over TCP, the next port)."""
        asked = self._settings.zmq
        if asked == "ipc://":
            return self._services.home.socket("requests"), self._services.home.socket("events")
        if asked.startswith("ipc://"):
            return asked, f"{asked}.events"
        host, _, port = asked.rpartition(":")
        return asked, f"{host}:{int(port) + 1 if 0 < int(port) < 65535 else 0}"

    def _load(self) -> Load:
        settings = self._settings
        return Load(
            engine=settings.engine,
            home=str(settings.home),
            model=settings.model,
            device=settings.device,
            precision=settings.precision,
            write_every=settings.write_every,
            trajectory_disk=settings.trajectory_disk,
        )

    def _announce(self, restored: int) -> None:
        """Publish the endpoints so that clients can find the daemon."""
        facts = {
            "pid": os.getpid(),
            "osc": list(self._osc.address),
            "zmq": self._zmq.endpoint,
            "events": self._zmq.events,
            "token": self._token,
            "model": self._settings.model,
            "version": __version__,
        }
        self._services.home.announce(facts)
        endpoints = self._services.endpoints
        log.event(
            "serving", home=str(self._settings.home), model=self._settings.model, restored=restored or None, **endpoints
        )

    def _catch_signals(self, stack: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        wanted = [signal.SIGINT, signal.SIGTERM]
        hang_up = getattr(signal, "SIGHUP", None)
        # nohup ignores SIGHUP, and it must stay ignored.
        if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:
            wanted.append(hang_up)
        for one in wanted:
            try:
                loop.add_signal_handler(one, self.stop, one.name)
            except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
                continue
            stack.callback(loop.remove_signal_handler, one)

    def _datagram(self, datagram: bytes, address: tuple[str, int]) -> None:
        def make() -> OscSession:
            return OscSession(address, self._osc.address, self._osc.send, local=is_loopback(address[0]))

        self._dispatcher.datagram(self._services.sessions.of(address, make), datagram)

    def _message(self, parts: list[bytes], peer: tuple[bytes, ...]) -> None:
        trusted = self._zmq.endpoint.startswith("ipc://")
        session = self._services.sessions.of(peer, lambda: ZeroMqSession(peer, self._zmq.send, trusted=trusted))
        self._dispatcher.message(session, parts)

    def _supervisor_ended(self, task: asyncio.Task) -> None:
        """Stop the daemon if the supervisor ends without being cancelled: that is an internal error, and no job could run any more."""
        if not task.cancelled():
            log.exception("supervisor failed", task.exception())
            self.broken = True
            self.stop("the supervisor failed")


def _open_journal(journal: Journal, home: Home) -> list[dict[str, Any]]:
    """Open the journal, on a full disk with the room that was reserved for that."""
    try:
        return journal.open(check=Job.restored)
    except TertiumError as error:
        if error.code != "disk_full" or not home.release():
            raise
        return journal.open(check=Job.restored)


async def _flush_again(jobs: JobQueue, home: Home) -> None:
    """Try again, from time to time, to write what a full disk kept from the journal, and hold some room for the next time."""
    while True:
        if await jobs.flush():
            await asyncio.to_thread(home.reserve)
        await asyncio.sleep(FLUSH_SECONDS)


def _tell_failure(task: asyncio.Task) -> None:
    """Log that the housekeeper ended by an internal error; the daemon goes on without it."""
    if not task.cancelled() and task.exception() is not None:
        log.exception("housekeeper failed", task.exception())


async def _cancel(task: asyncio.Task) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task
