"""What a daemon and its children use (Linux): memory, descriptors, threads."""

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.end_to_end.daemons import children

QUANTITIES = ("memory_mib", "descriptors", "threads")
WARM_UP = 20.0
"""Seconds of a daemon's life that do not count: caches and pools fill."""
ALLOWED = {"memory_mib": (1.15, 24), "descriptors": (1.0, 48), "threads": (1.0, 8)}
"""What the last third of the measured time may have more than the first, as a factor and a sum, before it counts as growth. Memory: the daemon remembers
4,000 jobs and 1,024 peers, and these fill in a while. Descriptors: those of 64 clients that have just come, or not."""


@dataclass
class Usage:
    """Samples of a daemon's whole life, by the process's role.

    Args:
        began: start of that life, on the monotonic clock.
    """

    began: float = field(default_factory=time.monotonic)
    samples: dict[str, list[tuple[float, dict[str, float]]]] = field(default_factory=dict)

    def sample(self, daemon: int) -> None:
        """Look once at a daemon and its children."""
        age = time.monotonic() - self.began
        for role, pids in (
            ("daemon", [daemon]),
            ("worker", children(daemon, "tertium.worker.main")),
            ("helpers", children(daemon, "tertium.helper.main")),
        ):
            used = [one for one in map(_used, pids) if one]
            if used:
                total = {name: sum(one[name] for one in used) for name in QUANTITIES}
                self.samples.setdefault(role, []).append((age, total))

    def thirds(self, role: str) -> dict[str, list[float]]:
        """By quantity, the medians of the first, the middle and the last third, after the warm-up."""
        kept = [used for age, used in self.samples.get(role, []) if age > WARM_UP]
        size = len(kept) // 3
        if not size:
            return {}
        parts = (kept[:size], kept[size : 2 * size], kept[2 * size :])
        return {name: [round(median(one[name] for one in part)) for part in parts] for name in QUANTITIES}

    def growing(self) -> list[str]:
        """What the daemon itself uses more and more of. Its children come and go by design, and are reported only."""
        found = []
        for name, (first, _, last) in self.thirds("daemon").items():
            factor, more = ALLOWED[name]
            if last > first * factor + more:
                found.append(name)
        return found


def _used(pid: int) -> dict[str, float]:
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
        process = Path(f"/proc/{pid}")
        said = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
        return {
            "memory_mib": int(said["VmRSS"].split()[0]) / 1024,
            "descriptors": len(list((process / "fd").iterdir())),
            "threads": int(said["Threads"]),
        }
    return {}
