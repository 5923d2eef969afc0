"""The record in a working folder of whether its material includes the recordings: all steps of one training must agree on that."""

import argparse
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


def options(description: str, *, pieces: int) -> argparse.Namespace:
    """Read the command line of a step that makes material, and begin its working folder.

    Args:
        description: of the step.
        pieces: the default number of pieces.

    Returns:
        ``work``, ``pieces``, ``workers`` and ``no_recordings``.

    Raises:
        SystemExit: as :func:`begin`, or wrong arguments.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--pieces", type=int, default=pieces)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-recordings", action="store_true", help="synthesised sounds only; needs no package")
    given = parser.parse_args()
    begin(given.work, with_recordings=not given.no_recordings)
    return given
