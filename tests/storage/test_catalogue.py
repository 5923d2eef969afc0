"""The catalogue: finds sounds by the index, and by the sidecars wherever the index is missing, damaged or cannot be used."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tertium.errors import SoundError
from tertium.storage import catalogue, index, sidecars
from tertium.storage.library import Library
from tertium.storage.sidecars import read_entry
from tests.sounds import tone
from tests.storage.library_parts import result, rows, unused_for


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def library(home):
    return Library(home)


@pytest.fixture
def sidecars_read(monkeypatch):
    """The sidecars that are read."""
    read = []
    monkeypatch.setattr(catalogue, "read_entry", lambda sidecar: (read.append(sidecar), read_entry(sidecar))[1])
    return read


def fill(library, count):
    """Store a result once, and as many copies of its files with ids of their own."""
    first = result(library, 100, name="first")
    content = json.loads(Path(first.sidecar).read_text())
    data = Path(first.path).read_bytes()
    for number in range(count):
        name = f"copy-{number}"
        (library.results_folder / f"{name}.wav").write_bytes(data)
        own = {"id": f"{number:064x}", "path": f"{name}.wav", "name": name, "job": f"job-{number}"}
        (library.results_folder / f"{name}.json").write_text(json.dumps(content | own))
    library.reconcile()
    return first


@pytest.fixture
def statements(library, monkeypatch):
    """What is asked of SQLite, as the plan by which it answers."""
    asked = []
    library.catalogue._index._database.set_trace_callback(asked.append)
    return asked


def test_no_look_up_reads_a_sidecar_or_all_rows_however_many_there_are(library, sidecars_read, statements):
    fill(library, 300)
    given = library.add_samples(tone(900), 44_100)
    sidecars_read.clear(), statements.clear()
    assert library.get(given.id) == given
    assert library.get(f"{299:064x}").name == "copy-299"
    assert library.of_job("job-12").name == "copy-12" and library.of_job("job-12", 1) is None
    assert library.of_job("another job") is None
    assert len(library.list(0, 2)) == 2
    assert sidecars_read == []
    database = library.catalogue._index._database
    looked = [text for text in statements if text.lstrip().startswith("SELECT") and "PRAGMA" not in text]
    assert looked
    for text in looked:
        plan = " ".join(str(row[-1]) for row in database.execute("EXPLAIN QUERY PLAN " + text))
        assert "SCAN sounds" not in plan.replace("SCAN s USING", "") or "LIMIT" in text, (text, plan)


def test_storing_and_adding_read_only_what_they_wrote(library, sidecars_read):
    fill(library, 300)
    sidecars_read.clear()
    made = result(library, 200, name="new")
    given = library.add_samples(tone(800), 44_100)
    assert {Path(made.sidecar), Path(given.sidecar)} >= set(sidecars_read)
    sidecars_read.clear()
    assert library.add_samples(tone(800), 44_100).id == given.id
    assert sidecars_read == []


def test_a_page_and_the_total(library):
    made = [result(library, 100 * number, name=f"n{number}") for number in range(1, 6)]
    assert [sound.name for sound in library.list(1, 2)] == ["n4", "n3"]
    assert (library.count(), library.list(5, 10)) == (5, [])
    os.unlink(made[3].path)
    assert [sound.name for sound in library.list(0, 3)] == ["n5", "n3", "n2"], "what has gone is made up for"
    assert library.count() == 4


def test_of_several_results_with_the_same_samples_the_newest_is_found(library):
    older, newer = result(library, 100, name="a"), result(library, 100, name="b")
    assert older.id == newer.id and library.get(older.id).path == newer.path
    assert (library.count(), len(library.list())) == (1, 1)
    os.unlink(newer.path)
    assert library.get(older.id).path == older.path


def test_a_missing_index_is_made_from_the_sidecars(home, library):
    made = result(library, 100, of=[library.add_samples(tone(300), 44_100)], job="j", take=2)
    before = library.list()
    for path in home.glob("library.sqlite*"):
        path.unlink()
    again = Library(home)
    assert again.list() == before and again.of_job("j", 2) == made
    assert library.list() == before, "one that has the old file open notices"
    assert library.catalogue.problem is None


@pytest.mark.parametrize("damage", ["garbage", "truncated", "another version", "another table", "a row"])
def test_a_damaged_index_is_replaced_and_no_sound_is_lost(home, library, damage):
    made = [result(library, 100 * number, name=f"n{number}") for number in range(1, 9)]
    path = home / "library.sqlite"
    library.catalogue._index._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if damage == "garbage":
        path.write_bytes(os.urandom(20_000))
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        statement = {
            "another version": "PRAGMA user_version = 99",
            "another table": "DROP TABLE sounds",
            "a row": "UPDATE sounds SET about = '{'",
        }[damage]
        with sqlite3.connect(path) as database:
            database.execute(statement)
    again = Library(home)
    assert {sound.id for sound in again.list()} == {sound.id for sound in made}
    assert again.get(made[0].id).name == "n1"
    assert result(again, 950, name="new").name == "new" and again.count() == 9
    assert again.catalogue.problem is None
    assert {sound.id for sound in library.list()} >= {sound.id for sound in made}


def test_an_index_that_cannot_be_written_is_replaced_by_one_in_memory(home, library, monkeypatch):
    given = library.add_samples(tone(100), 44_100)
    monkeypatch.setattr(index, "BUSY_SECONDS", 0.05)
    library = Library(home)
    other = sqlite3.connect(home / "library.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    made = result(library, 200, name="while locked", job="j")
    assert (
        "database is locked" in library.catalogue.problem
        and "the sidecars are read instead" in library.catalogue.problem
    )
    assert library.get(made.id) == made and library.of_job("j") == made and library.get(given.id) == given
    other.execute("ROLLBACK")
    stored_elsewhere = result(Library(home), 300, name="elsewhere", job="k")
    assert library.of_job("k") == stored_elsewhere, "what other processes store is seen all the same"
    monkeypatch.setattr(catalogue.time, "monotonic", lambda: float("inf"))
    assert {sound.name for sound in library.list()} == {"while locked", "elsewhere", given.name}
    assert library.catalogue.problem is None, "and the file is used again when it can be"


def test_a_home_without_room_for_an_index_works(home, monkeypatch):
    def no_room(path):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(index, "_written", no_room)
    library = Library(home)
    made = result(library, 100, job="j")
    assert (library.get(made.id), library.of_job("j")) == (made, made)
    assert "disk is full" in library.catalogue.problem
    assert not (home / "library.sqlite").exists()


def test_a_sidecar_is_the_truth_about_its_sound(library):
    made = result(library, 100, name="made")
    sidecar = Path(made.sidecar)
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"name": "by hand", "kept": True}))
    assert (library.get(made.id).name, library.get(made.id).kept) == ("by hand", True)
    sidecar.write_text("{")
    with pytest.raises(SoundError, match="No sound has the id"):
        library.get(made.id)


def test_a_file_that_was_copied_into_the_home_is_found(home, library, tmp_path):
    other = Library(tmp_path / "other")
    made = result(other, 100, name="made")
    for path in Path(made.path).parent.glob("made.*"):
        (home / "results" / path.name).write_bytes(path.read_bytes())
    assert library.get(made.id).path == str(home / "results" / "made.wav")


def test_use_is_noted_once_an_hour(library):
    given = library.add_samples(tone(100), 44_100)
    unused_for(library, 3, given)
    library.get(given.id)
    first = os.stat(given.sidecar).st_mtime
    assert time.time() - first < 60
    library.get(given.id)
    assert os.stat(given.sidecar).st_mtime == first
    unused_for(library, 3, given)
    library.list()
    assert time.time() - os.stat(given.sidecar).st_mtime > 86400, "a list is no use"


PROCESS = """
import sys, time
from pathlib import Path
from tests.sounds import tone
from tertium.storage.library import Library
home, number = Path(sys.argv[1]), int(sys.argv[2])
Path(home, f"ready {number}").touch()
while not all(Path(home, f"ready {other}").exists() for other in range(3)):
    time.sleep(0.01)
library = Library(home)
for index in range(10):
    library.add_samples(tone(100 + index), 44100)
    library.store_result(tone(500 + index), 44100, name="same", job=f"job {number} {index}")
"""


def test_processes_add_and_store_the_same_sounds_at_once(home):
    home.mkdir()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    running = [
        subprocess.Popen([sys.executable, "-c", PROCESS, home, str(number)], env=environment, stderr=subprocess.PIPE)
        for number in range(3)
    ]
    for process in running:
        assert process.wait(120) == 0, process.stderr.read().decode()
        process.stderr.close()
    library = Library(home)
    assert library.count() == 20 and rows(library) == 40
    for number in range(3):
        assert all(library.of_job(f"job {number} {index}") for index in range(10)), (
            "found without looking at the folders"
        )
    assert len(list((home / "sounds").glob("*.json"))) == 10
    assert len(list((home / "results").glob("*.wav"))) == 30
    assert library.catalogue.bytes() == sum(
        path.stat().st_size for folder in ("sounds", "results") for path in (home / folder).iterdir()
    )


def test_a_result_that_was_stored_without_its_row_is_found_at_the_next_start(home, library, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(library.catalogue, "put", lambda sidecar: None)  # killed between the file and its row
        made = result(library, 100, job="j")
    worker = Library(home)
    assert worker.of_job("j") is None
    worker.reconcile()
    assert worker.of_job("j") == made


def test_thousands_of_results_may_have_one_name(library, monkeypatch):
    for number in range(1, 1200):
        (library.results_folder / (f"x-{number}.wav" if number > 1 else "x.wav")).touch()
    asked = []
    from tertium.storage import result_names

    used = result_names.is_used
    monkeypatch.setattr(result_names, "is_used", lambda folder, stem: (asked.append(stem), used(folder, stem))[1])
    assert result(library, 100, name="x").name == "x-1200"
    assert len(asked) < 60
    (library.results_folder / "x-5.wav").unlink()
    assert result(library, 200, name="x").name == "x-5", "the first free name"


def test_damaged_sidecars_are_listed(home, library):
    good, bad = library.add_samples(tone(100), 44_100), result(library, 200, name="bad")
    Path(bad.sidecar).write_text('{"id": 5}')
    (home / "results" / "deep.json").write_text("[" * 100_000)
    assert list(sidecars.damaged(home)) == ["results/bad.json", "results/deep.json"]
    assert [sound.id for sound in Library(home).list()] == [good.id]
