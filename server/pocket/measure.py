"""Measure the shipped model on recordings that it never saw.

    python -m pocket.measure [--steps 50] [--holds 0,0.1,0.2,0.3] [--picture FILE.png]

Prints the codec's round trip, the fusion window of the demo's two sounds (correlation of log-mel spectrograms with the original | with the
reference, each through the codec), and what prompts alone give.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from pocket import demo_sounds, recordings
from tertium import plots
from tertium.engine import operations
from tertium.engine.models import load_model
from tertium.engine.settings import FuseSettings, GenerateSettings

INTERVENTIONS = (0.60, 0.66, 0.72, 0.78, 0.84, 0.90, 0.94, 0.96, 0.98)
"""Fractions of the steps."""
PROMPTS = (
    "drum loop electronic beat fast",
    "bell metallic large hall",
    "drone dark low slow",
    "noise wind sweeping",
    "plucked string guitar melody",
)


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


def through_codec(model, sound: torch.Tensor) -> torch.Tensor:
    return model.decode(model.encode(sound), samples=sound.shape[1])[0]


def codec(model) -> None:
    found = []
    for name in recordings.HELD_OUT:
        sound = torch.from_numpy(recordings.read(name)).float()
        began = time.monotonic()
        back = through_codec(model, sound)
        pace = (time.monotonic() - began) * recordings.RATE / sound.shape[1]
        found.append(likeness(sound, back))
        print(f"{name:20} {found[-1]:.4f}  {pace:.2f} s a second")
    print(f"codec: median {statistics.median(found):.3f}, worst {min(found):.3f}")


def window(model, original: torch.Tensor, reference: torch.Tensor, *, steps: int, holds: list[float]) -> list:
    """The table of the window; returns (title, sound) of every other row of the middle hold."""
    ends = [through_codec(model, sound) for sound in (original, reference)]
    print(f"the two sounds: {likeness(*ends):.2f}")
    kept = [("original", ends[0]), ("reference", ends[1])]
    for hold in holds:
        row = []
        for place, fraction in enumerate(INTERVENTIONS):
            k = round(fraction * steps)
            result = operations.fuse(model, original, reference, FuseSettings(steps=steps, intervention=k, hold=hold))
            row.append(f"{k} {likeness(result, ends[0]):.2f} | {likeness(result, ends[1]):.2f}")
            if hold == holds[len(holds) // 2] and place % 2:
                kept.append((f"k = {k}, hold {hold}", result))
        print(f"hold {hold}: {' · '.join(row)}", flush=True)
    return kept


def prompts(model, *, steps: int) -> list:
    kept = []
    for prompt in PROMPTS:
        began = time.monotonic()
        sound = operations.generate(model, GenerateSettings(prompt=prompt, seconds=6.0, steps=steps))
        print(
            f"{prompt}: peak {sound.abs().max():.2f}, rms {sound.square().mean().sqrt():.3f}, {time.monotonic() - began:.1f} s"
        )
        kept.append((prompt, sound))
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument(
        "--holds", type=lambda text: [float(part) for part in text.split(",")], default=[0.0, 0.1, 0.2, 0.3]
    )
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    model = load_model(options.model, device="cpu")
    codec(model)
    pair = [
        torch.from_numpy(
            recordings.read(source)[:, int(start * recordings.RATE) : int((start + length) * recordings.RATE)]
        ).float()
        for source, start, length, _ in demo_sounds.CUTS.values()
    ]
    shown = window(model, *pair, steps=options.steps, holds=options.holds) + prompts(model, steps=options.steps)
    if options.picture:
        plots.plot_sounds(options.picture, [(title, sound.numpy(), recordings.RATE) for title, sound in shown])


if __name__ == "__main__":
    main()
