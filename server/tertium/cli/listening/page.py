"""The page of a listening study: one HTML file with its sounds, its style and its script.

Sounds have names and an order that their content alone decides, so that neither tells the method. What a listener's
results must say is in the page too, in base64: who looks for it finds it, but nobody sees it by chance.
"""

import base64
import hashlib
import json
from collections.abc import Sequence

from tertium.cli.listening.pairs import ASSETS, PRACTICE
from tertium.cli.listening.stimuli import METHODS, PARENTS, StimulusSet

SOURCES = ASSETS / "listening"
SCRIPTS = ("order.js", "record.js", "store.js", "player.js", "parts.js", "view.js", "main.js")
"""Linked in this order into one scope."""


def build(practice: StimulusSet, sets: Sequence[StimulusSet]) -> str:
    """Return the page of a study: the practice set, then the others in an order of each listener's own."""
    sounds, described = {}, []
    for one in (practice, *sets):
        named = {name: _sound_id(one, data) for name, data in one.sounds.items()}
        sounds |= {named[name]: data for name, data in one.sounds.items()}
        described.append(
            {
                "pair": one.pair, "kind": PRACTICE if one is practice else one.kind, "practice": one is practice,
                "parents": {name: named[name] for name in PARENTS},
                # Sorted by the sounds' names: their order here says nothing.
                "stimuli": sorted(({"method": name, "sound": named[name]} for name in METHODS), key=lambda each: each["sound"]),
            }
        )  # fmt: skip
    study = {"study": _digest(json.dumps(described, sort_keys=True).encode())[:12], "sets": described}
    parts = {
        "style": (SOURCES / "study.css").read_text("utf-8"),
        "script": script(),
        "study": base64.b64encode(json.dumps(study).encode()).decode(),
        "sounds": "\n".join(_sound_element(name, sounds[name]) for name in sorted(sounds)),
    }
    page = (SOURCES / "study.html").read_text("utf-8")
    for name, text in parts.items():
        page = page.replace(f"<!--{name}-->", text)
    return page


def script() -> str:
    """Return the page's script: its parts in one scope."""
    parts = [(SOURCES / name).read_text("utf-8") for name in SCRIPTS]
    return "(function () {\n'use strict';\n" + "\n".join(parts) + "\nstart();\n})();\n"


def _sound_id(one: StimulusSet, data: bytes) -> str:
    return _digest(one.pair.encode() + data)[:16]


def _sound_element(name: str, data: bytes) -> str:
    return f'<script type="text/plain" class="sound" id="{name}">{base64.b64encode(data).decode()}</script>'


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
