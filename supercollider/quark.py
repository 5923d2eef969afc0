"""Writes what of the Quark follows from the command table: a method and its message for each command, and their help.

    PYTHONPATH=server:protocol python supercollider/quark.py [--check]

The Quark has the protocol's words, in SuperCollider's spelling: ``sample_rate`` is ``sampleRate``.
"""

import sys
from pathlib import Path

from tertium_protocol.commands import COMMANDS, Command, specs
from tertium_protocol.messages.refusals import SOUND_REFERENCE
from tertium_protocol.messages.requests import Making

QUARK = Path(__file__).parent / "Tertium"
METHODS = QUARK / "Classes/Client/TertiumCommands.sc"
HELP = QUARK / "HelpSource/Classes/Tertium.schelp"
BEGIN, END = "// begin commands\n", "// end commands\n"
HEAD = "// Made from the protocol's table of commands by supercollider/quark.py: edit that, not this.\n"

CALLBACKS = {
    "action": "called once when it has ended: code::action.(result, request)::. The result is {result}; nil when there is none",
    "onProgress": "called as it goes on: code::onProgress.(fraction, request)::",
    "onError": "called before the action when it fails: code::onError.(error, request)::",
    "timeout": "seconds of silence after which it fails; link::#-timeout:: if not given",
    "onTake": "called for each take as it is ready, the two ends first: code::onTake.(sound, index, request)::",
}


def main(arguments: list[str]) -> int:
    wanted = written()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" not in arguments:
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"wrote {path}")
        return 0
    for path in stale:
        print(f"{path} is not up to date; run supercollider/quark.py")
    return 1 if stale else 0


def written() -> dict[Path, str]:
    """Each file that is made, wholly or in part, and what it should hold."""
    rows = [row for row in COMMANDS.values() if "osc" in row.transports]
    page = HELP.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return {
        METHODS: HEAD + "+ Tertium {\n" + "\n".join(methods(row) for row in rows) + "}\n",
        HELP: before + BEGIN + "".join(described(row) for row in rows) + END + after,
    }


def camel(name: str) -> str:
    """The protocol's word as SuperCollider writes it."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def ordered(row: Command) -> list[str]:
    """A command's fields: its own, in which sounds come first, then those of every command that makes a sound."""
    names = list(specs(row.request))
    shared = Making.model_fields if issubclass(row.request, Making) else {}
    return [name for name in names if name not in shared] + [name for name in names if name in shared]


def callbacks(row: Command) -> list[str]:
    if row.kind == "immediate":
        return ["action", "onError", "timeout"]
    return ["action", "onProgress", "onError", "timeout", *(["onTake"] if row.name == "morph" else [])]


def methods(row: Command) -> str:
    fields = ordered(row)
    words = [camel(name) for name in fields]
    pairs = "[" + ", ".join(f"{name}: {word}" for name, word in zip(fields, words, strict=True)) + "]"
    wanted = ["action", "onProgress", "onError", "timeout", *(["onTake"] if row.name == "morph" else [])]
    given = [word if word in callbacks(row) else "nil" for word in wanted]
    taken = f"{{ |{', '.join(words)}|" if words else "{"
    return (
        f"\t{camel(row.name)} {{ |{', '.join(words + callbacks(row))}|\n"
        f"\t\t^this.request(\\{row.name}, {pairs}, {', '.join(given)})\n"
        f"\t}}\n\n"
        f"\t{camel(row.name)}Msg {taken}\n"
        f"\t\t^this.message(\\{row.name}, {pairs})\n"
        f"\t}}\n"
    )


def described(row: Command) -> str:
    """Help for a command's method, and for the builder of its message."""
    fields = specs(row.request)
    required = {name for name, field in row.request.model_fields.items() if field.is_required()}
    text = f"\nMETHOD:: {camel(row.name)}\n{row.summary}\n"
    for name in ordered(row):
        text += f"ARGUMENT:: {camel(name)}\n{meaning(row, name, fields[name], name in required)}\n"
    for name in callbacks(row):
        text += f"ARGUMENT:: {name}\n{CALLBACKS[name].format(result=result(row))}\n"
    return text + f"\nMETHOD:: {camel(row.name)}Msg\nThe message for link::#-{camel(row.name)}::, which is not sent.\n"


def meaning(row: Command, name: str, spec, required: bool) -> str:
    """What a field is for, its range and what an absent one stands for."""
    unit = f" {spec.unit}" if spec.unit else ""
    absent = spec.absent if spec.absent is not None else row.request.model_fields[name].default
    help = "a request, or its job's id" if name == "job" else sounds(spec.help)
    range = "" if SOUND_REFERENCE in spec.help or name == "job" else f"{spec.range}{unit}; "
    return f"{help} ({range}{'required' if required else f'else {absent}'})"


def sounds(help: str) -> str:
    """What the protocol says of naming a sound, as it is here."""
    return help.replace(SOUND_REFERENCE, "see above").replace(
        "see above, or a checkpoint's name", "see above, or the name of a checkpoint, a Symbol"
    )


def result(row: Command) -> str:
    """What its action is given."""
    if row.kind == "queued":
        return {
            "morph": "an Array of link::Classes/TertiumSound::, the reference's end first",
            "window": "a link::Classes/TertiumWindow::",
        }.get(row.name, "a link::Classes/TertiumSound::")
    if row.name in ("sound", "add_sound"):
        return "a link::Classes/TertiumSound::"
    names = [name for name in row.reply.model_fields if name not in ("notes",)]
    return f"an Event with {', '.join(f'code::{name}::' for name in names)}, as far as they are known"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
