"""Measure the shipped model on sounds that were in no training.

    python -m pocket.measure [--model pocket] [--steps 50] [--holds 0,0.1,0.2] [--picture DIR] [--only codec,prompts,window]

Prints three parts of MODEL_CARD.md as Markdown: the codec's round trip of held-out recordings and unseen synthesised sounds (see `metrics`),
generations from prompts compared with white noise and training material, and the fusion window of the demo's two sounds (likeness to the
original | to the reference, each after a round trip through the codec). With --picture, it writes spectrograms into DIR: ten round trips, ten
generations, and the window.
"""

import argparse
import math
import statistics
import time
from pathlib import Path

import torch

from pocket import demo_sounds, metrics
from pocket.material import recordings, unseen
from pocket.material.piece import piece
from pocket.material.synthesis import RATE
from pocket.metrics import likeness
from tertium.engine import operations
from tertium.engine.models.loaded_model import LoadedModel, load_model
from tertium.engine.settings import FuseSettings, GenerateSettings
from tertium.plots import spectrogram

PARTS = ("codec", "prompts", "window")
INTERVENTIONS = (0.60, 0.66, 0.72, 0.78, 0.84, 0.90, 0.94, 0.96, 0.98)
"""As fractions of the number of steps."""
PROMPTS = (
    "drum loop electronic beat fast", "bell metallic large hall", "drone dark low slow", "noise wind sweeping", "plucked string guitar melody",
    "pulses clicks regular", "pad chord minor soft", "glass resonant struck rhythm high", "sweep rising synth", "granular cloud texture",
)  # fmt: skip
PICTURED = (
    "loop_safari", "ambi_haunted_hum", "bass_voxy_c", "drum_tom_mid_hard", "elec_chime",
    "guit_e_slide", "mehackit_robot4", "vinyl_rewind", "noise", "pulses",
)  # fmt: skip
_MATERIAL = range(900_000, 900_024)  # numbers of pieces that training never uses

NamedSounds = list[tuple[str, torch.Tensor]]


def through_codec(model: LoadedModel, sound: torch.Tensor) -> torch.Tensor:
    """Return the sound after a round trip through the codec."""
    return model.decode(model.encode(sound), samples=sound.shape[1])[0]


def round_trip(model: LoadedModel, sound: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the sound after a round trip through the codec, and its measures: NaN where one does not apply, times in processor seconds for a second of sound."""
    began = time.process_time()
    latents = model.encode(sound)
    encoded = time.process_time()
    back = model.decode(latents, samples=sound.shape[1])[0]
    decoded = time.process_time()
    convergence, nepers = metrics.stft_distance(sound, back)
    sets_in = bool(metrics.onsets(sound))
    before, after, change = metrics.attack_change(sound, back) if sets_in else (math.nan,) * 3
    rate = RATE / 512
    return back, {
        "log-mel": likeness(sound, back), "SI-SDR dB": metrics.si_sdr(sound, back), "convergence": convergence, "log magnitude": nepers,
        "rise in ms": 1e3 * before, "rise out ms": 1e3 * after, "change ms": 1e3 * change,
        "width in dB": metrics.width(sound), "width out dB": metrics.width(back),
        "flutter in dB": metrics.flutter(sound, rate=rate), "flutter out dB": metrics.flutter(back, rate=rate),
        "encode s/s": (encoded - began) * RATE / sound.shape[1], "decode s/s": (decoded - encoded) * RATE / sound.shape[1],
    }  # fmt: skip


def codec(model: LoadedModel) -> NamedSounds:
    """Print the table of round trips; return the pictured sounds, each followed by its round trip."""
    rows, shown = {}, []
    for name, sound in (unseen.held_out() | unseen.synthesised()).items():
        back, rows[name] = round_trip(model, sound)
        if name in PICTURED:
            shown += [(name, sound), (f"{name}, through the codec", back)]
    print(markdown_table("sound", rows))
    for title, names in (
        ("held out", recordings.HELD_OUT),
        ("synthesised", [n for n in rows if n not in recordings.HELD_OUT]),
    ):
        found = [rows[name]["log-mel"] for name in names]
        changes = [abs(rows[name]["change ms"]) for name in names if not math.isnan(rows[name]["change ms"])]
        print(
            f"\n{title}: log-mel median {statistics.median(found):.3f}, worst {min(found):.3f}; "
            f"attacks change by {statistics.median(changes):.1f} ms in the median, {max(changes):.1f} at most; "
            f"decoding {statistics.median(rows[name]['decode s/s'] for name in names):.3f} s a second"
        )
    return shown


def markdown_table(corner: str, rows: dict[str, dict[str, float]]) -> str:
    """Return a table with a line for each row; ``corner`` heads the column of their names."""
    columns = list(next(iter(rows.values())))
    lines = [f"| {corner} | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = (
            "–" if math.isnan(row[c]) else f"{row[c]:.3f}" if abs(row[c]) < 2 else f"{row[c]:.1f}" for c in columns
        )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def character(sound: torch.Tensor) -> dict[str, float]:
    """Return the measures that distinguish a sound from noise."""
    across, along = metrics.liveliness(sound)
    return {
        "peak": sound.abs().max().item(), "rms": sound.square().mean().sqrt().item(), "flatness": metrics.flatness(sound),
        "spread over bands dB": across, "spread over time dB": along, "width dB": metrics.width(sound),
        "flutter dB": metrics.flutter(sound, rate=RATE / 512),
    }  # fmt: skip


def median(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each column."""
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def prompts(model: LoadedModel, *, steps: int) -> NamedSounds:
    """Print the measures of generations from prompts, of white noise and of training material; return the generations."""
    white_noise = 0.1 * torch.randn(2, 6 * RATE, generator=torch.Generator().manual_seed(0))
    pieces = [torch.from_numpy(piece(number)[0][:, : 6 * RATE]) for number in _MATERIAL]
    pieces = [piece for piece in pieces if piece.abs().max() > 0.01]
    shown, rows = [], {}
    began = time.monotonic()
    for prompt in PROMPTS:
        shown.append((prompt, operations.generate(model, GenerateSettings(prompt=prompt, seconds=6.0, steps=steps))))
        rows[prompt] = character(shown[-1][1])
    pace = (time.monotonic() - began) / len(PROMPTS)
    rows["median of these"] = median(list(rows.values()))
    rows["median of training material"] = median([character(piece) for piece in pieces])
    rows["white noise"] = character(white_noise)
    print(markdown_table("prompt", rows))
    alike = [likeness(a, b) for place, (_, a) in enumerate(shown) for _, b in shown[:place]]
    noisy = statistics.median(likeness(sound, white_noise) for _, sound in shown)
    print(
        f"\nlikeness to each other: median {statistics.median(alike):.2f}, most {max(alike):.2f}; to white noise: median {noisy:.2f}; {pace:.1f} s each"
    )
    return shown


def window(
    model: LoadedModel, original: torch.Tensor, reference: torch.Tensor, *, steps: int, holds: list[float]
) -> NamedSounds:
    """Print the table of the window; return the two sounds, and every other result of the middle hold."""
    ends = [through_codec(model, sound) for sound in (original, reference)]
    print(f"likeness of the two sounds: {likeness(*ends):.2f}")
    shown = [("original", ends[0]), ("reference", ends[1])]
    for hold in holds:
        row = []
        for place, fraction in enumerate(INTERVENTIONS):
            k = round(fraction * steps)
            result = operations.fuse(
                model,
                original,
                reference,
                FuseSettings(steps=steps, intervention=k, hold=hold, strength="paper", spread=0.0),
            )
            row.append(f"{k} {likeness(result, ends[0]):.2f} | {likeness(result, ends[1]):.2f}")
            if hold == holds[len(holds) // 2] and place % 2:
                shown.append((f"k = {k}, hold {hold}", result))
        print(f"hold {hold}: {' · '.join(row)}", flush=True)
    return shown


def demo_pair() -> list[torch.Tensor]:
    """Return the demo's two sounds, cut from the recordings to their lengths there, without fades."""
    return [
        torch.from_numpy(recordings.read(source)[:, int(start * RATE) : int((start + length) * RATE)]).float()
        for source, start, length, _ in demo_sounds.CUTS.values()
    ]


def draw(folder: Path, title: str, sounds: NamedSounds) -> None:
    """Write the spectrograms, four in a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(0, len(sounds), 4):
        path = folder / f"{title}_{number // 4 + 1}.png"
        path.unlink(missing_ok=True)
        spectrogram.plot_sounds(path, [(name, sound.numpy(), RATE) for name, sound in sounds[number : number + 4]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--holds", type=lambda text: [float(part) for part in text.split(",")], default=[0.0, 0.1, 0.2])
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--only", type=lambda text: text.split(","), default=PARTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model, device="cpu")
    parts = {
        "codec": lambda: codec(model),
        "prompts": lambda: prompts(model, steps=options.steps),
        "window": lambda: window(model, *demo_pair(), steps=options.steps, holds=options.holds),
    }
    for name in options.only:
        print(f"## {name}", flush=True)
        shown = parts[name]()
        if options.picture:
            draw(options.picture, name, shown)


if __name__ == "__main__":
    main()
