"""Sound files: validated when they are read, written atomically."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from tertium import safe_files
from tertium.audio import decoders
from tertium.audio.signal import MAX_SECONDS, MIN_SECONDS, Audio
from tertium.errors import SoundError

FORMATS = {"wav": ("WAV", "FLOAT"), "flac": ("FLAC", "PCM_24")}
RATES = (1_000, 768_000)
MAX_CHANNELS = 64
FLAC_CHANNELS = 8
FLAC_BITS = (16, 24)
BLOCK = 2**16  # frames
MOST_SAMPLES = 2**28  # of all channels together: a gigabyte once read
MOST_MISSING = 0.1  # share of the length that a header promises; a file that lacks more is refused as truncated
SILENCE = 1e-5  # a peak of -100 dBFS
END_SLACK = 0.01  # seconds by which a part may end beyond its file: hosts count in beats and round
LOUDEST = 1e6  # a peak of +120 dBFS; squares and sums of larger values could overflow


@dataclass(frozen=True)
class Span:
    """A part of a sound, in seconds from its beginning; None as ``end`` is the end of the sound."""

    start: float = 0.0
    end: float | None = None

    def frames(self, there: int, sample_rate: int, name: str) -> tuple[int, int]:
        """Return the first frame and the number of frames of the part, in a sound of ``there`` frames.

        Args:
            name: of the sound, for error messages.

        Raises:
            SoundError: ``out_of_range``, naming ``start`` or ``end``: it lies beyond the sound's end.
        """
        seconds, slack = there / sample_rate, END_SLACK
        for field, value, limit in (("start", self.start, seconds), ("end", self.end, seconds + slack)):
            if value is not None and value > limit:
                raise SoundError(
                    "out_of_range", f"{field} is {value:g} s, but {name} lasts {seconds:.3f} s.", field=field, value=value,
                    remedy=f"Give a number of seconds from 0 to {math.floor(seconds * 1000) / 1000:g}.",
                )  # fmt: skip
        first = round(self.start * sample_rate)
        last = there if self.end is None else min(there, round(self.end * sample_rate))
        return first, max(0, last - first)


WHOLE = Span()


def read(path: str | Path, *, max_seconds: float = MAX_SECONDS, field: str = "path", span: Span = WHOLE) -> Audio:
    """Read a sound file, or a part of one, of ``MIN_SECONDS`` … ``max_seconds``. The length in the header is checked
    before reading.

    Raises:
        SoundError: ``unknown_sound`` (no such file); ``path_refused`` (not a regular file); ``bad_sound``: empty, truncated,
            not audio, silent, with samples that are not finite, too short or too long; ``out_of_range``: see :class:`Span`.
            The error names ``field``.
    """
    audio = load(path, max_seconds=max_seconds, field=field, span=span)
    check(audio, max_seconds=max_seconds, field=field, value=str(path))
    return audio


def load(path: str | Path, *, max_seconds: float = MAX_SECONDS, field: str = "path", span: Span = WHOLE) -> Audio:
    """Read a sound file as :func:`read` does, without checking the samples: they may be silent or not finite."""
    with safe_files.open_regular(path, field=field) as file:
        return decoded(file, value=str(path), max_seconds=max_seconds, field=field, span=span)


def decoded(
    file: BinaryIO, *, value: str, max_seconds: float = MAX_SECONDS, field: str = "path", span: Span = WHOLE
) -> Audio:
    """Read an open regular file as :func:`load` does. Error messages call it ``value``."""
    reasons = []
    for reader in decoders.READERS:
        try:
            return _decode(reader(file), value, max_seconds, field, span)
        except decoders.Unreadable as error:
            reasons.append(error)
    reason = next(filter(decoders.Unreadable.explains, reasons), reasons[-1])
    raise _unreadable(file, value, field, reason) from reasons[0]


def _decode(sound: decoders.Sound, value: str, max_seconds: float, field: str, span: Span) -> Audio:
    first, promised = _judge_header(sound, value, max_seconds, field, span)
    known, samples = sound.frames is not None, sound.read(first, promised)
    if not known:
        promised = _judge_decoded(sound, promised, value, max_seconds, field, span)
    notes = [*sound.notes, *_missing(promised - samples.shape[1], promised, "frames", value, field)]
    return Audio(samples, sound.sample_rate, tuple(f"'{Path(value).name}': {note}" for note in notes), sound.layout)


def _judge_decoded(sound: decoders.Sound, wanted: int, value: str, max_seconds: float, field: str, span: Span) -> int:
    """Return the number of frames that should have been read, for a file whose length was unknown before decoding."""
    if sound.frames is None:  # the end was not reached
        if span.end is None:
            _judge_length(f"The file '{value}'", wanted, sound.sample_rate, max_seconds, value, field, at_least=True)
        return wanted
    _, there = _judge_frames(sound.frames, sound, value, max_seconds, field, span)
    return max(there, sound.promised or 0) if span == WHOLE else there


def check(audio: Audio, *, max_seconds: float = MAX_SECONDS, field: str = "samples", value: object = None) -> None:
    """Refuse unusable samples.

    Raises:
        SoundError: ``bad_sound``: too short, too long, silent, too loud, not finite, or a sample rate or number of channels
            out of range.
    """
    name = f"The sound '{value}'" if value else "The sound"
    _judge_shape(name, audio.channels, audio.sample_rate, value, field)
    _judge_length(name, audio.frames, audio.sample_rate, max_seconds, value, field)
    wrong = ~np.isfinite(audio.samples).all(axis=0)
    if wrong.any():
        raise _bad(
            f"{name} holds values that are not finite (NaN or infinity), the first at frame {int(wrong.argmax())}.",
            value, field, "Export it again from the program that made it.",
        )  # fmt: skip
    peak = float(np.abs(audio.samples).max())
    if peak < SILENCE:
        raise _bad(f"{name} is silent.", value, field, "Give a sound whose peak is above -100 dBFS.")
    if peak > LOUDEST:
        raise _bad(
            f"{name} peaks at {20 * math.log10(peak):+.0f} dBFS: its values are not audio samples.", value, field,
            "Export it again, with samples between -1 and 1.",
        )  # fmt: skip


def _missing(missing: int, promised: int, what: str, value: str, field: str) -> list[str]:
    """Return a note if ``missing`` of the ``promised`` bytes or frames are absent.

    Raises SoundError if it is more than a tenth.
    """
    if missing > promised * MOST_MISSING:
        raise _bad(
            f"The file '{value}' is truncated: its header promises {missing} {what} more than it holds.",
            value, field, "Copy or export it again.",
        )  # fmt: skip
    return [f"its header promises {missing} {what} more than it holds"] if missing > 0 else []


def _judge_header(sound: decoders.Sound, value: str, max_seconds: float, field: str, span: Span) -> tuple[int, int]:
    """Return the first frame of the part and the number of frames to read: its length or, if that is unknown yet, the
    most allowed.
    """
    location = sound.samples
    if location is not None:
        sound.notes += _missing(location.missing, location.length + location.missing, "bytes", value, field)
    _judge_shape(f"The file '{value}'", sound.channels, sound.sample_rate, value, field)
    if sound.frames is not None:
        return _judge_frames(sound.frames, sound, value, max_seconds, field, span)
    first = round(span.start * sound.sample_rate)
    allowed = MOST_SAMPLES // sound.channels
    if span.end is not None:
        allowed = min(allowed, max(0, round(span.end * sound.sample_rate) - first))
    elif max_seconds < math.inf:
        allowed = min(allowed, round(max_seconds * sound.sample_rate) + 1)
    return first, allowed


def _judge_frames(
    there: int, sound: decoders.Sound, value: str, max_seconds: float, field: str, span: Span
) -> tuple[int, int]:
    """Return the first frame of the part and its number of frames, for a file of ``there`` frames."""
    name = f"The file '{value}'"
    first, frames = span.frames(there, sound.sample_rate, f"the file '{value}'")
    part = name if span == WHOLE else f"The part of the file '{value}'"
    _judge_length(part, frames, sound.sample_rate, max_seconds, value, field)
    if frames * sound.channels > MOST_SAMPLES:
        millions = frames * sound.channels / 1e6
        raise _bad(
            f"{name} holds {millions:.0f} million samples, which is too many.", value, field,
            "Give it fewer channels or a lower sample rate, or cut it.",
        )  # fmt: skip
    return first, frames


def _judge_shape(name: str, channels: int, sample_rate: int, value: object, field: str) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise _bad(f"{name} has {channels} channels.", value, field, f"Give one with 1 to {MAX_CHANNELS} channels.")
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise _bad(
            f"{name} has a sample rate of {sample_rate} Hz.", value, field,
            f"Give one with {RATES[0]} to {RATES[1]} Hz.",
        )  # fmt: skip


def _judge_length(
    name: str,
    frames: int,
    sample_rate: int,
    max_seconds: float,
    value: object,
    field: str,
    *,
    at_least: bool = False,
) -> None:
    seconds = frames / sample_rate
    if frames == 0:
        raise _bad(f"{name} holds no samples.", value, field, "Record or export it again.")
    if seconds < MIN_SECONDS:
        raise _bad(
            f"{name} lasts {seconds:.3g} s, which is too short.", value, field, f"Give at least {MIN_SECONDS:g} s."
        )
    if seconds > max_seconds:
        raise _bad(
            f"{name} lasts {'more than ' if at_least else ''}{seconds:.1f} s, which is too long.", value, field,
            f"Cut it to at most {max_seconds:g} s.",
        )  # fmt: skip


def _unreadable(file, value: str, field: str, error: Exception) -> SoundError:
    if not file.closed and file.seek(0, 2) == 0:
        return _bad(f"The file '{value}' is empty.", value, field, "Record or export it again.")
    return _bad(
        f"The file '{value}' cannot be read as a sound ({error}).", value, field,
        "Give a WAV, FLAC, AIFF, OGG, MP3 or M4A file that other programs can play.",
    )  # fmt: skip


def _bad(message: str, value: object, field: str, remedy: str) -> SoundError:
    return SoundError("bad_sound", message, field=field, value=value, remedy=remedy)


def stored(samples: np.ndarray, *, format: str) -> np.ndarray:
    """Return the samples (channels, frames) that a written file will hold: unchanged for wav, rounded to 24 bits for
    flac.
    """
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if format == "wav":
        return samples
    steps = np.clip(np.rint(samples.astype(np.float64) * 2**23), -(2**23), 2**23 - 1)
    return (steps / 2**23).astype(np.float32)


def write(path: str | Path, samples: np.ndarray, sample_rate: int, *, format: str) -> None:
    """Write samples (channels, frames) atomically as a new ``"wav"`` (32-bit float) or ``"flac"`` (24 bits) file.

    Raises:
        FileExistsError: ``path`` exists; nothing is overwritten.
        SoundError: ``disk_full``, ``path_refused``, or ``bad_sound`` for what the format cannot hold.
    """
    safe_files.write_whole(Path(path), encode(samples, sample_rate, format=format))


def encode_exactly(samples: np.ndarray, sample_rate: int) -> tuple[str, bytes]:
    """Encode samples (channels, frames) without any loss. Return the format and the content of the file: "flac" if all samples are whole numbers of 16
    or 24 bits and the format takes their channels and rate, else "wav".
    """
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    bits = (
        next((bits for bits in FLAC_BITS if _is_whole(samples, bits)), None)
        if _fits_flac(samples, sample_rate)
        else None
    )
    if bits is None:
        return "wav", encode(samples, sample_rate, format="wav")
    memory = io.BytesIO()
    with soundfile.SoundFile(memory, "w", sample_rate, samples.shape[0], f"PCM_{bits}", format="FLAC") as file:
        for first in range(0, samples.shape[1], BLOCK):
            # As integers, which are written as they are: libsndfile puts the upper bits of 32 into the file.
            whole = np.ldexp(samples[:, first : first + BLOCK], bits - 1).astype(np.int32)
            file.write((whole << (32 - bits)).T)
    return "flac", memory.getvalue()


def _fits_flac(samples: np.ndarray, sample_rate: int) -> bool:
    channels, plain = samples.shape[0], sample_rate < 2**16 or (sample_rate % 10 == 0 and sample_rate < 10 * 2**16)
    return channels <= FLAC_CHANNELS and plain


def _is_whole(samples: np.ndarray, bits: int) -> bool:
    """Return whether all samples are whole numbers of so many bits."""
    for first in range(0, samples.shape[1], BLOCK):
        scaled = np.ldexp(samples[:, first : first + BLOCK], bits - 1)  # exact: only the exponent changes
        if (
            not np.array_equal(scaled, np.rint(scaled))
            or scaled.max() >= 2 ** (bits - 1)
            or scaled.min() < -(2 ** (bits - 1))
        ):
            return False
    return True


def encode(samples: np.ndarray, sample_rate: int, *, format: str) -> bytes:
    """Encode samples (channels, frames) as the content of a ``"wav"`` (32-bit float) or ``"flac"`` (24 bits) file.

    Raises:
        SoundError: ``bad_sound`` for more channels than the format holds.
    """
    container, subtype = FORMATS[format]
    samples = stored(samples, format=format)
    if format == "flac" and samples.shape[0] > FLAC_CHANNELS:
        raise _bad(f"{samples.shape[0]} channels do not fit into flac.", format, "format", "Use wav.")
    # Into memory first: libsndfile does not report errors of the file that it writes to.
    memory = io.BytesIO()
    soundfile.write(memory, samples.T, sample_rate, format=container, subtype=subtype)
    return memory.getvalue()
