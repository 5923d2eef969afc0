"""The child process that reads clients' files: it may hang, swell or die over them, and nobody else does. Started by :mod:`tertium.daemon.reader_pool`.

It gets a JSON object and an open file at a time over a socket, and answers with a JSON object and, if all went well, the samples. When the
other end of the socket is closed, the daemon has gone, and so does this process.
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
"""Bytes that reading may take: the most samples that are taken, twice, and room to decode."""
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
                answer, samples = _answered(json.loads(request), file)
            text = json.dumps(answer).encode()
            daemon.sendall(LENGTH.pack(len(text)) + text)
            if samples is not None:
                daemon.sendall(memoryview(samples).cast("B"))
            del samples


def _answered(request: dict, file) -> tuple[dict, np.ndarray | None]:
    try:
        sound = _read(request, file)
    except TertiumError as error:
        told = {"code": error.code, "message": error.message, "field": error.field, "remedy": error.remedy}
        return {"error": told | {"value": error.value}}, None
    except MemoryError:
        return {"failed": "it takes more memory than a file may take"}, None
    except Exception as error:  # a reader stumbled over something that nobody thought of
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
    """End this process soon after the daemon's, whatever a reader is doing. (Linux's signal for it is tied to the thread that started us.)"""
    while os.getppid() == daemon:
        time.sleep(1.0)
    os._exit(0)


def _limit_memory() -> None:
    """Where the system counts it: Linux does, macOS does not."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
