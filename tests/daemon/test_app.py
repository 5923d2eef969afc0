"""The composition root, in this process: what its exit status says, and that it leaves nothing open."""

import dataclasses
import logging
import math
import signal
import types

import pytest

from tertium.daemon import app, config, log
from tertium.daemon.jobs.queue import Job
from tertium.daemon.sessions import Sessions, zeromq_session
from tertium.storage import home
from tertium_protocol.codecs import zeromq


@pytest.fixture
def settings(tmp_path):
    before = {name: logging.getLogger(name).handlers[:] for name in (log.LOGGER, "asyncio")}
    yield config.settings(home=tmp_path, osc="127.0.0.1:0", engine="tests.worker.fake_engine", model="fake")
    for name, handlers in before.items():
        logging.getLogger(name).handlers[:] = handlers


def test_a_mistake_in_the_supervisor_ends_the_daemon_with_a_status_and_a_traceback(settings, monkeypatch, capsys):
    async def breaks_down(worker):
        raise ZeroDivisionError("one of ours")

    monkeypatch.setattr("tertium.daemon.jobs.supervisor.Worker.run", breaks_down)
    caught = signal.getsignal(signal.SIGTERM)
    assert app.run(settings) == app.EXIT_BROKEN
    assert "ZeroDivisionError: one of ours" in capsys.readouterr().err
    assert home.find(settings.home) is None
    assert signal.getsignal(signal.SIGTERM) == caught


def test_what_was_opened_before_a_failed_start_is_closed_again(settings, monkeypatch, capsys):
    (settings.home / "requests.ipc").mkdir()  # where the socket should be
    assert app.run(settings) == app.EXIT_REFUSED
    assert "--zmq" in capsys.readouterr().err
    assert not home.is_served(settings.home)
    (settings.home / "journal.sqlite").unlink()  # closed, and so free to go


def test_an_event_that_cannot_be_told_ends_neither_the_daemon_nor_the_wait(settings):
    """``done`` becomes ``failed``, for those who asked and for those who subscribed; what another event follows is left out."""
    told, published = [], []
    one = app.Daemon(settings)
    session = zeromq_session((b"peer",), lambda parts, peer: told.append(zeromq.decode_answer(parts)[0]), trusted=True)
    sessions = Sessions()
    sessions.subscribe(session, 60)
    one._house = types.SimpleNamespace(sessions=sessions)
    one._zmq = types.SimpleNamespace(publish=lambda parts: published.append(zeromq.decode_event(parts)))
    job = Job(request='"mine"', fingerprint="f", command="learn", fields={}, id="j", stage="learn", loss=math.nan)
    one._tell(job, "progress")
    assert (told, published) == ([], [])
    facts = {"sound": "s", "path": "/p", "frames": 1, "channels": 1, "sample_rate": 8000, "seconds": 1.0}
    for wrong in ({"loss": math.nan}, {"steps": math.nan}):  # one cannot be encoded, the other not even be made
        job.result = facts | wrong
        one._tell(job, "done")
    one._tell(dataclasses.replace(job, loss=0.5), "progress")
    assert [(answer.id, answer.event) for answer in told] == [("mine", "failed")] * 2 + [("mine", "progress")]
    assert {(a.fields["job"], a.fields["code"]) for a in told[:2]} == {("j", "internal")}
    assert [answer for answer, _ in published] == told
    assert [sequence for _, sequence in published] == [1, 2, 3], "none seems to be missing"
