"""Names of result files: validation, numbering of names in use, and names left behind by killed jobs."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from tertium import file_names
from tertium.audio import files
from tertium.errors import SoundError
from tertium.file_names import LONGEST_BYTES

TRIED = 16  # names that are tried one by one


def latents_path(sound: str | Path) -> Path:
    """Return the path of the latents of a result."""
    return Path(sound).with_suffix(".safetensors")


def valid_name(name: str) -> str:
    """Return a valid name, truncated to the bytes that file systems take. Raises SoundError: out_of_range."""
    if not file_names.is_plain(name):
        raise SoundError(
            "out_of_range", f"{name!r} cannot be the name of a file.", field="name", value=name,
            remedy="Choose a plain name without folder and extension.",
        )  # fmt: skip
    return name.encode("utf-8", "replace")[:LONGEST_BYTES].decode("utf-8", "ignore").rstrip(". ") or "result"


def free_names(folder: Path, stem: str, *, job: str | None, take: int | None) -> Iterator[str]:
    """Yield names that are free in ``folder``: ``stem``, ``stem-2``, ``stem-3`` …, the first ones first. A name that the same job has left half used is
    freed. After :data:`TRIED` names that are used, their end is looked for by bisection: thousands of results may have one name.
    """
    for number in itertools.chain(range(1, TRIED + 1), itertools.count(_last_used(folder, stem))):
        name = _numbered(stem, number)
        if not is_used(folder, name) or reclaim(folder, name, job=job, take=take):
            yield name


def _last_used(folder: Path, stem: str) -> int:
    """Return a number above :data:`TRIED` whose name is used while the next one is free; the least such number if no names were freed in between."""
    low, high = TRIED, TRIED + 1
    while is_used(folder, _numbered(stem, high)):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_used(folder, _numbered(stem, middle)) else (low, middle)
    return low


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"


def is_used(folder: Path, stem: str) -> bool:
    """Return whether a sound, a sidecar or latents have this name."""
    return any((folder / f"{stem}.{suffix}").exists() for suffix in ("json", "safetensors", *files.FORMATS))


def reclaim(folder: Path, stem: str, *, job: str | None, take: int | None) -> bool:
    """Remove the files of an incomplete result of the same job, left by a process that was killed.

    Returns whether the name is free now.
    """
    sidecar = folder / f"{stem}.json"
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        own = job is not None and (content["job"], content["take"]) == (job, take)
        if not own or (folder / Path(content["path"]).name).exists():
            return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    latents_path(sidecar).unlink(missing_ok=True)
    sidecar.unlink(missing_ok=True)
    return not is_used(folder, stem)
