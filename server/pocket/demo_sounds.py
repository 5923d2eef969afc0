"""Cut the two sounds of the demo from recordings that were not used in training.

python -m pocket.demo_sounds [FOLDER]
"""

import sys
from pathlib import Path

import numpy
import soundfile

from pocket.material import provenance, recordings
from pocket.material.synthesis import RATE

CUTS = {"safari_drums": ("loop_safari", 0.0, 6.0, 0.004), "haunted_hum": ("ambi_haunted_hum", 1.0, 6.0, 0.05)}
"""By file name: recording, start and length in seconds (three bars of the drums), and seconds of the fade-out; a cut that does not begin at 0 fades in as well."""
TARGET = Path(__file__).parents[1] / "tertium" / "assets" / "demo"


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, (source, start, seconds, fade) in CUTS.items():
        sound = recordings.read(source)[:, int(start * RATE) : int((start + seconds) * RATE)].copy()
        ramp = numpy.linspace(0, 1, int(fade * RATE)) ** 2
        sound[:, -len(ramp) :] *= ramp[::-1]
        if start > 0:
            sound[:, : len(ramp)] *= ramp
        soundfile.write(target / f"{name}.flac", sound.T, RATE, subtype="PCM_16")
        author, address = provenance.sources()[source]
        rows.append(
            f"| `{name}.flac` | {author}, {address} | {start:g} … {start + seconds:g} s of `{source}` as Sonic Pi ships it, faded |"
        )
    licence = "Both are in the public domain (CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/). The embedded model was not trained on them."
    page = [
        "# The two sounds of the demo",
        "",
        licence,
        "",
        "| file | recording | cut |",
        "| --- | --- | --- |",
        *rows,
        "",
    ]
    (target / "PROVENANCE.md").write_text("\n".join(page))


if __name__ == "__main__":
    main()
