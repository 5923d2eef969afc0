"""One run of the child process: starting it, hearing it, saying things to it, ending it."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections import deque

from tertium.daemon import log
from tertium.worker_messages import Command, Report, Trouble, parse_report

LONGEST_LINE = 2**20
_START = "from tertium.worker.main import main; main()"


class WorkerProcess:
    """A child that says and hears JSON lines. Make it with :meth:`start`."""

    def __init__(self, process: asyncio.subprocess.Process):
        self._process = process
        self._heard: asyncio.Queue[Report | None] = asyncio.Queue()
        self._last_words: deque[str] = deque(maxlen=5)
        self._tasks = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._log())]

    @classmethod
    async def start(cls) -> "WorkerProcess":
        """Start a child with this interpreter and its search path. Signals of the terminal do not reach it."""
        # Threads of the model that wait for each other must not spin meanwhile: where the host's audio (or anything else) wants the
        # same cores, spinning makes a fusion of two seconds take a minute.
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
    def lives(self) -> bool:
        """Whether the process is not known to have ended."""
        return self._process.returncode is None

    async def say(self, message: Command) -> None:
        """Send a message; to a process that has ended, nothing."""
        with contextlib.suppress(ConnectionError, OSError):
            self._process.stdin.write(message.line())
            await self._process.stdin.drain()

    async def hear(self) -> Report | None:
        """The next message; None when the process has ended."""
        message = await self._heard.get()
        if message is None:
            self._heard.put_nowait(None)
        return message

    async def ended(self) -> None:
        """Wait for the process's end."""
        await self._process.wait()

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """End the process if it lives, and forget it."""
        self.kill()
        await self._process.wait()
        for task in self._tasks:
            with contextlib.suppress(asyncio.TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(task, 1.0)
        self._process.stdin.close()

    def reason(self) -> str:
        """How the process ended, as the end of a sentence that begins with it."""
        code = self._process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            memory = ", perhaps for want of memory" if name == "SIGKILL" else ""
            return f"was ended by signal {name}{memory}"
        words = f" ({self._last_words[-1]})" if self._last_words else ""
        return f"ended with status {code}{words}"

    async def _listen(self) -> None:
        try:
            while line := await self._process.stdout.readline():
                message = parse_report(line)
                if isinstance(message, Trouble):
                    log.event("worker in trouble", level=logging.ERROR, traceback=message.text)
                else:
                    self._heard.put_nowait(message)
        except ValueError as error:  # too long, no JSON, or of another shape: nothing that follows can be trusted
            log.event("worker not understood", level=logging.ERROR, reason=str(error))
            self.kill()
        await self._process.wait()
        self._heard.put_nowait(None)

    async def _log(self) -> None:
        with contextlib.suppress(ValueError):
            while line := await self._process.stderr.readline():
                text = line.decode("utf-8", "replace").rstrip()
                if text:
                    self._last_words.append(text)
                    log.event("worker says", level=logging.DEBUG, text=text)
        while await self._process.stderr.read(LONGEST_LINE):  # never let the child block on a full pipe
            pass
