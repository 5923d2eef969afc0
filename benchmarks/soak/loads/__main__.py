"""Run one load: ``python -m benchmarks.soak.loads '{"name": …, "home": …, "folder": …, "seconds": …}'``."""

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

from benchmarks.soak.loads import Ground, loads
from benchmarks.soak.notes import Notes
from tertium_protocol.client import NoDaemon

NICE = 5
"""A third of the daemon's weight each: there are seventeen loads, and the daemon is to be measured, not the number of cores."""


def end_with_parent() -> None:
    """End this process when the one that started it has ended, even if that was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def give_way() -> None:
    """Leave the cores to the daemon where it needs them. Where Linux schedules by sessions, what leads one has to say so for the session too."""
    os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICE))


def main(*, name: str, home: str, folder: str, seconds: float) -> None:
    """Run a load to its end. It gives way to the daemon: what is measured is the daemon, not the number of cores."""
    end_with_parent()
    give_way()
    place = Path(folder)
    ground = Ground(Path(home), place, Notes(place / f"{name}.notes"), time.monotonic() + seconds)
    with contextlib.suppress(NoDaemon):  # it was stopped for good
        loads()[name](ground)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
