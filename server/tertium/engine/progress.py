"""Progress of an operation over all its stages."""

from collections.abc import Callable, Mapping

OnProgress = Callable[[str, float], None]
"""(stage, fraction of the whole operation done, 0 … 1). An exception it raises stops the operation."""

ENCODE, DECODE = 3.0, 6.0
"""Rough costs of an encode and a decode, in forward passes of the diffusion network."""


def ignore_progress(stage: str, fraction: float) -> None:
    """An :data:`OnProgress` that does nothing."""


class Progress:
    """Monotonic progress reports from stages of known cost.

    Args:
        report: called with each report.
        costs: of each stage in any one unit, in the order of the stages.
    """

    def __init__(self, report: OnProgress, costs: Mapping[str, float]):
        self._report = report
        self._total = sum(costs.values())
        self._costs, self._before, before = dict(costs), {}, 0.0
        for stage, cost in costs.items():
            self._before[stage] = before
            before += cost

    def at(self, stage: str, fraction: float = 0.0) -> None:
        """Report that ``fraction``, 0 … 1, of a stage is done."""
        self._report(stage, min(1.0, (self._before[stage] + fraction * self._costs[stage]) / self._total))

    def counted(self, stage: str, total: int) -> Callable[[object], None]:
        """Return a function that reports progress within a stage when called; ``total`` calls complete the stage.

        The function ignores its argument.
        """
        calls = 0

        def count(_: object) -> None:
            nonlocal calls
            self.at(stage, min(1.0, calls / max(total, 1)))
            calls += 1

        return count
