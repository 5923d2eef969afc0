"""What the alignment of references does on the gate's twelve pairs, by measures that it does not use itself.

    python -m pocket.gate.alignment [--pairs 12] [--steps 50] [--seconds 3] [--blend 0.5] [--threads 2]

For each pair, before and after: the likeness of the onsets of reference and original, and of the fusion and the original; the
correlation of the chroma of reference and original, and the clarity of the fusion's chroma. Means are over the pairs in
which the shift, or the transposition, was sure.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass

import numpy
import torch

from pocket import likeness
from pocket.gate import pairs
from pocket.gate.pairs import SoundPair
from pocket.material.synthesis import RATE
from tertium.audio.alignment import align
from tertium.audio.signal import Audio
from tertium.engine.models.loaded_model import LoadedModel, load_model
from tertium.engine.operations import FuseSettings, fuse

HOLD = 0.2  # the default where the reference is a sound
_SIZE = 16384  # samples of a chroma's window
_LOWEST, _HIGHEST = 55.0, 2500.0  # Hz


@dataclass(frozen=True)
class Row:
    """One pair, aligned by onsets and pitch at once.

    Args:
        shift: seconds by which the reference began later; ``transposition``: semitones. 0 where the match was not sure.
        onsets: likeness of the reference's onsets to the original's, before and after.
        fused_onsets: of the fusion's to the original's.
        chroma: correlation of the chroma of reference and original.
        clarity: of the fusion's chroma.
    """

    title: str
    shift: float
    transposition: int
    onsets: tuple[float, float]
    fused_onsets: tuple[float, float]
    chroma: tuple[float, float]
    clarity: tuple[float, float]


def chroma(sound: torch.Tensor) -> numpy.ndarray:
    """Return the mean amplitude of each pitch class (12,), of every bin between 55 and 2,500 Hz, unlike the alignment's own profile."""
    window = torch.hann_window(_SIZE)
    padded = torch.nn.functional.pad(sound.float().mean(0), (0, max(0, _SIZE - sound.shape[-1])))
    spectrum = torch.stft(padded, _SIZE, _SIZE // 4, window=window, pad_mode="constant", return_complex=True)
    amplitude = spectrum.abs().mean(1).numpy()
    bins = numpy.arange(len(amplitude)) * RATE / _SIZE
    within = (bins >= _LOWEST) & (bins <= _HIGHEST)
    classes = numpy.round(12 * numpy.log2(bins[within] / 440)).astype(int) % 12
    return numpy.bincount(classes, amplitude[within], minlength=12)


def clarity(sound: torch.Tensor) -> float:
    """Return how far a sound's chroma is from an even one: one minus its normalised entropy, 0 … 1."""
    share = chroma(sound) + 1e-12
    share = share / share.sum()
    return 1 + float((share * numpy.log(share)).sum()) / numpy.log(12)


def measure(model: LoadedModel, pair: SoundPair, *, blend: float, steps: int) -> Row:
    """Return the figures of a pair, fused with and without alignment at one seed."""
    original, reference = pair.sounds
    done = align("both", Audio(original.numpy(), RATE), Audio(reference.numpy(), RATE))
    references = reference, torch.from_numpy(done.reference.samples)
    settings = FuseSettings(blend=blend, steps=steps, hold=HOLD)
    fused = [fuse(model, original, one, settings) for one in references]
    own = chroma(original)
    return Row(
        title=pair.title,
        shift=done.facts["shift"],
        transposition=done.facts["transposition"],
        onsets=tuple(likeness.onsets(one, original) for one in references),
        fused_onsets=tuple(likeness.onsets(one, original) for one in fused),
        chroma=tuple(float(numpy.corrcoef(chroma(one), own)[0, 1]) for one in references),
        clarity=tuple(clarity(one) for one in fused),
    )


def table(rows: list[Row]) -> str:
    """Return the rows as a table in Markdown, with the means where the match was sure."""
    head = "| pair | shift, s | semitones | onsets | onsets, fusion | chroma | clarity, fusion |\n|---|---|---|---|---|---|---|"
    lines = [
        f"| {row.title} | {row.shift:+.3f} | {row.transposition:+d} | {_pair(row.onsets)} | {_pair(row.fused_onsets)} | {_pair(row.chroma)} | {_pair(row.clarity)} |"
        for row in rows
    ]
    shifted, transposed = [row for row in rows if row.shift], [row for row in rows if row.transposition]
    means = [
        f"| mean of {len(of)} that were {what} | | | {_mean(of, 'onsets')} | {_mean(of, 'fused_onsets')} | {_mean(of, 'chroma')} | {_mean(of, 'clarity')} |"
        for what, of in (("shifted", shifted), ("transposed", transposed))
        if of
    ]
    return "\n".join([head, *lines, *means])


def _pair(values: tuple[float, float]) -> str:
    return f"{values[0]:.2f} → {values[1]:.2f}"


def _mean(rows: list[Row], name: str) -> str:
    return _pair(tuple(statistics.mean(values) for values in zip(*(getattr(row, name) for row in rows), strict=True)))


def main(argv: list[str] | None = None) -> int:
    """Measure the pairs with the shipped model and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m pocket.gate.alignment",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=int, default=len(pairs.PAIRS))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=pairs.SECONDS)
    parser.add_argument("--blend", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    model = load_model("pocket", device="cpu")
    found = pairs.load(options.pairs, seconds=options.seconds)
    print(table([measure(model, pair, blend=options.blend, steps=options.steps) for pair in found]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
