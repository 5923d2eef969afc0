"""Folders on other machines, on which what the daemon's home needs, locks and a database, does not work."""

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

from tertium.errors import TertiumError

KINDS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afpfs",
    "webdav",
    "davfs",
    "9p",
    "fuse.sshfs",
    "fuse.rclone",
    "fuse.davfs2",
}
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
"""How a system says that files there cannot be locked."""
SQLITE_LOCKS = {
    "SQLITE_PROTOCOL",
    "SQLITE_IOERR_LOCK",
    "SQLITE_IOERR_RDLOCK",
    "SQLITE_IOERR_UNLOCK",
    "SQLITE_IOERR_CHECKRESERVEDLOCK",
    "SQLITE_IOERR_SHMLOCK",
    "SQLITE_IOERR_SHMMAP",
}
"""How SQLite says so, or that no memory can be shared by way of a file there."""
SQLITE_PERHAPS = ("disk I/O", "database is locked", "unable to open")
"""What else it says there, and elsewhere for other reasons."""
MOUNTS = Path("/proc/mounts")


def kind_of(folder: Path) -> str | None:
    """The kind of network drive that a folder lies on; None for a disk of this machine, and where the system does not list its drives."""
    real = os.path.realpath(folder)
    if os.name == "nt":
        return "smb" if real.startswith(r"\\") else None  # a share's own name, to which the letter of a drive leads
    over = {len(where.parts): kind for where, kind in _mounted() if Path(real).is_relative_to(where)}
    kind = over[max(over)] if over else None
    return kind if kind in KINDS else None


def explains(error: Exception, folder: Path) -> bool:
    """Whether SQLite's error at a database in ``folder`` comes of where that lies: locks fail there, or it is a network drive and what else fails may be its doing."""
    if getattr(error, "sqlite_errorname", "") in SQLITE_LOCKS or "locking protocol" in str(error):
        return True
    return any(words in str(error) for words in SQLITE_PERHAPS) and kind_of(folder) is not None


def _mounted() -> list[tuple[Path, str]]:
    """What is mounted where, and its kind: as Linux lists it, else as macOS' ``mount`` does."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return [(Path(where), kind) for where, kind in re.findall(r"^.* on (/.*) \((\w+)[,)]", _said_by_mount(), re.M)]
    found = [line.split(" ")[1:3] for line in lines if line.count(" ") > 2]
    return [(Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), where)), kind) for where, kind in found]


def _said_by_mount() -> str:
    program = shutil.which("mount", path="/sbin:/usr/sbin:/bin")
    if program is None:
        return ""
    try:
        return subprocess.run(
            [program], capture_output=True, text=True, timeout=5, check=False, errors="replace"
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def unfit(folder: Path, reason: str) -> TertiumError:
    """The error of a home that lies on a network drive."""
    kind = kind_of(folder)
    drive = f"a network drive ({kind})" if kind else "a network drive or another disk that cannot lock files"
    return TertiumError(
        "path_refused", f"The folder '{folder}' lies on {drive}, on which the daemon's journal does not work: {reason}.",
        field="home", value=str(folder), remedy="Give a folder on a disk of this machine with --home or TERTIUM_HOME.",
    )  # fmt: skip
