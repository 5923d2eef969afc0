"""Structure of MP3 and OGG files: declared packet counts, and the boundaries of chained streams.

Sources: the Xing and VBRI headers as LAME and Fraunhofer's encoders write them, ID3v2.4 (section 3.1), RFC 3533 (section 6).
"""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

MOST_PAGES = 200_000
IDENTITY = 16
"""Leading bytes of a stream that are compared; in a Vorbis header they include channels and sample rate."""
FIRST_PAGE, LAST_PAGE = 2, 4


def after_tags(file: BinaryIO) -> int:
    """Return the offset of the first byte after leading ID3v2 tags; 0 without tags."""
    file.seek(0)
    head = file.read(10)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


@dataclass(frozen=True)
class Count:
    """The number of packets after the first one that an MP3 declares, and the offset of that declaration in the file."""

    packets: int
    at: int


def mp3_count(file: BinaryIO) -> Count | None:
    """Return the packet count declared in the first packet of an MP3 (Xing, Info or VBRI); None without one."""
    begin = after_tags(file)
    file.seek(begin)
    found = _counts(file.read(64))
    return Count(found[0], begin + found[1]) if found else None


def mp3_begins(packet: bytes) -> bool:
    """Return whether an MP3 packet declares a packet count, and is therefore the first of a file."""
    return _counts(packet[:64]) is not None


def _counts(packet: bytes) -> tuple[int, int] | None:
    for at in (4 + 9, 4 + 17, 4 + 32):  # the side information before it is longer for two channels and for MPEG-1
        if packet[at : at + 4] in (b"Xing", b"Info") and len(packet) >= at + 12:
            flags, count = struct.unpack(">II", packet[at + 4 : at + 12])
            return (count, at + 8) if flags & 1 else None
    if packet[36:40] == b"VBRI" and len(packet) >= 54:
        return struct.unpack(">I", packet[50:54])[0], 50
    return None


class Patched(io.RawIOBase):
    """A view of an open file in which a few bytes are replaced.

    Args:
        at: offset of the first of these bytes.
        patch: the bytes to be read there instead.
    """

    def __init__(self, file: BinaryIO, at: int, patch: bytes):
        self._file, self._patch_at, self._patch = file, at, patch

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer) -> int:
        begin, target = self._file.tell(), memoryview(buffer).cast("B")
        count = self._file.readinto(target)
        first, last = max(begin, self._patch_at), min(begin + count, self._patch_at + len(self._patch))
        if first < last:
            target[first - begin : last - begin] = self._patch[first - self._patch_at : last - self._patch_at]
        return count


def ogg_links(file: BinaryIO) -> list[bytes]:
    """Return the first ``IDENTITY`` bytes of each of the chained streams in an OGG."""
    links, begun, at = [], False, 0
    for _ in range(MOST_PAGES):
        file.seek(at)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            break
        segments = file.read(head[26])
        first = bool(head[5] & FIRST_PAGE)
        if first and not begun:  # the first pages of multiplexed streams are adjacent: count these once
            links.append(file.read(IDENTITY))
        begun = first
        at += 27 + len(segments) + sum(segments)
    return links


def ogg_ends_well(file: BinaryIO) -> bool:
    """Return whether the last page of an OGG is complete and marked as the last."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - (1 << 17)))
    tail = file.read()
    at = tail.rfind(b"OggS")
    page = tail[at:]
    if at < 0 or len(page) < 27 or len(page) < 27 + page[26]:
        return False
    return bool(page[5] & LAST_PAGE) and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
