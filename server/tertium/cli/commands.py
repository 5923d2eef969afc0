"""The commands: one function for each, called with the parsed arguments; errors are reported in one place."""

import argparse
from collections.abc import Callable
from pathlib import Path

from tertium.cli import checkpoints, morph, parser, render, sounds, status
from tertium.cli.connect import Wanted
from tertium.cli.output import EXPECTED_ERRORS, Output

ENGINE_OPTIONS = ("model", "device", "precision")


def run(arguments: list[str]) -> int:
    """Run the command in the arguments. Return the exit status."""
    output = Output(machine="--json" in arguments)
    try:
        parsed = parser.build().parse_args(arguments)
        return COMMANDS[parsed.command](parsed, output) or 0
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except EXPECTED_ERRORS as error:
        return output.error(error)


def _serve(arguments: argparse.Namespace, output: Output) -> int:
    from tertium.daemon import config

    names = ("home", "osc", "zmq", *ENGINE_OPTIONS, "queue", "write_every", "trajectory_disk", "budget", "log_json")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    settings = config.settings(**given, roots=tuple(arguments.roots or ()), allow=tuple(arguments.allow or ()))
    from tertium.daemon import app  # imported late, so that invalid settings are reported at once

    return app.run(settings)


def _make(arguments: argparse.Namespace, output: Output) -> None:
    fields = render.checked_fields(arguments.command, parser.request_fields(arguments), arguments.output)
    copies = render.copies(arguments)
    render.make(arguments.command, fields, _wanted(arguments, fields), copies, output)


def _morph(arguments: argparse.Namespace, output: Output) -> None:
    fields = render.checked_fields("morph", parser.request_fields(arguments), None)
    folder = morph.folder(arguments.output, force=arguments.force)
    morph.make(fields, _wanted(arguments, fields), folder, arguments.force, output)


def _listen(arguments: argparse.Namespace, output: Output) -> None:
    from tertium.cli import listen  # imported late, as it needs what no other command does
    from tertium.cli.listening import pairs

    target = render.target(arguments.output, ("html",), "output", arguments.force)
    settings = listen.given_settings(arguments)
    seconds = pairs.SECONDS if arguments.seconds is None else arguments.seconds
    pairs.check_seconds(seconds)
    chosen = pairs.own_pairs(arguments.pairs) if arguments.pairs else pairs.PAIRS
    listen.make(target, chosen, settings, seconds, _wanted(arguments, {}), output, force=arguments.force)


def _ratings(arguments: argparse.Namespace, output: Output) -> None:
    from tertium.cli import listen

    listen.ratings([Path(text).expanduser().absolute() for text in arguments.files], output)


def _query(query: Callable) -> Callable:
    def run_query(arguments: argparse.Namespace, output: Output) -> None:
        query(parser.request_fields(arguments), _wanted(arguments, {}), output)

    return run_query


def _checkpoints(arguments: argparse.Namespace, output: Output) -> None:
    fields = checkpoints.checked_fields(arguments.asks, parser.request_fields(arguments))
    checkpoints.checkpoints(arguments.asks, fields, _wanted(arguments, fields), output)


def _sounds(arguments: argparse.Namespace, output: Output) -> None:
    fields = sounds.checked_fields(arguments.asks, parser.request_fields(arguments))
    sounds.sounds(arguments.asks, fields, _wanted(arguments, fields), output)


def _clean(arguments: argparse.Namespace, output: Output) -> None:
    sounds.clean({"dry_run": int(arguments.dry_run)}, _wanted(arguments, {}), output)


def _wanted(arguments: argparse.Namespace, fields: dict) -> Wanted:
    engine = {name: value for name in ENGINE_OPTIONS if (value := getattr(arguments, name, None)) is not None}
    starts = arguments.command != "preview"  # a preview needs a job that is running already
    return Wanted(home=arguments.home, engine=engine, starts=starts)


def _log(arguments: argparse.Namespace, output: Output) -> None:
    status.log(Wanted(home=arguments.home).folder, arguments.lines, output)


COMMANDS: dict[str, Callable[[argparse.Namespace, Output], int | None]] = {
    "serve": _serve,
    **dict.fromkeys(parser.MAKING, _make),
    "morph": _morph,
    "listen": _listen,
    "ratings": _ratings,
    "checkpoints": _checkpoints,
    "sounds": _sounds,
    "clean": _clean,
    "allow": _query(status.allow),
    "status": _query(status.status),
    "jobs": _query(status.jobs),
    "models": _query(status.models),
    "log": _log,
}
