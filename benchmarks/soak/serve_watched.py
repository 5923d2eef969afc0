"""Start a daemon like ``tests.end_to_end.serve`` that says on standard error what holds its event loop up, as one line ``held …`` with the stack.

A thread looks at the main thread when a tick of the loop is late. That it wakes late itself means that another process had the core, or that something
held the interpreter's lock.
"""

import asyncio
import gc
import sys
import threading
import time
import traceback
from pathlib import Path

from tertium.daemon.app import Daemon
from tests.end_to_end import serve

TICK, LATE = 0.005, 0.015


class Watch:
    """Ticks of the loop, and a thread that waits for them."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._main, self._main_native = threading.main_thread().ident, threading.main_thread().native_id
        threading.Thread(target=self._look, daemon=True).start()
        gc.callbacks.append(self._collected)

    async def tick(self) -> None:
        ran, waited = _scheduled(self._main_native)
        while True:
            now = time.monotonic()
            held = now - self._last - TICK
            before, (ran, waited) = (ran, waited), _scheduled(self._main_native)
            if held > LATE:
                on, queued = (ran - before[0]) * 1000, (waited - before[1]) * 1000
                rest = held * 1000 - on - queued  # most of it for the interpreter's lock
                _say(f"{held * 1000:.0f} ms: on the core {on:.0f}, waiting for a core {queued:.0f}, blocked {rest:.0f}")
            self._last = now
            await asyncio.sleep(TICK)

    def _look(self) -> None:
        while True:
            asleep = time.monotonic()
            time.sleep(TICK)
            late = time.monotonic() - asleep - TICK
            if time.monotonic() - self._last > LATE:
                frames = traceback.extract_stack(sys._current_frames()[self._main])[-7:]
                where = " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in reversed(frames))
                print(
                    f"held now for {(time.monotonic() - self._last) * 1000:.0f} ms (watch late {late * 1000:.0f}): {where}",
                    file=sys.stderr,
                    flush=True,
                )
                time.sleep(LATE)

    def _collected(self, phase: str, info: dict) -> None:
        if phase == "start":
            self._gc = time.monotonic()
        elif (took := time.monotonic() - self._gc) > 0.005:
            print(
                f"held {took * 1000:.0f} ms by garbage collection of generation {info['generation']}",
                file=sys.stderr,
                flush=True,
            )


def _scheduled(thread: int) -> tuple[float, float]:
    """Seconds that a thread was on a core, and that it waited for one (Linux)."""
    ran, waited, _ = Path(f"/proc/self/task/{thread}/schedstat").read_text().split()
    return int(ran) / 1e9, int(waited) / 1e9


def _say(text: str) -> None:
    print(f"held {text}", file=sys.stderr, flush=True)


serving = Daemon.serve


async def watched(self: Daemon) -> None:
    """Serve, and tick beside it."""
    task = asyncio.ensure_future(Watch().tick())
    try:
        await serving(self)
    finally:
        task.cancel()


if __name__ == "__main__":
    Daemon.serve = watched
    sys.exit(serve.app.run(serve.config.settings(**serve.json.loads(sys.argv[1]))))
