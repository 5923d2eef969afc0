"""Writes the files of a sound into the library, so that a crash leaves no half of one that counts."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tertium import __version__, safe_files
from tertium.storage.result_names import latents_path
from tertium.storage.sidecars import SCHEMA, as_json
from tertium.storage.sound import Sound


def publish(path: Path, data: bytes, about: dict, provenance: dict, latents: bytes | None = None) -> Sound:
    """Write the file of a sound, its latents and its sidecar, and return the sound.

    The sidecar is published first, so no sound lacks one, and the sound last, so that a sound that exists is complete
    even if this process is killed.

    Args:
        about: the fields of the sound, without its paths and its age.
        provenance: further fields of the sidecar.

    Raises:
        FileExistsError: one of the files exists; none of the new ones is left.
        SoundError: ``disk_full`` or ``path_refused``; none of the new ones is left.
    """
    contents = {path: data} if latents is None else {latents_path(path): latents, path: data}
    parts: dict[Path, Path] = {}
    published: list[Path] = []
    try:
        for target, content in contents.items():
            parts[target] = safe_files.write_part(target, content)
        sound = describe(path, about, provenance)
        published.append(Path(sound.sidecar))
        try:
            for target, part in parts.items():
                safe_files.publish(part, target)
                published.append(target)
        except BaseException:
            for target in reversed(published):
                target.unlink(missing_ok=True)
            raise
        return sound
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def describe(path: Path, about: dict, provenance: dict) -> Sound:
    """Write the sidecar of a sound and return the sound.

    Raises as :func:`safe_files.write_whole`.
    """
    sidecar = path.with_suffix(".json")
    about = about | {"created": datetime.now(UTC).isoformat(timespec="microseconds")}
    sound = Sound(path=str(path), sidecar=str(sidecar), **about)
    content = {"tertium": __version__, "schema": SCHEMA, **asdict(sound), "path": path.name, **provenance}
    del content["sidecar"]
    safe_files.write_whole(sidecar, as_json(content))
    return sound
