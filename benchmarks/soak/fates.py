"""What became of every job that was accepted: read from the journals and the results, not asked of the daemon under test."""

import contextlib
import json
import sqlite3
from collections import Counter
from pathlib import Path

from tertium.daemon.jobs.job import TERMINAL
from tertium.safe_files import PART

BAD = ("lost", "not ended", "doubled", "without a file", "left unfinished")


def states(home: Path) -> dict[str, str]:
    """The states of all jobs in the journal of a daemon that does not run. A daemon that starts forgets the oldest, so this is to be read before."""
    with contextlib.closing(sqlite3.connect(home / "journal.sqlite", timeout=10)) as journal:
        return dict(journal.execute("SELECT id, state FROM jobs").fetchall())


def fates(home: Path, accepted: set[str], known: dict[str, str]) -> dict[str, int]:
    """Count the ends of jobs.

    Args:
        accepted: the jobs of which clients were told that they are accepted.
        known: the last state of each job that was ever in the journal.
    """
    made = _results(home)
    everything = accepted | known.keys()
    ended = Counter(known.get(job) for job in everything)
    done = [job for job in everything if known.get(job) == "done"]
    return {
        "accepted": len(everything),
        **{state: ended[state] for state in sorted(TERMINAL)},
        "lost": sum(job not in known for job in everything),
        "not ended": sum(job in known and known[job] not in TERMINAL for job in everything),
        "doubled": sum(count > 1 for count in made.values()),
        "without a file": sum((job, None) not in made for job in done),
        "left unfinished": sum(1 for _ in home.rglob(f"*{PART}")),
    }


def _results(home: Path) -> Counter:
    """How many results each job and take has."""
    made: Counter = Counter()
    for sidecar in (home / "results").glob("*.json"):
        with contextlib.suppress(ValueError, OSError):
            about = json.loads(sidecar.read_text())
            if about.get("job"):
                made[about["job"], about.get("take")] += 1
    return made
