"""The plot of a measured window: it shows how blend moves a pair from the reference to the original."""

import io
import itertools
import math
from collections.abc import Sequence

from tertium_protocol.messages.events import WindowInfo

INCHES, DOTS_AN_INCH = (8.0, 4.6), 110
ORIGINAL, REFERENCE, NEITHER = "#c8501e", "#2a6f9e", "#555555"
MARGIN = 0.05  # gap between the reference alone and the first intervention, as a fraction of the axis
BLEND_TICKS = (0.1, 0.25, 0.5, 0.75, 0.9)  # values of blend marked on the upper axis


def draw(window: WindowInfo) -> bytes:
    """Draw similarity to both sounds over the intervention, with the window shaded, the equilibrium marked and blend on the upper axis.

    Returns:
        The bytes of a PNG file.
    """
    from matplotlib.figure import Figure  # imported here, since it takes a second

    figure = Figure(figsize=INCHES, dpi=DOTS_AN_INCH, layout="constrained")
    panel = figure.subplots()
    first = window.points[1].intervention
    alone = first - MARGIN * (window.steps - first)  # the position of the reference alone
    _draw_equilibrium(panel, window, first)
    _draw_curves(panel, window, alone)
    low = min(0.0, *(min(p.original, p.reference) for p in window.points))
    ticks = [tick for tick in panel.get_xticks() if first <= tick <= window.steps]
    panel.set_xticks([alone, *ticks], ["alone", *(f"{tick:g}" for tick in ticks)])
    pad = 0.02 * (window.steps - alone)
    panel.set(
        xlim=(alone - pad, window.steps + pad), ylim=(low - 0.02, 1.04), ylabel="likeness (log-mel correlation)",
        xlabel=f"the reference   ←   step at which the original enters, of {window.steps}   →   the original",
    )  # fmt: skip
    _draw_blend_axis(panel, window, alone)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    memory = io.BytesIO()
    figure.savefig(memory, format="png")
    return memory.getvalue()


def _draw_curves(panel, window: WindowInfo, alone: float) -> None:
    places = [alone, *(p.intervention for p in window.points[1:-1]), window.steps]
    panel.axvspan(window.begin, window.end, color="0.92", zorder=0)
    _line(panel, places, [p.original for p in window.points], ORIGINAL, "like the original")
    _line(panel, places, [p.reference for p in window.points], REFERENCE, "like the reference")
    panel.plot(
        places, [p.unexplained for p in window.points], color=NEITHER, linewidth=1.2, linestyle="--",
        label="of neither: what no mix of the two explains",
    )  # fmt: skip


def _draw_equilibrium(panel, window: WindowInfo, first: int) -> None:
    panel.axvline(window.equilibrium, color="0.3", linewidth=1, linestyle=":")
    right = window.equilibrium > (first + window.steps) / 2
    panel.annotate(
        f"equilibrium {window.equilibrium:.1f}", (window.equilibrium, 0.02), xytext=(-4 if right else 4, 0),
        textcoords="offset points", ha="right" if right else "left", fontsize=9, color="0.3",
    )  # fmt: skip


def _draw_blend_axis(panel, window: WindowInfo, alone: float) -> None:
    marks = [(_step(window.ratios, blend, window.points[1:-1]), f"{blend:g}") for blend in BLEND_TICKS]
    ticks = [(alone, "0"), *_without_overlaps(marks, alone, window.steps), (window.steps, "1")]
    axis = panel.twiny()
    axis.set(xlim=panel.get_xlim(), xlabel="blend")
    axis.set_xticks(*zip(*ticks, strict=True))


def _without_overlaps(ticks: Sequence[tuple[float, str]], low: float, high: float) -> list[tuple[float, str]]:
    """Return the ticks that do not overlap each other or the ends; those nearest to 0.5 take precedence."""
    clear, accepted = 0.035 * (high - low), []
    for place, label in sorted(ticks, key=lambda tick: abs(float(tick[1]) - 0.5)):
        if all(abs(place - other) > clear for other in (low, high, *(there for there, _ in accepted))):
            accepted.append((place, label))
    return sorted(accepted)


def _line(panel, places: Sequence[float], values: Sequence[float], colour: str, label: str) -> None:
    panel.plot(places, values, color=colour, linewidth=2.2, marker="o", markersize=4, label=label)


def _step(ratios: Sequence[float], blend: float, between) -> float:
    """Return the step, interpolated between the measured interventions, that has the noise-to-signal ratio of a blend."""
    at = blend * (len(ratios) - 1)
    first = min(int(at), len(ratios) - 2)
    wanted = math.log(ratios[first]) + (at - first) * (math.log(ratios[first + 1]) - math.log(ratios[first]))
    for one, other in itertools.pairwise(between):
        a, b = math.log(one.noise_to_signal), math.log(other.noise_to_signal)
        if b <= wanted <= a:
            return one.intervention + (a - wanted) / (a - b) * (other.intervention - one.intervention)
    return float(between[0].intervention if wanted > math.log(between[0].noise_to_signal) else between[-1].intervention)
