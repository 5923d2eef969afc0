"""Headers of RIFF, AIFF and CAF files, parsed chunk by chunk and compared with the actual size of the file.

libsndfile silently clamps a chunk that is longer than its file, so a truncated recording would pass for a short one; it
rejects other headers, or never returns from them. Therefore the chunks of a WAV are located here, and libsndfile gets the
necessary ones in a new header (:class:`Wav`).
Sources: Multimedia Programming Interface and Data Specifications 1.0 (RIFF), EBU Tech 3306 (RF64), AIFF 1.3, Apple Core Audio Format 1.0.
"""

import io
import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from tertium.audio import channels

STREAMED = 0x7FFFF000
"""The smallest of the lengths that writers leave in a header if they cannot seek back to it: 0x7FFFF000, 0x80000000,
0xFFFFFFDB, 0xFFFFFFFF."""
UNFINISHED = (0, 0xFFFFFFFF)
"""RIFF lengths left by writers that did not complete the header. The length of the header alone is another sign of it."""
MOST_CHUNKS = 10_000
LARGEST_FORMAT = 4096
EXTENSIBLE = 0xFFFE
AMBISONIC = bytes.fromhex("2107d3118644c8c1ca000000")
"""The end of the GUIDs of B-format in a WAV; their first four bytes distinguish integers from floats."""
RIFF = (b"RIFF", b"RF64", b"BW64", b"RIFX")


@dataclass(frozen=True)
class Samples:
    """The location of the samples in a file.

    Attributes:
        begin: offset of the first byte.
        length: bytes that the file holds.
        missing: further bytes that the header promises.
        streamed: whether the header lacks their length.
    """

    begin: int
    length: int
    missing: int
    streamed: bool


def samples_of(file: BinaryIO) -> Samples | None:
    """Return the location of the samples of an AIFF or CAF file; None for other files, or if it has none.

    Rewinds ``file``.
    """
    head, size = _head(file), os.fstat(file.fileno()).st_size
    if head[:4] == b"caff":
        return _samples_of_caf(file, size)
    if head[:4] != b"FORM" or head[8:] not in (b"AIFF", b"AIFC"):
        return None
    try:
        for name, begin, length in _chunks(file, size, ">"):
            if name == b"SSND":
                return Samples(begin, min(length, size - begin), max(0, begin + length - size), False)
        return None
    finally:
        file.seek(0)


def _samples_of_caf(file: BinaryIO, size: int) -> Samples | None:
    at = 8
    try:
        for _ in range(MOST_CHUNKS):
            file.seek(at)
            head = file.read(12)
            if len(head) < 12:
                return None
            name, length = struct.unpack(">4sq", head)
            at += 12
            if name == b"data":
                there = size - at
                if length < 0:  # the writer did not know the length: the samples extend to the end of the file
                    return Samples(at, there, 0, True)
                return Samples(at, min(length, there), max(0, length - there), False)
            if not 0 <= length <= size - at:
                return None
            at += length
        return None
    finally:
        file.seek(0)


def wav(file: BinaryIO) -> "tuple[Wav, Samples] | None":
    """Return a WAV with a new header and the location of its samples; None if ``file`` is not a WAV, or has no format
    or samples. Rewinds ``file``.
    """
    head = _head(file)
    if head[:4] not in RIFF or head[8:] != b"WAVE":
        return None
    size, order = os.fstat(file.fileno()).st_size, ">" if head[:4] == b"RIFX" else "<"
    found, true_length = {}, None
    try:
        for name, begin, length in _chunks(file, size, order):
            if name == b"ds64" and length >= 16:
                file.seek(begin)
                true_length = struct.unpack("<Q", file.read(16)[8:16])[0]
            elif name in (b"fmt ", b"fact") and name not in found:
                file.seek(begin)
                found[name] = file.read(min(length, LARGEST_FORMAT))
            elif name == b"data" and b"fmt " in found:
                whole = struct.unpack(order + "I", head[4:8])[0]
                samples = _samples(begin, length, size, whole, true_length)
                return Wav(file, found, samples, order), samples
    except struct.error:  # a ds64 that ends early
        return None
    finally:
        file.seek(0)
    return None


def _samples(begin: int, length: int, size: int, whole: int, true_length: int | None) -> Samples:
    """Return the location of the samples in a WAV's data chunk.

    Args:
        begin: offset of the chunk's content.
        length: of the chunk, as its header says.
        size: of the file in bytes.
        whole: length of the RIFF, as its header says.
        true_length: of the samples by the ds64 chunk, if there is one.
    """
    there = size - begin
    unfinished = whole in UNFINISHED or whole <= begin - 8  # the length of the header alone: written before the samples
    if length == 0xFFFFFFFF and true_length is not None:
        return Samples(begin, min(true_length, there), max(0, true_length - there), False)
    if (length >= STREAMED and length > there) or (length == 0 and unfinished and there > 0):
        return Samples(begin, there, 0, True)
    return Samples(begin, min(length, there), max(0, length - there), False)


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    return head


def _chunks(file: BinaryIO, size: int, order: str):
    """Yield name, offset of the content and length of each chunk.

    Chunks of odd length are padded to an even one, except by some writers.
    """
    at = 12
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = head[:4], struct.unpack(order + "I", head[4:])[0]
        yield name, at + 8, length
        at += 8 + length
        if length % 2:
            file.seek(at)
            at += not _is_name(file.read(4))  # a pad byte is 0, which no name contains
        if at >= size:
            return


def _is_name(four: bytes) -> bool:
    return len(four) == 4 and all(32 <= byte < 127 for byte in four)


def _layout(form: bytes, order: str) -> str | None:
    """Return the channel layout in a WAVE_FORMAT_EXTENSIBLE chunk; None for other formats."""
    if len(form) < 40 or struct.unpack(order + "H", form[:2])[0] != EXTENSIBLE:
        return None
    count, mask = struct.unpack(order + "H", form[2:4])[0], struct.unpack(order + "I", form[20:24])[0]
    if form[28:40] == AMBISONIC:
        return channels.B_FORMATS.get(count)
    return channels.of_mask(mask, count)


class Wav(io.RawIOBase):
    """A readable file object that presents a WAV with only its format and samples: a new header, then the samples in
    ``file``.

    Args:
        chunks: contents of the chunks ``fmt `` and, if there is one, ``fact``, by name.
        order: ``<`` or ``>``, the byte order.

    Attributes:
        layout: see :class:`tertium.audio.signal.Audio`.
    """

    def __init__(self, file: BinaryIO, chunks: dict[bytes, bytes], samples: Samples, order: str):
        self._header = _header(chunks, samples, order)
        self.layout = _layout(chunks[b"fmt "], order)
        self._file, self._begin = file, samples.begin - len(self._header)
        self._size, self._at = len(self._header) + samples.length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer) -> int:
        target = memoryview(buffer).cast("B")
        header = self._header[self._at : self._at + len(target)]
        target[: len(header)] = header
        wanted = min(len(target), self._size - self._at) - len(header)
        count = len(header)
        if wanted > 0:
            self._file.seek(self._begin + self._at + len(header))
            count += self._file.readinto(target[len(header) : len(header) + wanted])
        self._at += count
        return count


def _header(chunks: dict[bytes, bytes], samples: Samples, order: str) -> bytes:
    """Return a WAV header with the given chunks: RIFF or RIFX, or RF64 if the samples are too long for these."""
    encoded = b"".join(
        struct.pack(order + "4sI", name, len(chunks[name])) + chunks[name] + bytes(len(chunks[name]) % 2)
        for name in (b"fmt ", b"fact")
        if name in chunks and (name != b"fact" or not samples.streamed)
    )
    following = 4 + len(encoded) + 8 + samples.length
    large = following > 0xFFFFFFF0
    if large:
        ds64 = struct.pack("<4sIQQQI", b"ds64", 28, following + 36, samples.length, 0, 0)
        start = struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE") + ds64
    else:
        start = struct.pack(order + "4sI4s", b"RIFF" if order == "<" else b"RIFX", following, b"WAVE")
    return start + encoded + struct.pack(order + "4sI", b"data", 0xFFFFFFFF if large else samples.length)
