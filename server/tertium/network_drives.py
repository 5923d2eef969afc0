"""Folders on other machines, on which what the daemon's home needs, locks and a database, does not work."""

import errno
import os
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
MOUNTS = Path("/proc/mounts")


def kind_of(folder: Path) -> str | None:
    """The kind of network drive that a folder lies on; None for a disk of this machine, and where the system does not list its drives."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = Path(os.path.realpath(folder))
    over = {}
    for line in lines:
        _, place, kind = line.split(" ")[:3]
        where = Path(place.replace("\\040", " "))
        if real.is_relative_to(where):
            over[len(where.parts)] = kind
    kind = over[max(over)] if over else None
    return kind if kind in KINDS else None


def unfit(folder: Path, reason: str) -> TertiumError:
    """The error of a home that lies on a network drive."""
    kind = kind_of(folder)
    drive = f"a network drive ({kind})" if kind else "a network drive or another disk that cannot lock files"
    return TertiumError(
        "path_refused", f"The folder '{folder}' lies on {drive}, on which the daemon's journal does not work: {reason}.",
        field="home", value=str(folder), remedy="Give a folder on a disk of this machine with --home or TERTIUM_HOME.",
    )  # fmt: skip
