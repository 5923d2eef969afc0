"""Safetensors files of weights, checked without loading them: that they are complete, and that all values are finite."""

import json
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import safetensors

EXPONENTS = {
    "F64": (np.uint64, 0x7FF0_0000_0000_0000),
    "F32": (np.uint32, 0x7F80_0000),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
}
"""Unsigned type and mask of the exponent bits, by safetensors' name of a type. All of these bits are set in
infinities and NaN only (IEEE 754)."""
VALUES = 1 << 20  # that are checked at once
BLOCK = 1 << 20  # bytes that are copied at once


LONGEST_HEADER = 100_000_000
"""Bytes, the limit of the safetensors library."""


def metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file.

    Raises:
        OSError, SafetensorError: the file is not a valid safetensors file, or its header does not match its length.
    """
    with safetensors.safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


def begins_as_one(file: BinaryIO, size: int) -> bool:
    """Return whether a file of ``size`` bytes begins as a safetensors file does: 8 bytes of length, and a JSON object of that length. Leaves it at its beginning."""
    start = file.read(9)
    file.seek(0)
    return (
        len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") <= min(LONGEST_HEADER, size - 8)
    )


def copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    """Copy at most ``size`` bytes. Never holds more than a block of them."""
    while size > 0 and (block := source.read(min(BLOCK, size))):
        target.write(block)
        size -= len(block)


def copy_with_metadata(source: BinaryIO, target: BinaryIO, metadata: Mapping[str, str]) -> None:
    """Copy a safetensors file with other metadata: 8 bytes of length (little endian), that much JSON, the tensors. Never holds more than a block of it.

    Raises:
        OSError, ValueError: it could not be read or written, or has no header.
    """
    length = int.from_bytes(source.read(8), "little")
    header = json.loads(source.read(length)) | {"__metadata__": dict(metadata)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    target.write(len(text).to_bytes(8, "little") + text)
    shutil.copyfileobj(source, target, BLOCK)


def shapes(path: Path) -> dict[str, list[int]]:
    """Return the shapes of all tensors in a safetensors file, by name.

    Raises:
        OSError, SafetensorError: the file is not a valid safetensors file.
    """
    with safetensors.safe_open(path, framework="numpy") as file:
        return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 not a dictionary


def not_finite(path: Path) -> str | None:
    """Return the name of the first tensor in a valid safetensors file that holds an infinity or NaN.

    Returns None if all are finite.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for name, about in header.items():
        if name == "__metadata__" or about["dtype"] not in EXPONENTS:  # integers are always finite
            continue
        begin, end = about["data_offsets"]
        kind, exponent = EXPONENTS[about["dtype"]]
        little = np.dtype(kind).newbyteorder("<")
        if end > begin and _any_not_finite(path, exponent, little, 8 + length + begin, end - begin):
            return name
    return None


def _any_not_finite(path: Path, exponent: int, kind: np.dtype, offset: int, size: int) -> bool:
    """Return whether any of the values in ``size`` bytes at ``offset`` has all bits of the exponent set."""
    values = np.memmap(path, kind, "r", offset, shape=(size // kind.itemsize,))
    mask = kind.type(exponent)
    return any(bool(((values[at : at + VALUES] & mask) == mask).any()) for at in range(0, values.size, VALUES))


def checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """Return the CRC-32 of the arrays' bytes in the order of their names.

    Safetensors files do not protect their tensors themselves.
    """
    total = 0
    for name in sorted(arrays):
        total = zlib.crc32(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data, total)
    return total
