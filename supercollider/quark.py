"""Writes the generated files of the Quark: a method and a message for each command, their help, and the command table.

    PYTHONPATH=server:protocol python supercollider/quark.py [--check]

The source is the protocol's command table, ``tertium_protocol.commands``, and the limits of its codecs. Names are the protocol's in
SuperCollider's spelling: ``sample_rate`` is ``sampleRate``.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from tertium.daemon.config import DEFAULT_OSC
from tertium_protocol.codecs import osc_answers, osc_requests
from tertium_protocol.commands import COMMANDS, Command, specs
from tertium_protocol.messages.events import EVENTS, Done, Take, TakeInfo
from tertium_protocol.messages.fields import Spec
from tertium_protocol.messages.refusals import SOUND_REFERENCE
from tertium_protocol.messages.replies import SoundInfo
from tertium_protocol.messages.requests import PROTOCOL_VERSION, Making, Morph

QUARK = Path(__file__).parent / "Tertium"
METHODS = QUARK / "Classes/Client/TertiumCommands.sc"
TABLE = QUARK / "Classes/Client/TertiumCommandTable.sc"
HELP = QUARK / "HelpSource/Classes/Tertium.schelp"
BEGIN, END = "// begin commands\n", "// end commands\n"
HEAD = "// Generated from the protocol's command table by supercollider/quark.py. Do not edit.\n"
ROWS = [row for row in COMMANDS.values() if "osc" in row.transports]

SENT_ONCE = ("import_checkpoint", "export_checkpoint", "rename_checkpoint", "delete_checkpoint", "delete_sound")
"""The commands that are not sent again when no answer comes: a second try would not find what the first has left."""
SHARED_BY_TAKES = ("job", "frames", "channels", "sample_rate", "seconds", "seed", "steps", "model")
"""The fields of ``done`` that hold for every take of a morph, beside those that ``done`` lists for each."""

CALLBACKS = {
    "action": "a function, called once when the request has ended: code::action.(result, request)::. The result is {result}; nil when there is none",
    "onProgress": "a function, called with the progress of the job: code::onProgress.(fraction, request)::",
    "onError": "a function, called before the action when the request fails: code::onError.(error, request)::",
    "timeout": "seconds of silence after which the request fails; by default link::#-timeout::",
    "onTake": "a function, called for each take as soon as it is ready, the two ends first: code::onTake.(sound, index, request)::",
}


def main(arguments: list[str]) -> int:
    """Write what is out of date, or with ``--check`` name it; returns the exit status."""
    wanted = generated()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" not in arguments:
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"wrote {path}")
        return 0
    for path in stale:
        print(f"{path} is not up to date; run supercollider/quark.py")
    return 1 if stale else 0


def generated() -> dict[Path, str]:
    """The path and text of each generated file; of the help page, only the part between its marks is generated."""
    page = HELP.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return {
        METHODS: HEAD + "+ Tertium {\n" + "\n".join(methods(row) for row in ROWS) + "}\n",
        TABLE: HEAD + table(),
        HELP: before + BEGIN + "".join(described(row) for row in ROWS) + END + after,
    }


def camel(name: str) -> str:
    """The protocol's name in SuperCollider's spelling."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


# ---- methods


def ordered(row: Command) -> list[str]:
    """A command's fields: its own, sounds first, then those that every command that makes a sound has."""
    names = list(specs(row.request))
    shared = Making.model_fields if issubclass(row.request, Making) else {}
    return [name for name in names if name not in shared] + [name for name in names if name in shared]


def callbacks(row: Command) -> list[str]:
    """The arguments of a command's method that are no fields."""
    if row.kind == "immediate":
        return ["action", "onError", "timeout"]
    return ["action", "onProgress", "onError", "timeout", *(["onTake"] if row.name == "morph" else [])]


def methods(row: Command) -> str:
    """The method of a command, and the method that gives its message."""
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


# ---- the command table


def table() -> str:
    """The class TertiumCommandTable."""
    queued = [row.name for row in ROWS if row.kind == "queued"]
    guarded = [row.name for row in ROWS if row.guarded]
    sounds = [row.name for row in ROWS if row.reply is SoundInfo]
    lists = [row for row in ROWS if row.items]
    sound_items = [row.name for row in lists if element(row) is SoundInfo]
    kinds, own_kinds = field_kinds()
    check_hand_kept()
    return f"""\
// The table of commands: the properties of commands and fields that the Quark needs, and the protocol's limits.
TertiumCommandTable {{
	classvar <protocol = "{PROTOCOL_VERSION}";
	// the beginning of every OSC address
	classvar <prefix = "{osc_requests.PREFIX}";
	// the daemon's port where no other is known
	classvar <port = {DEFAULT_OSC.rpartition(":")[2]};
	// the events that a daemon sends
	classvar <events = {symbols(osc_requests.ANSWERS)};
	// the commands that become jobs
	classvar <queued = {symbols(queued)};
	// the commands that need the token of daemon.json, since UDP does not say who sends
	classvar <guarded = {symbols(guarded)};
	// the commands that are sent once: a second try would not find what the first has left
	classvar <once = {symbols(SENT_ONCE)};
	// the commands whose reply is a sound, and those whose items are sounds
	classvar <soundReplies = {symbols(sounds)}, <soundItems = {symbols(sound_items)};
	// the fields of answers that are lists, which OSC carries as JSON text
	classvar <lists = {symbols(list_fields())};
	// the fields that a morph's takes have in common
	classvar <sharedByTakes = {symbols(SHARED_BY_TAKES)};
	// the largest number of takes of a morph, of parts of an answer, of answers that lack parts
	classvar <mostTakes = {specs(Morph)["count"].maximum}, <mostParts = {osc_answers.MOST_PARTS}, <mostIncomplete = {osc_answers.MOST_INCOMPLETE};
	// command to the field of its reply whose elements come one by one; field to kind, and command to field to kind where it has one of its own
	classvar <items, kinds, ownKinds;

	*initClass {{
		items = {dictionary({row.name: f"{chr(92)}{row.items}" for row in lists})};
		kinds = {dictionary({name: f"{chr(92)}{kind}" for name, kind in kinds.items()})};
		ownKinds = {dictionary({name: dictionary({field: f"{chr(92)}{kind}" for field, kind in own.items()}) for name, own in own_kinds.items()})}
	}}

	// the kind of a field: \\sound, \\path, \\job or \\plain
	*kind {{ |command, field| ^ownKinds[command] !? {{ |own| own[field] }} ?? {{ kinds[field] ? \\plain }} }}
}}
"""


def symbols(names: Iterable[str]) -> str:
    """A literal Array of Symbols."""
    return "#[" + ", ".join(f"\\{name}" for name in names) + "]"


def dictionary(values: dict[str, str]) -> str:
    """An IdentityDictionary from Symbols to code."""
    return "IdentityDictionary[" + ", ".join(f"\\{name} -> {value}" for name, value in values.items()) + "]"


def field_kinds() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The usual kind of each field that is not plain; and for each command the fields whose kind is another there."""
    found: dict[str, Counter[str]] = {}
    for row in ROWS:
        for name, spec in specs(row.request).items():
            found.setdefault(name, Counter())[kind(row, name, spec)] += 1
    usual = {name: counts.most_common(1)[0][0] for name, counts in found.items()}
    own = {
        row.name: {
            name: kind(row, name, spec)
            for name, spec in specs(row.request).items()
            if kind(row, name, spec) != usual[name]
        }
        for row in ROWS
    }
    return (
        {name: kind for name, kind in usual.items() if kind != "plain"},
        {name: fields for name, fields in own.items() if fields},
    )


def kind(row: Command, name: str, spec: Spec) -> str:
    """What a field names: a sound, a file that is no sound, a job, or nothing that must be looked up (plain)."""
    if name == "job":
        return "job"
    if SOUND_REFERENCE in spec.help or (name == "path" and row.buffers):
        return "sound"
    return "path" if name == "path" else "plain"


def list_fields() -> list[str]:
    """The names of the fields of answers that are lists and come as text, in the order of the models."""
    payloads = [*EVENTS.values(), *(row.reply for row in ROWS), *(element(row) for row in ROWS if row.items)]
    items = {row.items for row in ROWS}
    return list(dict.fromkeys(name for payload in payloads for name in lists_within(payload) if name not in items))


def lists_within(payload: type[BaseModel]) -> Iterator[str]:
    """The lists of a payload and of the objects in it. The elements of a list are JSON already, and so are their lists."""
    for name, field in payload.model_fields.items():
        parts = parts_of(field.annotation)
        if any(get_origin(part) is tuple for part in parts):
            yield name
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from lists_within(part)


def element(row: Command) -> type[BaseModel]:
    """The model of the elements of a command's list."""
    annotation = row.reply.model_fields[row.items].annotation
    return next(get_args(part)[0] for part in parts_of(annotation) if get_origin(part) is tuple)


def parts_of(annotation: Any) -> tuple[Any, ...]:
    """An annotation, or the members of a union."""
    return (annotation,) if get_origin(annotation) is tuple else (annotation, *get_args(annotation))


def check_hand_kept() -> None:
    """Refuse a list of this file that names what the protocol does not have.

    Raises:
        ValueError: with the names.
    """
    immediate = {row.name for row in ROWS if row.kind == "immediate"}
    common = set(Done.model_fields) & set(Take.model_fields) - set(TakeInfo.model_fields)
    if unknown := [*(set(SENT_ONCE) - immediate), *(set(SHARED_BY_TAKES) - common)]:
        raise ValueError(f"quark.py names {', '.join(unknown)}, which the protocol has not.")


# ---- help


def described(row: Command) -> str:
    """The help of a command's method, and of the method that gives its message."""
    fields = specs(row.request)
    required = {name for name, field in row.request.model_fields.items() if field.is_required()}
    text = f"\nMETHOD:: {camel(row.name)}\n{row.summary}\n"
    for name in ordered(row):
        text += f"ARGUMENT:: {camel(name)}\n{meaning(row, name, fields[name], name in required)}\n"
    for name in callbacks(row):
        text += f"ARGUMENT:: {name}\n{CALLBACKS[name].format(result=result(row))}\n"
    return text + f"\nMETHOD:: {camel(row.name)}Msg\nThe message of link::#-{camel(row.name)}::. Nothing is sent.\n"


def meaning(row: Command, name: str, spec: Spec, required: bool) -> str:
    """The help of a field: its meaning, its range and its default."""
    unit = f" {spec.unit}" if spec.unit else ""
    absent = spec.absent if spec.absent is not None else row.request.model_fields[name].default
    help = "a request, or the id of its job" if name == "job" else sounds(spec.help)
    range = "" if SOUND_REFERENCE in spec.help or name == "job" else f"{spec.range}{unit}; "
    return f"{help} ({range}{'required' if required else f'else {absent}'})"


def sounds(help: str) -> str:
    """The help of a field that names a sound, with a link to how sounds are named in SuperCollider."""
    return help.replace(SOUND_REFERENCE, "see above").replace(
        "see above, or a checkpoint's name", "see above, or the name of a checkpoint, a Symbol"
    )


def result(row: Command) -> str:
    """The result that a command's action is called with."""
    if row.kind == "queued":
        return {
            "morph": "an Array of link::Classes/TertiumSound::, the reference's end first",
            "window": "a link::Classes/TertiumWindow::",
        }.get(row.name, "a link::Classes/TertiumSound::")
    if row.reply is SoundInfo:
        return "a link::Classes/TertiumSound::"
    names = [name for name in row.reply.model_fields if name != "notes"]
    return f"an Event with {', '.join(f'code::{name}::' for name in names)}, as far as they are known"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
