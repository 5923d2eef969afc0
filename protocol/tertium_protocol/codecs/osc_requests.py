"""Requests over OSC: strict and bounded decoding from datagrams, and encoding.

The decoder accepts only what PROTOCOL.md describes: exact addresses, the types i, f and s, zero padding, UTF-8, and a bundle of one level with the
time tag "immediately". It does not recurse, allocates no more than the datagram's size, and raises only
:class:`~tertium_protocol.errors.ProtocolError`. Source: the OSC 1.0 specification (Wright, 2002).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

from pythonosc.parsing import osc_types

from tertium_protocol.codecs.envelope import Call, check_id
from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages.events import EVENT_NAMES, RequestId
from tertium_protocol.messages.fields import INT32, storable

PREFIX = "/tertium/"
LARGEST_DATAGRAM = 32768
"""Largest request in bytes. Answers are much smaller."""
MOST_ARGUMENTS = 128
MOST_MESSAGES = 16
LARGEST_FLOAT = (2 - 2.0**-23) * 2.0**127
"""The largest finite float32."""
ANSWERS = (*EVENT_NAMES, "item", "part")
"""The last parts of the addresses that only the daemon sends. It ignores incoming messages with them, so that two daemons never keep answering each
other."""

_BUNDLE = b"#bundle\0"
_IMMEDIATELY = b"\0\0\0\0\0\0\0\1"
_TYPES = "Send whole numbers as i, other numbers as f, text as s."
_SHAPE = "A request is /tertium/<command> <request id> [name value]…"
_NAME = re.compile(r"[a-z][a-z_]{0,63}\Z")

Value = int | float | str
_WRITE = {"i": osc_types.write_int, "f": osc_types.write_float, "s": osc_types.write_string}


def decode(datagram: bytes) -> tuple[Call, ...]:
    """Decode the calls in a datagram: a single call, or all calls of a bundle. One invalid call makes the whole bundle invalid.

    Raises:
        ProtocolError: bad_message, bad_type, missing_field or unknown_command; with the request id if it could be read.
    """
    return tuple(_call(address, id, fields) for address, id, fields in decode_messages(datagram))


def decode_messages(datagram: bytes) -> list[tuple[str, RequestId, dict[str, Value]]]:
    """Return the address, id and fields of each message in a datagram, be it a request or an answer.

    Raises:
        ProtocolError: bad_message, bad_type or missing_field; with the request id if it could be read.
    """
    if not datagram.startswith(_BUNDLE):
        return [_message(datagram, 0, len(datagram))]
    return [_message(datagram, start, end) for start, end in _elements(datagram)]


def encode_call(command: str, id: RequestId, fields: Mapping[str, Value | None]) -> bytes:
    """Encode a request. Fields that are None are left out; ints become i, floats f (float32), strings s.

    Raises:
        ProtocolError: bad_type for a value of another kind or beyond int32 or float32; bad_message if the datagram would be too large.
    """
    arguments: list[Value] = [id]
    for name, value in fields.items():
        if value is not None:
            arguments += [name, value]
    datagram = encode_message(PREFIX + command, arguments)
    if len(datagram) > LARGEST_DATAGRAM:
        raise _too_large(len(datagram), id)
    return datagram


def encode_message(address: str, arguments: list[Value]) -> bytes:
    """Encode one OSC message with the types i, f and s.

    Raises:
        ProtocolError: bad_type for a value that none of these types can hold.
    """
    # Not by python-osc's builder, which reads again what it has written and so takes twice as long.
    tags, written = ",", []
    for value in arguments:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ProtocolError(
                "bad_type", f"OSC cannot carry a value of type {type(value).__name__} here.", None, value, _TYPES
            )
        if isinstance(value, int) and not INT32[0] <= value <= INT32[1]:
            raise ProtocolError("bad_type", f"{value} does not fit 32 bits.", None, value, "Send it as text.")
        if isinstance(value, float) and not abs(value) <= LARGEST_FLOAT:
            raise ProtocolError("bad_type", f"{value} does not fit a float of 32 bits.", None, value, _TYPES)
        if isinstance(value, str) and not storable(value):
            raise ProtocolError(
                "bad_type", "OSC text cannot contain NUL or an unpaired surrogate.", None, value, _TYPES
            )
        tag = "i" if isinstance(value, int) else "f" if isinstance(value, float) else "s"
        tags += tag
        written.append(_WRITE[tag](value))
    return b"".join((osc_types.write_string(address), osc_types.write_string(tags), *written))


def _call(address: str, id: RequestId, fields: dict[str, Value]) -> Call:
    if not address.startswith(PREFIX):
        problem = f"The address must begin with {PREFIX}; got “{address[:60]}”."
        raise ProtocolError("unknown_command", problem, "command", address, _SHAPE, request_id=id)
    command = address[len(PREFIX) :]
    if command in ANSWERS:
        problem = f"{address} is an address of answers: the daemon sends it and does not accept it."
        raise ProtocolError(
            "bad_message",
            problem,
            "command",
            address,
            "Name a reply_port that is not a daemon's.",
            request_id=id,
            silent=True,
        )
    if not _NAME.match(command):
        problem = f"“{address[:60]}” is not a valid address: addresses are exact, without patterns."
        raise ProtocolError("unknown_command", problem, "command", address, _SHAPE, request_id=id)
    # The token authorises the request and is not a field of the command, as in a ZeroMQ header.
    token = fields.pop("token", None)
    return Call(command, id, fields, token=None if token is None else str(token))


def _elements(datagram: bytes) -> list[tuple[int, int]]:
    """Return the start and end of each message in a bundle."""
    if len(datagram) > LARGEST_DATAGRAM:
        raise _too_large(len(datagram), None)
    if datagram[8:16] != _IMMEDIATELY:
        problem = "The bundle has a time tag other than “immediately”, or is truncated."
        raise _bad(problem, "Send single messages, or a bundle with the time tag “immediately”.")
    elements, at = [], 16
    while at < len(datagram):
        if len(datagram) - at < 4:
            raise _bad("The bundle is truncated.", "Send the complete bundle.")
        (size,) = struct.unpack_from(">i", datagram, at)
        at += 4
        if size <= 0 or size % 4 or size > len(datagram) - at:
            raise _bad(f"The bundle has an element of {size} bytes, but {len(datagram) - at} bytes are left.", _SHAPE)
        if datagram.startswith(_BUNDLE, at):
            raise _bad("A bundle within a bundle is not accepted.", "Send single messages, or a bundle of one level.")
        elements.append((at, at + size))
        if len(elements) > MOST_MESSAGES:
            raise _bad(f"The bundle has more than {MOST_MESSAGES} messages.", "Send several bundles.")
        at += size
    if not elements:
        raise _bad("The bundle is empty.", _SHAPE)
    return elements


def _message(data: bytes, start: int, end: int) -> tuple[str, RequestId, dict[str, Value]]:
    if start == end or data[start : start + 1] != b"/":
        raise _bad("The datagram is neither an OSC message nor a bundle.", _SHAPE)
    if (end - start) % 4:
        raise _bad(
            f"The size of an OSC message is a multiple of 4 bytes; got {end - start}.", "Send the complete message."
        )
    address, at = _string(data, start, end)
    silent = address.removeprefix(PREFIX) in ANSWERS
    id = None
    try:
        tags, at = _string(data, at, end)
        if tags[:1] != ",":
            raise _bad("The message has no type tags.", _TYPES)
        if tags == ",":
            raise ProtocolError("missing_field", "The message has no request id.", "id", None, _SHAPE)
        raw, at = _argument(data, at, end, tags[1], None)
        id = raw if silent else check_id(raw)
        if end - start > LARGEST_DATAGRAM:
            raise _too_large(end - start, id)
        return address, id, _pairs(data, at, end, tags[2:])
    except ProtocolError as problem:
        problem.request_id, problem.silent = id, silent
        raise


def _pairs(data: bytes, at: int, end: int, tags: str) -> dict[str, Value]:
    if len(tags) > MOST_ARGUMENTS:
        raise _bad(f"The message has {len(tags)} arguments after its id; the limit is {MOST_ARGUMENTS}.", _SHAPE)
    fields: dict[str, Value] = {}
    name = None
    for tag in tags:
        value, at = _argument(data, at, end, tag, name)
        if name is not None:
            fields[name] = value
            name = None
        elif not isinstance(value, str):
            raise _bad(f"A field's name must be text; got the number {value}.", _SHAPE)
        elif value in fields:
            raise ProtocolError(
                "bad_message", f"{value[:60]} is given twice.", value[:60], None, "Send each field once."
            )
        else:
            name = value
    if name is not None:
        raise ProtocolError("bad_message", f"{name[:60]} has no value.", name[:60], None, _SHAPE)
    if at != end:
        raise _bad(f"The message has {end - at} bytes too many.", _SHAPE)
    return fields


def _argument(data: bytes, at: int, end: int, tag: str, name: str | None) -> tuple[Value, int]:
    if tag == "s":
        return _string(data, at, end)
    if tag not in "if":
        field_name = name[:60] if name else None
        problem = f"{field_name or 'An argument'} has the OSC type {tag!r}; only i, f and s are accepted."
        raise ProtocolError("bad_type", problem, field_name, None, _TYPES)
    if end - at < 4:
        raise _bad("The message ends before its last argument.", "Send the complete message.")
    return struct.unpack_from(">i" if tag == "i" else ">f", data, at)[0], at + 4


def _string(data: bytes, at: int, end: int) -> tuple[str, int]:
    """Return the string that begins at an offset (a multiple of four), and the offset of the next argument."""
    stop = data.find(b"\0", at, end)
    if stop < 0:
        raise _bad("The message ends within a string.", "Send the complete message.")
    following = stop + 4 - (stop - at) % 4
    if following > end or any(data[stop:following]):
        raise _bad(
            "A string is not padded with zeros to a multiple of 4 bytes.", "Use an OSC library that follows OSC 1.0."
        )
    try:
        return data[at:stop].decode("utf-8"), following
    except UnicodeDecodeError:
        raise _bad("A string is not UTF-8.", "Send text as UTF-8.") from None


def _bad(message: str, remedy: str) -> ProtocolError:
    return ProtocolError("bad_message", message, None, None, remedy)


def _too_large(size: int, id: RequestId | None) -> ProtocolError:
    problem = f"The message has {size} bytes; the limit is {LARGEST_DATAGRAM}."
    return ProtocolError("bad_message", problem, None, None, "Shorten its texts, or use ZeroMQ.", request_id=id)
