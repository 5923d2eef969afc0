"""Safe file access: clients' files are opened without following links out of the allowed folders, our own are written
atomically.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tertium import path_spelling
from tertium.errors import SoundError

PART = ".part"
RACES = 20  # attempts to open a path that changes meanwhile
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class OpenFile:
    """A regular file opened for reading, and its real path. A context manager that closes the file."""

    file: BinaryIO
    path: Path

    def __enter__(self) -> "OpenFile":
        return self

    def __exit__(self, *problem: object) -> None:
        self.file.close()


def open_allowed(
    path: str | os.PathLike, roots: Iterable[str | os.PathLike] | None, *, field: str = "path"
) -> OpenFile:
    """Open a client's ``path``, in any spelling of :mod:`tertium.path_spelling`, within ``roots``; None allows every
    folder.

    The opened file is the one that was checked: a link that is put in a name's place in between is not followed.

    Raises:
        SoundError: see :func:`resolve` and :func:`open_regular`; also ``path_refused`` if the path keeps changing.
    """
    allowed = None if roots is None else tuple(roots)
    for _ in range(RACES):
        real = resolve(path, allowed, field=field)
        if allowed is None:
            return OpenFile(open_regular(real, field=field), real)
        with contextlib.suppress(_PathChanged):
            return OpenFile(_opened(str(real), field, _open_without_links), real)
    text = os.fspath(path)
    raise SoundError(
        "path_refused", f"The path '{text}' changes while it is read.", field=field, value=text,
        remedy="Wait until the program that moves it is done, and send the request again.",
    )  # fmt: skip


def resolve(path: str | os.PathLike, roots: Iterable[str | os.PathLike] | None, *, field: str = "path") -> Path:
    """Return a client's ``path`` with symlinks resolved, if it lies in one of ``roots``; None allows every folder.

    Raises:
        SoundError: ``path_refused`` if the path is relative, malformed, or outside the roots. The error does not reveal
            whether a refused path exists.
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


class _PathChanged(Exception):
    """A name in the path became a link or another file after the check."""


def _open_without_links(real: str, field: str) -> int:
    """Return a descriptor of the file at ``real``, following no link.

    Raises:
        _PathChanged: a name in the path is a link by now.
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
            raise _PathChanged from error
        raise
    _must_be_regular(os.lstat(real).st_mode, real, field)
    descriptor = os.open(real, flags)
    if os.path.realpath(real) != real or not os.path.samestat(os.fstat(descriptor), os.lstat(real)):
        os.close(descriptor)
        raise _PathChanged
    return descriptor


def _walk(real: str, flags: int, field: str) -> int:
    """Open ``real`` name by name, each relative to the folder opened before it."""
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
            raise _PathChanged
        _must_be_regular(mode, real, field)
        return os.open(name, flags, dir_fd=folder)
    finally:
        os.close(folder)


def open_regular(path: str | os.PathLike, *, field: str = "path") -> BinaryIO:
    """Open a regular file for reading. Devices, pipes and folders are never opened, and the call never blocks.

    Raises:
        SoundError: ``unknown_sound`` if the file does not exist, ``path_refused`` if it is not regular or not readable.
    """
    return _opened(os.fspath(path), field, _open_after_check)


def _open_after_check(text: str, field: str) -> int:
    _must_be_regular(os.stat(text).st_mode, text, field)
    # A pipe may have replaced the file since the check: with O_NONBLOCK, opening it does not wait for a writer.
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
    """Convert an OSError (a full disk, a missing or write-protected folder) into a SoundError about ``path``.

    FileExistsError passes through.
    """
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
    """Return a name beside ``path`` for its unfinished file or folder.

    The name holds this process's id, so that :func:`clean` can tell the remains of a crash from files still being written.
    """
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}{PART}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; at the end of the block the file is synced to the disk and replaces ``path``.

    On any error the temporary file is removed.

    Raises:
        OSError: the file could not be written.
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
    """Write ``data`` to a temporary file beside ``path``, sync it to the disk and return its path; ``publish`` gives
    it its name.

    On any error the temporary file is removed.

    Args:
        mode: permissions, before the process's umask.
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
    """Give the finished ``part`` its name, atomically and never over another file.

    Raises:
        FileExistsError: ``path`` exists; the part is left as it is.
        SoundError: ``disk_full`` or ``path_refused``.
    """
    with disk_errors(path):
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:  # a disk without hard links: create an empty file under the name, then replace that
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(part, path)
        else:
            part.unlink()
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some systems cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write a new file atomically.

    Raises as :func:`write_part` and :func:`publish`; on any error no file is left behind.
    """
    part = write_part(path, data)
    try:
        publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_over(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file atomically, replacing one that may exist.

    On any error the old file stays, and no temporary file is left behind.
    """
    part = write_part(path, data, mode=mode)
    try:
        with disk_errors(path):
            os.replace(part, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def clean(folder: Path, *, of: int | None = None) -> list[str]:
    """Remove unfinished files and folders in ``folder`` whose writing process no longer runs. Returns the names removed.

    Args:
        of: the id of a process, whose files alone are removed; None for those of any.
    """
    removed = []
    for part in folder.glob(f".*{PART}"):
        writer = part.name.split(".")[-3]
        if writer.isdecimal() and of in (None, int(writer)) and not _is_running(int(writer)):
            if part.is_dir() and not part.is_symlink():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)
            removed.append(part.name)
    return removed


def _is_running(process: int) -> bool:
    if os.name == "nt":  # on Windows, signal 0 would end the process
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
