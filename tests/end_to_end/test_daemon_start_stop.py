"""Start and stop: one daemon per folder, its own ports, nothing left behind."""

import signal
import socket

import pytest

from tertium.storage import home as homes
from tertium_protocol.client import Client
from tests.end_to_end.daemons import Daemon, Osc, lives, running, until


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_and_the_running_job_waits_for_the_next_start(tmp_path, how):
    daemon = Daemon(tmp_path).ready()
    worker = daemon.worker()
    with Osc(daemon.osc) as client:
        client.send("generate", "interrupted", prompt="step=0.05", steps=100, seconds=0.5)
        job = client.events("interrupted", last=("progress",))[0].fields["job"]
    assert daemon.stop(how) == 0
    assert "forced exit" not in daemon.log
    assert not lives(worker)
    assert homes.find(tmp_path) is None
    assert not (tmp_path / "daemon.json").exists()
    assert not list(tmp_path.glob("*.ipc"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(daemon.osc)
    if how == signal.SIGTERM:
        again = Daemon(tmp_path).up()
        with Osc(again.osc) as client:
            assert client.ask("job", job=job)["state"] in ("queued", "running")
            client.ask("cancel", job=job)
        again.stop()


def test_a_client_may_stop_it(tmp_path):
    daemon = Daemon(tmp_path).up()
    with Client(tmp_path) as client:
        assert client.ask("shutdown").pid == daemon.process.pid
    assert daemon.process.wait(10) == 0


def test_a_second_daemon_on_one_folder_says_so_and_exits(daemon):
    second = Daemon(daemon.home)
    assert second.process.wait(20) == 2
    assert f"Another daemon (process {daemon.process.pid}) is serving" in daemon.log
    assert homes.find(daemon.home)["pid"] == daemon.process.pid
    with Osc(daemon.osc) as client:
        assert client.ask("status")["version"]


def test_a_port_in_use_is_reported_and_leaves_nothing_behind(tmp_path, daemon):
    second = Daemon(tmp_path, osc=f"127.0.0.1:{daemon.osc[1]}")
    assert second.process.wait(20) == 2
    assert f"UDP port {daemon.osc[1]} on 127.0.0.1 cannot be used" in second.log
    assert "--osc" in second.log
    assert not homes.is_served(tmp_path)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        second = Daemon(tmp_path, zmq=f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        assert second.process.wait(20) == 2
    assert "--zmq" in second.log


def test_a_stale_daemon_json_is_ignored(tmp_path):
    (tmp_path / "daemon.lock").touch()
    (tmp_path / "daemon.json").write_text('{"pid": 1, "osc": ["127.0.0.1", 9]}')
    assert homes.find(tmp_path) is None
    with running(tmp_path) as daemon:
        assert homes.find(tmp_path)["pid"] == daemon.process.pid


def test_a_home_with_a_long_path_is_served(tmp_path):
    home = tmp_path / ("long" * 20) / ("longer" * 20)
    with running(home) as daemon, Client(home) as client:
        assert client.ask("hello").home == str(home)
        assert len(daemon.facts["zmq"]) < 108


def test_the_log_can_be_json(tmp_path):
    import json

    daemon = Daemon(tmp_path, log_json=True).up()
    daemon.stop()
    events = [json.loads(line) for line in daemon.log.splitlines()]
    assert events[0]["event"] == "serving"
    assert {"time", "level", "event", "osc", "zmq", "home"} <= events[0].keys()
    assert events[-1]["event"] == "stopped"


def test_the_worker_is_not_in_the_session_of_the_terminal(tmp_path):
    """Ctrl-C reaches every process of the terminal's group; the worker must be ended by the daemon instead."""
    daemon = Daemon(tmp_path).ready()
    import os

    assert os.getsid(daemon.worker()) != os.getsid(daemon.process.pid)
    daemon.stop(signal.SIGINT)
    until(lambda: not homes.is_served(tmp_path))
