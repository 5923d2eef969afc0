"""Safetensors files of weights, looked at without loading them: whether they are whole, and hold numbers."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors

EXPONENTS = {
    "F64": (np.uint64, 0x7FF0_0000_0000_0000),
    "F32": (np.uint32, 0x7F80_0000),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
}
"""Unsigned type and bits of the exponent, by safetensors' name of a type. They are all set in infinities and in what is no number, and in nothing else (IEEE 754)."""
AT_A_TIME = 1 << 22  # numbers that are looked at together


def metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file whose header fits its length.

    Raises:
        OSError, SafetensorError: it is none.
    """
    with safetensors.safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


def with_metadata(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """The content of a safetensors file with other metadata: 8 bytes of length (little endian), that much JSON, the tensors."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length]) | {"__metadata__": dict(metadata)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def shapes(path: Path) -> dict[str, list[int]]:
    """Name to shape of every tensor of a safetensors file.

    Raises:
        OSError, SafetensorError: it is none.
    """
    with safetensors.safe_open(path, framework="numpy") as file:
        return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 it is no dictionary


def not_finite(path: Path) -> str | None:
    """The first tensor of a whole safetensors file that holds an infinity, or what is no number; None where all are finite."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for name, about in header.items():
        if name == "__metadata__" or about["dtype"] not in EXPONENTS:  # whole numbers are always finite
            continue
        begin, end = about["data_offsets"]
        kind, exponent = EXPONENTS[about["dtype"]]
        if end > begin and _holds(path, exponent, np.dtype(kind).newbyteorder("<"), 8 + length + begin, end - begin):
            return name
    return None


def _holds(path: Path, exponent: int, kind: np.dtype, offset: int, size: int) -> bool:
    """Whether any of the numbers in so many bytes has all bits of the exponent set."""
    numbers = np.memmap(path, kind, "r", offset, shape=(size // kind.itemsize,))
    mask = kind.type(exponent)
    return any(bool(((numbers[at : at + AT_A_TIME] & mask) == mask).any()) for at in range(0, numbers.size, AT_A_TIME))


def checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """CRC-32 of all bytes, by name: a safetensors file vouches for its header alone."""
    total = 0
    for name in sorted(arrays):
        total = zlib.crc32(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data, total)
    return total
