"""A journal that was damaged: what can be read is kept, what cannot is put aside, and it is said."""

import json
import sqlite3

import pytest

from tertium.daemon.jobs.job import Job
from tertium.daemon.jobs.journal import Journal
from tertium.daemon.jobs.queue import JobQueue
from tertium.errors import TertiumError
from tests.specs import spec


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def opened(path):
    """The rows of a journal, and the journal, closed again."""
    journal = Journal(path)
    try:
        return journal.open(check=Job.restored), journal
    finally:
        journal.close()


async def filled(path, count=10, **fields):
    journal = Journal(path)
    journal.open()
    jobs = JobQueue(journal, limit=count)
    for number in range(count):
        await jobs.accept(
            Job(request=json.dumps(number), fingerprint="f", spec=spec("fuse", **fields), id=f"job{number}")
        )
    journal.close()


def changed(path, statement, *values):
    with sqlite3.connect(path) as database:
        database.execute(statement, values)
    database.close()


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ("UPDATE jobs SET fields = ? WHERE id = 'job3'", [b"\xff\xfe"]),
        ("UPDATE jobs SET reason = CAST(? AS TEXT) WHERE id = 'job3'", [b"not UTF-8: \xff"]),
        ("UPDATE jobs SET fields = ? WHERE id = 'job3'", ["{"]),
        ("UPDATE jobs SET fields = ? WHERE id = 'job3'", ['{"steps": "many"}']),
        ("UPDATE jobs SET command = ? WHERE id = 'job3'", ["fuze"]),
        ("UPDATE jobs SET request = ? WHERE id = 'job3'", ["not JSON"]),
        ("UPDATE jobs SET notes = ? WHERE id = 'job3'", ["["]),
    ],
)  # fmt: skip
async def test_a_bad_row_is_put_aside_alone(path, change, values):
    await filled(path)
    changed(path, change, *values)
    rows, journal = opened(path)
    assert [row["id"] for row in rows] == [f"job{number}" for number in range(10) if number != 3]
    assert journal.unreadable == 1
    with sqlite3.connect(path) as database:
        database.text_factory = bytes
        assert database.execute("SELECT id FROM unreadable").fetchall() == [(b"job3",)]
    assert opened(path)[1].unreadable == 0, "it is said once"
    assert not path.with_name("journal.sqlite.damaged").exists()


async def test_a_damaged_file_is_salvaged_row_by_row_and_kept_under_a_number(path):
    await filled(path, count=40, prompt="x" * 2000)
    changed(path, "PRAGMA journal_mode = DELETE")
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    page = len(data) // size // 2
    data[page * size : (page + 1) * size] = b"\x55" * size
    path.write_bytes(data)
    before = bytes(data)
    for name in ("journal.sqlite.damaged", "journal.sqlite.damaged-2"):
        rows, _ = opened(path)
        assert 30 <= len(rows) < 40, "one page holds a few jobs"
        assert path.with_name(name).read_bytes()[page * size : (page + 1) * size] == b"\x55" * size
        path.write_bytes(before)
        for part in ("-wal", "-shm"):
            path.with_name(path.name + part).unlink(missing_ok=True)


def test_what_is_no_database_is_put_aside(path):
    path.write_bytes(b"this is no database, and long enough to be looked at" * 40)
    assert opened(path)[0] == []
    assert path.with_name("journal.sqlite.damaged").read_bytes().startswith(b"this is no")


async def test_the_journal_of_a_newer_version_is_left_alone_and_says_so(path):
    await filled(path, count=6)
    changed(path, "PRAGMA user_version = 2")
    with pytest.raises(
        TertiumError, match="newer version of Tertium .format 2; this version reads 1.. Update Tertium"
    ) as refused:
        opened(path)
    assert (refused.value.code, refused.value.field) == ("path_refused", "home")
    changed(path, "PRAGMA user_version = 1")
    assert len(opened(path)[0]) == 6
