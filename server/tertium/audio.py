"""Sound files read with suspicion, brought to a model's rate and channels, made safe for ears, and written whole."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from tertium import containers, files
from tertium.errors import SoundError

CONTAINERS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"}
FORMATS = {"wav": ("WAV", "FLOAT"), "flac": ("FLAC", "PCM_24")}
MIN_SECONDS = 0.5
MAX_SECONDS = 600.0
RATES = (4_000, 768_000)
MAX_CHANNELS = 64
FLAC_CHANNELS = 8
MOST_SAMPLES = 2**28  # of all channels together: a gigabyte once read
NO_LENGTH = 2**62  # what libsndfile says of a stream that does not tell its length
SILENCE = 1e-5  # a peak of -100 dBFS
END_SLACK = 0.01  # seconds by which a part may end beyond its file: hosts count in beats and round
LOUDEST = 1e6  # a peak of +120 dBFS; the squares and sums of what is louder overflow
OVERSAMPLING = 4


@dataclass(frozen=True)
class Audio:
    """Samples as they were read or made: float32 of shape (channels, frames), full scale ±1, at ``sample_rate`` Hz."""

    samples: np.ndarray
    sample_rate: int
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        return self.samples.shape[0]

    @property
    def frames(self) -> int:
        return self.samples.shape[1]

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


@dataclass(frozen=True)
class Span:
    """A part of a sound, in seconds from its beginning; without an ``end``, up to where it ends."""

    start: float = 0.0
    end: float | None = None

    def frames(self, there: int, sample_rate: int, name: str) -> tuple[int, int]:
        """The first frame and the number of frames, of a sound that has ``there``.

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


def read(
    path: str | Path,
    *,
    max_seconds: float = MAX_SECONDS,
    field: str = "path",
    span: Span = WHOLE,
    file: BinaryIO | None = None,
) -> Audio:
    """Read a sound file, or a part of one, of ``MIN_SECONDS`` … ``max_seconds``; its length is judged by its header before it is read.

    Args:
        file: the file at ``path``, open already; it is closed.

    Raises:
        SoundError: ``unknown_sound`` (no such file), ``path_refused`` (no regular file), or ``bad_sound``: empty, truncated, not
            audio, silent, with samples that are not numbers, too short or too long. ``field`` is named in the error. ``out_of_range``: see :class:`Span`.
    """
    audio = load(path, max_seconds=max_seconds, field=field, span=span, file=file)
    check(audio, max_seconds=max_seconds, field=field, value=str(path))
    return audio


def load(
    path: str | Path,
    *,
    max_seconds: float = MAX_SECONDS,
    field: str = "path",
    span: Span = WHOLE,
    file: BinaryIO | None = None,
) -> Audio:
    """As ``read``, but the samples may be anything: silent, or not numbers."""
    value = str(path)
    with file or files.open_regular(path, field=field) as file:
        try:
            _judge_promise(containers.missing_bytes(file), "bytes", value, field)
            with soundfile.SoundFile(file) as sound:
                first, promised = _judge_header(sound, value, max_seconds, field, span)
                sound.seek(first)
                samples = sound.read(promised, dtype="float32", always_2d=True).T
                audio = Audio(np.ascontiguousarray(samples), sound.samplerate)
        except (soundfile.LibsndfileError, OSError, ValueError) as error:
            raise _unreadable(file, value, field, error) from error
    _judge_promise(promised - audio.frames, "frames", value, field)
    return audio


def check(audio: Audio, *, max_seconds: float = MAX_SECONDS, field: str = "samples", value: object = None) -> None:
    """Refuse samples that nothing can be made of.

    Raises:
        SoundError: ``bad_sound``: too short, too long, silent, impossibly loud, not numbers, or an impossible rate or number of channels.
    """
    name = f"The sound '{value}'" if value else "The sound"
    _judge_shape(name, audio.channels, audio.sample_rate, value, field)
    _judge_length(name, audio.frames, audio.sample_rate, max_seconds, value, field)
    wrong = ~np.isfinite(audio.samples).all(axis=0)
    if wrong.any():
        raise _bad(
            f"{name} holds values that are not numbers (NaN or infinity), the first at frame {int(wrong.argmax())}.",
            value, field, "Export it again from the program that made it.",
        )  # fmt: skip
    peak = float(np.abs(audio.samples).max())
    if peak < SILENCE:
        raise _bad(f"{name} is silent.", value, field, "Give a sound whose peak is above -100 dBFS.")
    if peak > LOUDEST:
        raise _bad(
            f"{name} peaks at {20 * math.log10(peak):+.0f} dBFS: its numbers are no samples.", value, field,
            "Export it again, with samples between -1 and 1.",
        )  # fmt: skip


def _judge_promise(missing: int, what: str, value: str, field: str) -> None:
    if missing > 0:
        raise _bad(
            f"The file '{value}' is truncated: its header promises {missing} {what} more than it holds.",
            value, field, "Copy or export it again.",
        )  # fmt: skip


def _judge_header(
    sound: soundfile.SoundFile, value: str, max_seconds: float, field: str, span: Span
) -> tuple[int, int]:
    """Where the part begins and how many frames it has."""
    name = f"The file '{value}'"
    if sound.format not in CONTAINERS:
        raise _bad(f"{name} is {sound.format}, which is not read here.", value, field, "Export it as WAV or FLAC.")
    if sound.frames >= NO_LENGTH:
        raise _bad(f"{name} does not say how long it is.", value, field, "Export it again as WAV or FLAC.")
    _judge_shape(name, sound.channels, sound.samplerate, value, field)
    first, frames = span.frames(sound.frames, sound.samplerate, f"the file '{value}'")
    part = name if span == WHOLE else f"The part of the file '{value}'"
    _judge_length(part, frames, sound.samplerate, max_seconds, value, field)
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


def _judge_length(name: str, frames: int, sample_rate: int, max_seconds: float, value: object, field: str) -> None:
    seconds = frames / sample_rate
    if frames == 0:
        raise _bad(f"{name} holds no samples.", value, field, "Record or export it again.")
    if seconds < MIN_SECONDS:
        raise _bad(
            f"{name} lasts {seconds:.3g} s, which is too short.", value, field, f"Give at least {MIN_SECONDS:g} s."
        )
    if seconds > max_seconds:
        raise _bad(
            f"{name} lasts {seconds:.1f} s, which is too long.", value, field,
            f"Cut it to at most {max_seconds:g} s.",
        )  # fmt: skip


def _unreadable(file, value: str, field: str, error: Exception) -> SoundError:
    if not file.closed and file.seek(0, 2) == 0:
        return _bad(f"The file '{value}' is empty.", value, field, "Record or export it again.")
    if "lost sync" in str(error):
        return _bad(f"The file '{value}' is truncated or damaged.", value, field, "Copy or export it again.")
    reason = str(getattr(error, "error_string", "") or error).rstrip(".")
    return _bad(
        f"The file '{value}' cannot be read as a sound ({reason}).", value, field,
        "Give a WAV, FLAC, AIFF, OGG or MP3 file that other programs can play.",
    )  # fmt: skip


def _bad(message: str, value: object, field: str, remedy: str) -> SoundError:
    return SoundError("bad_sound", message, field=field, value=value, remedy=remedy)


def conform(audio: Audio, *, sample_rate: int, channels: int) -> Audio:
    """Bring a sound to a rate (Hz) and a number of channels; what was done is added to its notes.

    Rate: soxr, very high quality. Channels: missing ones repeat those that are there (mono goes to both sides); of surplus ones,
    every ``channels``-th is averaged into one (of eight to stereo, the odd to the left and the even to the right).
    """
    notes = list(audio.notes)
    samples = audio.samples
    if audio.channels != channels:
        samples = _rechannel(samples, channels)
        notes.append(_channel_note(audio.channels, channels))
    if audio.sample_rate != sample_rate:
        samples = soxr.resample(samples.T, audio.sample_rate, sample_rate, quality="VHQ").T
        notes.append(f"resampled from {audio.sample_rate} Hz to {sample_rate} Hz")
    return Audio(np.ascontiguousarray(samples, dtype=np.float32), sample_rate, tuple(notes))


def _rechannel(samples: np.ndarray, channels: int) -> np.ndarray:
    present = samples.shape[0]
    if present < channels:
        return samples[np.arange(channels) % present]
    return np.stack([samples[first::channels].mean(axis=0) for first in range(channels)])


def _channel_note(present: int, wanted: int) -> str:
    if present == 1:
        return f"mono, given to all {wanted} channels" if wanted > 2 else "mono, given to both channels"
    if present < wanted:
        return f"{present} channels, repeated to make {wanted}"
    if wanted == 1:
        return f"{present} channels, averaged to mono"
    if wanted == 2:
        return f"{present} channels, the odd averaged to the left and the even to the right"
    return f"{present} channels, every {wanted}-th averaged into one"


def true_peak_dbtp(samples: np.ndarray) -> float:
    """True peak of samples (channels, frames) in dBTP, over four times as many points (ITU-R BS.1770-5, annex 2); -inf for silence."""
    if samples.size == 0:
        return -np.inf
    between = soxr.resample(np.asarray(samples, dtype=np.float64).T, 1, OVERSAMPLING, quality="VHQ")
    peak = max(float(np.abs(between).max()), float(np.abs(samples).max()))
    return 20 * np.log10(peak) if peak > 0 else -np.inf


def make_safe(
    samples: np.ndarray, sample_rate: int, *, ceiling_dbtp: float = -1.0
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Samples (channels, frames) whose true peak is at most ``ceiling_dbtp``, lowered as a whole if need be and never raised.

    Returns:
        The samples as float32, and notes that say by how much they were lowered.

    Raises:
        SoundError: ``internal`` if there are values that are not numbers: then a model failed, and silence would hide it.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if not np.isfinite(samples).all():
        raise SoundError(
            "internal", "The model made values that are not numbers (NaN or infinity).",
            remedy="Try another seed, or start the daemon with --precision fp32.",
        )  # fmt: skip
    peak = true_peak_dbtp(samples)
    if peak <= ceiling_dbtp:
        return samples, ()
    lowered = ceiling_dbtp - peak
    # A hair more, so that rounding to float32 or to 24 bits cannot lift it over the ceiling again.
    safe = samples * np.float32(10 ** ((lowered - 1e-3) / 20))
    return safe, (f"lowered by {-lowered:.1f} dB to keep its true peak at {ceiling_dbtp:g} dBTP",)


def stored(samples: np.ndarray, *, format: str) -> np.ndarray:
    """The samples (channels, frames) that reading a written file gives back: the same for wav, rounded to 24 bits for flac."""
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if format == "wav":
        return samples
    steps = np.clip(np.rint(samples.astype(np.float64) * 2**23), -(2**23), 2**23 - 1)
    return (steps / 2**23).astype(np.float32)


def write(path: str | Path, samples: np.ndarray, sample_rate: int, *, format: str) -> None:
    """Write samples (channels, frames) as a new ``"wav"`` (32-bit float) or ``"flac"`` (24 bits) file, whole or not at all.

    Raises:
        FileExistsError: ``path`` is taken; nothing is overwritten.
        SoundError: ``disk_full``, ``path_refused``, or ``bad_sound`` for what the format cannot hold.
    """
    files.write_whole(Path(path), encode(samples, sample_rate, format=format))


def encode(samples: np.ndarray, sample_rate: int, *, format: str) -> bytes:
    """Samples (channels, frames) as the bytes of a ``"wav"`` (32-bit float) or ``"flac"`` (24 bits) file.

    Raises:
        SoundError: ``bad_sound`` for more channels than the format holds.
    """
    container, subtype = FORMATS[format]
    samples = stored(samples, format=format)
    if format == "flac" and samples.shape[0] > FLAC_CHANNELS:
        raise _bad(f"{samples.shape[0]} channels do not fit into flac.", format, "format", "Use wav.")
    # Into memory first: libsndfile cannot pass on an error of the file that it writes to.
    memory = io.BytesIO()
    soundfile.write(memory, samples.T, sample_rate, format=container, subtype=subtype)
    return memory.getvalue()
