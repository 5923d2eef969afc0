"""The command line. ``main`` is what ``tertium`` and ``python -m tertium`` run.

Exit status: 0 done, 1 failed, 2 the request was wrong, 130 interrupted, 141 nobody reads the output any more.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence

from tertium.cli.stdio import Unwritten, complain, flush, given_up

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status. Nothing is imported that the command does not need: ``doctor`` helps where all else is broken."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        # The daemon sees to its signals itself.
        with contextlib.nullcontext() if arguments[:1] == ["serve"] else ended_like_interrupted():
            status = _run(arguments)
        flush()
        return status
    except KeyboardInterrupt:
        complain("Interrupted.")
        return INTERRUPTED
    except Unwritten as error:
        return given_up(error)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["doctor"]:
        from tertium.cli.doctor import main as doctor

        return doctor(arguments[1:])
    try:
        from tertium.cli import commands
    except ImportError as error:
        name = error.name or "a package"
        complain(f"Error: {name} cannot be imported ({error}). Run: tertium doctor")
        return 1
    return commands.run(arguments)


@contextlib.contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """A closed terminal or a SIGTERM ends a command as Ctrl-C does: its job cancelled, its daemon stopped."""
    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        with contextlib.suppress(AttributeError, ValueError):  # not on this system; not in the main thread
            before[name] = signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
