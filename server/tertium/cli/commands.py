"""From arguments to what is done: each command's own function, and one place where errors become words."""

import argparse
from collections.abc import Callable

from tertium.cli import checkpoints, morph, parser, render, status
from tertium.cli.connect import Wanted
from tertium.cli.output import KNOWN, Output

ENGINE_OPTIONS = ("model", "device", "precision")


def run(arguments: list[str]) -> int:
    """Do what the arguments say; returns the exit status."""
    output = Output(machine="--json" in arguments)
    try:
        parsed = parser.build().parse_args(arguments)
        return COMMANDS[parsed.command](parsed, output) or 0
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except KNOWN as error:
        return output.error(error)


def _serve(arguments: argparse.Namespace, output: Output) -> int:
    from tertium.daemon import config

    names = ("home", "osc", "zmq", *ENGINE_OPTIONS, "queue", "write_every", "trajectory_disk", "log_json")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    settings = config.settings(**given, roots=tuple(arguments.roots or ()), allow=tuple(arguments.allow or ()))
    from tertium.daemon import app  # after the settings: what is wrong with them is said at once

    return app.run(settings)


def _make(arguments: argparse.Namespace, output: Output) -> None:
    fields = render.checked_fields(arguments.command, parser.request_fields(arguments), arguments.output)
    copies = render.copies(arguments)
    render.make(arguments.command, fields, _wanted(arguments, fields), copies, output)


def _morph(arguments: argparse.Namespace, output: Output) -> None:
    fields = render.checked_fields("morph", parser.request_fields(arguments), None)
    folder = morph.folder(arguments.output, force=arguments.force)
    morph.make(fields, _wanted(arguments, fields), folder, arguments.force, output)


def _tell(tell: Callable) -> Callable:
    def told(arguments: argparse.Namespace, output: Output) -> None:
        tell(parser.request_fields(arguments), _wanted(arguments, {}), output)

    return told


def _checkpoints(arguments: argparse.Namespace, output: Output) -> None:
    fields = checkpoints.checked_fields(arguments.asks, parser.request_fields(arguments))
    checkpoints.checkpoints(arguments.asks, fields, _wanted(arguments, fields), output)


def _wanted(arguments: argparse.Namespace, fields: dict) -> Wanted:
    engine = {name: value for name in ENGINE_OPTIONS if (value := getattr(arguments, name, None)) is not None}
    starts = arguments.command != "preview"  # what it asks after is under way, or is not
    return Wanted(home=arguments.home, engine=engine, starts=starts)


COMMANDS: dict[str, Callable[[argparse.Namespace, Output], int | None]] = {
    "serve": _serve,
    **dict.fromkeys(parser.MAKING, _make),
    "morph": _morph,
    "checkpoints": _checkpoints,
    "allow": _tell(status.allow),
    "status": _tell(status.status),
    "jobs": _tell(status.jobs),
    "models": _tell(status.models),
}
