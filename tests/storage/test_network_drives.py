"""A home on a network drive is refused with a clear message.

No such drive is mounted here; the system's responses are simulated.
"""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from tertium.cli import doctor
from tertium.daemon.jobs.journal import Journal, _explained
from tertium.errors import TertiumError
from tertium.storage import file_locks, home, network_drives

REMEDY = "Give a folder on a disk of this machine with --home or TERTIUM_HOME."


@pytest.fixture
def on_nfs(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/music {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(network_drives, "MOUNTS", mounts)
    return tmp_path


def test_the_kind_of_a_drive_is_that_of_the_innermost(on_nfs, monkeypatch):
    assert network_drives.kind_of(on_nfs / "home") == "nfs4"
    assert network_drives.kind_of(on_nfs.parent) is None
    monkeypatch.setattr(network_drives, "MOUNTS", on_nfs / "none")
    assert network_drives.kind_of(on_nfs) is None


def test_a_place_with_a_space_in_its_name_is_found(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/vda / ext4 rw 0 0\nserver:/music /mnt/my\\040music cifs rw 0 0\n")
    monkeypatch.setattr(network_drives, "MOUNTS", mounts)
    assert network_drives.kind_of(Path("/mnt/my music/home")) == "cifs"


def test_the_list_of_macos_is_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(network_drives, "MOUNTS", tmp_path / "none")
    listing = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "//me@nas/My%20Music on /Volumes/My Music (smbfs, nodev, nosuid, mounted by me)\n"
        "/dev/disk4s1 on /Volumes/Stick on (exfat, local, nodev, nosuid)\n"
    )
    monkeypatch.setattr(network_drives, "_mount_output", lambda: listing)
    assert network_drives.kind_of(Path("/Volumes/My Music/home")) == "smbfs"
    assert network_drives.kind_of(Path("/Volumes/Stick on/home")) is None
    assert network_drives.kind_of(Path("/Users/me")) is None


# Errors of SQLite 3.40 when its calls to lock or map files failed, observed with a preloaded library that made them fail.
LOCKS_FAILED = ["SQLITE_IOERR_LOCK", "SQLITE_IOERR_RDLOCK", "SQLITE_IOERR_SHMLOCK", "SQLITE_IOERR_SHMMAP"]


@pytest.mark.parametrize("name", LOCKS_FAILED)
def test_failing_locks_are_reported_even_if_the_system_lists_no_drives(name, tmp_path):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    assert _explained(error, tmp_path / "journal.sqlite").remedy == REMEDY


def test_a_full_disk_is_not_reported_as_a_network_drive(tmp_path):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    assert _explained(error, tmp_path / "journal.sqlite").code == "disk_full"


@pytest.mark.parametrize("text", ["locking protocol", "disk I/O error", "database is locked"])
def test_a_journal_on_one_is_refused_in_words(on_nfs, text):
    error = _explained(sqlite3.OperationalError(text), on_nfs / "journal.sqlite")
    assert (error.code, error.field, error.value, error.remedy) == ("path_refused", "home", str(on_nfs), REMEDY)
    assert error.message == (
        f"The folder '{on_nfs}' lies on a network drive (nfs4), on which the daemon's journal does not work: {text}."
    )


def test_an_error_of_a_local_disk_is_not_reported_as_a_network_drive(tmp_path):
    error = _explained(sqlite3.OperationalError("disk I/O error"), tmp_path / "journal.sqlite")
    assert (error.code, error.remedy) == ("disk_full", "Make room on that disk and send the request again.")
    error = _explained(sqlite3.OperationalError("locking protocol"), tmp_path / "journal.sqlite")
    assert "a network drive or another disk that cannot lock files" in error.message and error.remedy == REMEDY


@pytest.mark.skipif(os.name == "nt", reason="locks by fcntl")
def test_a_folder_that_cannot_be_locked_is_not_taken_for_another_daemons(on_nfs, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(file_locks.fcntl, "flock", no_locks)
    with pytest.raises(TertiumError) as caught:
        home.Home(on_nfs / "home").open()
    assert caught.value.remedy == REMEDY and "No locks available" in caught.value.message
    assert not home.is_served(on_nfs / "home")


def test_a_journal_that_cannot_be_locked_for_real(tmp_path, monkeypatch):
    """SQLite's real error, from a database whose locks fail."""
    path = tmp_path / "journal.sqlite"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(
        "tertium.daemon.jobs.journal.sqlite3.connect", lambda path, timeout: sqlite3.Connection(path, timeout=0)
    )
    with pytest.raises(TertiumError, match="held by another program") as caught:
        Journal(path).open()
    assert "Close the program that has it open" in caught.value.remedy
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/music {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(network_drives, "MOUNTS", mounts)
    with pytest.raises(TertiumError, match=r"a network drive \(nfs4\).*database is locked") as caught:
        Journal(path).open()
    assert caught.value.remedy == REMEDY
    holder.close()


def test_a_journal_that_cannot_be_opened_for_real(on_nfs):
    (on_nfs / "journal.sqlite").mkdir()
    with pytest.raises(TertiumError, match="unable to open database file") as caught:
        Journal(on_nfs / "journal.sqlite").open()
    assert caught.value.remedy == REMEDY


def test_the_doctor_notes_a_home_on_one(on_nfs):
    finding = doctor._folder(on_nfs / "home")
    assert finding.state == "note" and "on a network drive (nfs4)" in finding.text and "--home" in finding.remedy
