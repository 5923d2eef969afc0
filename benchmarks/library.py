"""Times what accepting a request asks of the library, with more and more results in it: ``python -m benchmarks.library [COUNT…]``.

Each figure is a ratio to a library of the two sounds alone, so that it can be compared between machines; the milliseconds are shown beside it.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tertium.audio import files
from tertium.storage.library import Library

COUNTS = (1_000, 10_000, 100_000)
REPEATS = 200
RATE = 44_100


def main(arguments: list[str]) -> int:
    """Print a table: a row for each number of results."""
    counts = [int(count) for count in arguments] or list(COUNTS)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        clip = Path(folder) / "clip.wav"
        files.write(clip, _noise(0), RATE, format="wav")
        library = Library(home)
        empty = timed(library, clip)
        print(f"{'results':>8}  {'accept':>14}  {'store':>14}  {'list a page':>14}  {'start':>9}")
        _show(0, empty, empty, 0.0)
        made = library.store_result(_noise(1), RATE, name="made", recall={"sounds": {"original": {"id": "0" * 64}}})
        there = 0
        for count in sorted(counts):
            _fill(library, made.sidecar, there, count)
            there = count
            began = time.perf_counter()
            library.reconcile()
            reading = time.perf_counter() - began
            began = time.perf_counter()
            library = Library(home)
            library.reconcile()
            again = time.perf_counter() - began
            _show(count, timed(library, clip), empty, again)
            print(f"{'':>8}  (read for the first time in {reading:.1f} s)")
    return 0


def timed(library: Library, clip: Path) -> dict[str, float]:
    """Return the median times, in seconds, of accepting (a sound by its id and a file that is known), storing a result, and listing a page."""
    sound = library.add_path(clip, None)
    number = iter(range(10**6))

    def accept() -> None:
        library.get(sound.id)
        library.add_path(clip, None)

    def store() -> None:
        library.store_result(_noise(2), RATE, name="bench", job=f"bench {next(number)}")

    median = {"accept": _median(accept, REPEATS), "store": _median(store, 20)}
    return median | {"list": _median(lambda: library.list(0, 100), 20)}


def _median(action: Callable[[], None], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _fill(library: Library, sidecar: str, first: int, last: int) -> None:
    """Write results as small as may be, whose files nobody reads here."""
    content = json.loads(Path(sidecar).read_text(encoding="utf-8"))
    for number in range(first, last):
        name = f"n{number}"
        (library.results_folder / f"{name}.wav").write_bytes(b"RIFF")
        own = {"id": f"{number:064x}", "path": f"{name}.wav", "name": name, "job": f"job {number}"}
        (library.results_folder / f"{name}.json").write_text(json.dumps(content | own), encoding="utf-8")


def _show(count: int, times: dict[str, float], empty: dict[str, float], start: float) -> None:
    cells = [f"{times[name] / empty[name]:5.2f} ({times[name] * 1e3:5.2f} ms)" for name in ("accept", "store", "list")]
    print(f"{count:>8}  {'  '.join(cells)}  {start:7.2f} s", flush=True)


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (2, RATE // 2)).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
