"""Synthesised training material: abstract and tonal sounds, each with the words that describe it.

Every maker takes a ``numpy.random.Generator`` and a length in samples and returns (samples (length,), words). The generator is the only
source of randomness, so the same seed makes the same sound.
"""

import numpy
from scipy import signal

RATE = 44100


def _seconds(count):
    return numpy.arange(count) / RATE


def _low_high(rng, low, high):
    """Draw a value between two positive bounds, uniform in its logarithm."""
    return float(numpy.exp(rng.uniform(numpy.log(low), numpy.log(high))))


def _register(hertz):
    return "low" if hertz < 130 else "high" if hertz > 520 else "middle"


def _scale_note(rng, base):
    return base * 2 ** (rng.choice([0, 2, 3, 5, 7, 8, 10, 12, 15, 19]) / 12)


def _onsets(rng, count, *, regular):
    """Draw sample positions of events: a metre with rests, or scattered ones."""
    if regular:
        step = int(RATE * rng.choice([0.125, 0.15, 0.1875, 0.25, 0.3, 0.375, 0.5]))
        grid = numpy.arange(0, count, step)
        pattern = rng.random(rng.choice([4, 6, 8, 16])) < rng.uniform(0.4, 0.95)
        pattern[0] = True
        return grid[pattern[numpy.arange(len(grid)) % len(pattern)]]
    return numpy.sort(rng.integers(0, count, max(1, int(count / RATE * _low_high(rng, 0.5, 12)))))


def _place(events, onsets, count):
    """Sum events at their onsets."""
    out = numpy.zeros(count)
    for at, event in zip(onsets, events, strict=True):
        end = min(count, at + len(event))
        out[at:end] += event[: end - at]
    return out


def drone(rng, count):
    """A sustained harmonic tone with slowly swelling partials, slightly detuned or not."""
    base = _low_high(rng, 32, 330)
    t, out = _seconds(count), numpy.zeros(count)
    tilt, detune = rng.uniform(0.6, 2.0), rng.uniform(0, 0.008)
    for harmonic in range(1, rng.integers(4, 30)):
        for voice in (-1, 0, 1):
            f = base * harmonic * (1 + voice * detune)
            if f < 18000:
                swell = 1 + rng.uniform(0, 0.9) * numpy.sin(2 * numpy.pi * (rng.uniform(0.05, 0.7) * t + rng.random()))
                out += swell * harmonic**-tilt * numpy.sin(2 * numpy.pi * (f * t + rng.random()))
    words = ["drone", _register(base), "dark" if tilt > 1.3 else "bright", "slow"]
    return out, words + (["detuned"] if detune > 0.003 else ["steady hum"])


def modulation(rng, count):
    """Frequency modulation: bells, metal, growls."""
    base, ratio = _low_high(rng, 55, 900), float(rng.choice([0.5, 1, 1.41, 2, 2.76, 3.5, 5.4]))
    length = int(RATE * _low_high(rng, 0.15, 3))
    onsets = _onsets(rng, count, regular=rng.random() < 0.7)
    t = _seconds(length)

    def note():
        f, depth = _scale_note(rng, base), _low_high(rng, 0.5, 8)
        decay = numpy.exp(-t / (length / RATE / 5))
        return (
            decay
            * numpy.sin(2 * numpy.pi * f * t + depth * decay * numpy.sin(2 * numpy.pi * f * ratio * t))
            * rng.uniform(0.4, 1)
        )

    inharmonic = ratio not in (0.5, 1, 2)
    words = ["bell", "metallic"] if inharmonic else ["synth", "electric piano"]
    return _place([note() for _ in onsets], onsets, count), [*words, "fm", _register(base), "melody"]


def resonator(rng, count):
    """Struck resonators with decaying modes: glass, metal, wood, skin."""
    kind = rng.choice(["glass", "metal", "wood", "drum"])
    base, decay, modes = {
        "glass": (_low_high(rng, 600, 3000), rng.uniform(0.2, 1.2), 6),
        "metal": (_low_high(rng, 120, 900), rng.uniform(0.4, 2.5), 14),
        "wood": (_low_high(rng, 200, 1200), rng.uniform(0.03, 0.12), 6),
        "drum": (_low_high(rng, 50, 220), rng.uniform(0.1, 0.5), 8),
    }[str(kind)]
    ratios = numpy.cumprod(numpy.concatenate([[1], rng.uniform(1.15, 1.7, modes - 1)]))
    t = _seconds(int(RATE * min(4.0, 7 * decay)))

    def hit():
        colour = rng.uniform(0.3, 1.2)
        out = numpy.zeros_like(t)
        for ratio in ratios[ratios * base < 18000]:
            out += (
                ratio**-colour
                * numpy.exp(-t / (decay * ratio**-0.5))
                * numpy.sin(2 * numpy.pi * (base * ratio * t + rng.random()))
            )
        strike = rng.standard_normal(len(t)) * numpy.exp(-t / 0.004)
        return (out + rng.uniform(0, 0.5) * strike) * rng.uniform(0.3, 1)

    regular = rng.random() < 0.7
    onsets = _onsets(rng, count, regular=regular)
    words = [str(kind), "resonant", "struck", "rhythm" if regular else "scattered", _register(base)]
    return _place([hit() for _ in onsets], onsets, count), words


def pluck(rng, count):
    """Plucked strings: slightly inharmonic partials, of which higher ones decay faster."""
    base = _low_high(rng, 55, 440)
    onsets = _onsets(rng, count, regular=True)
    decay, bright = rng.uniform(0.2, 1.5), rng.uniform(0.5, 1.5)
    t = _seconds(int(RATE * min(3.0, 5 * decay)))

    def note():
        f, out = _scale_note(rng, base), numpy.zeros_like(t)
        for harmonic in range(1, 24):
            if harmonic * f < 16000:
                fade = numpy.exp(-t * harmonic**0.7 / decay)
                out += (
                    harmonic**-bright
                    * fade
                    * numpy.sin(2 * numpy.pi * (harmonic * f * t * (1 + 2e-4 * harmonic) + rng.random()))
                )
        return out * rng.uniform(0.4, 1)

    return _place([note() for _ in onsets], onsets, count), ["plucked string", "guitar", _register(base), "melody"]


def chord(rng, count):
    """A pad of chords that overlap and fade into each other."""
    base, t = _low_high(rng, 80, 300), _seconds(count)
    hold = int(RATE * rng.uniform(1, 4))
    out = numpy.zeros(count)
    name, intervals = list(
        {"minor": [0, 3, 7, 10], "major": [0, 4, 7, 14], "fifths": [0, 7, 14, 19], "cluster": [0, 1, 2, 6]}.items()
    )[rng.integers(4)]
    for at in range(0, count, hold):
        span, root = t[: min(int(hold * 1.3), count - at)], _scale_note(rng, base)
        envelope = numpy.clip(span / 0.3, 0, 1) * numpy.clip((len(span) / RATE - span) / 0.4, 0, 1)
        for interval in intervals:
            for harmonic in range(1, 10):
                f = root * 2 ** (interval / 12) * harmonic * (1 + rng.uniform(-0.002, 0.002))
                out[at : at + len(span)] += (
                    envelope * harmonic**-1.4 * numpy.sin(2 * numpy.pi * (f * span + rng.random()))
                )
    return out, ["pad", "chord", name, "soft", "slow"]


def noise(rng, count):
    """Filtered noise: wind, hiss, rumble, waves."""
    white = rng.standard_normal(count)
    kind = str(rng.choice(["wind", "hiss", "rumble", "waves"]))
    if kind == "hiss":
        return signal.sosfilt(signal.butter(2, _low_high(rng, 1500, 8000), "high", fs=RATE, output="sos"), white), [
            "noise",
            "hiss",
            "high",
        ]
    if kind == "rumble":
        return signal.sosfilt(signal.butter(2, _low_high(rng, 60, 400), "low", fs=RATE, output="sos"), white), [
            "noise",
            "rumble",
            "low",
            "dark",
        ]
    t = _seconds(count)
    rate = rng.uniform(0.1, 0.6)
    path = (
        0.5
        + 0.35 * numpy.sin(2 * numpy.pi * (rate * t + rng.random()))
        + 0.15 * numpy.sin(2 * numpy.pi * (rate * 2.7 * t + rng.random()))
    )
    bands = [
        signal.sosfilt(signal.butter(2, [f, f * 1.4], "band", fs=RATE, output="sos"), white)
        for f in 200 * 2 ** numpy.arange(0, 5.5, 0.5)
    ]
    sharp = rng.uniform(1, 3)
    out = sum(band * numpy.exp(-((path * len(bands) - i) ** 2) / (2 * sharp**2)) for i, band in enumerate(bands))
    if kind == "waves":
        out = out * numpy.clip(numpy.sin(2 * numpy.pi * rate * t), 0.05, 1) ** 2
    return out, ["noise", kind, "sweeping", "slow"]


def beat(rng, count):
    """A synthesised drum pattern."""
    step = int(RATE * 60 / rng.uniform(70, 175) / 4)
    short, t = _seconds(int(RATE * 0.4)), _seconds(int(RATE * 0.5))
    low, pitch = rng.uniform(40, 65), rng.uniform(80, 300)
    kick = numpy.sin(2 * numpy.pi * (low * t - pitch * 0.03 * numpy.exp(-t / 0.03))) * numpy.exp(
        -t / rng.uniform(0.07, 0.2)
    )
    crack = rng.standard_normal(len(short)) * numpy.exp(-short / rng.uniform(0.03, 0.12))
    snare = 0.5 * crack + 0.5 * numpy.sin(2 * numpy.pi * rng.uniform(150, 240) * short) * numpy.exp(-short / 0.06)
    hiss = signal.sosfilt(
        signal.butter(3, rng.uniform(5000, 9000), "high", fs=RATE, output="sos"), rng.standard_normal(len(short))
    )
    hat = 0.35 * hiss * numpy.exp(-short / rng.uniform(0.01, 0.08))
    out = numpy.zeros(count + RATE)
    chances = {
        "kick": [0.95, 0.05, 0.15, 0.1, 0.1, 0.1, 0.35, 0.1],
        "snare": [0.02, 0.03, 0.05, 0.03, 0.95, 0.03, 0.1, 0.15],
    }
    bar = {name: rng.random((2, 8)) < chances[name] for name in chances}
    hats = rng.random(16) < rng.uniform(0.4, 0.95)
    for number, at in enumerate(range(0, count, step)):
        for name, voice in (("kick", kick), ("snare", snare)):
            if bar[name][number // 8 % 2, number % 8]:
                out[at : at + len(voice)] += voice * rng.uniform(0.8, 1)
        if hats[number % 16]:
            out[at : at + len(hat)] += hat * rng.uniform(0.5, 1)
    return out[:count], ["drum loop", "electronic", "beat", "fast" if step < RATE * 0.12 else "slow"]


def pulses(rng, count):
    """Short clicks, regular or scattered."""
    rate = _low_high(rng, 2, 30)
    step, t = int(RATE / rate), _seconds(2000)
    click = numpy.exp(-t / _low_high(rng, 2e-4, 5e-3)) * numpy.sin(2 * numpy.pi * _low_high(rng, 300, 8000) * t + 1)
    onsets = numpy.arange(0, count, step)
    if rng.random() < 0.4:
        onsets = numpy.sort(rng.integers(0, count, len(onsets)))
        return _place([click * rng.uniform(0.2, 1) for _ in onsets], onsets, count), [
            "crackle",
            "clicks",
            "scattered",
            "dry",
        ]
    return _place([click for _ in onsets], onsets, count), [
        "pulses",
        "clicks",
        "regular",
        "fast" if rate > 8 else "slow",
    ]


def sweep(rng, count):
    """A tone that glides up, down, or both ways."""
    t = _seconds(count)
    low, high = _low_high(rng, 40, 300), _low_high(rng, 600, 6000)
    period = rng.uniform(0.4, 5)
    shape = numpy.modf(t / period + rng.random())[0]
    kind = str(rng.choice(["rising", "falling", "siren"]))
    shape = {"rising": shape, "falling": 1 - shape, "siren": 0.5 - 0.5 * numpy.cos(2 * numpy.pi * shape)}[kind]
    phase = numpy.cumsum(low * (high / low) ** shape) / RATE
    wave = (
        numpy.sin(2 * numpy.pi * phase)
        + rng.uniform(0, 0.5) * numpy.sin(4 * numpy.pi * phase)
        + rng.uniform(0, 0.4) * numpy.sin(6 * numpy.pi * phase)
    )
    return wave, ["sweep", kind, "synth", "glissando"]


def grains(rng, count, source=None):
    """A cloud of short grains of a source; of a sound from one of the makers if none is given."""
    words = []  # the caller has those of a source that it gives
    if source is None:
        maker = MAKERS[rng.integers(len(MAKERS))]
        source, words = maker(rng, RATE * 3)
    size = int(RATE * _low_high(rng, 0.02, 0.3))
    window = numpy.hanning(size)
    onsets = numpy.sort(rng.integers(0, count, int(count / size * rng.uniform(1, 5))))
    centre, spread = rng.random(), rng.uniform(0.02, 0.5)
    pieces = []
    for _ in onsets:
        speed = 2 ** rng.normal(0, 0.3)
        start = numpy.clip(centre + spread * rng.uniform(-1, 1), 0, 1) * max(0, len(source) - 1 - size * speed)
        pieces.append(
            window
            * numpy.interp(start + speed * numpy.arange(size), numpy.arange(len(source)), source)
            * rng.uniform(0.3, 1)
        )
    return _place(pieces, onsets, count), ["granular", "cloud", "texture", *words[:2]]


MAKERS = (drone, modulation, resonator, pluck, chord, noise, beat, pulses, sweep)
