"""Third sounds made of two by classical means, as training material: what a fusion may sound like.

Every maker takes a ``numpy.random.Generator`` and two sounds of one length, (2, samples) at 44.1 kHz, and returns (2, samples): the *body*, whose pitches and
timbre are heard, under the *gesture*, whose rhythm or contour shapes it. Neither the sum of the two nor the average of their decibels is like these.
"""

import numpy
from scipy import signal

from pocket.material.synthesis import RATE

_SIZE, _HOP = 2048, 512


def vocoded(rng, body: numpy.ndarray, gesture: numpy.ndarray) -> numpy.ndarray:
    """A channel vocoder: the body's bands take the gesture's levels. 12 to 64 bands, with equal ratios from 60 Hz up."""
    bands = _bands(int(rng.integers(12, 65)))
    own, wanted = _spectra(body), _spectra(gesture)
    return _sound(own * _ratio(bands, own, wanted), body.shape[1])


def cross_synthesised(rng, body: numpy.ndarray, gesture: numpy.ndarray) -> numpy.ndarray:
    """Weighted geometric mean of the magnitudes in each bin, raised to the louder of the two, with the body's phases."""
    own, wanted = _spectra(body), _spectra(gesture)
    share = rng.uniform(0.35, 0.65)
    magnitudes = (numpy.abs(own) + 1e-5) ** (1 - share) * (numpy.abs(wanted) + 1e-5) ** share
    phases = own / (numpy.abs(own) + 1e-9)
    return _sound(magnitudes * phases, body.shape[1])


def accented(rng, body: numpy.ndarray, gesture: numpy.ndarray) -> numpy.ndarray:
    """The cross-synthesis of both, with the attacks of the gesture on top.

    Of all these it is nearest to what the gate asks for (``pocket.gate``): on its pairs 0.80 like both, 0.95 like their average, onsets 0.71, partials 0.83.
    """
    sound, attacks = cross_synthesised(rng, body, gesture), gesture * _attacks(gesture)
    return sound / (_rms(sound) + 1e-9) + rng.uniform(0.2, 0.6) * attacks / (_rms(attacks) + 1e-9)


def struck(rng, body: numpy.ndarray, gesture: numpy.ndarray) -> numpy.ndarray:
    """A resonator, an excerpt of the body that dies away, struck by the attacks of the gesture."""
    length = int(RATE * rng.uniform(0.15, 1.2))
    start = _liveliest(body, length)
    resonator = body[:, start : start + length]
    decay = numpy.exp(-numpy.arange(resonator.shape[1]) / RATE / rng.uniform(0.05, 0.4))
    strikes = gesture * _attacks(gesture)
    strikes = signal.sosfilt(signal.butter(1, rng.uniform(300, 3000), "high", fs=RATE, output="sos"), strikes)
    wet = signal.fftconvolve(strikes, resonator * decay, axes=1)[:, : body.shape[1]]
    return wet / (numpy.abs(wet).max() + 1e-9) + rng.uniform(0, 0.4) * gesture


def enveloped(rng, body: numpy.ndarray, gesture: numpy.ndarray) -> numpy.ndarray:
    """The body under the loudness of the gesture, over all frequencies at once."""
    smooth = signal.butter(1, rng.uniform(8, 40), fs=RATE, output="sos")
    own, wanted = (numpy.sqrt(numpy.maximum(signal.sosfilt(smooth, (x**2).mean(0)), 1e-9)) for x in (body, gesture))
    return body * numpy.minimum(wanted / (own + 0.05 * own.max()), 30)


def filtered(rng, body: numpy.ndarray, gesture: numpy.ndarray) -> numpy.ndarray:
    """The body, its own spectral contour removed, under that of the gesture: formants on the body's fine structure."""
    own, wanted = _spectra(body), _spectra(gesture)
    width = int(rng.integers(9, 41)) | 1
    kernel = numpy.hanning(width + 2)[1:-1] / numpy.hanning(width + 2)[1:-1].sum()

    def contour(spectra):
        return numpy.exp(
            signal.fftconvolve(numpy.log(numpy.abs(spectra) + 1e-5), kernel[None, :, None], "same", axes=1)
        )

    return _sound(own * numpy.minimum(contour(wanted) / contour(own), 1e3), body.shape[1])


MAKERS = {
    vocoded: ["vocoded"], cross_synthesised: ["morphed"], accented: ["morphed", "accented"], struck: ["struck", "resonator"], enveloped: ["gated"], filtered: ["filtered"],
}  # fmt: skip
"""The words that each maker adds to a caption."""


def fuse(rng, body: numpy.ndarray, gesture: numpy.ndarray) -> tuple[numpy.ndarray, list[str]]:
    """Return a third sound (2, samples), at most 1 in magnitude, by one of the makers, and its words; the two sounds are brought to one level first."""
    body, gesture = (x / (_rms(x) + 1e-9) * 0.1 for x in (body, gesture))
    maker = list(MAKERS)[rng.integers(len(MAKERS))]
    sound = maker(rng, body, gesture)
    return sound / (numpy.abs(sound).max() + 1e-9), ["fused", *MAKERS[maker]]


def _rms(sound):
    return numpy.sqrt((sound**2).mean())


def _spectra(sound):
    return signal.stft(sound, RATE, nperseg=_SIZE, noverlap=_SIZE - _HOP)[2]


def _sound(spectra, count):
    return signal.istft(spectra, RATE, nperseg=_SIZE, noverlap=_SIZE - _HOP)[1][:, :count]


def _bands(count: int) -> numpy.ndarray:
    """Return (count, bins): each bin's share of two neighbouring bands; the shares of a bin sum to 1."""
    edges = 60 * (18_000 / 60) ** (numpy.arange(count) / (count - 1))
    place = numpy.interp(numpy.fft.rfftfreq(_SIZE, 1 / RATE), edges, numpy.arange(count))
    return numpy.clip(1 - numpy.abs(place - numpy.arange(count)[:, None]), 0, 1)


def _ratio(bands, own, wanted):
    """Return the gains of bins that give one sound's bands the levels of the other's, at most 60 dB."""
    levels = [numpy.einsum("nk,ckt->cnt", bands, numpy.abs(x) ** 2) for x in (own, wanted)]
    gains = numpy.sqrt((levels[1] + 1e-12) / (levels[0] + 1e-8 * levels[0].max() + 1e-12))
    return numpy.minimum(numpy.einsum("nk,cnt->ckt", bands, gains), 1e3)


def _attacks(sound):
    """Return (samples,), 0 … 1: high where the loudness is above that of the last 80 ms."""
    energy = (sound**2).mean(0)
    fast, slow = (signal.sosfilt(signal.butter(1, f, fs=RATE, output="sos"), energy) for f in (60, 4))
    return numpy.clip(fast / (slow + 1e-9 + 0.01 * fast.max()) - 1, 0, 4) / 4


def _liveliest(sound, length):
    """Return the start of the loudest of eight evenly spaced excerpts."""
    starts = numpy.linspace(0, max(0, sound.shape[1] - length), 8).astype(int)
    return int(max(starts, key=lambda at: float((sound[:, at : at + length] ** 2).sum())))
