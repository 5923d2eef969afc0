"""Answers over OSC: encoding to datagrams of less than 1,400 bytes each, and decoding.

Values become i, f or s; objects become dotted names; lists become JSON text. A reply that is a list is sent as one ``item`` per element and then
the reply. A message that does not fit into a datagram is split into several ``part`` messages, so nothing is lost.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from tertium_protocol.codecs.osc_requests import ANSWERS, LARGEST_FLOAT, PREFIX, Value, decode_messages, encode_message
from tertium_protocol.commands import COMMANDS
from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages.events import Answer, RequestId
from tertium_protocol.messages.fields import INT32, storable

LARGEST_ANSWER = 1396
"""Largest datagram sent, in bytes: the greatest multiple of 4 below 1,400."""
UNKNOWN_ID = ""
"""The id in the answer to a message whose id could not be read."""
MOST_PARTS = 1024
MOST_INCOMPLETE = 64
_LEAST_CUT = 64  # bytes: a text is not cut to put a shorter piece than this into a datagram that holds other fields

Pairs = list[tuple[str, Value]]


def encode_answer(answer: Answer) -> list[bytes]:
    """Encode an answer as datagrams of at most 1,396 bytes each, in the order in which to send them."""
    id = UNKNOWN_ID if answer.id is None else answer.id
    fields = dict(answer.fields)
    items = COMMANDS[answer.command].items if answer.event == "reply" and answer.command in COMMANDS else None
    if items is None:
        return _datagrams(answer.event, id, _flat(fields))
    elements = fields.pop(items, None) or []
    datagrams = []
    for index, element in enumerate(elements):
        datagrams += _datagrams("item", id, [("index", index), ("count", len(elements)), *_flat(element)])
    return datagrams + _datagrams("reply", id, [("count", len(elements)), *_flat(fields)])


def decode_answer(datagram: bytes) -> Answer:
    """Decode one datagram. Dotted names become objects again. The event may be ``item`` or ``part``.

    Raises:
        ProtocolError: bad_message if the datagram is not an answer.
    """
    address, id, fields = decode_messages(datagram)[0]
    event = address.removeprefix(PREFIX)
    if not address.startswith(PREFIX) or event not in ANSWERS:
        raise ProtocolError(
            "bad_message", f"“{address[:60]}” is not an answer.", None, None, "Send nothing else to this port."
        )
    return Answer(
        id=None if id == UNKNOWN_ID else id, event=event, fields=fields if event == "part" else _nested(fields)
    )


class Assembler:
    """Reassembles answers from their parts. Holds at most 64 incomplete answers; the oldest are discarded first."""

    def __init__(self) -> None:
        self._parts: OrderedDict[tuple[Any, ...], dict[int, dict[str, Value]]] = OrderedDict()

    def feed(self, datagram: bytes) -> Answer | None:
        """Return the answer that this datagram contains or completes, or None while parts are missing.

        Raises:
            ProtocolError: bad_message if the datagram is not an answer.
        """
        answer = decode_answer(datagram)
        if answer.event != "part":
            return answer
        try:
            event, key, part, parts = (answer.fields.pop(name) for name in ("event", "key", "part", "parts"))
        except KeyError as missing:
            raise ProtocolError("bad_message", f"A part of an answer lacks {missing.args[0]}.") from None
        if not (
            isinstance(part, int) and isinstance(parts, int) and 0 <= part < parts <= MOST_PARTS and event in ANSWERS
        ):
            raise ProtocolError("bad_message", f"A part of an answer is numbered {part!r} of {parts!r}.")
        place = (answer.id, event, key, parts)
        received = self._parts.setdefault(place, {})
        received[part] = answer.fields
        if len(received) < parts:
            while len(self._parts) > MOST_INCOMPLETE:
                self._parts.popitem(last=False)
            return None
        del self._parts[place]
        return Answer(id=answer.id, event=event, fields=_nested(_joined(received)))


def _joined(parts: dict[int, dict[str, Value]]) -> dict[str, Value]:
    """Merge the fields of all parts. A name that occurs again continues the text of its first occurrence."""
    fields: dict[str, Value] = {}
    for number in sorted(parts):
        for name, value in parts[number].items():
            if name not in fields:
                fields[name] = value
            elif isinstance(value, str) and isinstance(fields[name], str):
                fields[name] += value
            else:
                raise ProtocolError("bad_message", f"Two parts of an answer contain {name[:60]}, which is not text.")
    return fields


def _flat(fields: dict[str, Any], prefix: str = "") -> Pairs:
    pairs: Pairs = []
    for name, value in fields.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}.")
        elif value is not None:
            pairs.append((prefix + name, _value(value)))
    return pairs


def _nested(fields: dict[str, Value]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        *path, last = name.split(".")
        inner = nested
        for step in path:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise ProtocolError("bad_message", f"{name[:60]} is both a value and an object.")
        inner[last] = value
    return nested


def _value(value: Any) -> Value:
    """Convert a JSON value to an OSC value. Numbers beyond int32 or float32 become text."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if INT32[0] <= value <= INT32[1] else str(value)
    if isinstance(value, float):
        return value if abs(value) <= LARGEST_FLOAT else repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if storable(text) else text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def _datagrams(event: str, id: RequestId, pairs: Pairs) -> list[bytes]:
    if _size(PREFIX + event, id, pairs) <= LARGEST_ANSWER:
        return [_encoded(event, id, pairs)]
    key = f"{zlib.crc32(repr((event, id, pairs)).encode('utf-8')):08x}"
    # Both numbers are zero here: an OSC integer takes four bytes whatever its value, so the sizes hold for the real ones.
    parts = list(_cut(id, pairs, [("event", event), ("key", key), ("part", 0), ("parts", 0)]))
    heads = ([("event", event), ("key", key), ("part", number), ("parts", len(parts))] for number in range(len(parts)))
    return [_encoded("part", id, head + part) for head, part in zip(heads, parts, strict=True)]


def _cut(id: RequestId, pairs: Pairs, head: Pairs) -> Iterator[Pairs]:
    """Divide pairs into portions that fit into a datagram with the head. Text that is too long continues in the next portion
    under the same name."""
    portion: Pairs = []
    for name, value in pairs:
        while _size(PREFIX + "part", id, [*head, *portion, (name, value)]) > LARGEST_ANSWER:
            space = LARGEST_ANSWER - _size(PREFIX + "part", id, [*head, *portion, (name, "")])
            if isinstance(value, str) and (space >= _LEAST_CUT or not portion):
                piece = value.encode("utf-8")[:space].decode("utf-8", "ignore")
                portion.append((name, piece))
                value = value[len(piece) :]
            yield portion
            portion = []
        portion.append((name, value))
    if portion:
        yield portion


def _encoded(event: str, id: RequestId, pairs: Pairs) -> bytes:
    return encode_message(PREFIX + event, [id, *(argument for pair in pairs for argument in pair)])


def _size(address: str, id: RequestId, pairs: Pairs) -> int:
    """Return the size of a message in bytes, without building it."""
    arguments = [id, *(argument for pair in pairs for argument in pair)]
    tags = "," + "x" * len(arguments)
    return sum(_padded(a) if isinstance(a, str) else struct.calcsize(">i") for a in (address, tags, *arguments))


def _padded(text: str) -> int:
    return len(text.encode("utf-8")) // 4 * 4 + 4
