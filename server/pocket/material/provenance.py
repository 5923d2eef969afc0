"""The provenance of weights, with the authors of the recordings from the list that Debian ships with them."""

import re
from urllib.parse import unquote

from pocket.material import instruments, recordings

_LINE = re.compile(r"`:(\w+)`\s*-\s*(https?://\S+/people/([^/]+)/sounds/\d+/)")
_SAME = {"loop_3dprinter": "loop_3d_printer"}
INSTRUMENTS = """\
The instruments and drum kits are those of MuseScore General HQ, as Debian ships it in `musescore-general-soundfont-lossless`, under the MIT licence. Its authors:
S. Christian Collins (the adaptation, © 2018–2021); Frank Wen (Fluid R3, © 2000–2002, 2008, with recordings of his own, of people who helped him, and in the public
domain); Michael Cowgill (its mono version, © 2014–2017); Ethan Winer (temple blocks, © 2002); Michael Schorsch (drumline cymbals, © 2016). Parts are CC0 (ensemble strings of
Versilian Studios, by Sam Gossner, Simon Dalzell and Elan Hickler; marching percussion by S. Christian Collins and Amir Oosman; cymbals of the Versilian Community
Sample Library) or in the public domain (the grand piano, from AKAI; the trumpet). The MIT licence allows any use and asks that its notice goes with copies and
substantial portions of the work. The weights hold neither: nothing in them can be played back as one of the samples. The authors are named here all the same."""
"""Whose instruments they are, and why weights trained on them may be CC0."""
LEFT_OUT = """\
No drum kit of Debian's `hydrogen-drumkits` was used. Thirteen of its fourteen kits are under the GPL, CC-BY or CC-BY-SA, which ask something of works made from them. The one that
says CC0, Audiophob, consists of uploads to freesound.org by other people than the kit's author, who cannot waive their rights for them."""
"""What was looked at and not used, and why."""


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
            "Trained from scratch by `server/pocket/` (see its MODEL_CARD.md) on sounds synthesised there, on instruments, and on recordings that their authors",
            "placed in the public domain (Creative Commons CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/), as Debian ships them in",
            f"`sonic-pi-samples`. {training} The weights are CC0 too: free for any use.",
            "",
            "| recording | author | source | in training |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            INSTRUMENTS,
            "",
            f"Held out of training, with every preset that shares a sample with them: {', '.join(instruments.HELD_OUT)}.",
            "",
            LEFT_OUT,
        ]
    else:
        text = [
            f"Trained from scratch by `server/pocket/` on sounds synthesised there, without any recording. {training} The weights are CC0",
            "(https://creativecommons.org/publicdomain/zero/1.0/): free for any use.",
        ]
    return "\n".join(["# Where the weights in `model.safetensors` come from", "", *text, ""])
