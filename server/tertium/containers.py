"""What the headers of RIFF and AIFF files promise, read chunk by chunk, against what the file holds.

libsndfile clamps a chunk that is longer than its file without a word, so a truncated recording would pass for a short one.
Sources: Multimedia Programming Interface and Data Specifications 1.0 (RIFF), EBU Tech 3306 (RF64), AIFF 1.3.
"""

import os
import struct
from typing import BinaryIO

UNKNOWN = 0xFFFFFFFF  # what streaming writers and RF64 leave where a length should be
MOST_CHUNKS = 10_000


def missing_bytes(file: BinaryIO) -> int:
    """How many bytes of samples the header promises beyond the end of ``file``; 0 if none, or for other containers.

    The position of ``file`` is put back to its beginning.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(12)
    magic, form = head[:4], head[8:]
    try:
        if magic in (b"RIFF", b"RF64", b"BW64", b"RIFX") and form == b"WAVE":
            return _beyond(file, size, "<" if magic != b"RIFX" else ">", b"data")
        if magic == b"FORM" and form in (b"AIFF", b"AIFC"):
            return _beyond(file, size, ">", b"SSND")
        return 0
    finally:
        file.seek(0)


def _beyond(file: BinaryIO, size: int, order: str, wanted: bytes) -> int:
    true_length = None
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return 0
        name, length = head[:4], struct.unpack(order + "I", head[4:])[0]
        if name == b"ds64":
            body = file.read(16)
            true_length = struct.unpack("<Q", body[8:16])[0] if len(body) == 16 else None
            file.seek(-len(body), os.SEEK_CUR)
        if name == wanted:
            if length == UNKNOWN:
                return 0 if true_length is None else max(0, file.tell() + true_length - size)
            return max(0, file.tell() + length - size)
        file.seek(length + length % 2, os.SEEK_CUR)
    return 0
