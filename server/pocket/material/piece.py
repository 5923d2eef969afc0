"""One piece of training material, with its caption, determined by its number."""

import functools
from collections.abc import Callable

import numpy
import soxr

from pocket.material import effects, fused, instruments, recordings, synthesis
from pocket.material.synthesis import RATE

SECONDS = 12.0
LONG_SECONDS = 47.5


Maker = Callable[[numpy.random.Generator, int], tuple[numpy.ndarray, list[str]]]


def piece(seed: int, *, with_recordings: bool = True) -> tuple[numpy.ndarray, str, str]:
    """Return audio (2, samples), caption and kind of piece ``seed``. One in sixteen is 47.5 s long, the others 12 s.

    Raises:
        FileNotFoundError: the recordings are not installed.
    """
    rng = numpy.random.default_rng([20, seed])
    count = int(RATE * (LONG_SECONDS if seed % 16 == 15 else SECONDS))
    kinds = _WITH_RECORDINGS if with_recordings else _WITHOUT_RECORDINGS
    shares = numpy.array([share for share, _ in kinds.values()])
    kind = str(rng.choice(list(kinds), p=shares / shares.sum()))
    sound, words = kinds[kind][1](rng, count)
    for change, chance in ((effects.colour, 0.5), (effects.reverberate, 0.3)):
        if rng.random() < chance:
            sound, more = change(rng, sound)
            words = words + more
    if sound.ndim == 1 or kind == "phrase":
        sound, more = effects.place(rng, sound)
        words = words + more
    return effects.level(rng, sound).astype(numpy.float32), _caption(rng, words), kind


@functools.cache
def _recording(name):
    return recordings.read(name)


def _pick(rng):
    names = recordings.names()
    long = [name for name in names if _recording(name).shape[1] > 1.5 * RATE]
    return str(rng.choice(long if rng.random() < 0.5 else names))


def _as_recorded(rng, count):
    """A recording, possibly at another speed or reversed, once or repeated."""
    name = _pick(rng)
    sound, words = _recording(name), recordings.words(name)
    if rng.random() < 0.6:
        speed = 2 ** rng.uniform(-1, 1)
        sound = soxr.resample(sound.T, RATE * speed, RATE).T
        words = words + (["slowed down"] if speed < 0.7 else ["sped up"] if speed > 1.4 else [])
    if rng.random() < 0.12:
        sound, words = sound[:, ::-1], [*words, "reversed"]
    if rng.random() < 0.8:
        gap = 0 if sound.shape[1] > 1.5 * RATE else int(RATE * rng.choice([0, 0.1, 0.25, 0.5, 1.0]))
        sound = numpy.concatenate([sound, numpy.zeros((2, gap))], 1)
        sound = numpy.tile(sound, -(-count // sound.shape[1]))
    return _fit(sound, count), words


def _phrase(rng, count):
    """A few short recordings, played as a rhythm."""
    names = [name for name in recordings.names() if _recording(name).shape[1] < 2 * RATE]
    chosen = [str(name) for name in rng.choice(names, rng.integers(1, 5), replace=False)]
    out, words = numpy.zeros((2, count)), ["rhythm"]
    for name in chosen:
        onsets = synthesis._onsets(rng, count, regular=rng.random() < 0.85)
        sound = soxr.resample(_recording(name).T, RATE * 2 ** rng.uniform(-0.6, 0.6), RATE).T * rng.uniform(0.3, 1)
        for channel in (0, 1):
            out[channel] += synthesis._place([sound[channel] * rng.uniform(0.6, 1) for _ in onsets], onsets, count)
        words = words + recordings.words(name)[:3]
    return out, words


def _synthesised(rng, count):
    sound, words = synthesis.MAKERS[rng.integers(len(synthesis.MAKERS))](rng, count)
    return sound / (numpy.abs(sound).max() + 1e-9), words


def _grains(rng, count):
    if rng.random() < 0.4:
        return synthesis.grains(rng, count)
    name = _pick(rng)
    sound, words = synthesis.grains(rng, count, _recording(name).mean(0))
    return sound, words + recordings.words(name)[:2]


def _mix(rng, count, makers):
    """Two sounds at once, each of one of the makers."""
    parts = [makers[rng.integers(len(makers))](rng, count) for _ in range(2)]
    out = sum(
        numpy.broadcast_to(part / (numpy.abs(part).max() + 1e-9), (2, count)) * rng.uniform(0.3, 1) for part, _ in parts
    )
    return out, ["mix", *parts[0][1][:4], "with", *parts[1][1][:4]]


def _instrument(rng, count):
    """A phrase on an instrument; one in five is on a drum kit, which are many presets with few samples."""
    presets = instruments.in_training()
    kits = rng.random() < 0.2
    chosen = [preset for preset in presets if (preset.bank == instruments.KITS) == kits]
    return instruments.phrase(rng, count, chosen[rng.integers(len(chosen))])


def _fused(rng, count, makers):
    """A third sound of two, see :mod:`pocket.material.fused`."""
    (body, about_body), (gesture, about_gesture) = parents(rng, count, makers)
    sound, words = fused.fuse(rng, body, gesture)
    return sound, [*words, *about_body[:4], "with", *about_gesture[:4]]


def parents(rng, count, makers=None) -> list[tuple[numpy.ndarray, list[str]]]:
    """Return two sounds (2, count) with their words, each from one of the makers."""
    makers = makers or _SINGLE
    found = (makers[rng.integers(len(makers))](rng, count) for _ in range(2))
    return [(numpy.array(numpy.broadcast_to(sound, (2, count))), words) for sound, words in found]


_SINGLE = (_as_recorded, _phrase, _synthesised, _instrument, _instrument)
_WITH_RECORDINGS: dict[str, tuple[float, Maker]] = {
    "recording": (0.14, _as_recorded),
    "phrase": (0.10, _phrase),
    "synthesised": (0.18, _synthesised),
    "instrument": (0.26, _instrument),
    "grains": (0.06, _grains),
    "mix": (0.12, functools.partial(_mix, makers=_SINGLE)),
    "fused": (0.14, functools.partial(_fused, makers=_SINGLE)),
}
_WITHOUT_RECORDINGS: dict[str, tuple[float, Maker]] = {
    "synthesised": (0.30, _synthesised),
    "grains": (0.08, synthesis.grains),
    "mix": (0.20, functools.partial(_mix, makers=(_synthesised,))),
    "fused": (0.10, functools.partial(_fused, makers=(_synthesised,))),
}
"""By kind of piece: its share, and its maker."""


def _fit(sound, count):
    return numpy.pad(sound[:, :count], ((0, 0), (0, max(0, count - sound.shape[1]))))


def _caption(rng, words):
    """Join the words in order without duplicates; each is left out with a probability of 15 %."""
    words = list(dict.fromkeys(word for group in words for word in group.split()))
    chosen = [word for word in words if rng.random() < 0.85] or words
    return " ".join(chosen)
