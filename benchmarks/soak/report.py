"""The table of a soak, and whether it passed."""

from typing import Any

import numpy as np

from benchmarks.soak.fates import BAD, fates
from benchmarks.soak.notes import AWAY, BROKEN, PASSED, TRIED, UNANSWERED, Tally, tally
from benchmarks.soak.probes import PROBES
from benchmarks.soak.stage import Stage
from tertium.daemon.jobs.job import TERMINAL

ROLES = ("daemon", "worker", "helpers")


def figures(stage: Stage, *, settling: float) -> dict[str, Any]:
    """All figures of a soak that has settled."""
    noted = tally(stage.folder)
    return {
        "status": {name: _waits(noted, name) for name in PROBES},
        "loads": {
            name: {what: counts[what] for what in (TRIED, PASSED, AWAY, UNANSWERED, BROKEN)}
            for name, counts in sorted(noted.loads.items())
            if name not in PROBES
        },
        "broken": noted.examples,
        "small disk": _small_disk(stage),
        "jobs": fates(stage.home, noted.accepted, stage.states),
        "troubles": dict(stage.troubles),
        "usage": {role: stage.usage.thirds(role) for role in ROLES},
        "growing": stage.usage.growing(),
        "crashed loads": stage.crashed,
        "problems": stage.problems,
        "settling": round(settling, 1),
    }


def failures(made: dict[str, Any]) -> list[str]:
    """What was lost, doubled, partial, broken or growing; never how long anything took."""
    found = [f"{made['jobs'][name]} jobs {name}" for name in BAD if made["jobs"][name]]
    found += [f"{counts[BROKEN]} broken in {name}" for name, counts in made["loads"].items() if counts[BROKEN]]
    found += [f"the daemon's {name} grow" for name in made["growing"]]
    small = made["small disk"]
    found += [f"{small['not ended']} jobs on the small disk not ended"] if small and small["not ended"] else []
    found += [f"{made['crashed loads']} loads crashed"] if made["crashed loads"] else []
    unreplaced = made["troubles"].get("hung worker not replaced", 0)
    return found + ([f"{unreplaced} hung workers not replaced"] if unreplaced else [])


def table(made: dict[str, Any]) -> str:
    """The figures to be read."""
    lines = [f"{'load':26}{'tried':>9}{'passed':>9}{'away':>7}{'unanswered':>12}{'broken':>8}"]
    for name, counts in made["loads"].items():
        lines.append(
            f"{name:26}{counts[TRIED]:>9}{counts[PASSED]:>9}{counts[AWAY] or '':>7}{counts[UNANSWERED] or '':>12}{counts[BROKEN] or '':>8}"
        )
    lines += ["", f"{'status, uninvolved':26}{'asked':>9}{'lost':>7}{'p50':>9}{'p99':>9}{'worst':>9}  ms"]
    for name, one in made["status"].items():
        title = {"osc": "over OSC", "zeromq": "over ZeroMQ", "echo": "a plain echo (no daemon)"}[name]
        lines.append(
            f"{title:26}{one['asked']:>9}{one['lost']:>7}{one['p50']:>9.1f}{one['p99']:>9.1f}{one['worst']:>9.1f}"
        )
    lines += ["", f"{'use: thirds of the last life':30}{'memory, MiB':>18}{'descriptors':>18}{'threads':>14}"]
    for role, thirds in made["usage"].items():
        columns = [" → ".join(map(str, thirds.get(name, []))) for name in ("memory_mib", "descriptors", "threads")]
        lines.append(f"{role:30}{columns[0]:>18}{columns[1]:>18}{columns[2]:>14}")
    lines += ["", "jobs: " + ", ".join(f"{count} {name}" for name, count in made["jobs"].items())]
    lines.append("troubles: " + ", ".join(f"{count} × {name}" for name, count in made["troubles"].items()))
    small = made["small disk"]
    text = (
        "skipped, since no file system may be mounted here"
        if small is None
        else f"{small['jobs']} jobs, {small['not ended']} not ended"
    )
    return "\n".join(
        [*lines, f"full disk: {text}", f"settled in {made['settling']} s", *made["broken"], made["problems"]]
    )


def _waits(noted: Tally, name: str) -> dict[str, float]:
    waits = np.array(noted.latencies.get(name) or [np.nan]) * 1000
    counts = noted.loads[name]
    at = {
        title: round(float(np.percentile(waits, part)), 1) for title, part in (("p50", 50), ("p99", 99), ("worst", 100))
    }
    return {"asked": counts[TRIED], "lost": counts[TRIED] - counts[PASSED], **at}


def _small_disk(stage: Stage) -> dict[str, int] | None:
    if stage.small_states is None:
        return None
    ends = [state in TERMINAL for state in stage.small_states.values()]
    return {"jobs": len(ends), "not ended": len(ends) - sum(ends)}
