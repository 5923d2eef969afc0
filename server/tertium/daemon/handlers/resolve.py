"""Names that clients give, resolved: sounds by id or path, checkpoints by name."""

import os
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
    """The sound that a client names by id, by the beginning of an id, or by a path. A file is taken into the library first. Reads the disk.

    Args:
        text: what the client gave.
        field: in which field, for errors.
        max_seconds: longest sound that is of use there.

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
    """What the model takes, in seconds; while it is not known yet, what the library takes."""
    return services.supervisor.model.get("max_seconds", MAX_SECONDS)


def file_stem(text: str) -> str:
    """Text made fit to be the name of a file, or of a checkpoint, on any system."""
    plain = " ".join(NOT_IN_FILE_NAMES.sub(" ", text).split()).lstrip(". ")
    cut = plain[:LONGEST_STEM].encode("utf-8", "replace")[: 2 * LONGEST_STEM].decode("utf-8", "ignore")
    return cut.strip() or "result"


def reference(services: Services, text: str) -> Sound | Checkpoint:
    """The sound or the checkpoint that leads. A checkpoint's name goes before the beginning of an id."""
    kept = Checkpoints(services.home.checkpoints)
    if _is_a_sound(kept, text):
        return sound(services, text, field="reference")
    return _checkpoint(
        services, kept, text, problem="is neither a sound nor a checkpoint that can be used",
        remedy="Give the id of a sound, the absolute path of a file, or the name of a checkpoint.",
    )  # fmt: skip


def taught(services: Services, text: str) -> Checkpoint:
    """The checkpoint that a sound is made under. A sound in its place is refused: nothing was learned of it."""
    kept = Checkpoints(services.home.checkpoints)
    if _is_a_sound(kept, text):
        raise CheckpointError(
            "unknown_checkpoint", f"'{text[:80]}' names a sound, and generate takes the name of a checkpoint.", field="reference", value=text,
            remedy="Learn the sound first, and give the checkpoint's name; or fuse another sound with it.",
        )  # fmt: skip
    return _checkpoint(
        services,
        kept,
        text,
        problem="is no checkpoint that can be used",
        remedy="List them with checkpoints, or learn one.",
    )


def _is_a_sound(kept: Checkpoints, text: str) -> bool:
    """Whether a reference is meant as a sound. A checkpoint's name goes before the beginning of an id."""
    return os.path.isabs(text) or (ID.match(text) is not None and kept.is_free(text))


def _checkpoint(services: Services, kept: Checkpoints, text: str, *, problem: str, remedy: str) -> Checkpoint:
    """The checkpoint of a name, if the model that is loaded can use it.

    Raises:
        CheckpointError: unknown_checkpoint with the problem and the remedy, or the name that was probably meant; conflict for another model's.
    """
    found = {checkpoint.name: checkpoint for checkpoint in kept.list()}
    if text not in found:
        near = nearest(text, found)
        raise CheckpointError(
            "unknown_checkpoint", f"'{text[:80]}' {problem}.", field="reference", value=text,
            remedy=f"Did you mean {near}?" if near else remedy,
        )  # fmt: skip
    fingerprint = services.supervisor.model.get("fingerprint")
    if fingerprint is not None:  # else the worker looks, when it has a model
        kept.weights(found[text], fingerprint=fingerprint)
    return found[text]
