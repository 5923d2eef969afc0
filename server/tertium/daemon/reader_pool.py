"""The pool of processes that read clients' files, with limits on time and memory."""

import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
from typing import Any, BinaryIO

import numpy as np

from tertium.audio import files
from tertium.audio.files import Span
from tertium.audio.reader import LENGTH
from tertium.audio.signal import Audio
from tertium.daemon import log
from tertium.errors import SoundError, TertiumError
from tertium.subprocess_env import environment as child_environment

PROCESSES = 2
SECONDS, BYTES_A_SECOND = 20.0, 4e6
"""Time limit for reading a file: a fixed number of seconds, plus its size divided by this rate. A laptop decodes about ten times as fast."""
_START = "from tertium.audio.reader import main; main()"


class ReaderPool:
    """A few processes that read files, started on demand and replaced when they hang or die. Safe to use from several threads.

    Args:
        seconds: time limit for reading a small file.
    """

    def __init__(self, *, seconds: float = SECONDS):
        self._seconds = seconds
        self._idle: queue.LifoQueue[_Reader | None] = queue.LifoQueue()
        for _ in range(PROCESSES):
            self._idle.put(None)
        self._living: set[_Reader] = set()
        self._lock = threading.Lock()
        self._closed = False

    def read(self, file: BinaryIO, *, value: str, max_seconds: float, field: str, span: Span = files.WHOLE) -> Audio:
        """Decode a file as :func:`tertium.audio.files.decoded` does, in another process.

        Raises:
            SoundError: as there, and ``bad_sound`` for a file that takes too long or too much memory, or that crashes its reader.
            TertiumError: ``busy`` when the daemon is stopping.
        """
        if not hasattr(socket, "send_fds"):  # Windows cannot pass an open file to another process
            return files.decoded(file, value=value, max_seconds=max_seconds, field=field, span=span)
        request = {
            "value": value, "field": field, "span": [span.start, span.end],
            "max_seconds": None if max_seconds == float("inf") else max_seconds,
        }  # fmt: skip
        limit = self._seconds + os.fstat(file.fileno()).st_size / BYTES_A_SECOND
        child = self._idle.get()
        try:
            child = self._ensure_running(child)
            facts, samples = child.ask(request, file, limit)
        except (OSError, EOFError, ValueError) as error:
            self._end(child)
            child = None
            if self._closed:
                raise _stopping() from error
            log.event("reader ended", level=logging.WARNING, file=value, reason=str(error) or type(error).__name__)
            late = isinstance(error, TimeoutError)
            raise _unreadable(
                value, field, f"it took longer than {limit:.0f} s" if late else "its reader died"
            ) from error
        finally:
            self._idle.put(child)
        if "error" in facts:
            raise SoundError(facts["error"].pop("code"), facts["error"].pop("message"), **facts["error"])
        if "failed" in facts:
            raise _unreadable(value, field, facts["failed"])
        return Audio(samples, facts["sample_rate"], tuple(facts["notes"]), facts["layout"])

    def warm(self) -> None:
        """Start the first process in advance, so that the first file does not wait for it."""
        if hasattr(socket, "send_fds"):
            self._idle.put(self._ensure_running(self._idle.get()))

    def close(self) -> None:
        """Kill all processes; calls that wait for one raise ``busy``."""
        with self._lock:
            self._closed = True
            living = list(self._living)
        for child in living:
            self._end(child)

    def _ensure_running(self, child: "_Reader | None") -> "_Reader":
        """Return the given process if it is alive, else a new one."""
        if child is not None and child.is_alive:
            return child
        self._end(child)
        with self._lock:
            if self._closed:
                raise _stopping()
            child = _Reader()
            self._living.add(child)
        return child

    def _end(self, child: "_Reader | None") -> None:
        if child is not None:
            child.kill()
            with self._lock:
                self._living.discard(child)


class _Reader:
    """One reader process and the socket to it."""

    def __init__(self):
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                env=child_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], file: BinaryIO, limit: float) -> tuple[dict[str, Any], np.ndarray | None]:
        """Return the facts and samples with which the process answers within ``limit`` seconds. Raises TimeoutError, EOFError, OSError or ValueError."""
        self._socket.settimeout(limit)
        socket.send_fds(self._socket, [json.dumps(request).encode()], [file.fileno()])
        (length,) = LENGTH.unpack(self._receive(LENGTH.size))
        facts = json.loads(self._receive(length))
        if "shape" not in facts:
            return facts, None
        channels, frames = facts["shape"]
        return facts, np.frombuffer(self._receive(4 * channels * frames), np.float32).reshape(channels, frames)

    def _receive(self, count: int) -> bytearray:
        content = bytearray(count)
        free = memoryview(content)
        while free:
            got = self._socket.recv_into(free)
            if not got:
                raise EOFError(f"the reader ended with status {self._process.poll()}")
            free = free[got:]
        return content

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._socket.close()


def _unreadable(value: str, field: str, reason: str) -> SoundError:
    return SoundError(
        "bad_sound", f"The file '{value}' cannot be read as a sound ({reason}).", field=field, value=value,
        remedy="Export it again as WAV or FLAC from a program that plays it.",
    )  # fmt: skip


def _stopping() -> TertiumError:
    return TertiumError(
        "busy", "The daemon is stopping.", remedy="Send the request again after the daemon has restarted."
    )
