"""The common parts of all figures: colours, plates of spectrograms, and small files."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from evaluation import tables
from evaluation.intervals import Interval
from evaluation.workbench import Plate
from tertium.plots import spectrogram

ORIGINAL, REFERENCE, NEITHER = "#c8501e", "#2a6f9e", "#555555"
PALETTE = ("#1b7f5c", "#c8501e", "#2a6f9e", "#8b5a9f", "#b8860b", "#555555")
DOTS_AN_INCH = 100
LARGEST_BYTES = 290_000
LIKENESS = "likeness (log-mel correlation)"


def figure(width: float, height: float) -> Figure:
    """Return an empty figure; width and height in inches."""
    return Figure(figsize=(width, height), dpi=DOTS_AN_INCH, layout="constrained")


def save(drawn: Figure, path: Path) -> None:
    """Write a PNG with the largest palette that keeps it below :data:`LARGEST_BYTES`."""
    memory = io.BytesIO()
    drawn.savefig(memory, format="png")
    image = Image.open(memory).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        small = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
        if small.tell() <= LARGEST_BYTES:
            break
    tables.put(path, small.getvalue())


def plate(
    panels: Sequence[Plate], *, title: str, seconds: float, notes: dict[tuple[str, str], str] | None = None
) -> Figure:
    """Draw spectrograms in rows and columns, in order of first appearance.

    Args:
        panels: their images, in decibels below each one's own loudest point.
        seconds: duration of every panel.
        notes: texts to write into panels, by row and column.
    """
    rows = list(dict.fromkeys(panel.row for panel in panels))
    columns = list(dict.fromkeys(panel.column for panel in panels))
    drawn = figure(1.2 + 1.95 * len(columns), 0.9 + 1.6 * len(rows))
    axes = drawn.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    image = None
    for axis in axes.flat:
        axis.set_visible(False)
    for panel in panels:
        axis = axes[rows.index(panel.row), columns.index(panel.column)]
        axis.set_visible(True)
        image = axis.imshow(
            panel.image.astype(np.float32), origin="lower", aspect="auto", cmap="magma", vmin=-spectrogram.RANGE_DB, vmax=0,
            extent=(0, seconds, 0, spectrogram.BANDS),
        )  # fmt: skip
        axis.tick_params(labelsize=7)
        if note := (notes or {}).get((panel.row, panel.column)):
            axis.text(
                0.02, 0.97, note, transform=axis.transAxes, va="top", fontsize=7.5, color="white",
                bbox={"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1.5},
            )  # fmt: skip
    for place, name in enumerate(columns):
        axes[0, place].set_title(name, fontsize=9)
        axes[-1, place].set_xlabel("seconds", fontsize=8)
    for place, name in enumerate(rows):
        spectrogram.label_hertz(axes[place, 0])
        axes[place, 0].set_yticks(
            axes[place, 0].get_yticks()[::2], [t.get_text() for t in axes[place, 0].get_yticklabels()[::2]]
        )
        axes[place, 0].set_ylabel(f"{name}\n\nHz", fontsize=8.5)
    bar = drawn.colorbar(image, ax=axes, pad=0.01, aspect=40, fraction=0.02)
    bar.set_label("dB below each panel's loudest point", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    drawn.suptitle(title, fontsize=11)
    return drawn


def with_intervals(
    axis, places: Sequence[float], found: Sequence[Interval], *, color: str, style: str = "o-", label: str | None = None
) -> None:
    """Draw means at horizontal places with their 95 % intervals; an infinite interval has no bar."""
    halves = [each.half if np.isfinite(each.half) else 0.0 for each in found]
    axis.errorbar(
        places, [each.mean for each in found], yerr=halves, fmt=style, color=color, linewidth=1.6, markersize=5, capsize=3, elinewidth=1.0, label=label
    )  # fmt: skip


def quiet(axis) -> None:
    """Give a panel a light grid, and remove the box around it."""
    axis.grid(True, color="0.9", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
