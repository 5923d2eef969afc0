"""Clients' files, read in processes of their own, within limits of time and memory."""

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
"""How long reading may take: so many seconds, and one more for so many bytes. A laptop decodes some ten times as much."""
_START = "from tertium.audio.reader import main; main()"


class ReaderPool:
    """A few processes that read files, started when they are needed and replaced when they hang or die. Safe to use from several threads.

    Args:
        seconds: that reading a small file may take.
    """

    def __init__(self, *, seconds: float = SECONDS):
        self._seconds = seconds
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(PROCESSES):
            self._idle.put(None)
        self._living: set[_Child] = set()
        self._lock = threading.Lock()
        self._closed = False

    def read(self, file: BinaryIO, *, value: str, max_seconds: float, field: str, span: Span = files.WHOLE) -> Audio:
        """As :func:`tertium.audio.files.decoded`, in another process.

        Raises:
            SoundError: also ``bad_sound`` for a file that takes too long or too much memory, or that ends the process that reads it.
            TertiumError: ``busy`` when the daemon is stopping.
        """
        if not hasattr(socket, "send_fds"):  # Windows: an open file cannot be handed over
            return files.decoded(file, value=value, max_seconds=max_seconds, field=field, span=span)
        request = {
            "value": value, "field": field, "span": [span.start, span.end],
            "max_seconds": None if max_seconds == float("inf") else max_seconds,
        }  # fmt: skip
        limit = self._seconds + os.fstat(file.fileno()).st_size / BYTES_A_SECOND
        child = self._idle.get()
        try:
            child = self._started(child)
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
        """Start the first process, so that the first file need not wait for it."""
        if hasattr(socket, "send_fds"):
            self._idle.put(self._started(self._idle.get()))

    def close(self) -> None:
        """End all processes, whatever they are doing; whoever waits for one is told."""
        with self._lock:
            self._closed = True
            living = list(self._living)
        for child in living:
            self._end(child)

    def _started(self, child: "_Child | None") -> "_Child":
        if child is not None and child.lives:
            return child
        self._end(child)
        with self._lock:
            if self._closed:
                raise _stopping()
            child = _Child()
            self._living.add(child)
        return child

    def _end(self, child: "_Child | None") -> None:
        if child is not None:
            child.kill()
            with self._lock:
                self._living.discard(child)


class _Child:
    """One process that reads, and the socket to it."""

    def __init__(self):
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                env=child_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], file: BinaryIO, limit: float) -> tuple[dict[str, Any], np.ndarray | None]:
        """What the process answers within ``limit`` seconds. Raises TimeoutError, EOFError, OSError or ValueError."""
        self._socket.settimeout(limit)
        socket.send_fds(self._socket, [json.dumps(request).encode()], [file.fileno()])
        (length,) = LENGTH.unpack(self._received(LENGTH.size))
        facts = json.loads(self._received(length))
        if "shape" not in facts:
            return facts, None
        channels, frames = facts["shape"]
        return facts, np.frombuffer(self._received(4 * channels * frames), np.float32).reshape(channels, frames)

    def _received(self, count: int) -> bytearray:
        content = bytearray(count)
        room = memoryview(content)
        while room:
            got = self._socket.recv_into(room)
            if not got:
                raise EOFError(f"it ended with status {self._process.poll()}")
            room = room[got:]
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
    return TertiumError("busy", "The daemon is stopping.", remedy="Send it again when it has started anew.")
