"""Where the recordings came from: a page made from the list that Debian ships with them."""

import re
from urllib.parse import unquote

from pocket.material import recordings

_LINE = re.compile(r"`:(\w+)`\s*-\s*(https?://\S+/people/([^/]+)/sounds/\d+/)")
_SAME = {"loop_3dprinter": "loop_3d_printer"}


def sources() -> dict[str, tuple[str, str]]:
    """Author and address at freesound.org of each recording, by name. Raises KeyError if one has none."""
    found = {}
    for name, address, author in _LINE.findall((recordings.FOLDER / "README.md").read_text()):
        name = _SAME.get(name, re.sub(r"_(?=\d$)", "", name))
        found[name] = (unquote(author), address)
    return {name: found[name] for name in sorted([*recordings.names(), *recordings.HELD_OUT])}


def page(*, steps: int, minutes: float) -> str:
    """PROVENANCE.md of the weights."""
    rows = [
        f"| {name} | {author} | {address} | {'no: held out' if name in recordings.HELD_OUT else 'yes'} |"
        for name, (author, address) in sources().items()
    ]
    return "\n".join(
        [
            "# Where the weights in `model.safetensors` come from",
            "",
            "Trained from nothing by `server/pocket/` (see its MODEL_CARD.md) on sounds synthesised there and on recordings that their authors",
            "placed in the public domain (Creative Commons CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/), as Debian ships them in",
            f"`sonic-pi-samples`. {steps:,} steps, {minutes:.0f} minutes on two CPU cores. The weights are CC0 too: free for any use.",
            "",
            "| recording | author | source | in training |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )
