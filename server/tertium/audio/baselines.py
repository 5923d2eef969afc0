"""What a fusion of two sounds stands beside that needs no model: their sum, and a channel vocoder.

Sounds are float32, (channels, frames), two of one shape. SciPy is imported where it is used, as in
:mod:`tertium.audio.levels`.
"""

import numpy as np

SIZE, HOP = 2048, 512
"""Window and hop of the vocoder's spectra, in frames."""
BANDS, LOWEST, HIGHEST = 48, 80.0, 16_000.0
"""The vocoder's bands, with edges at equal ratios from ``LOWEST`` to ``HIGHEST`` Hz; the outer two reach on to 0 and to the end."""
FLOOR = 1e-6
"""The part of a carrier's strongest band below which a band counts as silent, so that its noise is not raised."""
MOST_GAIN = 100.0


def waveform_sum(original: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the sum of two sounds, both brought to the reference's power and halved."""
    return (0.5 * (original * (_rms(reference) / _rms(original)) + reference)).astype(np.float32)


def channel_vocoder(original: np.ndarray, reference: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the reference under the band levels that the original has over time.

    Each frame of the reference's spectrum is multiplied, band by band, so that the band has the original's power there.

    Args:
        sample_rate: in Hz; above twice ``HIGHEST``.
    """
    bands = _band_of_bins(sample_rate)
    carrier, modulator = _spectrum(reference), _spectrum(original)
    own, wanted = _band_powers(carrier, bands), _band_powers(modulator, bands)
    gains = np.minimum(np.sqrt(wanted / (own + FLOOR * max(float(own.max()), 1e-12))), MOST_GAIN)
    return _sound(carrier * gains[:, bands], reference.shape[1])


def _band_of_bins(sample_rate: int) -> np.ndarray:
    """Return the band of each bin of a spectrum (bins,)."""
    edges = LOWEST * (HIGHEST / LOWEST) ** (np.arange(BANDS + 1) / BANDS)
    frequencies = np.linspace(0, sample_rate / 2, SIZE // 2 + 1)
    return np.clip(np.searchsorted(edges, frequencies), 1, BANDS) - 1


def _band_powers(spectrum: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Return the power in each band, (channels, bands, times). A band that is narrower than a bin may hold none."""
    powers = np.zeros((spectrum.shape[0], BANDS, spectrum.shape[2]))
    for band in range(BANDS):
        powers[:, band] = (np.abs(spectrum[:, bands == band]) ** 2).sum(axis=1)
    return powers


def _rms(sound: np.ndarray) -> float:
    return max(float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))), 1e-6)


def _transform():
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    return ShortTimeFFT(hann(SIZE, sym=False), HOP, fs=1.0)


def _spectrum(sound: np.ndarray) -> np.ndarray:
    """Return the short-time spectrum (channels, bins, times)."""
    return _transform().stft(np.asarray(sound, dtype=np.float64))


def _sound(spectrum: np.ndarray, frames: int) -> np.ndarray:
    return _transform().istft(spectrum, k1=frames).astype(np.float32)
