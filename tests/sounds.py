"""Sounds for tests: short, well above silence, and distinct."""

import numpy as np
import soundfile


def tone(frequency: float = 440.0, *, seconds: float = 0.6, sample_rate: int = 44_100, channels: int = 2, peak=0.5):
    """Return a sine with a soft start and end: float32 of shape (channels, frames), each channel 0.9 times as loud as
    the one before.
    """
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    envelope = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    one = peak * envelope * np.sin(2 * np.pi * frequency * time)
    return np.stack([one * 0.9**channel for channel in range(channels)]).astype(np.float32)


def two_clips(folder):
    """Write two sounds of 0.6 s to a folder and return their paths: a mono original at 48 kHz and a stereo reference
    at 44.1 kHz.
    """
    soundfile.write(folder / "original.wav", tone(220, sample_rate=48000, channels=1).T, 48000, subtype="FLOAT")
    soundfile.write(folder / "reference.wav", tone(330).T, 44100, subtype="FLOAT")
    return str(folder / "original.wav"), str(folder / "reference.wav")
