"""Make the sounds of the listening study's pairs, of the five kinds of the paper's appendix D, and of its practice.

They are composed of recordings that were not used in training, and of noise.

python -m pocket.listening_sounds [FOLDER]
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy
import scipy.signal
import soundfile
import soxr

from pocket.material import provenance, recordings
from pocket.material.synthesis import RATE

TARGET = Path(__file__).parents[1] / "tertium" / "assets" / "listening"
SECONDS = 4.0
COUNT = int(SECONDS * RATE)
FADE = int(0.02 * RATE)
PEAK = 0.7
Hit = tuple[float, str, float, float]
"""A recording in a phrase: its onset in seconds, its name, semitones up, gain."""


def phrase(hits: Sequence[Hit], *, longest: float = SECONDS) -> numpy.ndarray:
    """Return a phrase (2, frames) of recordings; each sounds for ``longest`` seconds at most."""
    sound = numpy.zeros((2, COUNT))
    for onset, name, semitones, gain in hits:
        first = int(onset * RATE)
        note = _transposed(name, semitones)[:, : min(int(longest * RATE), COUNT - first)].copy()
        fade = min(FADE, note.shape[1])
        note[:, -fade:] *= numpy.linspace(1, 0, fade)
        sound[:, first : first + note.shape[1]] += gain * note / max(numpy.abs(note).max(), 1e-9)
    return sound


def repeated(name: str) -> numpy.ndarray:
    """Return a recording, repeated or cut to the length: (2, frames)."""
    sound = recordings.read(name)
    return numpy.tile(sound, -(-COUNT // sound.shape[1]))[:, :COUNT]


def noise(seed: int) -> numpy.ndarray:
    """Return noise whose power falls by 3 dB an octave, the same in both channels: (2, frames)."""
    spectrum = numpy.fft.rfft(numpy.random.default_rng([113, seed]).standard_normal(COUNT))
    spectrum[1:] /= numpy.sqrt(numpy.arange(1, len(spectrum)))
    spectrum[: int(40 * SECONDS)] = 0  # below 40 Hz
    return numpy.broadcast_to(numpy.fft.irfft(spectrum, COUNT), (2, COUNT))


def reverberant(sound: numpy.ndarray, *, seconds: float, wet: float, seed: int) -> numpy.ndarray:
    """Return a sound with a diffuse reverberation that falls by 60 dB in ``seconds``, other in each channel."""
    time = numpy.arange(int(seconds * RATE)) / RATE
    tail = numpy.random.default_rng([127, seed]).standard_normal((2, len(time))) * 10 ** (-3 * time / seconds)
    tail /= numpy.sqrt(numpy.square(tail).sum(axis=1, keepdims=True))
    room = scipy.signal.fftconvolve(sound, tail, axes=1)[:, : sound.shape[1]]
    return (1 - wet) * sound + wet * room


def moving(sound: numpy.ndarray, *, turns: float) -> numpy.ndarray:
    """Return a sound that goes from side to side so many times, and swells towards the middle of each way."""
    phase = 2 * numpy.pi * turns * numpy.arange(sound.shape[1]) / sound.shape[1]
    side = 0.5 + 0.45 * numpy.sin(phase)
    return sound * numpy.stack([numpy.sqrt(1 - side), numpy.sqrt(side)]) * (0.6 + 0.4 * numpy.cos(2 * phase))


def high_melody() -> numpy.ndarray:
    steps = (0, 4, 7, 4, 9, 7, 2, -1)
    return phrase([(0.5 * i, "elec_chime", s, 1.0) for i, s in enumerate(steps)], longest=1.2)


def bell_melody() -> numpy.ndarray:
    steps = (12, 15, 19, 17, 12, 22, 19)
    bells = phrase([(0.55 * i, "perc_bell2", s, 1.0) for i, s in enumerate(steps)], longest=1.5)
    return reverberant(bells, seconds=2.5, wet=0.5, seed=1)


def wide_melody() -> numpy.ndarray:
    low = [(t, "bass_voxy_c", s, 0.9) for t, s in ((0.0, -12), (1.0, -5), (2.0, -8), (3.0, -12))]
    high = [(t, "guit_e_slide", s, 0.6) for t, s in ((0.5, 0), (1.25, 7), (1.75, 12), (2.5, 3), (3.25, 15))]
    return phrase(low + high, longest=0.9)


def drums_with_melody() -> numpy.ndarray:
    toms = [
        (t, "drum_tom_mid_hard", s, 1.0) for t, s in ((0, 0), (0.75, 3), (1.0, -4), (2.0, 0), (2.75, 3), (3.25, -4))
    ]
    strokes = [(0.25 * i, "tabla_ghe3", 7 + 5 * (i % 3), 0.45) for i in range(16)]
    tune = [(0.5 * i, "guit_e_slide", s, 0.4) for i, s in enumerate((0, 3, 7, 3, 10, 7, 5, 2))]
    return phrase(toms + strokes, longest=0.6) + phrase(tune, longest=0.45)


def practice_strokes() -> numpy.ndarray:
    low = [(t, "tabla_ghe3", 0, 1.0) for t in (0.0, 0.75, 1.5, 2.0, 2.75, 3.5)]
    return phrase(low + [(t, "glitch_perc3", 5, 0.6) for t in (0.375, 1.125, 2.375, 3.125)], longest=0.6)


SOUNDS: dict[str, tuple[Callable[[], numpy.ndarray], str, tuple[str, ...]]] = {
    "high_melody": (high_melody, "a melody in the highs", ("elec_chime",)),
    "robot": (lambda: repeated("mehackit_robot4"), "repeated to 4 s", ("mehackit_robot4",)),
    "scratches": (lambda: repeated("vinyl_rewind"), "repeated to 4 s", ("vinyl_rewind",)),
    "bell_melody": (bell_melody, "a melody, with reverberation", ("perc_bell2",)),
    "wide_melody": (wide_melody, "a melody over four octaves", ("bass_voxy_c", "guit_e_slide")),
    "noise": (lambda: noise(1), "made by `pocket.listening_sounds`", ()),
    "drums_with_melody": (
        drums_with_melody, "a rhythm, and a melody above it", ("drum_tom_mid_hard", "guit_e_slide", "tabla_ghe3"),
    ),
    "moving_noise": (
        lambda: reverberant(moving(noise(2), turns=2), seconds=2.0, wet=0.4, seed=2), "made by `pocket.listening_sounds`", (),
    ),
    "practice_strokes": (practice_strokes, "a rhythm", ("glitch_perc3", "tabla_ghe3")),
    "practice_glass": (lambda: repeated("ambi_glass_rub"), "repeated to 4 s", ("ambi_glass_rub",)),
}  # fmt: skip
"""By file name: what makes it, what was done, and the recordings in it. The third kind's pair is the demo's."""


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.mkdir(parents=True, exist_ok=True)
    sources, rows = provenance.sources(), []
    for name, (make, done, used) in SOUNDS.items():
        _write(target / f"{name}.flac", make())
        of = "; ".join(f"`{recording}` ({sources[recording][0]}, {sources[recording][1]})" for recording in used)
        rows.append(f"| `{name}.flac` | {of or 'random numbers'} | {done} |")
    page = [
        "# The sounds of the listening study",
        "",
        "All are in the public domain (CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/). The recordings are used as Sonic Pi ships them; the embedded model was not trained on them.",
        "",
        "| file | of | what it is |",
        "| --- | --- | --- |",
        *rows,
        "",
    ]
    (target / "PROVENANCE.md").write_text("\n".join(page))


def _transposed(name: str, semitones: float) -> numpy.ndarray:
    """Return a recording played faster or slower, (2, frames)."""
    return soxr.resample(recordings.read(name).T, RATE * 2 ** (semitones / 12), RATE).T


def _write(path: Path, sound: numpy.ndarray) -> None:
    """Write a sound, in one channel where both are the same, with its end faded out."""
    sound = sound * (PEAK / numpy.abs(sound).max())
    sound[:, -FADE:] *= numpy.linspace(1, 0, FADE) ** 2
    alike = numpy.abs(sound[0] - sound[1]).max() < 2**-16
    soundfile.write(path, (sound[:1] if alike else sound).T, RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
