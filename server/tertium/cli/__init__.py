"""The command line. ``main`` is the entry point of ``tertium`` and ``python -m tertium``.

Exit status: 0 success, 1 failure, 2 invalid request, 130 interrupted, 141 broken pipe on standard output.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence

from tertium.cli.stdio import OutputError, flush, print_error, report_output_error

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status. Only what the command needs is imported, so that ``doctor`` works in a broken installation."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        # The daemon handles signals itself.
        with contextlib.nullcontext() if arguments[:1] == ["serve"] else signals_as_interrupt():
            status = _run(arguments)
        flush()
        return status
    except KeyboardInterrupt:
        print_error("Interrupted.")
        return INTERRUPTED
    except OutputError as error:
        return report_output_error(error)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["doctor"]:
        from tertium.cli.doctor import main as doctor

        return doctor(arguments[1:])
    try:
        from tertium.cli import commands
    except ImportError as error:
        name = error.name or "a package"
        print_error(f"Error: {name} cannot be imported ({error}). Run: tertium doctor")
        return 1
    return commands.run(arguments)


@contextlib.contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Treat a closed terminal and SIGTERM like Ctrl-C: the command cancels its job and stops its daemon."""
    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        with contextlib.suppress(AttributeError, ValueError):  # unknown to this system, or not the main thread
            before[name] = signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
