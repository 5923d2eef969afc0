"""One worker process: start it, exchange messages with it, end it."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections import deque

from tertium.daemon import log
from tertium.worker_messages import Command, Heartbeat, Report, Trouble, parse_report

LONGEST_LINE = 2**20
_START = "from tertium.worker.main import main; main()"


class WorkerProcess:
    """A worker process and its JSON lines. Create it with :meth:`start`."""

    def __init__(self, process: asyncio.subprocess.Process):
        self._process = process
        self._reports: asyncio.Queue[Report | None] = asyncio.Queue()
        self._stderr_tail: deque[str] = deque(maxlen=5)
        self.reports_received = 0
        self._killed_because: str | None = None
        self._tasks = [asyncio.ensure_future(self._read_reports()), asyncio.ensure_future(self._read_stderr())]

    @classmethod
    async def start(cls) -> "WorkerProcess":
        """Start a worker with this interpreter and its search path. It does not receive the terminal's signals."""
        # The model's threads must not spin while they wait for each other: if the host's audio (or anything else) needs the same
        # cores, spinning turns a fusion of two seconds into one of a minute.
        environment = (
            {"OMP_WAIT_POLICY": "PASSIVE"}
            | os.environ
            | {
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "PYTHONSAFEPATH": "1",
                "PYTHONIOENCODING": "utf-8",
            }
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _START,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=environment, limit=LONGEST_LINE, start_new_session=True,
        )  # fmt: skip
        log.event("worker started", pid=process.pid)
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """True until the end of the process has been noticed."""
        return self._process.returncode is None

    async def send(self, message: Command) -> None:
        """Send a message; do nothing if the process has ended."""
        with contextlib.suppress(ConnectionError, OSError):
            self._process.stdin.write(message.line())
            await self._process.stdin.drain()

    async def receive(self) -> Report | None:
        """Return the next message; None once the process has ended."""
        message = await self._reports.get()
        if message is None:
            self._reports.put_nowait(None)
        return message

    async def wait(self) -> None:
        """Wait until the process has ended."""
        await self._process.wait()

    def kill(self, reason: str | None = None) -> None:
        """Kill the process.

        Args:
            reason: why, as the predicate of a sentence about it; see :meth:`reason`.
        """
        self._killed_because = self._killed_because or reason
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Kill the process if it is alive, and release its pipes."""
        self.kill()
        await self._process.wait()
        for task in self._tasks:
            with contextlib.suppress(asyncio.TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(task, 1.0)
        self._process.stdin.close()

    def reason(self) -> str:
        """Describe how the process ended, as the predicate of a sentence about it."""
        if self._killed_because is not None:
            return self._killed_because
        code = self._process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            memory = ", possibly for lack of memory" if name == "SIGKILL" else ""
            return f"was killed by signal {name}{memory}"
        detail = f" ({self._stderr_tail[-1]})" if self._stderr_tail else ""
        return f"ended with status {code}{detail}"

    async def _read_reports(self) -> None:
        try:
            while line := await self._process.stdout.readline():
                message = parse_report(line)
                self.reports_received += 1
                if isinstance(message, Trouble):
                    log.event("worker error", level=logging.ERROR, traceback=message.text)
                elif not isinstance(message, Heartbeat):
                    self._reports.put_nowait(message)
        except ValueError as error:  # too long, not JSON, or not a report: no later line can be trusted
            log.event("invalid worker message", level=logging.ERROR, reason=str(error))
            self.kill("sent something that is not a report")
        await self._process.wait()
        self._reports.put_nowait(None)

    async def _read_stderr(self) -> None:
        with contextlib.suppress(ValueError):
            while line := await self._process.stderr.readline():
                text = line.decode("utf-8", "replace").rstrip()
                if text:
                    self._stderr_tail.append(text)
                    log.event("worker output", level=logging.DEBUG, text=text)
        while await self._process.stderr.read(LONGEST_LINE):  # a full pipe would block the worker
            pass
