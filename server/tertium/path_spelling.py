"""Spellings of a path as clients write them, brought to the one that this machine's files go by."""

import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote, urlsplit

VOLUMES = Path("/Volumes")
LOCAL = ("", "localhost")
_SCHEME = re.compile(r"file:/", re.IGNORECASE)
_DISK = re.compile(r"(?P<disk>[^/\\:]{2,}):(?P<rest>/.*)\Z", re.DOTALL)


def spelled(text: str | os.PathLike, *, volumes: Path = VOLUMES) -> str:
    """The path that ``text`` plainly means: ``file://`` URLs, ``~`` and Max's ``Disk:/folder`` resolved, composed or decomposed as the disk has it.

    What is not plain stays as it is: a URL of another machine, an unknown user's ``~``, a relative path.

    Args:
        volumes: the folder that disks with a name are mounted in.
    """
    return as_on_disk(from_disk(from_home(from_url(os.fspath(text))), volumes=volumes))


def names_file(text: str) -> bool:
    """Whether ``text`` is a path, in any of the spellings, and no id of a sound or name of a checkpoint."""
    return "/" in text or "\\" in text or text == "~" or os.path.isabs(text)


def from_url(text: str) -> str:
    """The path of a ``file:`` URL of this machine, percent-decoded as UTF-8; other texts as they are."""
    if not _SCHEME.match(text):
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    if parts.netloc.lower() not in LOCAL:
        return text
    # A '#' or '?' that nobody encoded belongs to the name: a file has neither fragment nor query.
    path = unquote(text[text.index(":") + 1 :])
    path = path[2 + len(parts.netloc) :] if path.startswith("//") else path
    return path[1:] if re.match(r"/[A-Za-z]:[/\\]", path) else path


def from_home(text: str) -> str:
    """A path that begins with ``~`` or ``~user``, from the root of the disk."""
    return os.path.expanduser(text) if text.startswith("~") else text


def from_disk(text: str, *, volumes: Path = VOLUMES) -> str:
    """``Disk:/folder/file``, as Max writes it, from the root: ``volumes/Disk/folder/file`` where that disk is mounted, else ``/folder/file``.

    The start disk is mounted nowhere on some systems, and is what a disk that is not mounted is taken for. Letters of drives (``C:/``) and
    URLs are no such disks.
    """
    found = _DISK.match(text)
    if found is None or found["rest"].startswith("//"):
        return text
    mounted = volumes / found["disk"]
    if os.path.lexists(as_on_disk(str(mounted))):
        return as_on_disk(str(mounted)) + found["rest"]
    return found["rest"]


def as_on_disk(text: str) -> str:
    """An absolute path whose names are composed (NFC) or decomposed (NFD) as the disk has them, folder by folder; as it is where there is none.

    A name that is there as it was given is always preferred, so of two names that look alike the one that was asked for is found.
    """
    if text.isascii() or "\0" in text or not os.path.isabs(text) or os.path.lexists(text):
        return text
    done, *names = Path(text).parts
    for name in names:
        forms = (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
        there = [form for form in forms if os.path.lexists(os.path.join(done, form))]
        chosen = there[0] if there else _alike(done, name)
        done = os.path.join(done, chosen)
    return done


def _alike(folder: str, name: str) -> str:
    """A name in ``folder`` that is neither wholly composed nor decomposed, but the same to a reader; else ``name``."""
    if name.isascii():
        return name
    wanted = unicodedata.normalize("NFC", name)
    try:
        return next((one for one in sorted(os.listdir(folder)) if unicodedata.normalize("NFC", one) == wanted), name)
    except OSError:
        return name
