"""A home on a network drive is told for what it is. No such drive is mounted here: what the system says on one is put in its place."""

import errno
import os
import sqlite3

import pytest

from tertium import home, network_drives
from tertium.errors import TertiumError
from tertium.journal import Journal, _explained

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


@pytest.mark.parametrize("said", ["locking protocol", "disk I/O error"])
def test_a_journal_on_one_is_refused_in_words(on_nfs, said):
    error = _explained(sqlite3.OperationalError(said), on_nfs / "journal.sqlite")
    assert (error.code, error.field, error.value, error.remedy) == ("path_refused", "home", str(on_nfs), REMEDY)
    assert error.message == (
        f"The folder '{on_nfs}' lies on a network drive (nfs4), on which the daemon's journal does not work: {said}."
    )


def test_an_error_of_a_disk_of_this_machine_is_none_of_a_network(tmp_path):
    error = _explained(sqlite3.OperationalError("disk I/O error"), tmp_path / "journal.sqlite")
    assert (error.code, error.remedy) == ("disk_full", "Make room on that disk and send the request again.")
    error = _explained(sqlite3.OperationalError("locking protocol"), tmp_path / "journal.sqlite")
    assert "a network drive or another disk that cannot lock files" in error.message and error.remedy == REMEDY


@pytest.mark.skipif(os.name == "nt", reason="locks by fcntl")
def test_a_folder_that_cannot_be_locked_is_not_taken_for_another_daemons(on_nfs, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(home.fcntl, "flock", no_locks)
    with pytest.raises(TertiumError) as caught:
        home.Home(on_nfs / "home").open()
    assert caught.value.remedy == REMEDY and "No locks available" in caught.value.message
    assert not home.is_served(on_nfs / "home")


def test_a_journal_that_cannot_be_locked_for_real(tmp_path, monkeypatch):
    """SQLite's own words, from a database whose locks fail."""
    path = tmp_path / "journal.sqlite"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("tertium.journal.sqlite3.connect", lambda path, timeout: sqlite3.Connection(path, timeout=0))
    with pytest.raises(TertiumError, match="database is locked"):
        Journal(path).open()
    holder.close()
