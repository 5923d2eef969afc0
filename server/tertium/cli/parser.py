"""The arguments, made from the protocol's own table of commands: their ranges, defaults and help are written there alone."""

import argparse
import re
from typing import NoReturn

from tertium import __version__
from tertium.daemon.config import DEFAULT_OSC, DEVICES, PRECISIONS
from tertium.errors import TertiumError
from tertium_protocol.commands import COMMANDS, describe
from tertium_protocol.messages import LOOPS

POSITIONAL = {
    **dict.fromkeys(("fuse", "morph", "window"), ("original", "reference")), "learn": ("reference",), "preview": ("job",), "vary": ("original",),
    "invert": ("original",), "generate": ("prompt",), "jobs": (), "status": (), "models": (), "allow": ("path",),
}  # fmt: skip
OPTIONAL_POSITIONAL = {("generate", "prompt")} | {(command, "reference") for command in ("fuse", "morph", "window")}
MAKING = ("fuse", "morph", "window", "learn", "preview", "invert", "generate", "vary")
CHECKPOINTS = {
    "list": ("checkpoints", ()),
    "rename": ("rename_checkpoint", ("checkpoint", "name")),
    "delete": ("delete_checkpoint", ("checkpoint",)),
    "export": ("export_checkpoint", ("checkpoint", "path")),
    "import": ("import_checkpoint", ("path",)),
}
"""What `checkpoints` can do: the protocol's command, and its fields that have no option."""


class Parser(argparse.ArgumentParser):
    """Argparse, but what is wrong is raised as an error like all others."""

    def error(self, message: str) -> NoReturn:
        raise TertiumError("bad_message", f"{message[:1].upper()}{message[1:]}.", remedy=f"See: {self.prog} --help")


def build() -> Parser:
    """The whole parser; the parsed arguments have ``command`` and the options as attributes."""
    parser = Parser(prog="tertium", description="Two sounds in, a third out.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"tertium {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _serve(commands)
    for name in POSITIONAL:
        _command(commands, name)
    _checkpoints(commands)
    commands.add_parser("doctor", help="Says what is installed, and what to do about what is not.")
    return parser


def request_fields(arguments: argparse.Namespace) -> dict:
    """The fields of the request that the arguments ask for; what was not given is left out."""
    names = COMMANDS[getattr(arguments, "asks", None) or arguments.command].request.model_fields
    return {name: value for name in names if (value := getattr(arguments, name, None)) is not None}


def _command(commands: argparse._SubParsersAction, name: str) -> None:
    summary = COMMANDS[name].summary
    parser = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    for parameter in describe(name).commands[0].parameters:
        _parameter(parser, name, parameter)
    if name in MAKING:
        _result_options(parser, name)
    _common_options(parser, starts_daemon=name in (*MAKING, "models") and name != "preview")


def _checkpoints(commands: argparse._SubParsersAction) -> None:
    summary = "Lists the learned references; renames, deletes, exports and imports them."
    parser = commands.add_parser("checkpoints", help=summary, description=summary, allow_abbrev=False)
    parser.set_defaults(asks="checkpoints")
    _common_options(parser, starts_daemon=True)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for action, (name, positional) in CHECKPOINTS.items():
        summary = COMMANDS[name].summary
        # What is not given after the action is left to what was given before it.
        one = actions.add_parser(
            action, help=summary, description=summary, allow_abbrev=False, argument_default=argparse.SUPPRESS
        )
        _common_options(one, starts_daemon=True)
        one.set_defaults(asks=name)
        for parameter in describe(name).commands[0].parameters:
            if parameter.name in positional:
                one.add_argument(parameter.name, metavar=parameter.name.upper(), help=_help(parameter))
            else:
                _parameter(one, "checkpoints", parameter)


def _parameter(parser: Parser, command: str, parameter) -> None:
    help = _help(parameter)
    if parameter.name in POSITIONAL.get(command, ()):
        optional = {"nargs": "?"} if (command, parameter.name) in OPTIONAL_POSITIONAL else {}
        parser.add_argument(parameter.name, metavar=parameter.name.upper(), help=help, **optional)
        return
    if parameter.choices == LOOPS:
        _switch(parser, parameter.name, help)
        return
    kinds = {"integer": "N", "number": "X", "text": "TEXT", "choice": "WORD"}
    parser.add_argument(
        f"--{parameter.name.replace('_', '-')}", dest=parameter.name, metavar=kinds[parameter.type], help=help,
        type=_number if parameter.type in ("integer", "number") else str,
    )  # fmt: skip


def _switch(parser: Parser, name: str, help: str) -> None:
    """``--name`` and ``--no-name``, for what is decided by itself unless one of them is given."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(f"--{name}", dest=name, action="store_const", const="on", help=help)
    either.add_argument(
        f"--no-{name}", dest=name, action="store_const", const="off", help=f"the opposite of --{name}"
    )  # fmt: skip


def _number(text: str) -> int | float | str:
    """A number if the text is one; what is not is left for the protocol to refuse in its own words."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _help(parameter) -> str:
    said = [parameter.help.replace("absolute path", "path")]  # made absolute before it is sent
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.choices:
        said.append(", ".join(parameter.choices))
    elif parameter.minimum is not None:
        said.append(f"{_plain(parameter.minimum)} … {_plain(parameter.maximum)}{unit}")
    if parameter.default is not None:
        said.append(f"default {parameter.default}")
    elif parameter.absent:
        said.append(f"default: {parameter.absent}")
    return "; ".join(said).replace("%", "%%")


def _plain(number: float) -> str:
    return f"{number:g}" if number < 1e6 else str(int(number))


def _result_options(parser: Parser, name: str) -> None:
    out = {
        "invert": "where to copy the latents (.safetensors)",
        "morph": "folder to copy the takes into, as take-01.wav and so on; made if it is not there",
        "window": "where to copy the fusion at the equilibrium (.wav or .flac)",
    }.get(name, "where to copy the result (.wav or .flac)")
    kind = "DIR" if name == "morph" else "FILE"
    parser.add_argument("-o", "--output", metavar=kind, help=f"{out}; default: it stays in the daemon's folder")
    if name == "invert":
        parser.add_argument("--reconstruct", metavar="FILE", help="where to copy the reconstruction (.wav or .flac)")
    elif name == "window":
        parser.add_argument("--plot", metavar="FILE", help="draw the window into this PNG file")
    elif name != "morph":
        parser.add_argument("--plot", metavar="FILE", help="draw the spectrograms of all the sounds into this PNG file")
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def _common_options(parser: Parser, *, starts_daemon: bool) -> None:
    parser.add_argument(
        "--home", metavar="DIR", help="the daemon's folder; default: $TERTIUM_HOME, else the user's data folder"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, for machines")
    if starts_daemon:
        group = parser.add_argument_group("if no daemon runs, and one is started for this call")
        _engine_options(group)


def _engine_options(parser) -> None:
    parser.add_argument("--model", help="name or folder of the model; default pocket")
    parser.add_argument("--device", type=_device, metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps; default auto")
    parser.add_argument("--precision", choices=PRECISIONS, help="default auto")


def _device(text: str) -> str:
    if not re.fullmatch(DEVICES, text):
        raise argparse.ArgumentTypeError(f"must be auto, cpu, cuda, cuda:1 or mps; got {text}")
    return text


def _serve(commands: argparse._SubParsersAction) -> None:
    summary = "Serves Live, SuperCollider and this command line until it is stopped."
    parser = commands.add_parser("serve", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument(
        "--home", metavar="DIR", help="the daemon's folder; default: $TERTIUM_HOME, else the user's data folder"
    )
    parser.add_argument("--osc", metavar="HOST:PORT", help=f"where to take OSC; default {DEFAULT_OSC}, port 0 for any")
    parser.add_argument(
        "--zmq",
        metavar="ENDPOINT",
        help="where to take ZeroMQ, such as tcp://127.0.0.1:7701; default: a socket in the home",
    )
    _engine_options(parser)
    parser.add_argument(
        "--roots", metavar="DIR", nargs="+", action="extend",
        help="the only folders that clients may name files in; default: any file that you may read",
    )  # fmt: skip
    parser.add_argument(
        "--allow", metavar="DIR", action="append",
        help="walls as with --roots, round your own folder, the temporary and the current one, and DIR; repeatable",
    )  # fmt: skip
    parser.add_argument("--queue", metavar="N", type=int, help="how many jobs may wait; default 256")
    parser.add_argument(
        "--write-every", metavar="SECONDS", type=float,
        help="how often a learning under way is written down, to be gone on with after a crash; default 10",
    )  # fmt: skip
    parser.add_argument(
        "--trajectory-disk", metavar="MB", type=int,
        help="keep the reference phases of learned references and prompts on disk too, in so many MiB at most; default 0, not at all",
    )  # fmt: skip
    parser.add_argument("--log-json", action="store_true", help="log one JSON object a line")
