"""All figures of a report, in its order, and what each of them is."""

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
    orders,
    prompt,
    reconstruction,
    variants,
    windows,
)
from evaluation.fine_tunes import Lesson
from evaluation.plan import Plan
from evaluation.tables import Row
from evaluation.tasks import Task
from evaluation.workbench import Plate


class FigureModule(Protocol):
    """What a module of a figure has.

    Attributes:
        NAME: of its CSV and on the command line.
        TITLE: of its section.
        COLUMNS: of its CSV.
        FILES: its pictures.
        USES: other figures whose rows it reads.
    """

    NAME: str
    TITLE: str
    COLUMNS: tuple[str, ...]
    FILES: tuple[str, ...]
    USES: tuple[str, ...]

    def lessons(self, plan: Plan) -> list[Lesson]:
        """What must be learned before its tasks."""
        ...

    def tasks(self, plan: Plan) -> list[Task]:
        """What measures its rows."""
        ...

    def draw(self, tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
        """Its pictures by file, from its rows, those of the figures it uses, and its panels."""
        ...

    def verdicts(self, tables: dict[str, list[Row]]) -> list[Verdict]:
        """What its rows say of the claims."""
        ...

    def tell(self, tables: dict[str, list[Row]], plan: Plan) -> str:
        """Its section, in Markdown."""
        ...


ALL: tuple[FigureModule, ...] = (
    reconstruction, initial_latent, prompt, windows, variants, orders, noise_maps, baselines, dropout, losses,
)  # fmt: skip
BY_NAME = {figure.NAME: figure for figure in ALL}
