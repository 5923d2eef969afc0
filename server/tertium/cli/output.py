"""The output of the command line: lines for people, or one JSON object for programs."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tertium.cli.stdio import print_error, print_line
from tertium.errors import TertiumError
from tertium_protocol.client import JobCancelled, NoAnswer, NoDaemon, RemoteError
from tertium_protocol.errors import ProtocolError

REFUSED = 2
FAILED = 1
FAULTS_OF_THE_DAEMON = {
    "model_unavailable", "deadline", "busy", "out_of_memory", "disk_full", "worker_died", "internal", "cancelled",
    "no_daemon", "no_answer",
}  # fmt: skip
EXPECTED_ERRORS = (TertiumError, ProtocolError, RemoteError, NoDaemon, NoAnswer, JobCancelled)

Watch = Callable[[str, float, float | None], None]


class Output:
    """The printer of results, errors and progress: results go to standard output, everything else to standard error.

    Args:
        machine: print one JSON object and no progress.
    """

    def __init__(self, *, machine: bool):
        self.machine = machine

    def result(self, fields: dict[str, Any], lines: list[str]) -> None:
        """Print a result, as an object or as lines.

        Raises:
            OutputError: it could not be written to standard output.
        """
        if self.machine:
            print_line(json.dumps(fields))
            return
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        for line in lines:  # characters that the terminal's encoding lacks are escaped
            print_line(line.encode(encoding, "backslashreplace").decode(encoding))

    def note(self, text: str) -> None:
        """Print a message to people while the command runs."""
        if not self.machine:
            print_error(text)

    def error(self, error: Exception) -> int:
        """Print an error and its remedy. Return the exit status."""
        fields = describe_error(error)
        if self.machine:
            print_line(json.dumps({"error": fields}, default=str))
        else:
            print_error(" ".join(filter(None, (f"Error: {fields['message']}", fields.get("remedy")))))
        return exit_status(fields["code"])

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show a spinner while the context lasts, if standard error is a terminal."""
        if self.machine or not _is_terminal():
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(text):
            yield

    @contextlib.contextmanager
    def progress(self, text: str) -> Iterator[Watch]:
        """Show a progress bar if standard error is a terminal. Yield a function of stage, fraction and seconds left that updates it."""
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
    """Return code, message, field, value and remedy of an expected error."""
    if isinstance(error, TertiumError | ProtocolError | RemoteError):
        names = ("code", "message", "field", "value", "remedy")
        return {name: value for name in names if (value := getattr(error, name)) is not None}
    own = {NoDaemon: "no_daemon", NoAnswer: "no_answer", JobCancelled: "cancelled"}
    return {
        "code": next((code for kind, code in own.items() if isinstance(error, kind)), "internal"),
        "message": str(error),
    }


def counted(number: int, what: str) -> str:
    """Return a number with its noun: ``1 step``, ``2 steps``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def exit_status(code: str) -> int:
    """Return 1 for a failure of the daemon or the job, 2 for an invalid request."""
    return FAILED if code in FAULTS_OF_THE_DAEMON else REFUSED
