"""Measures of one sound, or of one sound against another. Sounds are (channels, samples), float, at 44.1 kHz unless said otherwise."""

import math
import statistics

import torch

from pocket.material.synthesis import RATE

STFT_SIZES = (512, 1024, 2048)
_FLOOR = 1e-4  # -80 dB beside a full-scale sine
_SMOOTH_SECONDS = (
    0.005  # the resolution of an energy envelope: shorter, and single periods of a bass tone count as attacks
)
_STEP, _NEAR, _BEFORE, _AFTER = (int(seconds * RATE) for seconds in (0.01, 0.02, 0.05, 0.03))
_APART_SECONDS = 0.1  # attacks closer than this are one
NARROW_DB = -60.0


def log_mel(sound: torch.Tensor) -> torch.Tensor:
    """(samples,) at 44.1 kHz → (128, frames): mel energies in decibels, down to 80 below the loudest."""
    spectrum = torch.stft(sound, 2048, 512, window=torch.hann_window(2048), return_complex=True).abs().square()
    edges = 700 * (10 ** (torch.linspace(32, 3680, 130) / 2595) - 1)
    bins = torch.linspace(0, 22050, 1025)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    decibels = 10 * torch.log10(torch.minimum(rising, falling).clamp(min=0) @ spectrum + 1e-10)
    return decibels.clamp(min=decibels.max() - 80)


def likeness(one: torch.Tensor, other: torch.Tensor) -> float:
    """Correlation of the log-mel spectrograms of two sounds (2, samples), the mean of their channels."""
    pairs = [torch.stack([log_mel(a).flatten(), log_mel(b).flatten()]) for a, b in zip(one, other, strict=True)]
    return statistics.mean(torch.corrcoef(pair)[0, 1].item() for pair in pairs)


def si_sdr(sound: torch.Tensor, result: torch.Tensor) -> float:
    """Decibels of what of the result is the sound, at any scale, over what is not.

    Le Roux, Wisdom, Erdogan and Hershey (2019), "SDR – half-baked or well done?", equation 5, all channels as one vector.
    """
    a, b = sound.double().flatten(), result.double().flatten()
    target = a * (a @ b) / (a @ a).clamp(min=1e-20)
    return 10 * math.log10(max(float(target @ target), 1e-20) / max(float((b - target).square().sum()), 1e-20))


def stft_distance(sound: torch.Tensor, result: torch.Tensor) -> tuple[float, float]:
    """Multi-resolution distance of two sounds: spectral convergence, and mean difference of log magnitudes in nepers.

    Yamamoto, Song and Kim (2020), "Parallel WaveGAN", equations 4 and 5: |‖S| − |X‖| / ‖S‖ and the mean of |log S − log X|, the mean over
    Hann windows of 512, 1,024 and 2,048 samples, a quarter of them apart. Magnitudes below −80 dBFS count as that.
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
    """(samples,): energy of all channels, its mean over 5 ms under a Hann window."""
    size = int(_SMOOTH_SECONDS * RATE) | 1
    weights = torch.hann_window(size + 2, periodic=False, dtype=torch.float64)[1:-1]
    energy = sound.double().square().sum(0)[None, None]
    return torch.nn.functional.conv1d(energy, (weights / weights.sum())[None, None], padding=size // 2)[0, 0]


def onsets(sound: torch.Tensor, *, most: int = 12) -> list[int]:
    """Samples at which a sound sets in out of calm, the strongest first.

    There its energy rises fastest within 10 ms, by at least a quarter of the fastest rise of all, 0.1 s away from any faster one; and over the
    50 ms before it is a tenth of that over the 30 ms after, or less.
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
    """How much more energy there is 10 ms later."""
    return energy[_STEP:] - energy[:-_STEP] if len(energy) > _STEP else energy[:0]


def rise_time(sound: torch.Tensor, onset: int) -> float:
    """Seconds in which the energy around an onset goes from 10 to 90 % of its mean over the 30 ms that follow, at most 70 ms.

    The mean and not the peak: where partials beat, the peak may be anywhere.
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
    """Rise time of a sound, that of the result, and the change, in seconds: medians over the sound's onsets.

    Raises:
        ValueError: the sound has no onset.
    """
    places = onsets(sound)
    if not places:
        raise ValueError("the sound has no onset: nowhere does it set in out of calm")
    before, after = ([rise_time(each, place) for place in places] for each in (sound, result))
    changes = [b - a for a, b in zip(before, after, strict=True)]
    return statistics.median(before), statistics.median(after), statistics.median(changes)


def width(sound: torch.Tensor) -> float:
    """Energy of the side, left − right, over that of the middle, left + right, in decibels from −60 to 60; unrelated channels have 0."""
    left, right = sound.double()
    side, middle = float((left - right).square().sum()), float((left + right).square().sum())
    if side + middle <= 0.0:
        return NARROW_DB
    return 10 * math.log10(min(max(side / max(middle, 1e-30), 1e-6), 1e6))


def flutter(sound: torch.Tensor, *, rate: float) -> float:
    """How far the energy swings at a rate, in Hz, beside what it swings at rates a little lower and higher: decibels, 0 for none.

    A codec that works in steps may leave their rate in a sound that has no rhythm of its own. Each second is measured alone; the mean of their powers is taken.
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
    """Geometric over arithmetic mean of the power spectrum between 50 Hz and 16 kHz: the median over frames within 40 dB of the loudest.

    0 is a sine; Gaussian white noise has exp(−0.5772) = 0.56.
    """
    window = torch.hann_window(2048)
    power = torch.stft(sound.float().mean(0), 2048, 1024, window=window, return_complex=True).abs().square()
    power = power[3:744] + 1e-12
    loudness = power.mean(0)
    heard = power[:, loudness >= loudness.max() * 1e-4]
    return (heard.log().mean(0).exp() / heard.mean(0)).median().item()


def liveliness(sound: torch.Tensor) -> tuple[float, float]:
    """How far log-mel decibels spread over the bands of a typical frame, and over time in a typical band: standard deviations.

    Stationary white noise has about 3 and 2 dB: the slope that mel bands make of it, and chance.
    """
    decibels = log_mel(sound.float().mean(0))
    return decibels.std(0).median().item(), decibels.std(1).median().item()
