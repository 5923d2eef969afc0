"""The device: the boxes of its panel, what runs behind them, and the wires between.

Every control of ``interface.json`` has its box and reaches the script as the table says; everything that the script says
reaches a box. The tests cut each wire, one at a time, and see to it that somebody notices.
"""

import json
from pathlib import Path

from . import player, presentation, wiring
from .amxd import pack
from .layout import FOLDED
from .patcher import Patcher
from .script import linked

FOLDER = Path(__file__).parents[1]
DEVICE = FOLDER / "dist" / "Tertium.amxd"
BANKS = {"Tertium": ["Tertium Blend", "Tertium Hold", "Tertium Audition"]}


def sources():
    """The interface and the text of the script."""
    interface = json.loads((FOLDER / "interface.json").read_text(encoding="utf-8"))
    return interface, linked()


def device():
    """The bytes of the device."""
    return pack(patcher().dictionary(width=FOLDED, banks=BANKS))


def patcher():
    """The device as boxes and wires."""
    interface, script = sources()
    made = Patcher()
    controls = Controls(interface["controls"])
    wiring.script(made, script)
    wiring.live(made)
    wiring.daemon(made)
    presentation.display(made)
    for name in ("original", "reference"):
        presentation.slot(made, controls, name)
    presentation.prompt(made, controls)
    presentation.buttons(made, controls)
    presentation.numbers(made, controls)
    presentation.choices(made, controls)
    presentation.audition(made, controls)
    presentation.checkpoints(made, controls)
    presentation.results(made, controls)
    presentation.said(made)
    presentation.fold(made)
    wiring.marks(made)
    wiring.light(made)
    wiring.memory(made)
    wiring.panel(made)
    player.player(made, interface["takes"])
    controls.take("model")  # shown by what the script says alone
    controls.all_taken()
    return made


class Controls:
    """The controls of the table; each is taken once."""

    def __init__(self, table):
        self._left = {control["name"]: control for control in table}

    def take(self, name):
        return self._left.pop(name)

    def all_taken(self):
        if self._left:
            raise ValueError(f"interface.json has controls that the device lacks: {', '.join(sorted(self._left))}.")
