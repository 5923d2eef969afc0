"""Writes the generated parts of PROTOCOL.md: ``python -m tertium_protocol.document``. With ``--check`` it reports whether they are up to date.

The text between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` is generated from the models and the command table; the rest is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from tertium_protocol import commands
from tertium_protocol.client import job
from tertium_protocol.codecs import audio_buffer, envelope, osc_answers, osc_requests, zeromq
from tertium_protocol.errors import ERROR_CODES, LONGEST_VALUE
from tertium_protocol.messages import fields
from tertium_protocol.messages.events import EVENTS, Payload, Result, TakeInfo, WindowInfo, WindowPoint
from tertium_protocol.messages.requests import PROTOCOL_VERSION, Making, Request

DOCUMENT = Path(__file__).resolve().parent.parent / "PROTOCOL.md"
_MARKED = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)
_SCALARS = {int: "integer", float: "number", str: "text", bool: "true or false"}


def document(text: str) -> str:
    """Return the text of PROTOCOL.md with all generated parts replaced by new ones.

    Raises:
        ValueError: the text lacks a generated part, or has an unknown one.
    """
    found = [name for _, name, _ in _MARKED.findall(text)]
    if sorted(found) != sorted(PARTS):
        raise ValueError(
            f"PROTOCOL.md must have each of these parts once: {', '.join(PARTS)}; it has {', '.join(found)}."
        )
    return _MARKED.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n\n{part[3]}", text)


def main(arguments: list[str]) -> int:
    """Write PROTOCOL.md, or with ``--check`` only compare it. Return the exit status."""
    if not DOCUMENT.exists():
        print(f"{DOCUMENT} does not exist. Run this in a checkout of the source.", file=sys.stderr)
        return 2
    old = DOCUMENT.read_text(encoding="utf-8")
    new = document(old)
    if "--check" in arguments:
        print(
            "PROTOCOL.md is up to date."
            if old == new
            else "PROTOCOL.md is out of date; run python -m tertium_protocol.document"
        )
        return 0 if old == new else 1
    DOCUMENT.write_text(new, encoding="utf-8")
    return 0


def _version() -> str:
    return f"This is version **{PROTOCOL_VERSION}**."


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _overview() -> str:
    both = {("osc", "zeromq"): "both", ("zeromq",): "ZeroMQ"}
    rows = (
        (f"[`{row.name}`](#{row.name})", row.kind, both[row.transports], row.summary)
        for row in commands.COMMANDS.values()
    )
    return _table(("command", "kind", "transport", "summary"), rows)


def _commands() -> str:
    return "\n\n".join(_command(row) for row in commands.COMMANDS.values())


def _command(row: commands.Command) -> str:
    making = set(Making.model_fields) if issubclass(row.request, Making) else set()
    own = [name for name in row.request.model_fields if name not in making]
    lines = [f"### `{row.name}`", f"{row.summary} OSC: `{row.address}`." if "osc" in row.transports else row.summary]
    if row.guarded:
        lines.append("Over OSC it requires the argument `token`: the token in `daemon.json`.")
    lines.append(_parameters(row.request, own) if own else "No fields.")
    if making:
        lines.append(
            "Also the [fields of every command that makes a sound](#fields-of-every-command-that-makes-a-sound)."
        )
    if row.kind == "queued":
        takes = "`take` for each take, " if row.name == "morph" else ""
        lines.append(f"Answers: `accepted`, `progress`, {takes}then one of `done`, `failed`, `cancelled`.")
    else:
        buffer = ", with one audio buffer" if row.name == "sound_audio" else ""
        lines += [f"Reply{buffer}:", _payload(row.reply)]
    if row.items:
        lines += _elements(row.reply, row.items)
        lines.append(f"Over OSC each element of `{row.items}` is sent as an `item`.")
    return "\n\n".join(lines)


def _elements(payload: type[Payload], name: str) -> list[str]:
    """Describe the elements of a list, and those of the lists within them."""
    element = get_args(payload.model_fields[name].annotation)[0]
    for row in commands.COMMANDS.values():
        if row.reply is element:
            return [f"Each element of `{name}` has the fields of the reply to [`{row.name}`](#{row.name})."]
    lines = [f"Each element of `{name}`:", _payload(element)]
    for inner, field in element.model_fields.items():
        of = (get_args(field.annotation) or (None,))[0]
        if isinstance(of, type) and issubclass(of, Payload):
            lines += _elements(element, inner)
    return lines


def _making() -> str:
    return _parameters(Making, list(Making.model_fields))


def _parameters(request: type[Request], names: list[str]) -> str:
    specs = commands.specs(request)
    rows = []
    for name in names:
        field, spec = request.model_fields[name], specs[name]
        default = (
            "**required**" if field.is_required() else spec.absent if field.default is None else _shown(field.default)
        )
        if not isinstance(default, str):
            default = _shown(default)
        rows.append((f"`{name}`", spec.kind, spec.range, default, spec.unit, spec.help))
    return _table(("field", "kind", "range", "default", "unit", "meaning"), rows)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _payload(payload: type[Payload], *, without: Iterable[str] = ()) -> str:
    rows = []
    for name, field in payload.model_fields.items():
        if name not in without:
            unit = (field.json_schema_extra or {}).get("unit", "") if isinstance(field.json_schema_extra, dict) else ""
            always = "always" if field.is_required() or field.default is not None else "if known"
            rows.append((f"`{name}`", _kind(field.annotation), always, unit, field.description))
    return _table(("field", "kind", "sent", "unit", "meaning"), rows)


def _kind(annotation: Any) -> str:
    if annotation is Any:
        return "any"
    parts = [part for part in get_args(annotation) or (annotation,) if part not in (NoneType, Ellipsis)]
    if get_origin(annotation) is tuple:
        return f"list of {_kind(parts[0])}"
    if len(parts) > 1:
        return ", ".join(dict.fromkeys(_kind(part) for part in parts))
    if parts[0] is not annotation:
        return _kind(parts[0])
    return _SCALARS.get(annotation, getattr(annotation, "__name__", "").removesuffix("Info").lower())


def _events() -> str:
    parts = []
    for name, payload in EVENTS.items():
        doc = "" if payload.__doc__ is None or payload.__doc__ == Payload.__doc__ else payload.__doc__.split("\n")[0]
        shared = set(Result.model_fields) if issubclass(payload, Result) else set()
        tail = "Also the fields of a [result](#result)." if shared else ""
        parts.append("\n\n".join(filter(None, (f"### `{name}`", doc, _payload(payload, without=shared), tail))))
    return "\n\n".join(parts)


def _result() -> str:
    return "\n\n".join(
        (
            _payload(Result),
            "Each element of `takes`:",
            _payload(TakeInfo),
            "The `window`:",
            _payload(WindowInfo),
            "Each element of its `points`:",
            _payload(WindowPoint),
        )
    )


def _errors() -> str:
    return _table(("code", "meaning"), ((f"`{code}`", meaning) for code, meaning in ERROR_CODES.items()))


def _limits() -> str:
    rows = (
        ("request id that is text", f"{envelope.LONGEST_ID} characters"),
        ("path", f"{fields.LONGEST_PATH} characters"),
        ("prompt", f"{fields.LONGEST_PROMPT} characters"),
        ("value repeated in an error", f"{LONGEST_VALUE} characters"),
        ("OSC request", f"{osc_requests.LARGEST_DATAGRAM} bytes, {osc_requests.MOST_ARGUMENTS} arguments after the id"),
        ("OSC bundle", f"{osc_requests.MOST_MESSAGES} messages"),
        ("OSC answer", f"{osc_answers.LARGEST_ANSWER} bytes per datagram, {osc_answers.MOST_PARTS} parts"),
        ("ZeroMQ request header", f"{zeromq.LARGEST_REQUEST_HEADER} bytes, nested {zeromq.DEEPEST} deep"),
        ("ZeroMQ answer header", f"{zeromq.LARGEST_ANSWER_HEADER} bytes"),
        ("audio buffers of a message", f"{zeromq.MOST_BUFFERS}; `add_sound` accepts 1"),
        ("audio buffer", f"{audio_buffer.LARGEST_BUFFER} bytes, 1 … 64 channels, 1000 … 768000 Hz"),
        ("silence after which the Python client asks for a job's state", f"{job.ASK_AGAIN:g} s"),
    )
    return _table(("item", "limit"), rows)


def _formats() -> str:
    return ", ".join(f"`{name}` ({size} bytes)" for name, size in audio_buffer.SAMPLE_BYTES.items())


PARTS: dict[str, Callable[[], str]] = {
    "version": _version,
    "overview": _overview,
    "making": _making,
    "commands": _commands,
    "events": _events,
    "result": _result,
    "errors": _errors,
    "formats": _formats,
    "limits": _limits,
}
"""Name of a generated part to the function that generates it."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
