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


def end_with_parent() -> None:
    """End this process when the one that started it has ended, even if that was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(*, name: str, home: str, folder: str, seconds: float) -> None:
    """Run a load to its end. It gives way to the daemon: what is measured is the daemon, not the number of cores."""
    end_with_parent()
    os.nice(19)
    place = Path(folder)
    ground = Ground(Path(home), place, Notes(place / f"{name}.notes"), time.monotonic() + seconds)
    with contextlib.suppress(NoDaemon):  # it was stopped for good
        loads()[name](ground)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
