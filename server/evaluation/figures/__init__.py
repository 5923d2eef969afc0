"""All figures of a report in its order, and the interface of a figure."""

from collections.abc import Sequence
from typing import Protocol

from matplotlib.figure import Figure

from evaluation.claims import Verdict
from evaluation.figures import (
    baselines,
    dropout,
    initial_latent,
    losses,
    noise_maps,
    noise_sampling,
    orders,
    prompt,
    reconstruction,
    variants,
    windows,
)
from evaluation.fine_tunes import FineTune
from evaluation.plan import Plan
from evaluation.tables import Row
from evaluation.tasks import Task
from evaluation.workbench import Plate


class FigureModule(Protocol):
    """The interface of a figure's module.

    Attributes:
        NAME: of the figure, its CSV file and on the command line.
        TITLE: of its section of the page.
        COLUMNS: of its CSV file.
        FILES: file names of its pictures.
        USES: names of other figures whose rows it reads.
    """

    NAME: str
    TITLE: str
    COLUMNS: tuple[str, ...]
    FILES: tuple[str, ...]
    USES: tuple[str, ...]

    def fine_tunes(self, plan: Plan) -> list[FineTune]:
        """Return the fine-tunes that its tasks need."""
        ...

    def tasks(self, plan: Plan) -> list[Task]:
        """Return the tasks that measure its rows."""
        ...

    def draw(self, tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
        """Draw its pictures, by file name, from its rows, those of the figures it uses, and its panels."""
        ...

    def verdicts(self, tables: dict[str, list[Row]]) -> list[Verdict]:
        """Return the verdicts that follow from its rows."""
        ...

    def section(self, tables: dict[str, list[Row]], plan: Plan) -> str:
        """Return its section of the page, in Markdown."""
        ...


ALL: tuple[FigureModule, ...] = (
    reconstruction, initial_latent, prompt, windows, variants, orders, noise_maps, noise_sampling, baselines, dropout, losses,
)  # fmt: skip
BY_NAME = {figure.NAME: figure for figure in ALL}
