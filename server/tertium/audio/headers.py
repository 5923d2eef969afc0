"""What the headers of RIFF, AIFF and CAF files say, read chunk by chunk, against what the file holds.

libsndfile clamps a chunk that is longer than its file without a word, so a truncated recording would pass for a short one; other headers
it refuses, or never comes back from. So the chunks of a WAV are found here, and libsndfile gets the two that it needs, in a header of
our own (:class:`Wav`).
Sources: Multimedia Programming Interface and Data Specifications 1.0 (RIFF), EBU Tech 3306 (RF64), AIFF 1.3, Apple Core Audio Format 1.0.
"""

import io
import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from tertium.audio import channels

STREAMED = 0x7FFFF000
"""The least of the lengths that writers leave in a header which they cannot go back to: 0x7FFFF000, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF."""
UNFINISHED = (0, 0xFFFFFFFF)
"""Lengths of a RIFF whose writer never came back to its header, besides that of the header alone."""
MOST_CHUNKS = 10_000
LARGEST_FORMAT = 4096
EXTENSIBLE = 0xFFFE
AMBISONIC = bytes.fromhex("2107d3118644c8c1ca000000")
"""The end of the GUIDs of B-format in a WAV, whose first four bytes say whether it is of whole numbers or floats."""
RIFF = (b"RIFF", b"RF64", b"BW64", b"RIFX")


@dataclass(frozen=True)
class Samples:
    """Where the samples of a file lie.

    Attributes:
        begin: their first byte.
        length: how many bytes the file holds of them.
        missing: how many more its header promises.
        streamed: whether the header does not tell their length.
    """

    begin: int
    length: int
    missing: int
    streamed: bool


def samples_of(file: BinaryIO) -> Samples | None:
    """Where the samples of an AIFF or a CAF lie, or None if ``file`` is neither or has none. The position of ``file`` is put back to its beginning."""
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
                if length < 0:  # not known when the header was written: up to the end of the file
                    return Samples(at, there, 0, True)
                return Samples(at, min(length, there), max(0, length - there), False)
            if not 0 <= length <= size - at:
                return None
            at += length
        return None
    finally:
        file.seek(0)


def wav(file: BinaryIO) -> "tuple[Wav, Samples] | None":
    """A WAV as a reader is to see it, and where its samples lie; None if ``file`` is no WAV, or one without format or samples."""
    head = _head(file)
    if head[:4] not in RIFF or head[8:] != b"WAVE":
        return None
    size, order = os.fstat(file.fileno()).st_size, ">" if head[:4] == b"RIFX" else "<"
    kept, true_length = {}, None
    try:
        for name, begin, length in _chunks(file, size, order):
            if name == b"ds64" and length >= 16:
                file.seek(begin)
                true_length = struct.unpack("<Q", file.read(16)[8:16])[0]
            elif name in (b"fmt ", b"fact") and name not in kept:
                file.seek(begin)
                kept[name] = file.read(min(length, LARGEST_FORMAT))
            elif name == b"data" and b"fmt " in kept:
                whole = struct.unpack(order + "I", head[4:8])[0]
                found = _samples(begin, length, size, whole, true_length)
                return Wav(file, kept, found, order), found
    except struct.error:  # a ds64 that ends early
        return None
    finally:
        file.seek(0)
    return None


def _samples(begin: int, length: int, size: int, whole: int, true_length: int | None) -> Samples:
    there = size - begin
    unfinished = whole in UNFINISHED or whole <= begin - 8  # as long as its header: nothing is counted that follows
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
    """Name, first byte and length of each chunk. Chunks of odd length are padded to an even one, but for those of some writers."""
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
            at += not _is_name(file.read(4))  # a pad byte is 0, and no name has that
        if at >= size:
            return


def _is_name(four: bytes) -> bool:
    return len(four) == 4 and all(32 <= byte < 127 for byte in four)


def _layout(form: bytes, order: str) -> str | None:
    """Which channel is which, by a WAVE_FORMAT_EXTENSIBLE; None for other formats."""
    if len(form) < 40 or struct.unpack(order + "H", form[:2])[0] != EXTENSIBLE:
        return None
    count, mask = struct.unpack(order + "H", form[2:4])[0], struct.unpack(order + "I", form[20:24])[0]
    if form[28:40] == AMBISONIC:
        return channels.B_FORMATS.get(count)
    return channels.of_mask(mask, count)


class Wav(io.RawIOBase):
    """A WAV file of a format and samples alone, for a reader that is given files: a header of our own, then the bytes of ``file``.

    Attributes:
        layout: see :class:`tertium.audio.signal.Audio`.
    """

    def __init__(self, file: BinaryIO, kept: dict[bytes, bytes], samples: Samples, order: str):
        chunks = b"".join(
            struct.pack(order + "4sI", name, len(kept[name])) + kept[name] + bytes(len(kept[name]) % 2)
            for name in (b"fmt ", b"fact")
            if name in kept and (name != b"fact" or not samples.streamed)
        )
        following = 4 + len(chunks) + 8 + samples.length
        large = following > 0xFFFFFFF0
        if large:
            ds64 = struct.pack("<4sIQQQI", b"ds64", 28, following + 36, samples.length, 0, 0)
            self._header = struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE") + ds64 + chunks
        else:
            magic = b"RIFF" if order == "<" else b"RIFX"
            self._header = struct.pack(order + "4sI4s", magic, following, b"WAVE") + chunks
        self._header += struct.pack(order + "4sI", b"data", 0xFFFFFFFF if large else samples.length)
        self.layout = _layout(kept[b"fmt "], order)
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
        room = memoryview(buffer).cast("B")
        header = self._header[self._at : self._at + len(room)]
        room[: len(header)] = header
        wanted = min(len(room), self._size - self._at) - len(header)
        count = len(header)
        if wanted > 0:
            self._file.seek(self._begin + self._at + len(header))
            count += self._file.readinto(room[len(header) : len(header) + wanted])
        self._at += count
        return count
