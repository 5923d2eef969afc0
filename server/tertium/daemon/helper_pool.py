"""The pool of helper processes, with limits on the time and memory of each task."""

import contextlib
import logging
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tertium import safe_files
from tertium.audio.warp import ALL, Excerpt
from tertium.daemon import cancellation, log
from tertium.daemon.cancellation import Cancellation
from tertium.errors import SoundError, TertiumError
from tertium.helper_messages import (
    LENGTH,
    AddFile,
    AddSamples,
    Answer,
    ExportCheckpoint,
    ImportCheckpoint,
    Part,
    ReadSound,
    Task,
)
from tertium.storage.library import Sound
from tertium.subprocess_env import environment as child_environment

PROCESSES = 2
SECONDS, BYTES_A_SECOND = 20.0, 4e6
"""Time limit for a task: a fixed number of seconds, plus the size of its file divided by this rate. A laptop decodes about ten times as fast."""
STRETCHING = 0.5
"""Seconds allowed for each second of sound that is stretched: ten times what it takes."""
LOOK_AGAIN = 0.1
"""Seconds after which a request that waits for a process looks whether it was cancelled."""
_START = "from tertium.helper.main import main; main()"


class HelperPool:
    """A few helper processes, started on demand and replaced when they hang or die. Safe to use from several threads.

    Args:
        home: the daemon's folder.
        seconds: time limit for a small task.
    """

    def __init__(self, home: Path, *, seconds: float = SECONDS):
        self._home, self._seconds = str(home), seconds
        self._idle: queue.LifoQueue[_Helper | None] = queue.LifoQueue()
        for _ in range(PROCESSES):
            self._idle.put(None)
        self._living: set[_Helper] = set()
        self._lock = threading.Lock()
        self._closed = False

    def add_file(
        self, file: BinaryIO, path: Path, *, max_seconds: float, name: str | None, field: str, excerpt: Excerpt
    ) -> Sound:
        """Add a file as :meth:`tertium.storage.library.Library.add_file` does.

        Raises:
            SoundError: as there, and ``bad_sound`` for a file that takes too long or too much memory, or that crashes its helper.
            TertiumError: ``busy`` when the daemon is stopping.
        """
        task = AddFile(
            home=self._home, path=str(path), field=field, max_seconds=max_seconds, name=name, part=_part(excerpt)
        )
        limit = self._limit(os.fstat(file.fileno()).st_size, excerpt)
        with _about_sound(str(path), field):
            return _sound(self._do(task, file, limit))

    def add_samples(
        self, samples: np.ndarray, sample_rate: int, *, name: str | None, origin: dict, excerpt: Excerpt = ALL
    ) -> Sound:
        """Add samples as :meth:`tertium.storage.library.Library.add_samples` does, with its errors and those of :meth:`add_file`."""
        task = AddSamples(
            home=self._home,
            channels=samples.shape[0],
            sample_rate=sample_rate,
            name=name,
            origin=origin,
            part=_part(excerpt),
        )
        with tempfile.TemporaryFile() as file:
            file.write(memoryview(np.ascontiguousarray(samples, "<f4")).cast("B"))
            file.seek(0)
            limit = self._limit(samples.nbytes, excerpt)
            with _about_sound("the buffer", "samples"):
                return _sound(self._do(task, file, limit))

    def read_sound(self, sound: Sound, file: BinaryIO) -> dict[str, int]:
        """Write the samples of a sound of the library to a file, little-endian float32, interleaved. Return its channels, frames and sample_rate (Hz).

        Raises:
            SoundError: ``bad_sound`` if it cannot be read, ``disk_full``.
        """
        with _about_sound(sound.path, "sound"):
            return self._do(ReadSound(path=sound.path), file, self._limit(4 * sound.frames * sound.channels, ALL))

    def import_checkpoint(self, folder: Path, file: BinaryIO, path: Path, *, name: str | None) -> str:
        """Import a checkpoint as :meth:`tertium.storage.checkpoints.Checkpoints.import_file` does; return the name that it got."""
        limit = self._limit(os.fstat(file.fileno()).st_size, ALL)
        task = ImportCheckpoint(folder=str(folder), path=str(path), name=name)
        with _about_checkpoint(str(path)):
            return self._do(task, file, limit)

    def export_checkpoint(self, folder: Path, name: str, path: Path, *, size: int) -> str:
        """Export a checkpoint of ``size`` bytes as :meth:`tertium.storage.checkpoints.Checkpoints.export` does; return its path."""
        limit = self._limit(size, ALL)
        with _about_checkpoint(str(path)):
            return self._do(ExportCheckpoint(folder=str(folder), name=name, path=str(path)), None, limit)

    def warm(self) -> None:
        """Start the first process in advance, so that the first task does not wait for it."""
        self._idle.put(self._ensure_running(self._idle.get()))

    def close(self) -> None:
        """Kill all processes; calls that wait for one raise ``busy``."""
        with self._lock:
            self._closed = True
            living = list(self._living)
        for child in living:
            self._end(child)

    def _limit(self, size: int, excerpt: Excerpt) -> float:
        length = excerpt.markers[-1][1] if excerpt.markers else excerpt.seconds or 0.0
        return self._seconds + size / BYTES_A_SECOND + STRETCHING * length

    def _do(self, task: Task, file: BinaryIO | None, limit: float) -> Any:
        """Return the result of a task. Raises the error that the helper reports, or :class:`_Failed`."""
        request = cancellation.current()
        child = self._take(request)
        try:
            child = self._ensure_running(child)
            with request.ending(child.stop):
                answer = child.ask(task, file, limit)
        except (OSError, EOFError, ValueError) as error:
            self._end(child)
            if child is not None:
                _clean_up_after(child, task)
            child = None
            if self._closed:
                raise _stopping() from error
            request.check()
            reason = str(error) or type(error).__name__
            log.event("helper ended", level=logging.WARNING, task=task.task, reason=reason)
            late = isinstance(error, TimeoutError)
            raise _Failed(f"it took longer than {limit:.0f} s" if late else "its process died") from error
        finally:
            self._idle.put(child)
        if answer.error is not None:
            kind = SoundError if isinstance(task, AddFile | AddSamples | ReadSound) else TertiumError
            fields = dict(answer.error)
            raise kind(fields.pop("code"), fields.pop("message"), **fields)
        if answer.failed is not None:
            raise _Failed(answer.failed)
        return answer.result

    def _take(self, request: Cancellation) -> "_Helper | None":
        """Wait for a process that is idle. Raises TertiumError if the request is cancelled meanwhile."""
        while True:
            request.check()
            with contextlib.suppress(queue.Empty):
                return self._idle.get(timeout=LOOK_AGAIN)

    def _ensure_running(self, child: "_Helper | None") -> "_Helper":
        """Return the given process if it is alive, else a new one."""
        if child is not None and child.is_alive:
            return child
        self._end(child)
        with self._lock:
            if self._closed:
                raise _stopping()
            child = _Helper()
            self._living.add(child)
        return child

    def _end(self, child: "_Helper | None") -> None:
        if child is not None:
            child.kill()
            with self._lock:
                self._living.discard(child)


class _Failed(Exception):
    """A task could not be done; the text is the reason."""


class _Helper:
    """One helper process and the socket to it."""

    def __init__(self):
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                env=child_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, task: Task, file: BinaryIO | None, limit: float) -> Answer:
        """Return the answer that comes within ``limit`` seconds. Raises TimeoutError, EOFError, OSError or ValueError."""
        self._socket.settimeout(limit)
        frame = task.frame()
        sent = socket.send_fds(self._socket, [frame], [] if file is None else [file.fileno()])
        self._socket.sendall(frame[sent:])
        (length,) = LENGTH.unpack(self._receive(LENGTH.size))
        return Answer.model_validate_json(bytes(self._receive(length)))

    def _receive(self, count: int) -> bytearray:
        content = bytearray(count)
        free = memoryview(content)
        while free:
            got = self._socket.recv_into(free)
            if not got:
                raise EOFError(f"the helper ended with status {self._process.poll()}")
            free = free[got:]
        return content

    def stop(self) -> None:
        """Begin to kill the process, from any thread; the call that waits for its answer fails."""
        self._process.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._socket.close()


@contextlib.contextmanager
def _about_sound(value: str, field: str) -> Iterator[None]:
    try:
        yield
    except _Failed as failed:
        raise SoundError(
            "bad_sound", f"The file '{value}' cannot be read as a sound ({failed}).", field=field, value=value,
            remedy="Export it again as WAV or FLAC from a program that plays it.",
        ) from failed  # fmt: skip


@contextlib.contextmanager
def _about_checkpoint(path: str) -> Iterator[None]:
    try:
        yield
    except _Failed as failed:
        raise TertiumError(
            "internal", f"The checkpoint '{path}' could not be copied ({failed}).", field="path", value=path,
            remedy="Try it again; the daemon's log has the details.",
        ) from failed  # fmt: skip


def _clean_up_after(child: "_Helper", task: Task) -> None:
    """Remove the unfinished files of a process that was killed during a task."""
    match task:
        case ExportCheckpoint():
            folder = Path(task.path).parent
        case ImportCheckpoint():
            folder = Path(task.folder)
        case AddFile() | AddSamples():
            folder = Path(task.home) / "sounds"
        case _:
            return
    safe_files.clean(folder, of=child.pid)


def _part(excerpt: Excerpt) -> Part:
    span = excerpt.span
    return Part(start=span.start, end=span.end, seconds=excerpt.seconds, markers=tuple(map(tuple, excerpt.markers)))


def _sound(fields: dict[str, Any]) -> Sound:
    return Sound(**fields | {"notes": tuple(fields["notes"])})


def _stopping() -> TertiumError:
    return TertiumError(
        "busy", "The daemon is stopping.", remedy="Send the request again after the daemon has restarted."
    )
