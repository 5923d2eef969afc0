"""The housekeeper: when it removes, what it spares, and what it says."""

import pytest

from tertium.daemon import housekeeper, log
from tertium.daemon.housekeeper import Housekeeper
from tertium.daemon.jobs.job import Job
from tertium.job_spec import Preview, Vary
from tertium.storage.library import Library
from tests.sounds import tone
from tests.storage.library_parts import result, there, unused_for


class Jobs:
    """A queue as far as the housekeeper looks at it."""

    def __init__(self, *waiting, running=None):
        self.waiting, self.running = waiting, running


@pytest.fixture
def said(monkeypatch):
    """The events that are logged, with their fields."""
    events = []
    monkeypatch.setattr(log, "event", lambda text, **fields: events.append((text, fields)))
    return events


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "home")


def keeper(library, *, budget=1e-9, jobs=None):
    return Housekeeper(library, jobs or Jobs(), library.sounds_folder.parent, budget)


def vary(original):
    spec = Vary(name="v", seed=1, steps=1, seconds=1.0, original=original.id, strength=0.5)
    return Job(request="1", fingerprint="f", spec=spec)


async def test_a_removal_is_one_line_and_an_excess_is_told_once(library, said):
    old, new = result(library, 100, name="old"), result(library, 200, name="new")
    unused_for(library, 3, old)
    keeping = keeper(library)
    await keeping._look()
    assert there(old, new) == [False, True]
    assert [text for text, _ in said] == ["sounds removed", "library above its budget"]
    assert (said[0][1]["sounds"], said[0][1]["budget"]) == (1, 1)
    assert said[1][1]["reason"] == keeping.message and keeping.message.startswith("The library holds ")
    await keeping._look()
    keeping._removed_at = -1e9
    await keeping._look()
    assert len(said) == 2


async def test_it_removes_at_most_once_a_minute(library, said):
    keeping = keeper(library)
    unused_for(library, 3, result(library, 100, name="first"))
    await keeping._look()
    second = result(library, 200, name="second")
    unused_for(library, 3, second)
    await keeping._look()
    assert there(second) == [True]
    keeping._removed_at -= housekeeper.PASS_SECONDS
    await keeping._look()
    assert there(second) == [False] and keeping.message is None


async def test_within_the_budget_or_without_one_nothing_happens(library, said):
    made = result(library, 100)
    unused_for(library, 30, made)
    for budget in (0, 1.0, None):
        keeping = keeper(library, budget=budget)
        await keeping._look()
        assert there(made) == [True] and said == [] and keeping.message is None
    assert keeping.held == library.catalogue.bytes() < keeping.budget


async def test_what_waiting_and_running_jobs_name_stays(library, said):
    waiting, running, learned, other = (library.add_samples(tone(100 * number), 44_100) for number in (1, 2, 3, 4))
    unused_for(library, 30, waiting, running, learned, other)
    learning = {
        "name": "l",
        "seed": 1,
        "steps": 1,
        "reference": learned.id,
        "checkpoint": "c",
        "seconds": 1.0,
        "prompt": "x",
    }
    spec = Preview(name="p", seed=1, steps=1, seconds=1.0, job="j", learning=learning, prompt="x")
    jobs = Jobs(vary(waiting), Job(request="2", fingerprint="f", spec=spec), running=vary(running))
    keeping = keeper(library, jobs=jobs)
    assert (await keeping.preview()).sounds == 1
    assert there(other) == [True], "a preview removes nothing"
    assert (await keeping.clean()).sounds == 1
    assert there(waiting, running, learned, other) == [True, True, True, False]
    assert keeping.job_that_needs(running.id) is jobs.running and keeping.job_that_needs(other.id) is None


async def test_an_index_that_cannot_be_used_is_told_and_nothing_is_removed(library, said):
    made = result(library, 100)
    unused_for(library, 30, made)
    keeping = keeper(library)
    library.catalogue._tell(OSError("no room"))
    await keeping._look()
    assert there(made) == [True]
    assert [text for text, _ in said] == ["library index not used", "library above its budget"]
    assert "no room" in said[0][1]["reason"]
    library.catalogue._retry = 0.0
    await keeping._look()
    await keeping._look()
    assert said[-1][0] == "library index used again"
