"""Files of others opened with care, files of ours written whole or not at all."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tertium import path_spelling
from tertium.errors import SoundError

PART = ".part"
RACES = 20  # times that a path may change under our hands
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class OpenFile:
    """A regular file opened for reading, and its real path. Closes with its ``with`` block."""

    file: BinaryIO
    path: Path

    def __enter__(self) -> "OpenFile":
        return self

    def __exit__(self, *problem: object) -> None:
        self.file.close()


def open_allowed(
    path: str | os.PathLike, roots: Iterable[str | os.PathLike] | None, *, field: str = "path"
) -> OpenFile:
    """Open a client's ``path``, in any of the spellings of :mod:`tertium.path_spelling`, within ``roots``; None stands for no walls.

    What is opened is what was judged: no link that takes a name's place meanwhile leads out of the roots.

    Raises:
        SoundError: of :func:`resolve` and :func:`open_regular`; ``path_refused`` too if the path keeps changing.
    """
    walls = None if roots is None else tuple(roots)
    for _ in range(RACES):
        real = resolve(path, walls, field=field)
        if walls is None:
            return OpenFile(open_regular(real, field=field), real)
        with contextlib.suppress(_Moved):
            return OpenFile(_opened(str(real), field, _open_without_links), real)
    text = os.fspath(path)
    raise SoundError(
        "path_refused", f"The path '{text}' changes while it is read.", field=field, value=text,
        remedy="Wait until the program that moves it is done, and send the request again.",
    )  # fmt: skip


def resolve(path: str | os.PathLike, roots: Iterable[str | os.PathLike] | None, *, field: str = "path") -> Path:
    """The real place of a client's ``path``, symlinks resolved, if it lies in one of the allowed ``roots``; None stands for no walls.

    Raises:
        SoundError: ``path_refused`` if the path is relative, malformed, or leads out of the roots; whether there is anything
            at a refused path is not told.
    """
    text = os.fspath(path)
    plain = path_spelling.spelled(text)
    if not os.path.isabs(plain):
        raise SoundError(
            "path_refused", f"The path '{text}' is relative.", field=field, value=text,
            remedy="Give the whole path, from the root of the disk.",
        )  # fmt: skip
    try:
        real = Path(os.path.realpath(plain))
    except (ValueError, OSError) as error:
        raise _malformed(text, field, error) from error
    allowed = None if roots is None else [Path(os.path.realpath(root)) for root in roots]
    if allowed is not None and not any(real.is_relative_to(root) for root in allowed):
        listed = ", ".join(str(root) for root in allowed)
        raise SoundError(
            "path_refused", f"The path '{text}' lies outside the folders that may be read.", field=field, value=text,
            remedy=f"Move the file into one of them ({listed}), allow its folder (tertium allow DIR), or start the daemon without --roots.",
        )  # fmt: skip
    return real


class _Moved(Exception):
    """A link or another file took the place of a name on the way."""


def _open_without_links(real: str, field: str) -> int:
    """A descriptor of the file at ``real``, none of whose names may be a link.

    Raises:
        _Moved: one is, by now.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if hasattr(os, "O_NOFOLLOW_ANY"):  # macOS
            _must_be_regular(os.lstat(real).st_mode, real, field)
            return os.open(real, flags | os.O_NOFOLLOW_ANY)
        if os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW"):
            return _walk(real, flags | os.O_NOFOLLOW, field)
    except OSError as error:
        if error.errno == errno.ELOOP or os.path.realpath(real) != real:
            raise _Moved from error
        raise
    _must_be_regular(os.lstat(real).st_mode, real, field)
    descriptor = os.open(real, flags)
    if os.path.realpath(real) != real or not os.path.samestat(os.fstat(descriptor), os.lstat(real)):
        os.close(descriptor)
        raise _Moved
    return descriptor


def _walk(real: str, flags: int, field: str) -> int:
    """Open ``real`` name by name, each within the folder that was opened before it."""
    step = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
    root, *folders, name = Path(real).parts
    folder = os.open(root, step)
    try:
        for part in folders:
            inner = os.open(part, step, dir_fd=folder)
            os.close(folder)
            folder = inner
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            raise _Moved
        _must_be_regular(mode, real, field)
        return os.open(name, flags, dir_fd=folder)
    finally:
        os.close(folder)


def open_regular(path: str | os.PathLike, *, field: str = "path") -> BinaryIO:
    """Open a regular file for reading. Devices, pipes and folders are never opened, and nothing here waits.

    Raises:
        SoundError: ``unknown_sound`` if there is no file, ``path_refused`` if it is no regular file or may not be read.
    """
    return _opened(os.fspath(path), field, _open_looked_at)


def _open_looked_at(text: str, field: str) -> int:
    _must_be_regular(os.stat(text).st_mode, text, field)
    # Between the two looks a pipe could have taken the file's place: then O_NONBLOCK keeps us from waiting at it.
    return os.open(text, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def _opened(text: str, field: str, opens: Callable[[str, str], int]) -> BinaryIO:
    try:
        descriptor = opens(text, field)
        try:
            _must_be_regular(os.fstat(descriptor).st_mode, text, field)
        except SoundError:
            os.close(descriptor)
            raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SoundError(
            "unknown_sound", f"There is no file '{text}'.", field=field, value=text, remedy="Check the path."
        ) from error
    except PermissionError as error:
        raise SoundError(
            "path_refused", f"The file '{text}' may not be read.", field=field, value=text,
            remedy="Give the user that runs the daemon permission to read it.",
        ) from error  # fmt: skip
    except (ValueError, OSError) as error:
        raise _malformed(text, field, error) from error
    return os.fdopen(descriptor, "rb")


def _must_be_regular(mode: int, text: str, field: str) -> None:
    kinds = {
        stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    }  # fmt: skip
    if not stat.S_ISREG(mode):
        raise SoundError(
            "path_refused", f"'{text}' is {kinds.get(stat.S_IFMT(mode), 'something else')}, not a file.",
            field=field, value=text, remedy="Give the path of a file.",
        )  # fmt: skip


def _malformed(text: str, field: str, error: Exception) -> SoundError:
    reason = getattr(error, "strerror", None) or str(error)
    return SoundError(
        "path_refused", f"The path {text!r} cannot be followed: {reason}.", field=field, value=text,
        remedy="Check the path.",
    )  # fmt: skip


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a missing folder or a write-protected one into a typed error about ``path``."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        full = error.errno in DISK_FULL
        reason = "the disk is full" if full else (error.strerror or str(error))
        raise SoundError(
            "disk_full" if full else "path_refused", f"'{path}' could not be written: {reason}.",
            field="path", value=str(path),
            remedy="Make room on that disk and send the request again." if full else "Check the folder and its permissions.",
        ) from error  # fmt: skip


def part_of(path: Path) -> Path:
    """The name of an unfinished file or folder beside ``path``. It holds this process's id, so that what a crash leaves can be told from what is being written."""
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}{PART}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file to be written by others, which takes the place of ``path`` at the end of the block, once it is on the disk; on any error nothing is left.

    Raises:
        OSError: it could not be written.
    """
    part = part_of(path)
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_part(path: Path, data: bytes, *, mode: int = 0o666) -> Path:
    """Write ``data`` to a new file beside ``path``, down to the disk, and return it; ``publish`` gives it its name.

    Nothing is left on an error.

    Args:
        mode: permissions, before the process's mask.
    """
    part = part_of(path)
    with disk_errors(path):
        try:
            with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return part


def publish(part: Path, path: Path) -> None:
    """Give the finished ``part`` its name, at once and never over another file.

    Raises:
        FileExistsError: ``path`` is taken; the part is left as it is.
        SoundError: ``disk_full`` or ``path_refused``.
    """
    with disk_errors(path):
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:  # a disk without hard links: claim the name, then move over our own claim
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(part, path)
        else:
            part.unlink()
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some systems know no such thing
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """A new file, whole or not at all: ``write_part`` and ``publish``, with nothing left behind on any error."""
    part = write_part(path, data)
    try:
        publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_over(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """A file in place of one that may be there: at every moment the old one or the new one, whole. Nothing else is left behind on any error."""
    part = write_part(path, data, mode=mode)
    try:
        with disk_errors(path):
            os.replace(part, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def clean(folder: Path) -> list[str]:
    """Remove what crashed writers left in ``folder``; parts of processes that live are let be. Returns the names removed."""
    removed = []
    for part in folder.glob(f".*{PART}"):
        writer = part.name.split(".")[-3]
        if writer.isdecimal() and not _lives(int(writer)):
            part.unlink(missing_ok=True)
            removed.append(part.name)
    return removed


def _lives(process: int) -> bool:
    if os.name == "nt":  # there, signal 0 would end the process
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
