"""A disk that is full: nothing that was accepted is lost, and the daemon starts far enough to answer."""

import subprocess
import sys
import time

import pytest

from tests.end_to_end.daemons import Daemon, Osc, running


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 40 MB, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        sys.platform != "linux"
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    """Leave no byte free."""
    with open(folder / "filler", "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_a_job_ends_on_a_full_disk_and_stays_ended(small_disk):
    home = small_disk / "home"
    with running(home, step=0.05) as daemon, Osc(daemon.osc) as client:
        client.send("generate", "first", prompt="x", steps=20, seconds=0.5)
        job = client.receive().fields["job"]
        while not (home / "reserve").exists():
            time.sleep(0.05)
        fill(small_disk)
        last = client.events("first")[-1]
        assert last.event == "failed" and last.fields["code"] == "disk_full"
    with running(home) as daemon, Osc(daemon.osc) as client:
        assert client.ask("job", job=job)["state"] == "failed", "it does not run again"


def test_the_daemon_starts_on_a_full_disk_and_lists_what_there_is(small_disk):
    home = small_disk / "home"
    with running(home) as daemon, Osc(daemon.osc) as client:
        client.send("generate", "kept", prompt="x", steps=1, seconds=0.5)
        kept = client.events("kept")[-1].fields["sound"]
        while not (home / "reserve").exists():
            time.sleep(0.05)
    fill(small_disk)
    daemon = Daemon(home).ready()
    try:
        with Osc(daemon.osc) as client:
            assert client.ask("status")["state"] in ("ready", "busy")
            assert client.ask("sound", sound=kept)["sound"] == kept
    finally:
        daemon.stop()
