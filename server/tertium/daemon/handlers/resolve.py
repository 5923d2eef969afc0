"""Lookup of what clients name: sounds by id or path, checkpoints by name."""

import re

from tertium import path_spelling
from tertium.audio.signal import MAX_SECONDS
from tertium.daemon.handlers.registry import Services
from tertium.errors import SoundError
from tertium.storage.checkpoint_format import Checkpoint, CheckpointError
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Sound
from tertium_protocol.messages.fields import NOT_IN_FILE_NAMES, nearest

ID = re.compile(r"[0-9a-fA-F]{8,64}\Z")
LONGEST_STEM = 80


def sound(services: Services, text: str, *, field: str, max_seconds: float = MAX_SECONDS) -> Sound:
    """Return the sound that a client names by id, by the beginning of an id, or by path. A file is added to the library first. Reads the disk.

    Args:
        text: the client's text.
        field: the field that holds it, for errors.
        max_seconds: longest sound allowed in that field.

    Raises:
        SoundError: with ``field``.
    """
    try:
        if path_spelling.names_file(text):
            found = services.library.add_path(
                text, services.allowed_folders.roots, max_seconds=max_seconds, field=field
            )
        else:
            found = services.library.get(text)
    except SoundError as error:
        raise SoundError(error.code, error.message, field=field, value=text, remedy=error.remedy) from error
    if found.seconds > max_seconds:
        raise SoundError(
            "bad_sound", f"'{found.name}' lasts {found.seconds:.1f} s, which is too long here.", field=field, value=text,
            remedy=f"Cut it to at most {max_seconds:g} s.",
        )  # fmt: skip
    return found


def longest_sound(services: Services) -> float:
    """Return the longest sound, in seconds, that the model takes; while the model is unknown, the library's limit."""
    return services.supervisor.model.get("max_seconds", MAX_SECONDS)


def file_stem(text: str) -> str:
    """Convert text into a name that a file or a checkpoint can have on any system."""
    plain = " ".join(NOT_IN_FILE_NAMES.sub(" ", text).split()).lstrip(". ")
    cut = plain[:LONGEST_STEM].encode("utf-8", "replace")[: 2 * LONGEST_STEM].decode("utf-8", "ignore")
    return cut.strip() or "result"


def sound_or_checkpoint(services: Services, text: str) -> Sound | Checkpoint:
    """Return the sound or checkpoint that a request gives as its reference. A checkpoint's name takes precedence over the beginning of an id."""
    checkpoints = Checkpoints(services.home.checkpoints)
    if _names_sound(checkpoints, text):
        return sound(services, text, field="reference")
    return _checkpoint(
        services, checkpoints, text, problem="is neither a sound nor a checkpoint that can be used",
        remedy="Give the id of a sound, the absolute path of a file, or the name of a checkpoint.",
    )  # fmt: skip


def trained_checkpoint(services: Services, text: str) -> Checkpoint:
    """Return the checkpoint that a sound is generated with. A sound in its place is refused: no weights were trained on it."""
    checkpoints = Checkpoints(services.home.checkpoints)
    if _names_sound(checkpoints, text):
        raise CheckpointError(
            "unknown_checkpoint", f"'{text[:80]}' names a sound, but generate takes the name of a checkpoint.", field="reference", value=text,
            remedy="Learn the sound first, and give the checkpoint's name; or fuse another sound with it.",
        )  # fmt: skip
    return _checkpoint(
        services,
        checkpoints,
        text,
        problem="is not a usable checkpoint",
        remedy="List them with checkpoints, or learn one.",
    )


def _names_sound(checkpoints: Checkpoints, text: str) -> bool:
    """Return whether a reference names a sound. A checkpoint's name takes precedence over the beginning of an id."""
    return path_spelling.names_file(text) or (ID.match(text) is not None and checkpoints.is_free(text))


def _checkpoint(services: Services, checkpoints: Checkpoints, text: str, *, problem: str, remedy: str) -> Checkpoint:
    """Return the checkpoint of a name, if the loaded model can use it.

    Raises:
        CheckpointError: unknown_checkpoint with the problem and the remedy, or with the nearest name; conflict if it belongs to another model.
    """
    found = {checkpoint.name: checkpoint for checkpoint in checkpoints.list()}
    if text not in found:
        near = nearest(text, found)
        raise CheckpointError(
            "unknown_checkpoint", f"'{text[:80]}' {problem}.", field="reference", value=text,
            remedy=f"Did you mean {near}?" if near else remedy,
        )  # fmt: skip
    fingerprint = services.supervisor.model.get("fingerprint")
    if fingerprint is not None:  # else the worker checks, once it has a model
        checkpoints.weights(found[text], fingerprint=fingerprint)
    return found[text]
