"""Messages over ZeroMQ: a JSON header and raw audio buffers. Decoding is strict and bounded.

The frames do not include the routing frames of a ROUTER socket, which the transport removes and adds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tertium_protocol.codecs.audio_buffer import AudioBuffer
from tertium_protocol.codecs.envelope import Call, check_id
from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages.events import EVENT_NAMES, Answer
from tertium_protocol.messages.fields import nearest, storable
from tertium_protocol.messages.requests import PROTOCOL_VERSION

LARGEST_REQUEST_HEADER = 64 * 1024
LARGEST_ANSWER_HEADER = 8 * 1024 * 1024
MOST_BUFFERS = 8
DEEPEST = 12
TOPIC = "tertium."

_REQUEST_KEYS = ("tertium", "id", "command", "fields", "buffers", "token")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""A string or a bracket. An unterminated string matches up to the end of the text, so that no match starts within a string and the time is
linear."""
_SHAPE = 'A header is {"tertium": "1.5", "id": …, "command": …, "fields": {…}}.'


def encode_call(call: Call) -> list[bytes]:
    """Encode a request as frames.

    Raises:
        ProtocolError: bad_message if the header is too large or a value cannot be represented in JSON.
    """
    header = {"tertium": PROTOCOL_VERSION, "id": call.id, "command": call.command, "fields": dict(call.fields)}
    if call.token is not None:
        header["token"] = call.token
    return _encoded(header, call.buffers, LARGEST_REQUEST_HEADER)


def decode_call(frames: Sequence[bytes]) -> Call:
    """Decode a request.

    Raises:
        ProtocolError: bad_message, unknown_field, missing_field, bad_type or out_of_range; with the request id if it could be read.
    """
    header = _header(frames, LARGEST_REQUEST_HEADER)
    id = None
    try:
        id = check_id(header.get("id"))
        _check_version(header)
        for name in header:
            if name not in _REQUEST_KEYS:
                near = nearest(name, _REQUEST_KEYS)
                remedy = f"Did you mean {near}?" if near else _SHAPE
                raise ProtocolError("unknown_field", f"A header has no “{name[:60]}”.", name[:60], None, remedy)
        command = _typed(header, "command", str, "text")
        fields = _typed(header, "fields", dict, "an object", {})
        token = _typed(header, "token", str, "text", "") or None
        return Call(command, id, fields, _buffers(header, frames[1:]), token)
    except ProtocolError as problem:
        problem.request_id = id
        raise


def encode_answer(answer: Answer, buffers: Iterable[AudioBuffer] = ()) -> list[bytes]:
    """Encode an answer as frames.

    Raises:
        ProtocolError: bad_message if the header would be too large.
    """
    return _encoded(_answer_header(answer), tuple(buffers), LARGEST_ANSWER_HEADER)


def decode_answer(frames: Sequence[bytes]) -> tuple[Answer, tuple[AudioBuffer, ...]]:
    """Decode an answer and its audio.

    Raises:
        ProtocolError: if the frames are not an answer of this protocol.
    """
    header = _header(frames, LARGEST_ANSWER_HEADER)
    return _answer(header), _buffers(header, frames[1:])


def encode_event(answer: Answer, sequence: int) -> list[bytes]:
    """Encode a published event as frames: the topic ``tertium.<event>``, then the header with the sequence number.

    Args:
        answer: the event.
        sequence: one more than that of the previous event, starting at 1. A gap tells a subscriber that it missed events.
    """
    header = _answer_header(answer) | {"sequence": sequence}
    return [(TOPIC + answer.event).encode(), *_encoded(header, (), LARGEST_ANSWER_HEADER)]


def decode_event(frames: Sequence[bytes]) -> tuple[Answer, int]:
    """Decode a published event and its sequence number.

    Raises:
        ProtocolError: if the frames are not an event of this protocol.
    """
    header = _header(frames[1:], LARGEST_ANSWER_HEADER)
    sequence = _typed(header, "sequence", int, "a whole number")
    answer = _answer(header)
    if frames[0] != (TOPIC + answer.event).encode():
        raise _bad("The topic does not match the event.", _SHAPE)
    return answer, sequence


def _answer_header(answer: Answer) -> dict[str, Any]:
    return {
        "tertium": PROTOCOL_VERSION,
        "id": answer.id,
        "event": answer.event,
        "command": answer.command,
        "fields": answer.fields,
    }


def _answer(header: dict[str, Any]) -> Answer:
    _check_version(header)
    event = _typed(header, "event", str, "text")
    if event not in EVENT_NAMES:
        raise _bad(f"There is no event “{event[:60]}”.", "Update the client.")
    id = header.get("id")
    command = header.get("command")
    return Answer(
        id=None if id is None else check_id(id),
        event=event,
        command=None if command is None else _typed(header, "command", str, "text"),
        fields=_typed(header, "fields", dict, "an object", {}),
    )


def _encoded(header: dict[str, Any], buffers: tuple[AudioBuffer, ...], largest: int) -> list[bytes]:
    if buffers:
        header["buffers"] = [buffer.description() for buffer in buffers]
    try:
        data = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError) as problem:
        raise _bad(
            f"The fields cannot be sent: {problem}.", "Send text, finite numbers, true, false and null."
        ) from None
    if len(data) > largest:
        raise _bad(f"The header has {len(data)} bytes; the limit is {largest}.", "Shorten its texts.")
    return [data, *(buffer.data for buffer in buffers)]


def _header(frames: Sequence[bytes], largest: int) -> dict[str, Any]:
    if not frames:
        raise _bad("The message has no header.", _SHAPE)
    if len(frames) > 1 + MOST_BUFFERS:
        raise _bad(f"The message has {len(frames) - 1} buffers; the limit is {MOST_BUFFERS}.", _SHAPE)
    if len(frames[0]) > largest:
        raise _bad(f"The header has {len(frames[0])} bytes; the limit is {largest}.", "Shorten its texts.")
    try:
        text = bytes(frames[0]).decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("The header is not UTF-8.", "Send JSON as UTF-8.") from None
    _check_depth(text)
    try:
        header = json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object)
    except (ValueError, RecursionError) as problem:
        raise _bad(f"The header is not JSON: {problem}.", _SHAPE) from None
    if not isinstance(header, dict):
        raise _bad("The header is not a JSON object.", _SHAPE)
    if "\\u" in text and not storable(json.dumps(header, ensure_ascii=False)):
        raise _bad("The header contains an unpaired surrogate.", "Send Unicode text.")
    return header


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the JSON parser, which is recursive, reads the text."""
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
        if depth > DEEPEST:
            raise _bad(f"The header is nested more than {DEEPEST} deep.", _SHAPE)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a name is given twice")
    return result


def _check_version(header: dict[str, Any]) -> None:
    version = header.get("tertium")
    if not isinstance(version, str):
        raise _bad(
            "The header does not state its protocol version.",
            f'Send "tertium": "{PROTOCOL_VERSION}".',
            "tertium",
        )
    if version.split(".")[0] != PROTOCOL_VERSION.split(".")[0]:
        problem = f"The message uses protocol {version[:16]}; this side speaks {PROTOCOL_VERSION}."
        raise _bad(problem, "Update the older of the two.", "tertium", version)


def _typed(header: dict[str, Any], name: str, kind: type, words: str, default: Any = None) -> Any:
    value = header.get(name)
    if value is None and default is not None:
        return default
    if value is None:
        raise ProtocolError("missing_field", f"The header has no {name}.", name, None, _SHAPE)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ProtocolError("bad_type", f"The header's {name} must be {words}.", name, value, _SHAPE)
    return value


def _buffers(header: dict[str, Any], data: Sequence[bytes]) -> tuple[AudioBuffer, ...]:
    described = _typed(header, "buffers", list, "a list", [])
    if len(described) != len(data):
        problem = f"The header describes {len(described)} buffers, but {len(data)} arrived."
        raise _bad(problem, "Describe each buffer in the header's list buffers.", "buffers", len(described))
    buffers = []
    for description, samples in zip(described, data, strict=True):
        if not isinstance(description, dict) or set(description) != {"format", "channels", "frames", "sample_rate"}:
            raise _bad(
                "A buffer must be described by format, channels, frames and sample_rate.",
                _SHAPE,
                "buffers",
                description,
            )
        buffers.append(AudioBuffer(data=samples, **description))
    return tuple(buffers)


def _bad(message: str, remedy: str, field: str | None = None, value: Any = None) -> ProtocolError:
    return ProtocolError("bad_message", message, field, value, remedy)
