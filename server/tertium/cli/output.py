"""What the command line says: to people on a terminal, to machines as one JSON object."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tertium.cli.stdio import complain, say
from tertium.errors import TertiumError
from tertium_protocol.client import JobCancelled, NoAnswer, NoDaemon, RemoteError
from tertium_protocol.errors import ProtocolError

REFUSED = 2
FAILED = 1
FAULTS_OF_THE_DAEMON = {
    "model_unavailable", "deadline", "busy", "out_of_memory", "disk_full", "worker_died", "internal",
    "no_daemon", "no_answer", "cancelled",
}  # fmt: skip
KNOWN = (TertiumError, ProtocolError, RemoteError, NoDaemon, NoAnswer, JobCancelled)

Watch = Callable[[str, float, float | None], None]


class Output:
    """Where results, errors and progress go: results to standard output, all else to standard error.

    Args:
        machine: print one JSON object and no progress.
    """

    def __init__(self, *, machine: bool):
        self.machine = machine

    def result(self, fields: dict[str, Any], lines: list[str]) -> None:
        """A result, as an object or as lines.

        Raises:
            Unwritten: standard output does not take it.
        """
        if self.machine:
            say(json.dumps(fields))
            return
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        for line in lines:  # a terminal that lacks a letter of a sound's name shows its number instead
            say(line.encode(encoding, "backslashreplace").decode(encoding))

    def note(self, text: str) -> None:
        """Something to know on the way."""
        if not self.machine:
            complain(text)

    def error(self, error: Exception) -> int:
        """Say what is wrong and what to do about it; returns the exit status."""
        said = describe_error(error)
        if self.machine:
            say(json.dumps({"error": said}, default=str))
        else:
            complain(" ".join(filter(None, (f"Error: {said['message']}", said.get("remedy")))))
        return exit_status(said["code"])

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner while something takes its time, on a terminal."""
        if self.machine or not _is_terminal():
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(text):
            yield

    @contextlib.contextmanager
    def progress(self, text: str) -> Iterator[Watch]:
        """A bar, on a terminal: call what is yielded with (stage, fraction, seconds left)."""
        if self.machine or not _is_terminal():
            yield lambda stage, fraction, seconds_left: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(text, total=1.0, left="")

            def watch(stage: str, fraction: float, seconds_left: float | None) -> None:
                left = "" if seconds_left is None else f"{seconds_left:.0f} s left"
                bars.update(bar, completed=fraction, description=f"{text}: {stage}", left=left)

            yield watch


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def describe_error(error: Exception) -> dict[str, Any]:
    """Code, message, field, value and remedy of any error that is meant to be read."""
    if isinstance(error, TertiumError | ProtocolError | RemoteError):
        names = ("code", "message", "field", "value", "remedy")
        return {name: value for name in names if (value := getattr(error, name)) is not None}
    own = {NoDaemon: "no_daemon", NoAnswer: "no_answer", JobCancelled: "cancelled"}
    return {
        "code": next((code for kind, code in own.items() if isinstance(error, kind)), "internal"),
        "message": str(error),
    }


def counted(number: int, what: str) -> str:
    """So many of something: ``1 step``, ``2 steps``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def exit_status(code: str) -> int:
    """1 for what went wrong here, 2 for what was asked wrongly."""
    return FAILED if code in FAULTS_OF_THE_DAEMON else REFUSED
