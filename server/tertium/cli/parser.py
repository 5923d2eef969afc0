"""The argument parser, generated from the protocol's table of commands, the only source of ranges, defaults and help texts."""

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
"""Actions of `checkpoints`: the protocol's command, and its fields that are positional arguments."""
SOUNDS = {"list": ("sounds", ()), "keep": ("keep", ("sound",)), "delete": ("delete_sound", ("sound",))}
"""Actions of `sounds`, in the same way."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises TertiumError for invalid arguments."""

    def error(self, message: str) -> NoReturn:
        raise TertiumError("bad_message", f"{message[:1].upper()}{message[1:]}.", remedy=f"See: {self.prog} --help")


def build() -> Parser:
    """Build the parser of all commands. Parsed arguments have ``command`` and the options as attributes."""
    parser = Parser(prog="tertium", description="Two sounds in, a third out.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"tertium {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _serve(commands)
    for name in POSITIONAL:
        _command(commands, name)
    _actions(
        commands, "checkpoints", CHECKPOINTS, "Lists, renames, deletes, exports and imports checkpoints.", starts=True
    )
    _actions(commands, "sounds", SOUNDS, "Lists the sounds and results, keeps and deletes them.", starts=False)
    _clean(commands)
    _listen(commands)
    _ratings(commands)
    commands.add_parser("doctor", help="Checks the installation and suggests remedies.")
    shown = commands.add_parser("log", help="Shows the end of the daemon's log.", allow_abbrev=False)
    shown.add_argument("--lines", type=int, default=50, metavar="N", help="how many lines (default 50)")
    shown.add_argument("--home", metavar="DIR", help="the daemon's folder")
    shown.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def request_fields(arguments: argparse.Namespace) -> dict:
    """Return the fields of the request in the arguments, without those that were not given."""
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


def _actions(
    commands: argparse._SubParsersAction, group: str, actions: dict[str, tuple[str, tuple[str, ...]]], summary: str, *, starts: bool
) -> None:  # fmt: skip
    """Add a command with actions, of which the first is the one without a name.

    Args:
        starts: whether a daemon is started where none runs.
    """
    parser = commands.add_parser(group, help=summary, description=summary, allow_abbrev=False)
    parser.set_defaults(asks=next(iter(actions.values()))[0])
    _common_options(parser, starts_daemon=starts)
    added = parser.add_subparsers(dest="action", metavar="ACTION")
    for action, (name, positional) in actions.items():
        summary = COMMANDS[name].summary
        # SUPPRESS: options absent after the action must not reset those given before it.
        one = added.add_parser(
            action, help=summary, description=summary, allow_abbrev=False, argument_default=argparse.SUPPRESS
        )
        _common_options(one, starts_daemon=starts)
        one.set_defaults(asks=name)
        for parameter in describe(name).commands[0].parameters:
            if parameter.name in positional:
                one.add_argument(parameter.name, metavar=parameter.name.upper(), help=_help(parameter))
            else:
                _parameter(one, group, parameter)


def _clean(commands: argparse._SubParsersAction) -> None:
    summary = COMMANDS["clean"].summary
    parser = commands.add_parser("clean", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument("--dry-run", action="store_true", help="remove nothing, and print what would be removed")
    _common_options(parser, starts_daemon=False)


class _PairKind(argparse.Action):
    """``--kind``: of the pair before it."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        pairs = getattr(namespace, "pairs", None)
        if not pairs or len(pairs[-1]) > 2:
            parser.error("--kind follows the --pair that it is of, once")
        pairs[-1].append(values)


def _listen(commands: argparse._SubParsersAction) -> None:
    summary = "Makes the page of a blind listening study: one HTML file that needs no server, with its sounds in it."
    parser = commands.add_parser("listen", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument("output", metavar="OUT.html", help="the page to write")
    parser.add_argument(
        "--pair", dest="pairs", nargs=2, metavar=("ORIGINAL", "REFERENCE"), action="append",
        help="two files to fuse; repeatable; default: the five pairs that are shipped",
    )  # fmt: skip
    parser.add_argument(
        "--kind",
        action=_PairKind,
        metavar="NAME",
        help="kind of the pair before it, by which results are grouped; default own",
    )
    parser.add_argument("--seconds", type=_plain_number, metavar="X", help="length of the stimuli; 1 … 30 s; default 4")
    for name, word in (("blend", "X"), ("steps", "N"), ("seed", "N")):
        parameter = next(each for each in describe("fuse").commands[0].parameters if each.name == name)
        help = "random seed of the fusions; default 1" if name == "seed" else _help(parameter)
        parser.add_argument(f"--{name}", metavar=word, help=help, type=_number)
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    _common_options(parser, starts_daemon=True)


def _ratings(commands: argparse._SubParsersAction) -> None:
    summary = "Reads what listeners saved: means of each method, and differences from the fusion, with intervals."
    parser = commands.add_parser("ratings", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument(
        "files", nargs="+", metavar="FILE.csv", help="results as the page saved them, one file a listener"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _plain_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number; got {text}") from None


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
    """Add ``--name`` and ``--no-name``, for a choice that is automatic unless one of them is given."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(f"--{name}", dest=name, action="store_const", const="on", help=help)
    either.add_argument(
        f"--no-{name}", dest=name, action="store_const", const="off", help=f"the opposite of --{name}"
    )  # fmt: skip


def _number(text: str) -> int | float | str:
    """Convert text to a number if it is one; otherwise return it for the protocol to refuse with its own message."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _help(parameter) -> str:
    parts = [parameter.help.replace("absolute path", "path")]  # made absolute before it is sent
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.choices:
        parts.append(", ".join(parameter.choices))
    elif parameter.minimum is not None:
        parts.append(f"{_plain(parameter.minimum)} … {_plain(parameter.maximum)}{unit}")
    if parameter.default is not None:
        parts.append(f"default {parameter.default}")
    elif parameter.absent:
        parts.append(f"default: {parameter.absent}")
    return "; ".join(parts).replace("%", "%%")


def _plain(number: float) -> str:
    return f"{number:g}" if number < 1e6 else str(int(number))


def _result_options(parser: Parser, name: str) -> None:
    out = {
        "invert": "where to copy the latents (.safetensors)",
        "morph": "folder to copy the takes into, as take-01.wav and so on; created if absent",
        "window": "where to copy the fusion at the equilibrium (.wav or .flac)",
    }.get(name, "where to copy the result (.wav or .flac)")
    kind = "DIR" if name == "morph" else "FILE"
    parser.add_argument(
        "-o", "--output", metavar=kind, help=f"{out}; default: no copy, only the file in the daemon's folder"
    )
    if name == "invert":
        parser.add_argument("--reconstruct", metavar="FILE", help="where to copy the reconstruction (.wav or .flac)")
    elif name == "window":
        parser.add_argument("--plot", metavar="FILE", help="draw the window as a PNG file")
    elif name != "morph":
        parser.add_argument("--plot", metavar="FILE", help="draw the spectrograms of all sounds as a PNG file")
    parser.add_argument("--force", action="store_true", help="replace existing files")


def _common_options(parser: Parser, *, starts_daemon: bool) -> None:
    parser.add_argument(
        "--home", metavar="DIR", help="the daemon's folder; default: $TERTIUM_HOME, else the user's data folder"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    if starts_daemon:
        group = parser.add_argument_group("options of a daemon started for this call, if none runs")
        _engine_options(group)


def _engine_options(parser) -> None:
    parser.add_argument("--model", help="name or folder of the model; default pocket")
    parser.add_argument("--device", type=_device, metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps; default auto")
    parser.add_argument("--precision", choices=PRECISIONS, help="floating-point precision; default auto")


def _device(text: str) -> str:
    if not re.fullmatch(DEVICES, text):
        raise argparse.ArgumentTypeError(f"must be auto, cpu, cuda, cuda:1 or mps; got {text}")
    return text


def _serve(commands: argparse._SubParsersAction) -> None:
    summary = "Runs the daemon for Live, SuperCollider and this command line until it is stopped."
    parser = commands.add_parser("serve", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument(
        "--home", metavar="DIR", help="the daemon's folder; default: $TERTIUM_HOME, else the user's data folder"
    )
    parser.add_argument(
        "--osc", metavar="HOST:PORT", help=f"address for OSC; default {DEFAULT_OSC}, port 0 for any free port"
    )
    parser.add_argument(
        "--zmq",
        metavar="ENDPOINT",
        help="endpoint for ZeroMQ, such as tcp://127.0.0.1:7701; default: a socket in the daemon's folder",
    )
    _engine_options(parser)
    parser.add_argument(
        "--roots", metavar="DIR", nargs="+", action="extend",
        help="the only folders from which clients may name files; default: any file that you may read",
    )  # fmt: skip
    parser.add_argument(
        "--allow", metavar="DIR", action="append",
        help="like --roots, for your home folder, the temporary and the current folder, and DIR; repeatable",
    )  # fmt: skip
    parser.add_argument("--queue", metavar="N", type=int, help="how many jobs may wait; default 256")
    parser.add_argument(
        "--write-every", metavar="SECONDS", type=float,
        help="seconds between two saved states of a training job, from which it resumes after a crash; default 10",
    )  # fmt: skip
    parser.add_argument(
        "--trajectory-disk", metavar="MB", type=int,
        help="MiB of disk space for saving the reference phases of checkpoints and prompts; default 0 for none",
    )  # fmt: skip
    parser.add_argument(
        "--budget", metavar="GB", type=float,
        help="size of the library beyond which sounds that nobody keeps are removed, the longest unused first; 0 for any; default: the smaller of "
        "20 and what it holds at the start plus a tenth of the free disk",
    )  # fmt: skip
    parser.add_argument("--log-json", action="store_true", help="log one JSON object per line")
