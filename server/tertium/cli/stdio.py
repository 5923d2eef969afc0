"""Standard output and standard error, which may be closed or on a full disk. Uses only the standard library, since the doctor prints through it."""

import contextlib
import os
import sys
from collections.abc import Iterator

FAILED = 1
CLOSED = 141
"""The exit status that a shell gives a command killed by SIGPIPE, such as one before ``| head -1``."""


class OutputError(Exception):
    """The output could not be written to standard output."""

    def __init__(self, reason: str, *, closed: bool):
        super().__init__(f"The output could not be written: {reason}.")
        self.closed = closed


def print_line(text: str) -> None:
    """Print a line to standard output. It may be buffered: errors can also come from :func:`flush`.

    Raises:
        OutputError: it could not be written.
    """
    if sys.stdout is None:
        raise OutputError("standard output is closed", closed=False)
    with _write_errors():
        print(visible(text))


def visible(text: str) -> str:
    """Return text with control characters and changes of direction escaped, as they may be in the name of a file: a terminal would obey them."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def flush() -> None:
    """Write all buffered output.

    Raises:
        OutputError: it could not be written.
    """
    if sys.stdout is not None:
        with _write_errors():
            sys.stdout.flush()


@contextlib.contextmanager
def _write_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(error.strerror or str(error), closed=isinstance(error, BrokenPipeError)) from error


def print_error(text: str) -> None:
    """Print a line to standard error; ignore errors in writing it."""
    if sys.stderr is not None:  # print(file=None) would write to standard output
        with contextlib.suppress(OSError):
            print(visible(text), file=sys.stderr, flush=True)


def report_output_error(error: OutputError) -> int:
    """Print the error, unless the reader of a pipe has gone. Return the exit status."""
    if sys.stdout is not None:
        # At exit, Python would try to write the rest of the buffer again and print an error of its own.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.closed:
        return CLOSED
    print_error(f"Error: {error} Redirect it elsewhere.")
    return FAILED
