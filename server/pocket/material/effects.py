"""Effects on training material: reverberation, filters and saturation, stereo position and width, level.

Each effect returns the sound and the words that it adds to the caption.
"""

import numpy
from scipy import signal

from pocket.material.synthesis import RATE


def reverberate(rng, sound):
    """Add the reverberation of a room, modelled as decaying noise. (length,) or (2, length) → (2, length), words."""
    decay = float(numpy.exp(rng.uniform(numpy.log(0.2), numpy.log(2.5))))
    t = numpy.arange(int(RATE * min(3.0, decay * 1.5))) / RATE
    tail = rng.standard_normal((2, len(t))) * numpy.exp(-t * 6.9 / (decay * 1.5))
    tail = signal.sosfilt(signal.butter(1, rng.uniform(1500, 9000), "low", fs=RATE, output="sos"), tail)
    tail /= numpy.sqrt((tail**2).sum(1, keepdims=True))
    sound = numpy.broadcast_to(sound, (2, sound.shape[-1]))
    wet = signal.fftconvolve(sound, tail, axes=1)[:, : sound.shape[1]]
    share = rng.uniform(0.15, 0.7)
    return (1 - share) * sound + share * wet, ["reverb", "large hall" if decay > 1 else "room"]


def place(rng, sound):
    """Pan the sound, at rest or moving, or delay one channel; in 45 % of the cases do neither. → (2, length), words."""
    sound = numpy.broadcast_to(sound, (2, sound.shape[-1]))
    kind = rng.choice(4, p=[0.45, 0.2, 0.15, 0.2])
    if kind == 0:
        return sound, []
    if kind == 1:
        where = rng.uniform(0.1, 0.9)
        return sound * numpy.sqrt([[1 - where], [where]]) * 1.4, [
            "left" if where < 0.4 else "right" if where > 0.6 else "centre"
        ]
    if kind == 2:
        t = numpy.arange(sound.shape[1]) / RATE
        where = 0.5 + 0.45 * numpy.sin(2 * numpy.pi * (rng.uniform(0.1, 2) * t + rng.random()))
        return sound * numpy.sqrt(numpy.stack([1 - where, where])) * 1.4, ["moving"]
    late = int(RATE * rng.uniform(0.004, 0.025))
    other = numpy.concatenate([numpy.zeros(late), sound[1, : sound.shape[1] - late]])
    return numpy.stack([sound[0], other]), ["wide"]


def colour(rng, sound):
    """Apply a gentle low-pass or high-pass filter, or saturation, or none of them."""
    kind = rng.choice(4, p=[0.55, 0.2, 0.15, 0.1])
    if kind == 1:
        cut = float(numpy.exp(rng.uniform(numpy.log(400), numpy.log(5000))))
        return signal.sosfilt(signal.butter(2, cut, "low", fs=RATE, output="sos"), sound), ["muffled"]
    if kind == 2:
        cut = float(numpy.exp(rng.uniform(numpy.log(150), numpy.log(1500))))
        return signal.sosfilt(signal.butter(2, cut, "high", fs=RATE, output="sos"), sound), ["thin"]
    if kind == 3:
        return numpy.tanh(sound / (numpy.abs(sound).max() + 1e-9) * rng.uniform(3, 12)), ["distorted"]
    return sound, []


def level(rng, sound):
    """Scale the sound to a peak between −16 and 0 dBFS."""
    return sound / (numpy.abs(sound).max() + 1e-9) * 10 ** (-(rng.uniform(0, 1) ** 1.5) * 16 / 20)
