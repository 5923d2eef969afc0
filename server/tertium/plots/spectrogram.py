"""Plots of sounds: spectrograms in auditory (ERB) bands, side by side on common scales of level and time."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tertium import safe_files

BANDS = 128
LOWEST, HIGHEST = 30.0, 20_000.0  # Hz
WINDOW_SECONDS, HOP_SECONDS = 0.046, 0.008
RANGE_DB = 80.0
TICKS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)  # Hz
INCHES_A_PANEL, HEIGHT_INCHES, DOTS_AN_INCH = 4.2, 4.0, 110


def plot_sounds(path_png: str | Path, sounds: Sequence[tuple[str, np.ndarray, int]]) -> None:
    """Draw sounds side by side into a new PNG file.

    Args:
        path_png: the file to create; never overwritten.
        sounds: (title, samples (channels, frames), sample rate in Hz), from left to right. 0 dB is the loudest point of all sounds.

    Raises:
        FileExistsError: the path exists.
        SoundError: ``disk_full`` or ``path_refused``.
    """
    safe_files.write_whole(Path(path_png), draw(sounds))


def draw(sounds: Sequence[tuple[str, np.ndarray, int]]) -> bytes:
    """Return the plot of :func:`plot_sounds` as the bytes of a PNG file."""
    # Imported here, since it takes a second; not pyplot, which has global state.
    from matplotlib.figure import Figure

    powers = [band_power(samples, sample_rate) for _, samples, sample_rate in sounds]
    loudest = max(float(power.max()) for power in powers) or 1.0
    longest = max(samples.shape[1] / sample_rate for _, samples, sample_rate in sounds)
    figure = Figure(figsize=(INCHES_A_PANEL * len(sounds) + 1, HEIGHT_INCHES), dpi=DOTS_AN_INCH, layout="constrained")
    panels = figure.subplots(1, len(sounds), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (title, samples, sample_rate), power in zip(panels, sounds, powers, strict=True):
        decibels = 10 * np.log10(np.maximum(power / loudest, 10 ** (-RANGE_DB / 10)))
        image = panel.imshow(
            decibels, origin="lower", aspect="auto", cmap="magma", vmin=-RANGE_DB, vmax=0,
            extent=(0, samples.shape[1] / sample_rate, 0, BANDS),
        )  # fmt: skip
        panel.set(title=title, xlabel="seconds", xlim=(0, longest), facecolor="0.9")
    label_hertz(panels[0])
    figure.colorbar(image, ax=panels, label="dB", pad=0.01, aspect=30)
    memory = io.BytesIO()
    figure.savefig(memory, format="png")
    return memory.getvalue()


def label_hertz(panel) -> None:
    """Label the vertical axis of a matplotlib panel that shows bands with frequencies."""
    panel.set(ylabel="Hz", ylim=(0, BANDS))
    panel.set_yticks(_position(np.array(TICKS)), [f"{tick // 1000} k" if tick >= 1000 else str(tick) for tick in TICKS])


def band_power(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return power in ``BANDS`` bands from 30 Hz to 20 kHz, averaged over channels: (bands, columns), one column every 8 ms."""
    window = max(16, round(WINDOW_SECONDS * sample_rate))
    hop = max(1, round(HOP_SECONDS * sample_rate))
    size = 2 ** int(np.ceil(np.log2(4 * window)))  # zero-padded, so that the lowest bands contain several bins
    power = sum(_spectrogram(np.asarray(channel), window, hop, size) for channel in samples) / len(samples)
    weights = _triangles(np.fft.rfftfreq(size, 1 / sample_rate))
    return weights @ power


def _spectrogram(channel: np.ndarray, window: int, hop: int, size: int) -> np.ndarray:
    """Return squared magnitudes of windowed Fourier transforms centred on every ``hop``-th sample: (size // 2 + 1, columns)."""
    shape = np.hanning(window + 2)[1:-1]
    padded = np.pad(channel, window // 2)
    columns = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.abs(np.fft.rfft(columns * shape / shape.sum(), size).T) ** 2


def _triangles(frequencies: np.ndarray) -> np.ndarray:
    """Return triangular bands, evenly spaced and half overlapping on the ERB-rate scale: (bands, frequencies); each sums to 1 or is empty."""
    distance = np.abs(_position(frequencies)[None] - (np.arange(BANDS) + 0.5)[:, None])
    weights = np.maximum(0, 1 - distance)
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)


def _position(frequency: np.ndarray) -> np.ndarray:
    """Convert frequencies (Hz) to vertical positions, in bands from the lower edge: the ERB-rate of Glasberg and Moore (1990), eq. 4."""
    rate, lowest, highest = (21.4 * np.log10(1 + 4.37e-3 * np.asarray(place)) for place in (frequency, LOWEST, HIGHEST))
    return (rate - lowest) / (highest - lowest) * BANDS
