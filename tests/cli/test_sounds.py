"""The commands ``sounds`` and ``clean``, and what the doctor says of sidecars."""

import asyncio
import json
from pathlib import Path

import pytest

from tertium.cli import doctor, main
from tertium.daemon.jobs.job import Job
from tertium.daemon.jobs.journal import Journal
from tertium.job_spec import Vary
from tertium.storage import retention
from tertium.storage.home import Home
from tertium.storage.library import Library
from tests.sounds import tone
from tests.storage.library_parts import result, there, unused_for


def run_cli(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TERTIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(retention, "default_budget", lambda home, held: 1)
    return tmp_path / "home"


@pytest.fixture
def made(home):
    """A library with two old sounds and a new one."""
    library = Library(home)
    found = [result(library, 100 * number, name=f"n{number}") for number in (1, 2, 3)]
    unused_for(library, 30, *found[:2])
    return found


def test_clean_works_in_a_home_that_no_daemon_serves(capsys, home, made):
    size = sum(Path(path).stat().st_size for one in made[:2] for path in (one.path, one.sidecar)) / 1e6
    status, out, err = run_cli(capsys, "clean", "--dry-run")
    assert (status, err) == (0, "") and out.startswith(f"2 sounds would be removed, {size:.1f} MB.\n")
    assert there(*made) == [True, True, True]
    status, out, err = run_cli(capsys, "clean", "--json")
    reply = json.loads(out)
    assert (reply["sounds"], reply["freed"]) == (2, pytest.approx(size / 1e3))
    assert reply["message"].endswith("and the rest is kept, needed or was used within a day.")
    assert there(*made) == [False, False, True]
    assert not (home / "daemon.json").exists()


def test_clean_leaves_what_a_waiting_job_names(capsys, home, made):
    journal = Journal(home / "journal.sqlite")
    journal.open()
    spec = Vary(name="v", seed=1, steps=1, seconds=1.0, original=made[0].id, strength=0.5)
    asyncio.run(journal.insert(Job(request='"r"', fingerprint="f", spec=spec).row()))
    journal.close()
    assert run_cli(capsys, "clean")[0] == 0
    assert there(*made) == [True, False, True]


def test_clean_in_a_home_that_is_served_or_not_there_is_refused(capsys, home, made, tmp_path):
    status, _, err = run_cli(capsys, "clean", "--home", tmp_path / "elsewhere")
    assert (
        status == 2
        and err == f"Error: There is no daemon's folder at '{tmp_path / 'elsewhere'}'. Name it with --home.\n"
    )
    assert not (tmp_path / "elsewhere").exists()
    held = Home(home)
    held.open()  # a daemon that is starting: it has not said yet where it listens
    try:
        status, _, err = run_cli(capsys, "clean")
        assert status == 1 and "Another daemon is serving" in err
    finally:
        held.close()
    assert there(*made) == [True, True, True]


@pytest.mark.parametrize("arguments", [(), ("list",), ("keep", "0" * 64), ("delete", "0" * 64)])
def test_sounds_are_those_of_the_running_daemon(capsys, home, arguments):
    status, _, err = run_cli(capsys, "sounds", *arguments)
    assert status == 1 and "No daemon runs in" in err


def test_an_invalid_mark_is_refused(capsys, home):
    status, _, err = run_cli(capsys, "sounds", "keep", "0" * 64, "--kept", "2")
    assert status == 2 and err == "Error: kept must lie between 0 and 1; got 2. Give it a whole number from 0 to 1.\n"


def test_the_doctor_names_damaged_sidecars(tmp_path):
    library = Library(tmp_path)
    library.add_samples(tone(100), 44_100)
    assert list(doctor._sidecars(tmp_path)) == []
    (tmp_path / "results" / "one.json").write_text("{")
    (finding,) = doctor._sidecars(tmp_path)
    assert (finding.state, finding.topic) == ("note", "home") and "backup" in finding.remedy
    assert finding.text == "1 file that describes a sound is damaged: results/one.json"
    for number in range(7):
        (tmp_path / "results" / f"n{number}.json").write_text("[]")
    (finding,) = doctor._sidecars(tmp_path)
    assert finding.text.startswith(
        "8 files that describe sounds are damaged: results/n0.json, "
    ) and finding.text.endswith(" and 3 more")
