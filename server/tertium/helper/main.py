"""A helper process: it does what takes long, much memory or a decoder that may crash, so that none of this affects the daemon.

Started by :mod:`tertium.daemon.helper_pool`. It receives one task at a time over a socket, see :mod:`tertium.helper_messages`, and ends when the daemon
closes the other end, or dies.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from typing import BinaryIO

from tertium.errors import TertiumError
from tertium.helper.tasks import TASKS
from tertium.helper_messages import LENGTH, LONGEST_TASK, Answer, Task, parse_task

MEMORY = 4 << 30
"""Bytes of memory for a task: a few times the largest allowed number of samples."""


def main() -> None:
    """Serve the socket whose descriptor is the first argument."""
    threading.Thread(target=_end_with_the_daemon, args=(os.getppid(),), daemon=True).start()
    _limit_memory()
    with socket.socket(fileno=int(sys.argv[1])) as daemon, contextlib.suppress(ConnectionError, KeyboardInterrupt):
        while True:
            text, descriptors = _receive(daemon)
            if not text:
                return
            with contextlib.ExitStack() as stack:
                file = stack.enter_context(os.fdopen(descriptors[0], "rb")) if descriptors else None
                answer = _answer(parse_task(text), file)
            daemon.sendall(answer.frame())


def _receive(daemon: socket.socket) -> tuple[bytes, list[int]]:
    """The text of the next task and the descriptors sent with it; no text when the daemon has closed the socket."""
    data, descriptors, _, _ = socket.recv_fds(daemon, LENGTH.size + LONGEST_TASK, 1)
    while data and len(data) < LENGTH.size + LENGTH.unpack_from(data.ljust(LENGTH.size, b"\0"))[0]:
        more = daemon.recv(LONGEST_TASK)
        if not more:
            return b"", descriptors
        data += more
    return data[LENGTH.size :], descriptors


def _answer(task: Task, file: BinaryIO | None) -> Answer:
    try:
        return Answer(result=TASKS[task.task](task, file))
    except TertiumError as error:
        names = ("code", "message", "field", "value", "remedy")
        return Answer(error={name: getattr(error, name) for name in names})
    except MemoryError:
        return Answer(failed="it takes more memory than a task may take")
    except Exception as error:  # any other failure, for example in a decoder
        return Answer(failed=f"{type(error).__name__}: {error}"[:300])


def _end_with_the_daemon(daemon: int) -> None:
    """Exit within a second after the daemon has died, even during a task.

    Linux's signal for the death of a parent is not used, because it is tied to the thread that started this process.
    """
    while os.getppid() == daemon:
        time.sleep(1.0)
    os._exit(0)


def _limit_memory() -> None:
    """Limit this process's memory where the system enforces it, as Linux does and macOS does not."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
