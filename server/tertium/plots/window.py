"""The picture of a measured window: what a musician wants to know of a pair before turning the knob."""

import io
import itertools
import math
from collections.abc import Sequence

from tertium_protocol.messages.events import WindowInfo

INCHES, DOTS_AN_INCH = (8.0, 4.6), 110
ORIGINAL, REFERENCE, NEITHER = "#c8501e", "#2a6f9e", "#555555"
MARGIN = 0.05  # between the reference alone and the first intervention, of the whole
TURNS = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the knob, as marked on the upper axis


def draw(window: WindowInfo) -> bytes:
    """A PNG file's bytes: likeness to both sounds over the intervention, the window shaded, the equilibrium marked, the knob's turns above."""
    from matplotlib.figure import Figure  # here, since it takes a second to import

    figure = Figure(figsize=INCHES, dpi=DOTS_AN_INCH, layout="constrained")
    panel = figure.subplots()
    between = window.points[1:-1]
    first = between[0].intervention
    alone = first - MARGIN * (window.steps - first)  # where the reference alone stands
    places = [alone, *(p.intervention for p in between), window.steps]
    panel.axvspan(window.begin, window.end, color="0.92", zorder=0)
    panel.axvline(window.equilibrium, color="0.3", linewidth=1, linestyle=":")
    _line(panel, places, [p.original for p in window.points], ORIGINAL, "like the original")
    _line(panel, places, [p.reference for p in window.points], REFERENCE, "like the reference")
    panel.plot(
        places, [p.unexplained for p in window.points], color=NEITHER, linewidth=1.2, linestyle="--",
        label="of neither: what no mix of the two explains",
    )  # fmt: skip
    right = window.equilibrium > (first + window.steps) / 2
    panel.annotate(
        f"equilibrium {window.equilibrium:.1f}", (window.equilibrium, 0.02), xytext=(-4 if right else 4, 0),
        textcoords="offset points", ha="right" if right else "left", fontsize=9, color="0.3",
    )  # fmt: skip
    low = min(0.0, *(min(p.original, p.reference) for p in window.points))
    ticks = [tick for tick in panel.get_xticks() if first <= tick <= window.steps]
    panel.set_xticks([alone, *ticks], ["alone", *(f"{tick:g}" for tick in ticks)])
    pad = 0.02 * (window.steps - alone)
    panel.set(
        xlim=(alone - pad, window.steps + pad), ylim=(low - 0.02, 1.04), ylabel="likeness (log-mel correlation)",
        xlabel=f"the reference   ←   step at which the original enters, of {window.steps}   →   the original",
    )  # fmt: skip
    knob = panel.twiny()
    turns = [(alone, "0"), *_apart([(_step(window.ratios, t, between), f"{t:g}") for t in TURNS], alone, window.steps)]
    turns.append((window.steps, "1"))
    knob.set(xlim=panel.get_xlim(), xlabel="blend")
    knob.set_xticks(*zip(*turns, strict=True))
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    memory = io.BytesIO()
    figure.savefig(memory, format="png")
    return memory.getvalue()


def _apart(ticks: Sequence[tuple[float, str]], low: float, high: float) -> list[tuple[float, str]]:
    """The ticks that stand clear of each other and of both ends; the middle one goes first."""
    clear, kept = 0.035 * (high - low), []
    for place, label in sorted(ticks, key=lambda tick: abs(float(tick[1]) - 0.5)):
        if all(abs(place - other) > clear for other in (low, high, *(there for there, _ in kept))):
            kept.append((place, label))
    return sorted(kept)


def _line(panel, places: Sequence[float], values: Sequence[float], colour: str, label: str) -> None:
    panel.plot(places, values, color=colour, linewidth=2.2, marker="o", markersize=4, label=label)


def _step(ratios: Sequence[float], blend: float, between) -> float:
    """The place, between the measured interventions, of a blend's noise-to-signal ratio."""
    at = blend * (len(ratios) - 1)
    first = min(int(at), len(ratios) - 2)
    wanted = math.log(ratios[first]) + (at - first) * (math.log(ratios[first + 1]) - math.log(ratios[first]))
    for one, other in itertools.pairwise(between):
        a, b = math.log(one.noise_to_signal), math.log(other.noise_to_signal)
        if b <= wanted <= a:
            return one.intervention + (a - wanted) / (a - b) * (other.intervention - one.intervention)
    return float(between[0].intervention if wanted > math.log(between[0].noise_to_signal) else between[-1].intervention)
