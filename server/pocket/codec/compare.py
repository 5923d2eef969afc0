"""Compare ways of decoding the codec's latents to sound, on sounds that were in no training.

    python -m pocket.codec.compare [--seconds 6] [--csv FILE]

Prints one row for each decoder, with means over the sounds (see `metrics`): likeness (median and worst), spectral convergence, log
magnitudes, SI-SDR, the change of attacks (median and worst, over sounds with a distinct onset), the change of width (sounds with two different
channels), the flutter added at the codec's own rates, and processor time for decoding. The last rows use the magnitudes of the sound
itself: what is lost there is lost by the phases alone.
"""

import argparse
import csv
import functools
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pocket import metrics
from pocket.material import unseen
from tertium.engine.models import phase_retrieval
from tertium.engine.models.loaded_model import load_model
from tertium.engine.models.pocket_codec import SpectralCodec

Phases = Callable[[SpectralCodec, torch.Tensor], torch.Tensor]
"""Unit phasors for magnitudes (batch, bins, spectra)."""
Decoder = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Sound (1, 2, samples) from latents and, for the last rows, from the sound itself (1, 2, whole frames)."""
_RATES = (metrics.RATE / 512, metrics.RATE / 1024)  # Hz: the codec's spectra and its latent frames
_ONSET_DB, _ONSET_DELAY = 9.0, 60.0
COLUMNS = (
    "likeness",
    "worst",
    "convergence",
    "nepers",
    "SI-SDR",
    "attack ms",
    "worst attack",
    "width dB",
    "flutter dB",
    "s a second",
)


def random_phase(magnitudes: torch.Tensor) -> torch.Tensor:
    """Return random unit phasors from a fixed seed."""
    angle = 2 * math.pi * torch.rand(magnitudes.shape, generator=torch.Generator().manual_seed(0))
    return torch.polar(torch.ones_like(magnitudes), angle)


def phase_along_time(magnitudes: torch.Tensor, *, n_fft: int, hop: int) -> torch.Tensor:
    """Return unit phasors (batch, bins, spectra) by integrating the phase gradient along time only, from the last onset of each bin.

    An onset starts as an impulse in the middle of its spectrum, with a slight delay that varies over frequency.
    """
    logs = torch.log(magnitudes.clamp(min=1e-6))
    slope, _ = phase_retrieval.gradient(logs, n_fft=n_fft, hop=hop)
    bins = torch.arange(magnitudes.shape[-2], dtype=magnitudes.dtype)[:, None]
    total = torch.cumsum((slope + 2 * math.pi * torch.remainder(bins * hop / n_fft, 1.0)).double(), -1)
    rise = torch.diff(logs, dim=-1, prepend=logs[..., :1])
    times = torch.arange(logs.shape[-1]).expand(logs.shape)
    onset = torch.where(rise > _ONSET_DB * math.log(10) / 20, times, 0).cummax(-1).values
    angle = torch.remainder(total - total.gather(-1, onset), 2 * math.pi).to(magnitudes.dtype)
    angle = angle + math.pi * torch.remainder(bins, 2)
    angle = angle + torch.cumsum(2 * math.pi / n_fft * _ONSET_DELAY * torch.cos(bins / 40), 0)
    return torch.polar(torch.ones_like(angle), angle)


def decode_spectrum(
    codec: SpectralCodec, spectrum, start: Phases, *, shared: int, each: int, momentum: float = 0.99
) -> torch.Tensor:
    """Return the sound of a spectrum, a pair (magnitudes, coherence).

    Args:
        start: the first phases.
        shared: rounds of Griffin-Lim on both channels together.
        each: rounds on each channel that follow.
        momentum: of the fast Griffin-Lim algorithm; 0 is the plain one.
    """
    magnitudes, coherence = spectrum
    together = magnitudes.square().mean(1).sqrt()
    phases = codec.griffin_lim(together, start(codec, together), shared, momentum=momentum)
    phases = codec.griffin_lim(magnitudes, codec.stereo_phase(phases, coherence), each, momentum=momentum)
    return codec.istft(magnitudes * phases)


def decoders(codec: SpectralCodec) -> dict[str, Decoder]:
    """Return the decoders that are compared, by name."""

    def at_random(_, magnitudes):
        return random_phase(magnitudes)

    def along_time(codec, magnitudes):
        return phase_along_time(magnitudes, n_fft=codec.n_fft, hop=codec.hop)

    def along_tree(codec, magnitudes):
        return codec.integrated_phase(magnitudes)

    def decoded(latents):
        return codec.spectrum(codec.decode_features(latents))

    def own(sound):
        _, coherence = codec.spectrum(codec.features(sound))
        return codec.stft(sound).abs(), coherence

    sound_of = functools.partial(decode_spectrum, codec)
    return {
        "Griffin-Lim from random phases, 24 + 8 rounds": lambda z, _: sound_of(
            decoded(z), at_random, shared=24, each=8, momentum=0.0
        ),
        "fast Griffin-Lim from random phases, 24 + 8": lambda z, _: sound_of(decoded(z), at_random, shared=24, each=8),
        "phase along time, 24 + 8": lambda z, _: sound_of(decoded(z), along_time, shared=24, each=8),
        "phase along a tree, no rounds": lambda z, _: sound_of(decoded(z), along_tree, shared=0, each=0),
        "phase along a tree, 8 rounds": lambda z, _: sound_of(decoded(z), along_tree, shared=0, each=8),
        "phase along a tree, 24 + 8": lambda z, _: sound_of(decoded(z), along_tree, shared=24, each=8),
        "tree, noise phases in flat regions, 8 rounds (ships)": lambda z, _: codec.decode(z),
        "own magnitudes, time, 24 + 8": lambda _, x: sound_of(own(x), along_time, shared=24, each=8),
        "own magnitudes, as shipped": lambda _, x: codec.sound(*own(x)),
    }


def measures(sound: torch.Tensor, result: torch.Tensor, seconds: float) -> dict[str, float]:
    """Return the measures of one sound after one decoder, which took ``seconds``; NaN where a measure does not apply."""
    convergence, nepers = metrics.stft_distance(sound, result)
    wide = metrics.width(sound)
    attack = metrics.attack_change(sound, result)[2] if metrics.onsets(sound) else math.nan
    return {
        "likeness": metrics.likeness(sound, result), "convergence": convergence, "nepers": nepers,
        "SI-SDR": metrics.si_sdr(sound, result), "attack ms": 1e3 * abs(attack),
        "width dB": abs(metrics.width(result) - wide) if wide > metrics.NARROW_DB else math.nan,
        "flutter dB": max(0.0, *(metrics.flutter(result, rate=rate) - metrics.flutter(sound, rate=rate) for rate in _RATES)),
        "s a second": seconds * metrics.RATE / sound.shape[1],
    }  # fmt: skip


def summary(rows: list[dict[str, float]]) -> list[float]:
    """Return one number for each of COLUMNS."""

    def values(key):
        return [row[key] for row in rows if not math.isnan(row[key])]

    return [
        statistics.median(values("likeness")), min(values("likeness")), statistics.mean(values("convergence")),
        statistics.mean(values("nepers")), statistics.mean(values("SI-SDR")), statistics.median(values("attack ms")),
        max(values("attack ms")), statistics.mean(values("width dB")), statistics.mean(values("flutter dB")), statistics.median(values("s a second")),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument(
        "--seconds", type=float, default=unseen.SECONDS, help="length of each sound that is used, from its beginning"
    )
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    codec = load_model(options.model, device="cpu").model.pretransform
    sounds = unseen.held_out() | unseen.synthesised()
    rows: dict[str, list] = {}
    for name, sound in sounds.items():
        sound = sound[:, : int(options.seconds * metrics.RATE)]
        whole = torch.nn.functional.pad(sound, (0, -sound.shape[1] % codec.downsampling_ratio))[None]
        latents = codec.encode(whole)
        for title, decode in decoders(codec).items():
            began = time.process_time()
            result = decode(latents, whole)[0, :, : sound.shape[1]]
            rows.setdefault(title, []).append(measures(sound, result, time.process_time() - began))
        print(name, flush=True)
    print("| | " + " | ".join(COLUMNS) + " |")
    for title, of_sounds in rows.items():
        print(f"| {title} | " + " | ".join(f"{value:.3f}" for value in summary(of_sounds)) + " |")
    if options.csv:
        write_csv(options.csv, list(sounds), rows)


def write_csv(path: Path, sounds: list[str], rows: dict[str, list[dict[str, float]]]) -> None:
    """Write a line for each decoder and sound."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["decoder", "sound", *next(iter(rows.values()))[0]])
        for title, of_sounds in rows.items():
            table.writerows([title, name, *values.values()] for name, values in zip(sounds, of_sounds, strict=True))


if __name__ == "__main__":
    with torch.inference_mode():
        main()
