"""Settings, the daemon's folder and the log: which values are refused, and the error messages."""

import io
import json
import logging
import re
from pathlib import Path

import pytest

from tertium.daemon import config, log
from tertium.errors import TertiumError
from tertium.storage import home


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        ({"osc": "0.0.0.0:7700"}, "not_allowed", "Bind a loopback address"),
        ({"osc": "192.168.1.2:7700"}, "not_allowed", "SSH tunnel"),
        ({"osc": "[::]:7700"}, "not_allowed", "loopback"),
        ({"osc": "example.org:7700"}, "not_allowed", "loopback"),
        ({"zmq": "tcp://*:7701"}, "not_allowed", "loopback"),
        ({"zmq": "tcp://10.0.0.1:7701"}, "not_allowed", "loopback"),
        ({"zmq": "udp://127.0.0.1:1"}, "bad_type", "ipc://"),
        ({"zmq": "ipc://" + "x" * 101}, "out_of_range", "shorter"),
        ({"osc": "127.0.0.1:65536"}, "out_of_range", "HOST:PORT"),
        ({"osc": "127.0.0.1"}, "bad_type", "HOST:PORT"),
        ({"device": "gpu"}, "out_of_range", "mps"),
        ({"precision": "fp8"}, "out_of_range", "bf16"),
        ({"allow": ("/no/such/folder",)}, "path_refused", "Create it"),
        ({"roots": ("/no/such/folder",)}, "path_refused", "Create it"),
        ({"model": " "}, "out_of_range", "pocket"),
        ({"queue": 0}, "out_of_range", None),
        ({"trajectory_disk": -1}, "out_of_range", "MiB"),
        ({"write_every": -1.0}, "out_of_range", "Give 10"),
        ({"write_every": float("nan")}, "out_of_range", "Give 10"),
        ({"budget": -1.0}, "out_of_range", "0 to have none removed"),
        ({"budget": float("nan")}, "out_of_range", "0 to have none removed"),
    ],
)
def test_an_invalid_setting_is_refused_with_its_name_and_a_remedy(tmp_path, option, code, words):
    with pytest.raises(TertiumError) as refused:
        config.settings(home=tmp_path, **option)
    assert refused.value.code == code
    assert refused.value.field == next(iter(option))
    assert words is None or words in refused.value.remedy


def test_settings_become_what_the_daemon_needs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more").mkdir()
    settings = config.settings(
        home="h", osc="localhost:0", zmq="tcp://[::1]:0", model="./models/mine", device="cuda:1", allow=("more",)
    )
    assert (settings.home, settings.osc, settings.zmq) == (tmp_path / "h", ("127.0.0.1", 0), "tcp://[::1]:0")
    assert (settings.model, settings.device) == (str(tmp_path / "models/mine"), "cuda:1")
    assert {tmp_path / "more", tmp_path / "h", Path.home()} <= set(settings.roots)
    assert config.settings(home="h").roots is None
    assert config.settings(home="h", roots=("more",)).roots == (tmp_path / "h", tmp_path / "more")
    monkeypatch.setenv("TERTIUM_HOME", str(tmp_path / "from environment"))
    assert config.settings().home == tmp_path / "from environment"


def test_one_daemon_a_folder(tmp_path):
    first, second = home.Home(tmp_path), home.Home(tmp_path)
    first.open()
    first.announce({"pid": 4711})
    with pytest.raises(TertiumError, match=r"Another daemon \(process 4711\)") as refused:
        second.open()
    assert (refused.value.code, refused.value.field) == ("busy", "home")
    assert home.find(tmp_path) == {"pid": 4711}
    assert (tmp_path / "daemon.json").stat().st_mode & 0o077 == 0
    first.close()
    assert home.find(tmp_path) is None
    second.open()
    second.close()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TertiumError, match="cannot be used") as refused:
        home.Home(tmp_path / "file" / "home").open()
    assert refused.value.code == "path_refused"


def test_a_socket_folder_that_somebody_else_could_use_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    far = home.Home(tmp_path / ("x" * 120))
    folder = Path(far.socket("requests").removeprefix("ipc://")).parent
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o777)
    with pytest.raises(TertiumError, match="open to others"):
        far.socket("requests")


def test_sockets_find_a_place_where_the_users_own_temporary_folder_is_too_long_too(tmp_path, monkeypatch):
    long = tmp_path / ("y" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(long))
    far = home.Home(tmp_path / ("x" * 120))
    folder = Path(far.socket("requests").removeprefix("ipc://")).parent
    assert folder.parent == Path("/tmp") and len(str(folder / "requests.ipc")) <= 100
    folder.rmdir()


@pytest.fixture
def logged():
    stream = io.StringIO()
    before = {name: logging.getLogger(name).handlers[:] for name in (log.LOGGER, "asyncio")}
    yield lambda as_json: (log.set_up(as_json=as_json, stream=stream), stream)[1]
    for name, handlers in before.items():
        logging.getLogger(name).handlers[:] = handlers


def test_an_event_is_one_readable_line_that_clients_cannot_break(logged):
    stream = logged(as_json=False)
    log.event("request refused", peer="a b", command="x\ny\x1b[2J\u2028", nothing=None, seconds=1.23456)
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().endswith('  request refused  peer="a b" command=x\\ny\\x1b[2J\\u2028 seconds=1.235\n')
    log.exception("failed", ValueError("bad\x07"), job="1")
    assert "ERROR: failed  job=1\n    ValueError: bad" in stream.getvalue()
    assert "\x07" not in stream.getvalue()


def test_an_event_is_one_json_object(logged):
    stream = logged(as_json=True)
    log.event("job done", job="a", event="forged", path=Path("/x"))
    entry = json.loads(stream.getvalue())
    assert (entry["event"], entry["job"], entry["path"], entry["level"]) == ("job done", "a", "/x", "info")


def test_a_log_that_cannot_be_written_stops_nothing(logged):
    stream = logged(as_json=False)
    stream.close()
    log.event("still here")


def test_the_log_is_kept_in_files_of_a_bounded_size(tmp_path, monkeypatch, logged):
    monkeypatch.setattr(log, "LARGEST_FILE", 2000)
    handler = log.keep_in(tmp_path / "daemon.log")
    for number in range(200):
        log.event("job done", job=f"job{number}")
    log.stop_keeping(handler)
    log.event("not kept", job="x")
    kept = sorted(tmp_path.glob("daemon.log*"))
    assert [path.name for path in kept] == ["daemon.log", "daemon.log.1", "daemon.log.2", "daemon.log.3"]
    assert all(path.stat().st_size <= 2000 for path in kept)
    last = kept[0].read_text().splitlines()[-1]
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  job done  job=job199", last)
