"""The composition root, run in the test process: its exit status, and that it closes everything it opened."""

import logging
import signal

import pytest

from tertium.daemon import app, config, log
from tertium.storage import home


@pytest.fixture
def settings(tmp_path):
    before = {name: logging.getLogger(name).handlers[:] for name in (log.LOGGER, "asyncio")}
    yield config.settings(home=tmp_path, osc="127.0.0.1:0", engine="tests.worker.fake_engine", model="fake")
    for name, handlers in before.items():
        logging.getLogger(name).handlers[:] = handlers


def test_an_internal_error_in_the_supervisor_ends_the_daemon_with_a_status_and_a_traceback(
    settings, monkeypatch, capsys
):
    async def breaks_down(worker):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("tertium.daemon.jobs.supervisor.Supervisor.run", breaks_down)
    caught = signal.getsignal(signal.SIGTERM)
    assert app.run(settings) == app.EXIT_BROKEN
    assert "ZeroDivisionError: a defect" in capsys.readouterr().err
    assert home.find(settings.home) is None
    assert signal.getsignal(signal.SIGTERM) == caught


def test_what_was_opened_before_a_failed_start_is_closed_again(settings, monkeypatch, capsys):
    (settings.home / "requests.ipc").mkdir()  # where the socket should be
    assert app.run(settings) == app.EXIT_REFUSED
    assert "--zmq" in capsys.readouterr().err
    assert not home.is_served(settings.home)
    (settings.home / "journal.sqlite").unlink()  # it is closed, so it can be removed
