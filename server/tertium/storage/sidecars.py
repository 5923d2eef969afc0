"""The sidecars: the JSON file beside each sound, which says all that is known of it.

A sidecar's time of modification is the time at which the sound was last used.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tertium.storage.result_names import latents_path
from tertium.storage.sound import Sound

SCHEMA = 1
FOLDERS = ("sounds", "results")
ADDED = ("job", "take", "layout", "kept")  # fields that older sidecars lack
UNREADABLE = (OSError, ValueError, KeyError, TypeError, RecursionError)
_ID = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Entry:
    """A sound with the state of its files when they were looked at.

    Attributes:
        changed: time of modification of the sidecar in nanoseconds since the epoch, which is the sound's last use.
        size: of the sidecar, in bytes.
        bytes: of the sound, its latents and its sidecar together.
        inputs: ids of the sounds that a result's recipe names; empty if the entry comes from the index.
    """

    sound: Sound
    changed: int
    size: int
    bytes: int
    inputs: frozenset[str] = frozenset()

    @property
    def key(self) -> tuple[str, str]:
        """The folder and the stem of its files."""
        sidecar = Path(self.sound.sidecar)
        return sidecar.parent.name, sidecar.stem


def read_entry(sidecar: Path) -> Entry | None:
    """Return what a sidecar describes; None if the sidecar is damaged or the sound is missing."""
    try:
        state = os.stat(sidecar)
        content = _content(sidecar)
        sound = _sound(content, sidecar)
        files = sum(os.stat(path).st_size for path in sound_files(sound))
    except UNREADABLE:
        return None
    return Entry(sound, state.st_mtime_ns, state.st_size, files + state.st_size, _inputs(content.get("recall")))


def sound_files(sound: Sound) -> list[Path]:
    """Return the sound's file, and that of its latents if there is one."""
    latents = latents_path(sound.path)
    return [Path(sound.path), *([latents] if latents.exists() else [])]


def damaged(home: Path) -> Iterator[str]:
    """Yield the names of the sidecars in a home that cannot be read, such as ``results/kick.json``. Reads all of them."""
    for folder in FOLDERS:
        for sidecar in sorted((home / folder).glob("*.json")):
            try:
                _sound(_content(sidecar), sidecar)
            except FileNotFoundError:  # deleted since
                continue
            except UNREADABLE:
                yield f"{folder}/{sidecar.name}"


def as_json(content: dict) -> bytes:
    """Return the text of a sidecar."""
    return json.dumps(content, indent=2, ensure_ascii=False, default=str).encode()


def _content(sidecar: Path) -> dict[str, Any]:
    return json.loads(sidecar.read_text(encoding="utf-8"))


def _sound(content: dict[str, Any], sidecar: Path) -> Sound:
    """Return the sound in the content of a sidecar. Raises ValueError, KeyError or TypeError if it is damaged."""
    about = {name: content[name] for name in Sound.__dataclass_fields__ if name not in ("sidecar", *ADDED)}
    about |= {name: content.get(name) for name in ADDED}
    about["notes"] = tuple(about["notes"])
    about["kept"] = False if about["kept"] is None else about["kept"]
    _must_be_typed(about)
    return Sound(**about | {"path": str(sidecar.parent / Path(about["path"]).name), "sidecar": str(sidecar)})


def _must_be_typed(about: dict) -> None:
    """Refuse fields of a sidecar that are not what they must be. Raises ValueError."""
    texts, whole = ("id", "path", "name", "created"), ("frames", "channels", "sample_rate")
    sound = (
        all(isinstance(about[name], str) for name in texts)
        and all(isinstance(about[name], int) and about[name] > 0 for name in whole)
        and isinstance(about["seconds"], int | float)
        and all(isinstance(note, str) for note in about["notes"])
        and isinstance(about["peak_dbtp"], int | float | None)
        and isinstance(about["take"], int | None)
        and isinstance(about["kept"], bool)
        and all(isinstance(about[name], str | None) for name in ("job", "layout"))
    )
    if not sound:
        raise ValueError("not the sidecar of a sound")


def _inputs(recipe: Any) -> frozenset[str]:
    """Return the ids in a recipe: of the sounds that it was made from, and of the one that its checkpoint learned."""
    if not isinstance(recipe, dict):
        return frozenset()
    given = recipe.get("sounds")
    named = [one.get("id") for one in given.values() if isinstance(one, dict)] if isinstance(given, dict) else []
    named += [one.get("reference") for name in ("checkpoint", "learning") if isinstance(one := recipe.get(name), dict)]
    return frozenset(one for one in named if isinstance(one, str) and _ID.match(one))
