"""Two decoders of sound files with one interface: libsndfile for the formats that it reads reliably, FFmpeg for the rest.

libsndfile counts frames exactly and seeks to the frame if the file declares its length. It trusts the declared lengths of
MP3 and OGG files, which are often wrong, and does not decode AAC. FFmpeg (through PyAV) decodes a stream packet by packet
to its end, whatever its header says. The container is identified here by the file's first bytes and passed to FFmpeg, which
reads from the open file alone; its playlist formats, which refer to other files and addresses, are never tried.
"""

import contextlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from tertium.audio import headers, streams
from tertium.audio.headers import Samples

READ_WELL = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC"}
"""Formats that are read with libsndfile."""
NO_LENGTH = 2**62  # libsndfile reports at least this many frames for a stream without a declared length
STREAMED = "its header does not say how long it is: read to its end"
MISCOUNTED = "its header counts {count} packets and it holds {there}: read to its end"
JOINED = "several recordings follow one another in it: read one after the other"
GAPS = "{count} of its packets could not be decoded and are left out"
CUT = "it ends in the middle of its stream: read as far as it goes"
LINKS = "it goes on at another sample rate or with other channels, which is left out"
FRAMES_AT_A_TIME = 1 << 18
LEFT = "left to the next reader"


class Unreadable(Exception):
    """A reader does not support the file, or the file's content is damaged."""

    def explains(self) -> bool:
        """Return whether the message explains the failure to the user, rather than only leaving the file to the next
        reader.
        """
        return str(self) != LEFT


class Sndfile:
    """A file that is read with libsndfile.

    Attributes:
        format: the container, in libsndfile's terms.
        channels, sample_rate: as stored; the rate in Hz.
        frames: their number.
        samples: location of the samples in the file, if the header was parsed here.
        layout: names of the channels joined by ``+``; None if the file does not declare them.
        notes: assumptions that were made.
    """

    def __init__(self, file: BinaryIO):
        source, self.samples = _source(file)
        self.layout = source.layout if isinstance(source, headers.Wav) else None
        try:
            self._sound = soundfile.SoundFile(source)
        except (soundfile.LibsndfileError, OSError, ValueError, TypeError) as error:
            raise Unreadable(_reason(error)) from error
        self.format, self.channels = self._sound.format, self._sound.channels
        self.sample_rate, self.frames = self._sound.samplerate, self._sound.frames
        self.notes: list[str] = [STREAMED] if self.samples is not None and self.samples.streamed else []
        if self.format not in READ_WELL or not 0 <= self.frames < NO_LENGTH:
            raise Unreadable(LEFT)

    def read(self, first: int, count: int) -> np.ndarray:
        """Read ``count`` frames from ``first`` on, fewer at the end of the file: float32, (channels, frames).

        Raises Unreadable.
        """
        try:
            if self._sound.seekable():
                self._sound.seek(first)
            else:  # some codecs can only be decoded from the beginning
                for at in range(0, first, FRAMES_AT_A_TIME):
                    self._sound.read(min(FRAMES_AT_A_TIME, first - at), dtype="float32")
            return np.ascontiguousarray(self._sound.read(count, dtype="float32", always_2d=True).T)
        except (soundfile.LibsndfileError, OSError, ValueError) as error:
            raise Unreadable(_reason(error)) from error


class Ffmpeg:
    """A file that is read with FFmpeg.

    Attributes as of :class:`Sndfile`, but ``frames`` is None until the end has been decoded.
    """

    frames: int | None = None

    def __init__(self, file: BinaryIO):
        import av  # here, because importing it takes some 50 ms and most files do not need it

        self._av = av
        form = container_of(file)
        if form is None:
            raise Unreadable("its format is not known here")
        self._cut = form == "ogg" and not streams.ogg_ends_well(file)
        self._links = streams.ogg_links(file) if form == "ogg" else []
        count = streams.mp3_count(file) if form == "mp3" else None
        source, self.samples = _source(file)
        self._open(source, form)  # from here on FFmpeg owns the position of the file
        miscounted = self._judge_count(file, count) if count else []
        codec = self._stream.codec_context
        if codec is None:
            raise Unreadable("its codec is not known here")
        self.format = form.upper()
        self.channels, self.sample_rate = codec.channels, codec.sample_rate
        names = [channel.name for channel in codec.layout.channels]
        self.layout = "+".join(names) if names and "NONE" not in names else None
        self.promised = self._promised()
        streamed = self.samples is not None and self.samples.streamed
        self.notes = [STREAMED] if streamed or (form == "flac" and not self.promised) else miscounted
        if not (self.channels and self.sample_rate):
            raise Unreadable("it does not say what is in it")

    def _open(self, file: BinaryIO, form: str) -> None:
        file.seek(0)
        try:
            self._container = self._av.open(file, format=form, metadata_errors="replace")
            self._stream = self._container.streams.audio[0]
        except (self._av.FFmpegError, IndexError, OSError, ValueError) as error:
            raise Unreadable("it holds no audio stream" if isinstance(error, IndexError) else _reason(error)) from error

    def _judge_count(self, file: BinaryIO, count: streams.Count) -> list[str]:
        """Compare a declared number of packets with the actual one, reopen the file, and return a note if they differ.

        FFmpeg removes the encoder's padding where it expects the end, which is in the middle if the count is too low. In that
        case the file is reopened with the count blanked, so that FFmpeg removes nothing.
        """
        there, joined = 0, False
        with contextlib.suppress(self._av.FFmpegError, OSError, ValueError):
            for packet in self._container.demux(self._stream):
                joined = joined or (there == count.packets and packet.size > 0 and streams.mp3_begins(bytes(packet)))
                there += packet.size > 0  # the last packet is empty: it flushes the decoder
        right = there == count.packets
        self._open(file if right or joined else streams.Patched(file, count.at, bytes(4)), "mp3")
        if joined:
            return [JOINED]
        return [] if right else [MISCOUNTED.format(count=count.packets, there=there)]

    def _promised(self) -> int | None:
        """Return the number of frames that the header promises.

        Returns None for containers whose length FFmpeg only guesses from the bit rate.
        """
        if self.format not in ("FLAC", "MOV") or not self._stream.duration:
            return None
        return round(self._stream.duration * self._stream.time_base * self.sample_rate)

    def read(self, first: int, count: int) -> np.ndarray:
        """Read ``count`` frames from ``first`` on, fewer at the end of the file: float32, (channels, frames).

        Sets ``frames`` if the end was reached. Raises Unreadable.
        """
        parts, seen = [], 0
        for block in self._blocks():
            if seen + block.shape[1] > first:  # an empty slice would hold the whole block in memory
                parts.append(block[:, max(0, first - seen) : first + count - seen])
            seen += block.shape[1]
            if seen >= first + count:
                break
        else:
            self.frames = seen
            self.notes += self._end_notes()
        if not seen:
            raise Unreadable("nothing in it can be decoded")
        return np.ascontiguousarray(np.concatenate(parts or [np.empty((self.channels, 0), np.float32)], axis=1))

    def _end_notes(self) -> list[str]:
        """Return notes on the end of the stream, once it has been reached."""
        notes = [CUT] if self._cut else []
        if len(self._links) > 1:
            notes.append(JOINED if len(set(self._links)) == 1 else LINKS)
        return [note for note in notes if note not in self.notes]

    def _blocks(self) -> Iterator[np.ndarray]:
        """Yield the decoded packets, float32 of shape (channels, frames).

        Damaged packets are skipped and counted in a note.
        """
        resampler = self._av.AudioResampler(format="fltp")
        broken = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                decoded = packet.decode()
            except StopIteration:
                break
            except (self._av.FFmpegError, OSError, ValueError):
                broken += 1
                if broken > 10_000:
                    break
                continue
            for frame in decoded:
                if (frame.sample_rate, len(frame.layout.channels)) != (self.sample_rate, self.channels):
                    self.notes.append(LINKS)
                    return
                for whole in resampler.resample(frame):
                    yield whole.to_ndarray().astype(np.float32, copy=False)
        if broken:
            self.notes.append(GAPS.format(count=broken))


Sound = Sndfile | Ffmpeg
READERS = (Sndfile, Ffmpeg)
"""In the order in which they are tried; each may raise Unreadable from its constructor and from ``read``."""


def container_of(file: BinaryIO) -> str | None:
    """Return FFmpeg's name of a file's container, identified by its first bytes; None for an unknown one."""
    tags = streams.after_tags(file)
    if tags:
        file.seek(tags)
        return "flac" if file.read(4) == b"fLaC" else "mp3"
    file.seek(0)
    head = file.read(16)
    if head[:4] in headers.RIFF and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] == b"ftyp":
        return "mov"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "mp3"
    known = {
        b"fLaC": "flac",
        b"OggS": "ogg",
        b"caff": "caf",
        b".snd": "au",
        b"riff": "w64",
        b"wvpk": "wv",
        b"\x1a\x45\xdf\xa3": "matroska",
    }
    return known.get(head[:4])


def _source(file: BinaryIO) -> tuple[BinaryIO, Samples | None]:
    """Return the file object to give to a decoder, and the location of the samples if the header was parsed here."""
    return headers.wav(file) or (file, headers.samples_of(file))


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", "") or getattr(error, "strerror", "") or error).rstrip(".")
