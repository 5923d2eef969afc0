"""Standard output and standard error, which may be full, or closed by who reads them. Standard library alone: the doctor prints through it too."""

import contextlib
import os
import sys
from collections.abc import Iterator

FAILED = 1
CLOSED = 141
"""What a shell says of a command that was ended by a pipe whose reader has gone, such as that before ``| head -1``."""


class Unwritten(Exception):
    """Standard output did not take what was printed."""

    def __init__(self, reason: str, *, closed: bool):
        super().__init__(f"The output could not be written: {reason}.")
        self.closed = closed


def say(text: str) -> None:
    """A line on standard output; :func:`flush` at the end tells whether it got there.

    Raises:
        Unwritten: it did not.
    """
    if sys.stdout is None:
        raise Unwritten("standard output is closed", closed=False)
    with _told():
        print(text)


def flush() -> None:
    """See to it that all that was said is out.

    Raises:
        Unwritten: it is not.
    """
    if sys.stdout is not None:
        with _told():
            sys.stdout.flush()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritten(error.strerror or str(error), closed=isinstance(error, BrokenPipeError)) from error


def complain(text: str) -> None:
    """A line on standard error, if that takes it."""
    if sys.stderr is not None:  # else print would take standard output
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)


def given_up(error: Unwritten) -> int:
    """Say so, quietly where the reader has gone as that of a pipe does; returns the exit status."""
    if (
        sys.stdout is not None
    ):  # what is left in its buffer would be tried again at the end of the process, and complained about
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.closed:
        return CLOSED
    complain(f"Error: {error} Send it elsewhere.")
    return FAILED
