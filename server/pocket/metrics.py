"""Measures of one sound, or of one sound against another. Sounds are (channels, samples), float, at 44.1 kHz unless stated otherwise."""

import math
import statistics

import torch

from pocket.material.synthesis import RATE

STFT_SIZES = (512, 1024, 2048)
_FLOOR = 1e-4  # −80 dBFS
_SMOOTH_SECONDS = 0.005  # with a shorter window, single periods of a bass tone would count as attacks
_STEP, _NEAR, _BEFORE, _AFTER = (int(seconds * RATE) for seconds in (0.01, 0.02, 0.05, 0.03))
_APART_SECONDS = 0.1  # closer attacks count as one
NARROW_DB = -60.0


def log_mel(sound: torch.Tensor) -> torch.Tensor:
    """Return the mel energies (128, frames) of (samples,) in decibels, clipped at 80 dB below the loudest."""
    spectrum = torch.stft(sound, 2048, 512, window=torch.hann_window(2048), return_complex=True).abs().square()
    edges = 700 * (10 ** (torch.linspace(32, 3680, 130) / 2595) - 1)
    bins = torch.linspace(0, 22050, 1025)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    decibels = 10 * torch.log10(torch.minimum(rising, falling).clamp(min=0) @ spectrum + 1e-10)
    return decibels.clamp(min=decibels.max() - 80)


def likeness(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the correlation of the log-mel spectrograms of two sounds (2, samples), averaged over the channels."""
    pairs = [torch.stack([log_mel(a).flatten(), log_mel(b).flatten()]) for a, b in zip(one, other, strict=True)]
    return statistics.mean(torch.corrcoef(pair)[0, 1].item() for pair in pairs)


def si_sdr(sound: torch.Tensor, result: torch.Tensor) -> float:
    """Return the scale-invariant signal-to-distortion ratio in decibels.

    Le Roux, Wisdom, Erdogan and Hershey (2019), "SDR – half-baked or well done?", equation 5, with all channels as one vector.
    """
    a, b = sound.double().flatten(), result.double().flatten()
    target = a * (a @ b) / (a @ a).clamp(min=1e-20)
    return 10 * math.log10(max(float(target @ target), 1e-20) / max(float((b - target).square().sum()), 1e-20))


def stft_distance(sound: torch.Tensor, result: torch.Tensor) -> tuple[float, float]:
    """Return the multi-resolution distance of two sounds: spectral convergence, and mean difference of log magnitudes in nepers.

    Yamamoto, Song and Kim (2020), "Parallel WaveGAN", equations 4 and 5: ‖ |S| − |X| ‖ / ‖S‖ and the mean of |log |S| − log |X||, averaged over
    Hann windows of 512, 1,024 and 2,048 samples with a hop of a quarter window. Log magnitudes are clipped at −80 dBFS.
    """
    found = [_one_distance(sound, result, size) for size in STFT_SIZES]
    return statistics.mean(c for c, _ in found), statistics.mean(m for _, m in found)


def _one_distance(sound, result, size):
    window = torch.hann_window(size)
    s, x = (
        torch.stft(each.float(), size, size // 4, window=window * (2 / window.sum()), return_complex=True).abs()
        for each in (sound, result)
    )
    convergence = (s - x).norm() / s.norm().clamp(min=1e-9)
    logs = (s.clamp(min=_FLOOR).log() - x.clamp(min=_FLOOR).log()).abs().mean()
    return convergence.item(), logs.item()


def envelope(sound: torch.Tensor) -> torch.Tensor:
    """Return the energy of all channels (samples,), smoothed over 5 ms with a Hann window."""
    size = int(_SMOOTH_SECONDS * RATE) | 1
    weights = torch.hann_window(size + 2, periodic=False, dtype=torch.float64)[1:-1]
    energy = sound.double().square().sum(0)[None, None]
    return torch.nn.functional.conv1d(energy, (weights / weights.sum())[None, None], padding=size // 2)[0, 0]


def onsets(sound: torch.Tensor, *, most: int = 12) -> list[int]:
    """Return the sample positions of at most ``most`` distinct onsets, the strongest first.

    An onset is a local maximum of the energy's rise within 10 ms: at least a quarter of the largest rise of all, and 0.1 s away from any
    larger one. It is distinct if the mean energy over the 50 ms before it is at most a tenth of that over the 30 ms after it.
    """
    energy = envelope(sound)
    rise = _rise(energy)
    apart, found = int(_APART_SECONDS * RATE), []
    least = max(0.25 * float(rise.max()), 1e-12) if len(rise) else 1.0
    while len(found) < most and len(rise) and float(rise.max()) > least:
        place = int(rise.argmax())
        onset = place + _STEP // 2
        before = energy[max(0, onset - _BEFORE) : max(0, place - _STEP // 2)]
        if not len(before) or float(before.mean()) <= 0.1 * float(energy[onset : onset + _AFTER].mean()):
            found.append(onset)
        rise[max(0, place - apart) : place + apart] = 0.0
    return found


def _rise(energy: torch.Tensor) -> torch.Tensor:
    """Return the increase of the energy over the next 10 ms."""
    return energy[_STEP:] - energy[:-_STEP] if len(energy) > _STEP else energy[:0]


def rise_time(sound: torch.Tensor, onset: int) -> float:
    """Return the seconds in which the energy around an onset rises from 10 to 90 % of its mean over the 30 ms after it, at most 70 ms.

    The mean is the reference, not the peak: where partials beat, the peak may be anywhere.
    """
    first = max(0, onset - _BEFORE - _NEAR)
    energy = envelope(sound[:, first : onset + _BEFORE + _AFTER])
    middle = onset - first
    level = float(energy[middle : middle + _AFTER].mean())
    from_here = max(0, middle - _NEAR)
    reached = torch.nonzero(energy[from_here:] >= 0.9 * level)
    if level <= 0.0 or not len(reached):
        return 0.0
    end = from_here + int(reached[0])
    below = torch.nonzero(energy[:end] < 0.1 * level)
    return (end - int(below[-1]) if len(below) else end) / RATE


def attack_change(sound: torch.Tensor, result: torch.Tensor) -> tuple[float, float, float]:
    """Return the rise times of the sound and of the result, and their difference, in seconds: medians over the sound's onsets.

    Raises:
        ValueError: the sound has no distinct onset.
    """
    places = onsets(sound)
    if not places:
        raise ValueError("the sound has no distinct onset")
    before, after = ([rise_time(each, place) for place in places] for each in (sound, result))
    changes = [b - a for a, b in zip(before, after, strict=True)]
    return statistics.median(before), statistics.median(after), statistics.median(changes)


def width(sound: torch.Tensor) -> float:
    """Return the energy of the side (left − right) over that of the middle (left + right), in decibels from −60 to 60; 0 for unrelated channels."""
    left, right = sound.double()
    side, middle = float((left - right).square().sum()), float((left + right).square().sum())
    if side + middle <= 0.0:
        return NARROW_DB
    return 10 * math.log10(min(max(side / max(middle, 1e-30), 1e-6), 1e6))


def flutter(sound: torch.Tensor, *, rate: float) -> float:
    """Return how much the energy fluctuates at a rate, in Hz, relative to nearby rates: decibels, 0 for no excess.

    A codec that works in frames may impose their rate on a sound that has no rhythm of its own. The powers of one-second segments are averaged.
    """
    energy = envelope(sound)
    pieces = energy.unfold(0, RATE, RATE // 2) if len(energy) >= RATE else energy[None]
    pieces = pieces / pieces.mean(1, keepdim=True).clamp(min=1e-12)
    window = torch.hann_window(pieces.shape[1], dtype=pieces.dtype)
    power = torch.fft.rfft((pieces - pieces.mean(1, keepdim=True)) * window).abs().square().mean(0)
    place = round(rate * pieces.shape[1] / RATE)
    peak = power[place - 1 : place + 2].mean()
    around = torch.cat([power[place - 12 : place - 3], power[place + 4 : place + 13]]).mean()
    return 10 * math.log10(max(float(peak / around.clamp(min=1e-20)), 1e-3))


def flatness(sound: torch.Tensor) -> float:
    """Return the geometric over the arithmetic mean of the power spectrum between 50 Hz and 16 kHz: the median over frames within 40 dB of the loudest.

    A sine has 0; Gaussian white noise has exp(−0.5772) = 0.56.
    """
    window = torch.hann_window(2048)
    power = torch.stft(sound.float().mean(0), 2048, 1024, window=window, return_complex=True).abs().square()
    power = power[3:744] + 1e-12
    loudness = power.mean(0)
    audible = power[:, loudness >= loudness.max() * 1e-4]
    return (audible.log().mean(0).exp() / audible.mean(0)).median().item()


def liveliness(sound: torch.Tensor) -> tuple[float, float]:
    """Return the standard deviations of log-mel decibels over the bands of a median frame, and over time in a median band.

    Stationary white noise has about 3 and 2 dB: the first from the increasing width of the mel bands, the second from randomness.
    """
    decibels = log_mel(sound.float().mean(0))
    return decibels.std(0).median().item(), decibels.std(1).median().item()
