"""Compare ways from the codec's latents to sound, on sounds that no training heard.

    python -m pocket.codec.compare [--seconds 6] [--decoder WORK/decoder.pt] [--csv FILE]

Prints a row for each way, with means over the sounds (see `measures`): likeness (median and worst), spectral convergence, log magnitudes, SI-SDR, the change of
attacks (median and worst, of sounds that set in out of calm), the change of width (sounds with two channels), flutter added at the codec's own rates and processor time for decoding. With --decoder also the learned
magnitudes that `train_decoder` makes. The last row has the magnitudes of the sound itself: what is missing there is phase alone.
"""

import argparse
import csv
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pocket import metrics
from pocket.material import unseen
from pocket.spectrum_decoder import SpectrumDecoder
from tertium.engine.models import phase_retrieval
from tertium.engine.models.loaded_model import load_model
from tertium.engine.models.pocket_codec import SpectralCodec

Way = Callable[[SpectralCodec, torch.Tensor], torch.Tensor]
_RATES = (metrics.RATE / 512, metrics.RATE / 1024)  # of the codec's spectra and of its latent frames
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
    """Unit phasors by chance, always the same."""
    angle = 2 * math.pi * torch.rand(magnitudes.shape, generator=torch.Generator().manual_seed(0))
    return torch.polar(torch.ones_like(magnitudes), angle)


def phase_along_time(magnitudes: torch.Tensor, *, n_fft: int, hop: int) -> torch.Tensor:
    """Unit phasors by integrating the phase gradient along time only, from the last onset of each bin, (batch, bins, spectra).

    An onset starts as an impulse in the middle of its spectrum, its frequencies a little apart.
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


def integrated(codec: SpectralCodec, shared: torch.Tensor) -> torch.Tensor:
    return codec.integrated_phase(shared)


def through(
    codec: SpectralCodec, spectrum, start: Way, *, shared: int, each: int, momentum: float = 0.99
) -> torch.Tensor:
    """Sound of (magnitudes, coherence): phases from a start, rounds of Griffin-Lim on both channels as one, then on each."""
    magnitudes, coherence = spectrum
    together = magnitudes.square().mean(1).sqrt()
    found = codec.griffin_lim(together, start(codec, together), shared, momentum=momentum)
    found = codec.griffin_lim(magnitudes, codec.stereo_phase(found, coherence), each, momentum=momentum)
    return codec.istft(magnitudes * found)


def learned(codec: SpectralCodec, decoder: SpectrumDecoder, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Magnitudes and coherence with what the network adds."""
    magnitudes, coherence = codec.spectrum(codec.decode_features(latents))
    nepers, change = decoder(latents)
    change = (change / codec.groups).repeat_interleave(codec.stack, -1)
    return magnitudes * codec.in_order(nepers).exp(), (coherence + change).clamp(-1, 1)


def ways(codec: SpectralCodec, decoder: SpectrumDecoder | None) -> dict[str, Callable]:
    """What is compared, by name: from latents and the sound itself (1, 2, whole frames) to sound."""

    def chance(_, magnitudes):
        return random_phase(magnitudes)

    def along_time(codec, magnitudes):
        return phase_along_time(magnitudes, n_fft=codec.n_fft, hop=codec.hop)

    def spectrum(latents):
        return codec.spectrum(codec.decode_features(latents))

    def own(sound):
        _, coherence = codec.spectrum(codec.features(sound))
        return codec.stft(sound).abs(), coherence

    found = {
        "Griffin-Lim from chance, 24 + 8 rounds": lambda z, _: through(
            codec, spectrum(z), chance, shared=24, each=8, momentum=0.0
        ),
        "fast Griffin-Lim from chance, 24 + 8": lambda z, _: through(codec, spectrum(z), chance, shared=24, each=8),
        "phase along time, 24 + 8": lambda z, _: through(codec, spectrum(z), along_time, shared=24, each=8),
        "phase along a tree, no rounds": lambda z, _: through(codec, spectrum(z), integrated, shared=0, each=0),
        "phase along a tree, 8 rounds": lambda z, _: through(codec, spectrum(z), integrated, shared=0, each=8),
        "phase along a tree, 24 + 8": lambda z, _: through(codec, spectrum(z), integrated, shared=24, each=8),
        "tree, noise in plains, 8 rounds (ships)": lambda z, _: codec.decode(z),
    }
    if decoder is not None:
        found["learned magnitudes, then as shipped"] = lambda z, _: codec.sound(*learned(codec, decoder, z))
    return found | {
        "own magnitudes, time, 24 + 8": lambda _, x: through(codec, own(x), along_time, shared=24, each=8),
        "own magnitudes, as shipped": lambda _, x: codec.sound(*own(x)),
    }


def row(sound: torch.Tensor, result: torch.Tensor, seconds: float) -> dict[str, float]:
    """The measures of one sound through one way; nan where one does not apply."""
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
    """One number for each of COLUMNS."""

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
    parser.add_argument("--seconds", type=float, default=unseen.SECONDS, help="of each sound, from its beginning")
    parser.add_argument("--decoder", type=Path)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    codec = load_model(options.model, device="cpu").model.pretransform
    decoder = None
    if options.decoder:
        decoder = SpectrumDecoder().requires_grad_(False)
        decoder.load_state_dict(torch.load(options.decoder, map_location="cpu", weights_only=True)["average"])
    sounds = unseen.held_out() | unseen.synthesised()
    rows: dict[str, list] = {}
    for name, sound in sounds.items():
        sound = sound[:, : int(options.seconds * metrics.RATE)]
        whole = torch.nn.functional.pad(sound, (0, -sound.shape[1] % codec.downsampling_ratio))[None]
        latents = codec.encode(whole)
        for title, way in ways(codec, decoder).items():
            began = time.process_time()
            result = way(latents, whole)[0, :, : sound.shape[1]]
            rows.setdefault(title, []).append(row(sound, result, time.process_time() - began))
        print(name, flush=True)
    print("| | " + " | ".join(COLUMNS) + " |")
    for title, found in rows.items():
        print(f"| {title} | " + " | ".join(f"{value:.3f}" for value in summary(found)) + " |")
    if options.csv:
        with options.csv.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["decoder", "sound", *next(iter(rows.values()))[0]])
            for title, found in rows.items():
                table.writerows([title, name, *values.values()] for name, values in zip(sounds, found, strict=True))


if __name__ == "__main__":
    with torch.inference_mode():
        main()
