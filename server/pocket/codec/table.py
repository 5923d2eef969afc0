"""The table by which codecs are judged, on sounds that were in no training.

    python -m pocket.codec.table [WORK] [--seconds 4] [--every 1] [--only WORDS] [--csv FILE]

The shipped codec; with WORK, also that of the working folder. Columns: correlation
of log spectra at four windows; of onset envelopes; energy 25 to 5 ms before onsets in dB; correlation of partials; loudness and true peak of the round trip in dB; side
against middle of mono sounds in dB; modulation of steady tones at the rates of latent frames and of spectra in per cent; time to decode 3 s, as a ratio to
that of the shipped codec on the first sounds of the same run. Means with 95 % intervals (bootstrap over sounds).
"""

import argparse
import csv
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pocket import likeness, metrics
from pocket.codec.train_phases import whole_codec
from pocket.material import unseen
from pocket.material.synthesis import RATE
from tertium.engine.models.loaded_model import load_model

LEAD_IN = RATE // 10  # silence before each sound, so that a sound that starts at once has something before its onset
COLUMNS = (
    *(f"window {size}" for size in likeness.WINDOWS), "onsets", "before onsets dB", "partials", "loudness dB", "true peak dB",
    "mono width dB", "43 Hz %", "86 Hz %", "time",
)  # fmt: skip
Trip = tuple[Callable[[torch.Tensor], torch.Tensor], Callable[[torch.Tensor], torch.Tensor]]
"""Encode and decode, on a batch of one."""


def candidates(work: Path | None) -> dict[str, Trip]:
    """Return the codecs that there are, by name: the shipped one, then that of a working folder."""
    found = {"shipped": load_model("pocket", device="cpu").model.pretransform}
    if work:
        found[str(work)] = whole_codec(work)
    return {name: (codec.encode, codec.decode) for name, codec in found.items()}


def steady() -> dict[str, torch.Tensor]:
    """Return four steady sounds of three seconds (2, samples), each with two equal channels: a sine, two harmonic tones, a chord."""
    t = torch.arange(3 * RATE) / RATE
    chords = {
        "sine": [440.3],
        "low tone": [110.7 * n for n in range(1, 15)],
        "tone": [261.9 * n for n in range(1, 12)],
        "chord": [196.3, 247.1, 293.9, 392.2],
    }
    sums = {
        name: sum(torch.sin(2 * math.pi * f * t + n) / (n + 1) for n, f in enumerate(of)) for name, of in chords.items()
    }
    return {name: (0.3 * x / x.abs().max()).repeat(2, 1) for name, x in sums.items()}


def round_trip(trip: Trip, sound: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return a sound (2, samples) after its round trip, and the seconds that decoding took for three seconds of it."""
    encode, decode = trip
    latents = encode(torch.nn.functional.pad(sound, (0, -sound.shape[1] % 1024))[None])
    began = time.process_time()
    back = decode(latents)[0, :, : sound.shape[1]]
    return back, (time.process_time() - began) * 3 * RATE / sound.shape[1]


def measures(sound: torch.Tensor, back: torch.Tensor) -> dict[str, float]:
    """Return the measures of a round trip; NaN where one does not apply."""
    mono = metrics.width(sound) <= metrics.NARROW_DB
    return {f"window {size}": likeness.spectral(sound, back, size) for size in likeness.WINDOWS} | {
        "onsets": likeness.onsets(sound, back),
        "before onsets dB": likeness.before_onsets(sound, back),
        "partials": likeness.partials(sound, back),
        "loudness dB": likeness.level(back) - likeness.level(sound),
        "true peak dB": likeness.true_peak(back) - likeness.true_peak(sound),
        "mono width dB": metrics.width(back) if mono else math.nan,
    }


@torch.no_grad()
def measure(trip: Trip, sounds: dict[str, torch.Tensor]) -> list[dict[str, float | str]]:
    """Return the measures of one codec on each of the sounds, then on the steady ones."""
    rows = []
    for name, sound in sounds.items():
        back, seconds = round_trip(trip, sound)
        rows.append({"sound": name, "time": seconds} | measures(sound, back))
    for name, sound in steady().items():
        back, _ = round_trip(trip, sound)
        rates = {"43 Hz %": RATE / 1024, "86 Hz %": RATE / 512}
        rows.append({"sound": name} | {column: likeness.modulation(back, rate) for column, rate in rates.items()})
    return rows


def line(rows: list[dict], unit: float) -> list[str]:
    """Return a cell for each of COLUMNS; times are in units of ``unit`` seconds."""
    cells = []
    for column in COLUMNS:
        scale = 1 / unit if column == "time" else 1.0
        mean, low, high = likeness.interval([row[column] * scale for row in rows if column in row])
        cells.append("–" if math.isnan(mean) else f"{mean:.3f} [{low:.3f}, {high:.3f}]")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="length of each sound that is used, from its beginning"
    )
    parser.add_argument("--every", type=int, default=1, help="use only every so many-th sound")
    parser.add_argument("--only", default="", help="only the codecs whose names contain this")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sounds = (unseen.held_out() | unseen.instrument_phrases()).items()
    cut = {
        name: torch.nn.functional.pad(sound[:, : int(options.seconds * RATE)], (LEAD_IN, LEAD_IN // 2))
        for name, sound in list(sounds)[:: options.every]
    }
    print("| | " + " | ".join(COLUMNS) + " |\n" + "| --- " * (len(COLUMNS) + 1) + "|", flush=True)
    lines, trips = [], candidates(options.work)
    today = next(iter(trips.values()))
    unit = statistics.mean(round_trip(today, sound)[1] for sound in list(cut.values())[:4])
    for title in (title for title in trips if options.only in title):
        rows = measure(trips[title], cut)
        print(f"| {title} | " + " | ".join(line(rows, unit)) + " |", flush=True)
        lines += [[title, row["sound"], *(row.get(column, "") for column in COLUMNS)] for row in rows]
    if options.csv:
        with options.csv.open("w", newline="") as file:
            csv.writer(file).writerows([["codec", "sound", *COLUMNS], *lines])


if __name__ == "__main__":
    main()
