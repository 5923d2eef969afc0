"""The child process that reads clients' files, so that a hang, a memory leak or a crash in a decoder does not affect
the daemon.

Started by :mod:`tertium.daemon.reader_pool`. For each file it receives a JSON object and an open descriptor over a socket,
and answers with a JSON object and, on success, the samples. It ends when the daemon closes the other end of the socket.
"""

import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time

import numpy as np

from tertium.audio import files
from tertium.audio.files import Span
from tertium.audio.signal import Audio
from tertium.errors import TertiumError

MEMORY = 3 << 30
"""Bytes of memory for reading: twice the largest allowed number of samples, and some for decoding."""
LENGTH = struct.Struct("<Q")
LONGEST_REQUEST = 1 << 16


def main() -> None:
    """Serve the socket whose descriptor is the first argument."""
    threading.Thread(target=_end_with_the_daemon, args=(os.getppid(),), daemon=True).start()
    _limit_memory()
    with socket.socket(fileno=int(sys.argv[1])) as daemon, contextlib.suppress(ConnectionError, KeyboardInterrupt):
        while True:
            request, descriptors, _, _ = socket.recv_fds(daemon, LONGEST_REQUEST, 1)
            if not request:
                return
            with os.fdopen(descriptors[0], "rb") as file:
                answer, samples = _answer(json.loads(request), file)
            text = json.dumps(answer).encode()
            daemon.sendall(LENGTH.pack(len(text)) + text)
            if samples is not None:
                daemon.sendall(memoryview(samples).cast("B"))
            del samples


def _answer(request: dict, file) -> tuple[dict, np.ndarray | None]:
    try:
        sound = _read(request, file)
    except TertiumError as error:
        fields = {"code": error.code, "message": error.message, "field": error.field, "remedy": error.remedy}
        return {"error": fields | {"value": error.value}}, None
    except MemoryError:
        return {"failed": "it takes more memory than a file may take"}, None
    except Exception as error:  # an unforeseen failure of a decoder
        return {"failed": f"{type(error).__name__}: {error}"[:300]}, None
    facts = {
        "shape": sound.samples.shape,
        "sample_rate": sound.sample_rate,
        "notes": sound.notes,
        "layout": sound.layout,
    }
    return facts, np.ascontiguousarray(sound.samples)


def _read(request: dict, file) -> Audio:
    limit = request["max_seconds"]
    return files.decoded(
        file,
        value=request["value"],
        max_seconds=float("inf") if limit is None else limit,
        field=request["field"],
        span=Span(*request["span"]),
    )


def _end_with_the_daemon(daemon: int) -> None:
    """End this process soon after the daemon, even while a decoder hangs.

    Linux's parent-death signal does not serve here: it fires when the thread that started this process ends.
    """
    while os.getppid() == daemon:
        time.sleep(1.0)
    os._exit(0)


def _limit_memory() -> None:
    """Limit this process's memory, on systems that enforce it: Linux does, macOS does not."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
