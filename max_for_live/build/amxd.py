"""The file format of Max for Live devices: chunks of a tag, a length and as many bytes.

``ampf`` holds the kind of device, ``meta`` a number (0: not frozen), ``ptch`` the patcher as JSON that ends with a new line and a
zero byte. Lengths are little-endian. A frozen device holds a container of files in ``ptch``; ours needs none, since
its script lies in the patcher.
"""

import json
import struct

KINDS = {"aaaa": "audio effect", "mmmm": "MIDI effect", "iiii": "instrument"}
NOT_FROZEN = 0
FROZEN_MARK = b"mx@c"


def pack(patcher, kind="aaaa"):
    """The bytes of a device that is not frozen."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    text = json.dumps(patcher, ensure_ascii=False, indent="\t", allow_nan=False)
    return b"".join(
        (
            _chunk("ampf", kind.encode()),
            _chunk("meta", struct.pack("<I", NOT_FROZEN)),
            _chunk("ptch", text.encode() + b"\n\0"),
        )
    )


def unpack(data):
    """The kind and the patcher of a device that is not frozen."""
    chunks = dict(_chunks(data))
    missing = {"ampf", "ptch"} - set(chunks)
    if missing:
        raise ValueError(f"This is no Max for Live device: it has no {' and no '.join(sorted(missing))} chunk.")
    kind = chunks["ampf"].decode("ascii", "replace")
    if kind not in KINDS:
        raise ValueError(f"The kind of device must be one of {', '.join(KINDS)}; got {kind!r}.")
    if chunks["ptch"].startswith(FROZEN_MARK):
        raise ValueError("The device is frozen; unfreeze it in Max to read its patcher.")
    return kind, json.loads(chunks["ptch"].rstrip(b"\0").decode())


def kind_number(kind):
    """The kind as the number that a patcher's ``project`` carries."""
    return struct.unpack(">I", kind.encode())[0]


def _chunk(tag, data):
    return tag.encode() + struct.pack("<I", len(data)) + data


def _chunks(data):
    at = 0
    while at < len(data):
        if len(data) < at + 8:
            raise ValueError(f"The file ends within the head of a chunk, at byte {at}.")
        tag = data[at : at + 4].decode("ascii", "replace")
        length = struct.unpack("<I", data[at + 4 : at + 8])[0]
        if len(data) < at + 8 + length:
            raise ValueError(
                f"The file ends within chunk {tag!r}: {length} bytes promised, {len(data) - at - 8} there."
            )
        yield tag, data[at + 8 : at + 8 + length]
        at += 8 + length
