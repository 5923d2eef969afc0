"""A second daemon on a file system of a few megabytes, which is filled and emptied while jobs are asked for."""

import contextlib
import time
from pathlib import Path

from benchmarks.soak.loads import Ground, load, replied
from benchmarks.soak.peers import ZeroMqPeer

FOLDER = "small disk"
"""Where the file system is mounted, in the folder of the soak; its daemon's home is the folder ``home`` in it."""
BLOCKS = (1 << 20, 1 << 12, 1)


@load
def full_disk(ground: Ground) -> None:
    """Jobs are asked for while the disk is full: refused in words or ended; ``status`` is answered, and after there is room all goes on."""
    disk = ground.folder / FOLDER
    if not (disk / "home").exists():
        return
    small = Ground(disk / "home", ground.folder, ground.notes, ground.end)
    peer = ZeroMqPeer(small.home)
    for _ in small.turns(1.0):
        _ask(small, peer)
        _fill(disk / "filler")
        for _ in range(5):
            _ask(small, peer)
            small.expect("full_disk", peer, "status")
        (disk / "filler").unlink(missing_ok=True)
        time.sleep(0.5)
        for result in (small.home / "results").glob("*"):  # else they alone would fill it in the end
            with contextlib.suppress(OSError):
                result.unlink()


def _ask(ground: Ground, peer: ZeroMqPeer) -> None:
    ground.expect("full_disk", peer, "generate", prompt="step=0.01", seconds=0.5, steps=3, promised=_said)


def _said(answer) -> bool:
    return replied(answer) or answer.fields.get("code") == "disk_full"


def _fill(path: Path) -> None:
    """Leave no byte free."""
    with open(path, "ab", buffering=0) as file:
        for size in BLOCKS:
            with contextlib.suppress(OSError):
                for _ in range(1 << 13):
                    file.write(bytes(size))
