"""Takes to try TertiumMorph on: noise, tones without a seam, tones that are alike, of another length, of another rate."""

import numpy as np
import soundfile

RATE, FRAMES, SHORT = 44100, 66150, 30000


def write_takes(folder):
    """Write them as <kind>_<index>.wav."""
    rng = np.random.default_rng(5)

    def write(name, index, samples, rate=RATE):
        soundfile.write(folder / f"{name}_{index}.wav", samples.astype(np.float32), rate, subtype="FLOAT")

    for index in range(5):
        write("noise", index, rng.uniform(-0.5, 0.5, (FRAMES, 2)))
    for index in range(3):
        write("mono", index, rng.uniform(-0.5, 0.5, FRAMES))
        write("short", index, _sines(SHORT, 40 + 30 * index))
        write("alike", index, np.random.default_rng(9).uniform(-0.5, 0.5, (FRAMES, 2)))
    for index in range(32):
        write("low", index, _sines(FRAMES, 150 + 60 * index))
    for index in range(2):
        write("cut", index, _sines(FRAMES, 150.37 + 100 * index))
        tone = 0.5 * np.sin(2 * np.pi * 441 * np.arange(48000) / 48000)
        write("tone48", index, np.stack([tone, tone], 1), 48000)


def _sines(frames, cycles):
    """So many cycles in so many frames, a sine and a cosine at full scale: a loop of it has no seam."""
    phase = 2 * np.pi * cycles * np.arange(frames) / frames
    return np.stack([np.sin(phase), np.cos(phase)], 1)
