"""Conversion of a sound's channels to the number that a model takes.

Stereo is mixed by the channel layout with the coefficients of ITU-R BS.775-4 (annex 4): the centre and the surrounds of a
side enter at -3 dB, the low-frequency channel is left out. Of ambisonics, the omnidirectional channel goes to both sides,
and half of the left-right channel is added to the left and subtracted from the right. The mix is not attenuated: samples
are floats here, so a sum may exceed full scale.
"""

import math

import numpy as np

HALF_POWER = math.sqrt(0.5)
LEFT, RIGHT = (1.0, 0.0), (0.0, 1.0)
SHARES = {
    "FL": LEFT, "FR": RIGHT, "FC": (HALF_POWER, HALF_POWER), "LFE": (0.0, 0.0),
    "BL": (HALF_POWER, 0.0), "BR": (0.0, HALF_POWER), "SL": (HALF_POWER, 0.0), "SR": (0.0, HALF_POWER), "BC": (0.5, 0.5),
    "FLC": (HALF_POWER, 0.0), "FRC": (0.0, HALF_POWER),
    "W": (1.0, 1.0), "Y": (0.5, -0.5), **dict.fromkeys("XZRSTUVKLMNOPQ", (0.0, 0.0)),
    "AMBI0": (1.0, 1.0), "AMBI1": (0.5, -0.5), **{f"AMBI{number}": (0.0, 0.0) for number in range(2, 64)},
}  # fmt: skip
"""Gains of a channel to the left and the right, by FFmpeg's channel names and those of ambisonic B-format, in which
left is positive Y."""
SPEAKERS = ("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR")
"""Channel names in the order of the bits of a WAV's channel mask."""
B_FORMATS = {
    len(names): "+".join(names)
    for names in ("WXY", "WXYZ", "WXYUV", "WXYZUV", "WXYUVPQ", "WXYZUVPQ", "WXYZRSTUV", "WXYZRSTUVPQ", "WXYZRSTUVKLMNOPQ")
}  # fmt: skip
"""The channels of a WAV in B-format by their number: first to third order, some without height."""
USUAL = {
    3: "FL+FR+FC", 4: "FL+FR+BL+BR", 5: "FL+FR+FC+BL+BR", 6: "FL+FR+FC+LFE+BL+BR", 7: "FL+FR+FC+LFE+BC+SL+SR",
    8: "FL+FR+FC+LFE+BL+BR+SL+SR",
}  # fmt: skip
"""Layouts assumed for files that do not declare one, by number of channels."""


def of_mask(mask: int, channels: int) -> str | None:
    """Return the layout of a WAV's channel mask; None if the mask names another number of channels."""
    named = [name for bit, name in enumerate(SPEAKERS) if mask >> bit & 1]
    return "+".join(named) if len(named) == channels and mask < 1 << len(SPEAKERS) else None


def converted(samples: np.ndarray, channels: int, layout: str | None) -> tuple[np.ndarray, str]:
    """Return samples (channels, frames) converted to another number of channels, and a note that describes the
    conversion.

    Missing channels repeat the present ones (mono goes to both sides). A conversion to stereo, or to mono by way of stereo,
    uses ``layout`` (names joined by ``+``), else the usual layout for that number. Otherwise every ``channels``-th of the
    present channels is averaged into one.
    """
    present = samples.shape[0]
    if present < channels:
        return samples[np.arange(channels) % present], _repeated(present, channels)
    known = layout if layout and all(name in SHARES for name in layout.split("+")) else None
    mixed = known or USUAL.get(present)
    if channels <= 2 < present and mixed is not None:
        shares = np.array([SHARES[name] for name in mixed.split("+")], dtype=np.float32)
        stereo = shares.T @ samples
        result = "mixed down to stereo" if channels == 2 else "mixed down to mono"
        names = mixed.replace("+", " ")
        assumed = f"{present} channels, taken for {names} and {result}"
        note = f"{present} channels ({names}), {result}" if known else assumed
        return stereo if channels == 2 else stereo.mean(axis=0, keepdims=True), note
    averaged = np.stack([samples[first::channels].mean(axis=0) for first in range(channels)])
    return averaged, _averaged(present, channels)


def _repeated(present: int, wanted: int) -> str:
    if present == 1:
        return f"mono, given to all {wanted} channels" if wanted > 2 else "mono, given to both channels"
    return f"{present} channels, repeated to make {wanted}"


def _averaged(present: int, wanted: int) -> str:
    if wanted == 1:
        return f"{present} channels, averaged to mono"
    if wanted == 2:
        return f"{present} channels, the odd averaged to the left and the even to the right"
    return f"{present} channels, every {wanted}-th averaged into one"
