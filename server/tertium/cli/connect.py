"""Connection to a daemon: the running one, or one started for this call and stopped after it."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tertium.cli.daemon_use import DaemonUse
from tertium.cli.output import Output
from tertium.daemon.config import default_home
from tertium.errors import TertiumError
from tertium.storage import home
from tertium.subprocess_env import environment
from tertium_protocol.client import Client, NoAnswer, NoDaemon, RemoteError

START_SECONDS = 60.0
LOAD_SECONDS = 600.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Wanted:
    """The daemon that a call needs: its folder, and how to start it if none runs there.

    Args:
        home: its folder, or None for the default.
        engine: options of ``serve``: model, device, precision.
        starts: whether a daemon may be started.
    """

    home: str | None = None
    engine: dict[str, str] = field(default_factory=dict)
    starts: bool = True

    @property
    def folder(self) -> Path:
        return Path(self.home).expanduser().absolute() if self.home else default_home()


@contextlib.contextmanager
def running(wanted: Wanted) -> Iterator[Client]:
    """Connect to the running daemon.

    Raises:
        NoDaemon: none runs; none is started.
    """
    if home.find(wanted.folder) is None:
        raise NoDaemon(f"No daemon runs in {wanted.folder}. Start one with: tertium serve")
    with Client(wanted.folder, name="tertium") as client:
        yield client


@contextlib.contextmanager
def running_or_started(wanted: Wanted, output: Output) -> Iterator[Client]:
    """Connect to the running daemon, or to one started for the duration of the context, and wait until its model is loaded.

    Raises:
        TertiumError: ``conflict`` if the running daemon has another model than the requested one, ``model_unavailable``, ``internal``.
        NoDaemon: none runs, and none may be started.
    """
    if not wanted.starts:
        with running(wanted) as client:
            yield client
        return
    with contextlib.ExitStack() as stack:
        use = stack.enter_context(DaemonUse(wanted.folder))
        if home.find(wanted.folder) is None:
            stack.enter_context(_started(wanted, output, use))
        client = stack.enter_context(Client(wanted.folder, name="tertium"))
        _check_model(client, wanted)
        _wait_for_model(client, output)
        yield client


def _check_model(client: Client, wanted: Wanted) -> None:
    model = wanted.engine.get("model")
    serving = client.ask("status").model
    if model is not None and model != serving and os.path.abspath(model) != serving:
        raise TertiumError(
            "conflict", f"The running daemon serves {serving}, not {model}.", field="model", value=model,
            remedy="Omit --model, stop that daemon, or give another folder with --home.",
        )  # fmt: skip


def _wait_for_model(client: Client, output: Output) -> None:
    status = client.ask("status")
    if status.state == "loading":
        with output.waiting(f"Loading {status.model}"):
            end = time.monotonic() + LOAD_SECONDS
            while status.state == "loading" and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
                status = client.ask("status")
    if status.state in ("loading", "failed"):
        message = status.message or f"{status.model} was not loaded within {LOAD_SECONDS:g} s."
        raise TertiumError("model_unavailable", message, field="model", value=status.model)


@contextlib.contextmanager
def _started(wanted: Wanted, output: Output, use: DaemonUse) -> Iterator[None]:
    """Start a daemon for this call. If another call starts one at the same time, the one that gets the folder serves both."""
    with tempfile.TemporaryFile() as log:
        with output.waiting("Starting the daemon"):
            process = subprocess.Popen(
                [sys.executable, "-m", "tertium", *serve_arguments(wanted)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(), start_new_session=True,  # Ctrl-C must reach this process only, which cancels the job before it stops the daemon
            )  # fmt: skip
            try:
                _wait_for_daemon(process, wanted.folder, log)
            except BaseException:
                _end(process)
                raise
        try:
            yield
            if process.poll() is None:
                _wait_for_others(wanted.folder, output, use)
        finally:
            _end(process)


def serve_arguments(wanted: Wanted) -> list[str]:
    """Return the arguments of a daemon started for a call: any free OSC port, the default ZeroMQ sockets."""
    arguments = ["serve", "--home", str(wanted.folder), "--osc", "127.0.0.1:0"]
    for name, value in wanted.engine.items():
        arguments += [f"--{name}", value]
    return arguments


def _wait_for_daemon(process: subprocess.Popen, folder: Path, log) -> None:
    end = time.monotonic() + START_SECONDS
    while home.find(folder) is None:
        if process.poll() is not None and home.find(folder) is None:
            raise TertiumError("internal", f"The daemon did not start: {_last_line(log)}", remedy="Run: tertium doctor")
        if time.monotonic() > end:
            raise TertiumError(
                "internal", f"The daemon did not start within {START_SECONDS:g} s.", remedy="Run: tertium doctor"
            )
        time.sleep(POLL_SECONDS)


def _last_line(log) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed no output."


def _wait_for_others(folder: Path, output: Output, use: DaemonUse) -> None:
    """Wait until no other call uses the daemon that this call started and it has no jobs; then keep others from it."""
    daemon_gone = contextlib.suppress(NoDaemon, NoAnswer, RemoteError)
    with daemon_gone, Client(folder, name="tertium") as client, output.waiting("Waiting for jobs of other calls"):
        use.give_up()
        while not (_is_idle(client) and use.alone() and _is_idle(client)):
            use.give_up()
            time.sleep(POLL_SECONDS)


def _is_idle(client: Client) -> bool:
    status = client.ask("status")
    return not status.queued and status.job is None


def _end(process: subprocess.Popen) -> None:
    """Stop the daemon of this call: terminate it, and kill it if it does not end."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
