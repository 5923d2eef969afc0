"""The provenance of weights, with the authors of the recordings from the list that Debian ships with them."""

import re
from urllib.parse import unquote

from pocket.material import recordings

_LINE = re.compile(r"`:(\w+)`\s*-\s*(https?://\S+/people/([^/]+)/sounds/\d+/)")
_SAME = {"loop_3dprinter": "loop_3d_printer"}


def sources() -> dict[str, tuple[str, str]]:
    """Return the author and the address at freesound.org of each recording, by name.

    Raises:
        FileNotFoundError: the package of the recordings is not installed.
        KeyError: the list lacks a recording.
    """
    names = [*recordings.names(), *recordings.HELD_OUT]
    found = {}
    for name, address, author in _LINE.findall((recordings.FOLDER / "README.md").read_text()):
        name = _SAME.get(name, re.sub(r"_(?=\d$)", "", name))
        found[name] = (unquote(author), address)
    return {name: found[name] for name in sorted(names)}


def page(*, steps: int, minutes: float, with_recordings: bool = True) -> str:
    """Return PROVENANCE.md of exported weights. Raises as :func:`sources`, if there are recordings."""
    training = f"{steps:,} steps in {minutes:.0f} minutes."
    if with_recordings:
        rows = [
            f"| {name} | {author} | {address} | {'no: held out' if name in recordings.HELD_OUT else 'yes'} |"
            for name, (author, address) in sources().items()
        ]
        text = [
            "Trained from scratch by `server/pocket/` (see its MODEL_CARD.md) on sounds synthesised there and on recordings that their authors",
            "placed in the public domain (Creative Commons CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/), as Debian ships them in",
            f"`sonic-pi-samples`. {training} The weights are CC0 too: free for any use.",
            "",
            "| recording | author | source | in training |",
            "| --- | --- | --- | --- |",
            *rows,
        ]
    else:
        text = [
            f"Trained from scratch by `server/pocket/` on sounds synthesised there, without any recording. {training} The weights are CC0",
            "(https://creativecommons.org/publicdomain/zero/1.0/): free for any use.",
        ]
    return "\n".join(["# Where the weights in `model.safetensors` come from", "", *text, ""])
