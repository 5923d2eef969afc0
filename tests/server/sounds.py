"""Sounds for tests: short, loud enough, and different from each other."""

import numpy as np


def tone(frequency: float = 440.0, *, seconds: float = 0.6, sample_rate: int = 44_100, channels: int = 2, peak=0.5):
    """A sine with a soft start and end: float32 of shape (channels, frames); each channel a little quieter than the one before."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    envelope = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    one = peak * envelope * np.sin(2 * np.pi * frequency * time)
    return np.stack([one * 0.9**channel for channel in range(channels)]).astype(np.float32)
