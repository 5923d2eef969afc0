"""The loads: each is a function that runs in a process of its own for a while, and sends to the daemon on this machine alone.

Each notes down what it tried, and what was answered as promised. Bounded in number, rate and time, so that two cores can bear all of them at once.
"""

import importlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.soak.notes import Notes
from benchmarks.soak.peers import OscPeer, ZeroMqPeer, lives
from tertium_protocol.messages.events import Answer

MODULES = ("rubbish", "crowds", "work", "files", "small_disk")
MOST_TURNS = 1_000_000
LOADS: dict[str, "Load"] = {}


@dataclass
class Ground:
    """What a load works with.

    Args:
        home: the daemon's folder.
        folder: for files of the load's own.
        notes: where it notes down what it does.
        end: when it is over, on the monotonic clock.
    """

    home: Path
    folder: Path
    notes: Notes
    end: float

    def turns(self, pause: float) -> Iterator[int]:
        """Count until the time is over, with a pause after each turn."""
        for number in range(MOST_TURNS):
            if time.monotonic() >= self.end:
                return
            yield number
            time.sleep(min(pause, max(0.0, self.end - time.monotonic())))

    def expect(
        self,
        name: str,
        peer: OscPeer | ZeroMqPeer,
        command: str,
        /,
        *,
        promised: Callable[[Answer], bool] | None = None,
        **fields: Any,
    ) -> Answer | None:
        """Ask, and note whether the answer is as promised: by default a reply, or that the daemon is busy."""
        self.notes.tried(name)
        answer = peer.ask(command, **fields)
        if answer is None:
            (self.notes.unanswered if lives(peer.facts) else self.notes.away)(name)
        elif (promised or replied)(answer):
            self.notes.passed(name)
        else:
            self.notes.broken(name, f"{command} {fields}: {answer.event} {answer.fields}")
        return answer


Load = Callable[[Ground], None]


def load(function: Load) -> Load:
    """Register a load under its function's name."""
    LOADS[function.__name__] = function
    return function


def loads() -> dict[str, Load]:
    """All loads by name."""
    for module in MODULES:
        importlib.import_module(f"benchmarks.soak.loads.{module}")
    return LOADS


def replied(answer: Answer) -> bool:
    """Return whether a request was done, or refused for the moment in words."""
    return answer.event in ("reply", "accepted") or answer.fields.get("code") == "busy"


def refused(answer: Answer) -> bool:
    """Return whether a request was refused in words, and not by an internal error."""
    return answer.event == "error" and answer.fields.get("code") != "internal" and bool(answer.fields.get("message"))
