"""Phrases on the instruments and drum kits of Debian's ``musescore-general-soundfont-lossless``, and which of them are held out of training.

The SoundFont is under the MIT licence, with parts in the public domain or under CC0; ``provenance`` says whose they are.
"""

import functools
import re
from pathlib import Path

import numpy

from pocket.material import synthesis
from pocket.material.soundfont import Preset, SoundFont
from pocket.material.synthesis import RATE

PATH = Path("/usr/share/sounds/sf2/MuseScore_General_Full.sf2")
HELD_OUT = (
    "Vibraphone", "Kalimba", "Sitar", "Steel Drums", "Taiko Drum", "Bassoon", "Clarinet", "Trombone", "Choir Aahs", "Church Organ",
    "Timpani", "Fretless Bass", "Shakuhachi", "Shenai", "Violas Tremolo", "Marching Tenor",
)  # fmt: skip
"""Whole instruments that are never used in training, nor is any other preset that shares a single sample with one of them."""
KITS = 128
_EXPRESSIVE = frozenset({17, 18, 21, 26, 31, 41, 51})  # banks of the same sounds, played by a controller
_CHORDS = ([0, 4, 7], [0, 3, 7], [0, 7, 12], [0, 5, 7], [0, 3, 7, 10], [0, 4, 7, 11], [0, 12], [0, 1, 6])
_SCALE = numpy.array([0, 2, 3, 5, 7, 9, 10, 12, 14, 15])


@functools.cache
def soundfont() -> SoundFont:
    """Return the SoundFont.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    if not PATH.exists():
        raise FileNotFoundError(
            f"There is no {PATH}. Install the Debian package musescore-general-soundfont-lossless (MIT), "
            "or begin a new working folder with --no-recordings."
        )
    return SoundFont(PATH)


@functools.cache
def held_out() -> tuple[Preset, ...]:
    """Return the presets that are held out, in the order of their names above."""
    by_name = {preset.name: preset for preset in soundfont().presets if preset.bank not in _EXPRESSIVE}
    return tuple(by_name[name] for name in HELD_OUT)


@functools.cache
def in_training() -> tuple[Preset, ...]:
    """Return the presets used in training: those that share no sample with one that is held out."""
    barred = frozenset().union(*(preset.samples for preset in held_out()))
    return tuple(
        preset
        for preset in soundfont().presets
        if preset.bank not in _EXPRESSIVE and preset.zones and not preset.samples & barred
    )


def words(preset: Preset) -> list[str]:
    """Return words that describe a preset: its name in lower case, and what it is."""
    name = re.sub(r"[^a-z0-9 -]", " ", preset.name.lower())
    return (["drum kit", "drums"] if preset.bank == KITS else ["instrument"]) + name.split()


def phrase(rng: numpy.random.Generator, count: int, preset: Preset) -> tuple[numpy.ndarray, list[str]]:
    """Return (2, count) of a melody, chords, single notes or, on a drum kit, a pattern; and its words."""
    if preset.bank == KITS:
        return _pattern(rng, count, preset), [*words(preset), "rhythm"]
    kind = str(rng.choice(["melody", "chords", "held notes", "repeated note"], p=[0.4, 0.25, 0.2, 0.15]))
    low, high = max(preset.keys[0], 28), min(preset.keys[1], 96)
    root = int(rng.integers(low, max(low + 1, high - 12)))
    step = {"melody": rng.uniform(0.12, 0.6), "chords": rng.uniform(0.6, 3), "held notes": rng.uniform(1.5, 6)}.get(
        kind, rng.uniform(0.1, 0.5)
    )
    onsets = numpy.arange(0, count, int(RATE * step))
    onsets = onsets[(rng.random(len(onsets)) < rng.uniform(0.6, 1.0)) | (onsets == 0)]
    held = step * rng.uniform(0.4, 1.6)
    out = numpy.zeros((2, count))
    for at in onsets:
        note = root if kind == "repeated note" else root + int(rng.choice(_SCALE))
        for above in _CHORDS[rng.integers(len(_CHORDS))] if kind == "chords" else [0]:
            _add(out, at, _note(rng, preset, min(note + above, high), held))
    return out, [*words(preset), kind, "low" if root < 48 else "high" if root > 66 else "middle"]


def _pattern(rng: numpy.random.Generator, count: int, preset: Preset) -> numpy.ndarray:
    """A few of the kit's drums, each in a rhythm of its own."""
    keys = [key for key in range(preset.keys[0], preset.keys[1] + 1) if preset.sounding(key, 100)]
    out = numpy.zeros((2, count))
    for key in rng.choice(keys, min(len(keys), rng.integers(1, 7)), replace=False):
        for at in synthesis._onsets(rng, count, regular=rng.random() < 0.85):
            _add(out, at, _note(rng, preset, int(key), 1.5))
    return out


def _note(rng: numpy.random.Generator, preset: Preset, key: int, seconds: float) -> numpy.ndarray:
    # Few velocities, so that the notes of a long phrase are rendered once each.
    return _rendered(preset.bank, preset.number, key, int(rng.choice([48, 72, 96, 120])), round(min(seconds, 6.0), 1))


@functools.lru_cache(maxsize=64)
def _rendered(bank: int, number: int, key: int, velocity: int, seconds: float) -> numpy.ndarray:
    return soundfont().note(_by_number()[bank, number], key, velocity, seconds=seconds, most=8.0)


@functools.cache
def _by_number() -> dict[tuple[int, int], Preset]:
    return {(preset.bank, preset.number): preset for preset in soundfont().presets}


def _add(out: numpy.ndarray, at: int, note: numpy.ndarray) -> None:
    end = min(out.shape[1], at + note.shape[1])
    out[:, at:end] += note[:, : end - at]
