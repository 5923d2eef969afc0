"""What loads and probes note down: lines in files, so that nothing is lost when a process is killed."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

TRIED, PASSED, AWAY, UNANSWERED, BROKEN = "tried", "passed", "away", "unanswered", "broken"
"""``away``: not answered since the daemon was killed meanwhile. ``unanswered``: not within :data:`benchmarks.soak.peers.PATIENCE`. ``broken``: answered
otherwise than promised."""


class Notes:
    """The notes of one process.

    Args:
        path: the file that they are appended to.
    """

    def __init__(self, path: Path):
        self._file = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 it lives as long as the process

    def tried(self, name: str, count: int = 1) -> None:
        """Note attempts."""
        self._write(TRIED, name, count)

    def passed(self, name: str, count: int = 1) -> None:
        """Note attempts that were answered as promised."""
        self._write(PASSED, name, count)

    def away(self, name: str, count: int = 1) -> None:
        """Note attempts that a killed daemon could not answer."""
        self._write(AWAY, name, count)

    def unanswered(self, name: str, count: int = 1) -> None:
        """Note attempts whose answer was lost, or came too late for anybody to wait for it."""
        self._write(UNANSWERED, name, count)

    def broken(self, name: str, what: str) -> None:
        """Note an attempt that was answered otherwise than promised."""
        self._write(BROKEN, name, " ".join(what.split()))

    def accepted(self, job: str) -> None:
        """Note a job that the daemon has accepted."""
        self._write("accepted", job, 1)

    def latency(self, name: str, seconds: float) -> None:
        """Note how long an answer took."""
        self._write("latency", name, seconds)

    def _write(self, what: str, name: str, value: object) -> None:
        self._file.write(f"{what} {name} {value}\n")


@dataclass
class Tally:
    """All notes together.

    Args:
        loads: by load how often it was ``tried``, ``passed``, ``away``, ``unanswered`` and ``broken``.
        accepted: the jobs that were accepted.
        latencies: by probe, in seconds.
        examples: a few of the answers that broke a promise.
    """

    loads: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    accepted: set[str] = field(default_factory=set)
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    examples: list[str] = field(default_factory=list)


def tally(folder: Path) -> Tally:
    """Add up the notes in a folder. The last line of a process that was killed may be cut, and then does not count."""
    made = Tally()
    for path in sorted(folder.glob("*.notes")):
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n") and line.count(" ") >= 2:
                _add(made, *line.rstrip("\n").split(" ", 2))
    return made


def _add(made: Tally, what: str, name: str, value: str) -> None:
    match what:
        case "accepted":
            made.accepted.add(name)
        case "latency":
            made.latencies[name].append(float(value))
        case "broken":
            made.loads[name][what] += 1
            if len(made.examples) < 20:
                made.examples.append(f"{name}: {value[:300]}")
        case _:
            made.loads[name][what] += int(value)
