"""The record in a working folder of whether its material includes the recordings: all steps of one training must agree on that."""

import json
from pathlib import Path

FILE = "material.json"


def begin(work: Path, *, with_recordings: bool) -> None:
    """Create the working folder with its record, or check that an existing one agrees.

    Raises:
        SystemExit: the folder was begun the other way.
    """
    work.mkdir(parents=True, exist_ok=True)
    if (work / FILE).exists() or (work / "codec.safetensors").exists():
        if has_recordings(work) != with_recordings:
            before = "with recordings" if has_recordings(work) else "with --no-recordings"
            raise SystemExit(f"{work} was begun {before}. Continue it that way, or use another folder.")
        return
    (work / FILE).write_text(json.dumps({"recordings": with_recordings}) + "\n")


def has_recordings(work: Path) -> bool:
    """Return whether the folder's material includes the recordings. Folders without a record are older than it, and it does."""
    path = work / FILE
    return json.loads(path.read_text())["recordings"] if path.exists() else True
