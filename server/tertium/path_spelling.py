"""Paths as clients spell them, converted to the spelling that this machine's file system uses."""

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
    """Return the path that ``text`` means: ``file://`` URLs, ``~`` and Max's ``Disk:/folder`` resolved, names
    composed or decomposed as on the disk.

    Ambiguous spellings are returned unchanged: a URL of another machine, an unknown user's ``~``, a relative path.

    Args:
        volumes: the folder in which named disks are mounted.
    """
    return as_on_disk(from_disk(from_home(from_url(os.fspath(text))), volumes=volumes))


def names_file(text: str) -> bool:
    """Return whether ``text`` is a path in any spelling, and not a sound's id or a checkpoint's name."""
    return "/" in text or "\\" in text or text == "~" or os.path.isabs(text)


def from_url(text: str) -> str:
    """Return the path of a ``file:`` URL of this machine, percent-decoded as UTF-8; other texts unchanged."""
    if not _SCHEME.match(text):
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    if parts.netloc.lower() not in LOCAL:
        return text
    # An unencoded '#' or '?' belongs to the name: file URLs have neither fragment nor query.
    path = unquote(text[text.index(":") + 1 :])
    path = path[2 + len(parts.netloc) :] if path.startswith("//") else path
    return path[1:] if re.match(r"/[A-Za-z]:[/\\]", path) else path


def from_home(text: str) -> str:
    """Return a path that begins with ``~`` or ``~user`` as an absolute path; other texts unchanged."""
    return os.path.expanduser(text) if text.startswith("~") else text


def from_disk(text: str, *, volumes: Path = VOLUMES) -> str:
    """Return ``Disk:/folder/file``, as Max writes it, as an absolute path: ``volumes/Disk/folder/file`` if that disk
    is mounted, else ``/folder/file``.

    On some systems the start disk does not appear among the mounted ones, so a disk that is not mounted is assumed to be
    the start disk. Drive letters (``C:/``) and URLs are returned unchanged.
    """
    found = _DISK.match(text)
    if found is None or found["rest"].startswith("//"):
        return text
    mounted = volumes / found["disk"]
    if os.path.lexists(as_on_disk(str(mounted))):
        return as_on_disk(str(mounted)) + found["rest"]
    return found["rest"]


def as_on_disk(text: str) -> str:
    """Return an absolute path with each name composed (NFC) or decomposed (NFD) as it is on the disk; names not found
    there stay unchanged.

    A name that exists exactly as given always wins, so of two names that look alike the requested one is found.
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
    """Return the name in ``folder`` that equals ``name`` once both are composed (it may be a mix of the two forms);
    else ``name``.
    """
    if name.isascii():
        return name
    wanted = unicodedata.normalize("NFC", name)
    try:
        return next((one for one in sorted(os.listdir(folder)) if unicodedata.normalize("NFC", one) == wanted), name)
    except OSError:
        return name
