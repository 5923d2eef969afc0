"""Audio buffers: raw samples that travel with a ZeroMQ header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages.fields import nearest

if TYPE_CHECKING:
    import numpy

SAMPLE_BYTES = {"f32le": 4, "f64le": 8, "s16le": 2, "s24le": 3, "s32le": 4}
"""Sample format to bytes per sample. Floats have the nominal range −1 … 1; integers are signed; all are little-endian."""
LARGEST_BUFFER = 512 * 1024 * 1024  # bytes
_RANGES = {"channels": (1, 64), "frames": (1, 2**31 - 1), "sample_rate": (1000, 768000)}


@dataclass(frozen=True)
class AudioBuffer:
    """Interleaved samples: frame after frame, all channels of a frame together.

    Args:
        format: one of :data:`SAMPLE_BYTES`.
        channels: 1 … 64.
        frames: samples per channel, at least 1.
        sample_rate: in Hz, 1000 … 768000.
        data: ``frames * channels`` samples.

    Raises:
        ProtocolError: bad_message if the number of bytes does not match the description; bad_type or out_of_range for a
            description that is itself invalid.
    """

    format: str
    channels: int
    frames: int
    sample_rate: int
    data: bytes | memoryview

    def __post_init__(self) -> None:
        if not isinstance(self.format, str) or self.format not in SAMPLE_BYTES:
            near = nearest(str(self.format), SAMPLE_BYTES) or ", ".join(SAMPLE_BYTES)
            remedy = f"Did you mean {near}?" if near in SAMPLE_BYTES else f"Use one of {near}."
            raise ProtocolError(
                "out_of_range", f"There is no sample format “{str(self.format)[:20]}”.", "format", self.format, remedy
            )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ProtocolError(
                    "bad_type",
                    f"A buffer's {name} must be a whole number.",
                    name,
                    value,
                    "Describe the buffer as it is.",
                )
            if not low <= value <= high:
                problem = f"A buffer's {name} must lie between {low} and {high}; got {value}."
                raise ProtocolError(
                    "out_of_range", problem, name, value, "Describe the buffer as it is, or convert it first."
                )
        expected = self.frames * self.channels * SAMPLE_BYTES[self.format]
        if expected > LARGEST_BUFFER:
            problem = f"A buffer of {expected} bytes is too large; the limit is {LARGEST_BUFFER}."
            raise ProtocolError("out_of_range", problem, "frames", self.frames, "Send a shorter sound, or its path.")
        if len(self.data) != expected:
            problem = f"A buffer of {self.frames} frames, {self.channels} channels and {self.format} has {expected} bytes; got {len(self.data)}."
            raise ProtocolError("bad_message", problem, "frames", self.frames, "Describe the buffer as it is.")

    def description(self) -> dict[str, Any]:
        """Return the description of the buffer for the header."""
        return {
            "format": self.format,
            "channels": self.channels,
            "frames": self.frames,
            "sample_rate": self.sample_rate,
        }

    @classmethod
    def from_array(cls, samples: numpy.ndarray, sample_rate: int) -> AudioBuffer:
        """Create a buffer of format f32le.

        Args:
            samples: floats of shape (channels, frames), or (frames,) for one channel.
            sample_rate: in Hz.

        Raises:
            ProtocolError: as for the class; bad_type if the array has more than two dimensions.
        """
        import numpy

        array = numpy.atleast_2d(numpy.asarray(samples, dtype="<f4"))
        if array.ndim != 2:
            raise ProtocolError("bad_type", f"Samples have the shape (channels, frames); got {array.shape}.", "samples")
        data = numpy.ascontiguousarray(array.T).tobytes()
        return cls("f32le", int(array.shape[0]), int(array.shape[1]), int(sample_rate), data)

    def to_array(self) -> numpy.ndarray:
        """Return the samples as float32, (channels, frames). Integers are scaled to −1 … 1; floats are not checked and may be NaN."""
        import numpy

        if self.format == "s24le":
            raw = numpy.frombuffer(self.data, dtype=numpy.uint8).reshape(-1, 3)
            wide = numpy.zeros((len(raw), 4), dtype=numpy.uint8)
            wide[:, 1:] = raw
            flat = wide.view("<i4")[:, 0] / 2.0**31
        elif self.format.startswith("s"):
            bits = 8 * SAMPLE_BYTES[self.format]
            flat = numpy.frombuffer(self.data, dtype=f"<i{bits // 8}") / 2.0 ** (bits - 1)
        else:
            flat = numpy.frombuffer(self.data, dtype=f"<f{SAMPLE_BYTES[self.format]}")
        with numpy.errstate(over="ignore"):
            return numpy.ascontiguousarray(flat.reshape(self.frames, self.channels).T, dtype=numpy.float32)
