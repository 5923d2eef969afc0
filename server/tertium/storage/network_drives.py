"""Network drives, on which the locks and the database in the daemon's home do not work."""

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
"""Error numbers of file systems that cannot lock files."""
SQLITE_LOCKS = {
    "SQLITE_PROTOCOL",
    "SQLITE_IOERR_LOCK",
    "SQLITE_IOERR_RDLOCK",
    "SQLITE_IOERR_UNLOCK",
    "SQLITE_IOERR_CHECKRESERVEDLOCK",
    "SQLITE_IOERR_SHMLOCK",
    "SQLITE_IOERR_SHMMAP",
}
"""SQLite's errors if files cannot be locked, or memory cannot be shared through a file."""
SQLITE_PERHAPS = ("disk I/O", "database is locked", "unable to open")
"""Texts of SQLite's errors that may also have this cause, but have others too."""
MOUNTS = Path("/proc/mounts")


def kind_of(folder: Path) -> str | None:
    """Return the kind of network drive that contains a folder.

    Returns None for a local disk, or if the system does not list its drives.
    """
    real = os.path.realpath(folder)
    if os.name == "nt":
        return "smb" if real.startswith(r"\\") else None  # realpath resolves the letter of a mapped drive to its share
    mounts = {len(where.parts): kind for where, kind in _mounted() if Path(real).is_relative_to(where)}
    kind = mounts[max(mounts)] if mounts else None
    return kind if kind in KINDS else None


def explains(error: Exception, folder: Path) -> bool:
    """Return whether an SQLite error is explained by the file system of ``folder``: locks fail, or it is a network
    drive that may have caused it.
    """
    if getattr(error, "sqlite_errorname", "") in SQLITE_LOCKS or "locking protocol" in str(error):
        return True
    return any(words in str(error) for words in SQLITE_PERHAPS) and kind_of(folder) is not None


def _mounted() -> list[tuple[Path, str]]:
    """Return the mount points and their kinds: from Linux's list, else from the output of macOS' ``mount``."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return [(Path(where), kind) for where, kind in re.findall(r"^.* on (/.*) \((\w+)[,)]", _mount_output(), re.M)]
    found = [line.split(" ")[1:3] for line in lines if line.count(" ") > 2]
    return [(Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), where)), kind) for where, kind in found]


def _mount_output() -> str:
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
    """Return the error for a home on a network drive."""
    kind = kind_of(folder)
    drive = f"a network drive ({kind})" if kind else "a network drive or another disk that cannot lock files"
    return TertiumError(
        "path_refused", f"The folder '{folder}' lies on {drive}, on which the daemon's journal does not work: {reason}.",
        field="home", value=str(folder), remedy="Give a folder on a disk of this machine with --home or TERTIUM_HOME.",
    )  # fmt: skip
