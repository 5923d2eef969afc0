"""A model hub that answers, one that falls silent during a transfer, and interrupted earlier downloads. Time is counted
in requests.
"""

import hashlib
import http.server
import json
import sys
import threading
import types
from pathlib import Path

import pytest
import requests

from tertium.engine.models import build, errors, hub, weights
from tests.engine import stable_audio_open

ENCODER = stable_audio_open.configuration()["model"]["conditioning"]
WEIGHTS = "model.safetensors"
AS_SHIPPED = hub.TIMEOUT


class Hub:
    """A hub on this machine with one repository.

    Attributes:
        asked: method and path of every request, in order.
        ranges: file name and byte range of every partial request.
        is_silent: called with a method and a path; whether the hub leaves the request unanswered.
        cut: the file of which only half is sent.
        status: the status of every answer except the front page's; None for the regular one.
    """

    def __init__(self, folder: Path):
        self.folder, self.asked, self.ranges = folder, [], []
        self.is_silent, self.cut, self.status = (lambda method, path: False), None, None
        self._over = threading.Event()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def say_nothing(self) -> None:
        """Hold the request until the test is over."""
        self._over.wait()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.hub.asked.append((self.command, self.path))
        if self.hub.is_silent(self.command, self.path):
            self.close_connection = True
            return self.hub.say_nothing()
        file = self.hub.folder / self.path.rpartition("/")[2]
        if self.path == "/":
            self.answer(200, b"hub")
        elif self.hub.status:
            self.answer(self.hub.status, b"")
        elif "/tree/" in self.path:
            self.answer(200, b"[]")
        elif self.path.startswith("/api/"):
            self.answer(200, json.dumps({"id": "t5-base", "tags": []}).encode())
        elif file.is_file():
            self.file(file)
        else:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "0" * 40})

    do_GET = do_HEAD

    def file(self, file):
        data, status = file.read_bytes(), 200
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": "0" * 40}
        if asked := self.headers.get("Range"):
            self.hub.ranges.append((file.name, asked))
            first, whole = int(asked.removeprefix("bytes=").rstrip("-")), len(data)
            status, data, headers["Content-Range"] = 206, data[first:], f"bytes {first}-{whole - 1}/{whole}"
        if self.command == "GET" and file.name == self.hub.cut:
            self.answer(status, data[: len(data) // 2], headers, length=len(data))
            self.close_connection = True
            return self.hub.say_nothing()
        self.answer(status, data, headers)

    def answer(self, status, data, headers=types.MappingProxyType({}), length=None):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(length or len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)
            self.wfile.flush()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The files of a small text encoder, as in a repository."""
    cache = tmp_path_factory.mktemp("published")
    stable_audio_open.put_text_encoder(cache)
    return cache / "models--t5-base/snapshots" / ("0" * 40)


@pytest.fixture
def a_hub(published, hub_cache, monkeypatch):
    """A hub that has the text encoder; its client is online with an empty cache."""
    import huggingface_hub.constants
    import huggingface_hub.file_download
    import transformers.utils.hub
    from huggingface_hub import hf_api
    from huggingface_hub.utils import _http

    server = Hub(published)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(transformers.utils.hub, "_is_offline_mode", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.endpoint)
    monkeypatch.setattr(hf_api.api, "endpoint", server.endpoint)
    template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(hub, "TIMEOUT", 60.0)  # long enough for a busy machine
    _http.reset_sessions()
    yield server
    _http.reset_sessions()
    server.close()


def load_encoder():
    config = json.loads(json.dumps(ENCODER))
    files = weights.ModelFiles("model", Path("/nowhere/model_config.json"), Path("/nowhere/model.safetensors"))
    reports = []
    with hub.reporting_to(reports.append):
        return build._conditioner(config, files), reports


def test_an_encoder_is_fetched_and_then_never_asked_for_again(a_hub):
    encoder, reports = load_encoder()
    assert encoder is not None
    asking = f"asking the model hub ({a_hub.endpoint})"
    assert reports == [asking, "fetching the text encoder t5-base from the model hub"]
    assert hub.has_encoder("t5-base")
    a_hub.asked.clear()
    encoder, reports = load_encoder()
    assert encoder is not None and reports == [] and a_hub.asked == []


@pytest.mark.parametrize("lost", [[WEIGHTS], [WEIGHTS, "tokenizer.json", "special_tokens_map.json"], ["config.json"]])
def test_an_encoder_that_was_fetched_in_part_is_completed(lost, a_hub, hub_cache):
    stable_audio_open.put_text_encoder(hub_cache)
    for name in lost:
        (hub_cache / "models--t5-base/snapshots" / ("0" * 40) / name).unlink()
    assert not hub.has_encoder("t5-base")
    encoder, _ = load_encoder()
    assert encoder is not None
    assert ("GET", f"/t5-base/resolve/main/{lost[0]}") in a_hub.asked


@pytest.mark.parametrize("lost", [[WEIGHTS], [WEIGHTS, "tokenizer.json", "special_tokens_map.json"]])
def test_an_incomplete_encoder_is_reported_without_a_network(lost, hub_cache):
    stable_audio_open.put_text_encoder(hub_cache)
    for name in lost:
        (hub_cache / "models--t5-base/snapshots" / ("0" * 40) / name).unlink()
    with pytest.raises(errors.ModelNotDownloaded, match="text encoder t5-base") as caught:
        load_encoder()
    assert "hf download t5-base`" in caught.value.remedy


def test_a_hub_that_falls_silent_is_asked_once(a_hub, monkeypatch):
    monkeypatch.setattr(hub, "TIMEOUT", 2.0)
    a_hub.is_silent = lambda method, path: path != "/"
    with pytest.raises(errors.ModelNotDownloaded):
        load_encoder()
    assert a_hub.asked == [("HEAD", "/"), ("HEAD", "/t5-base/resolve/main/tokenizer_config.json")]
    a_hub.asked.clear()
    with pytest.raises(errors.ModelNotDownloaded):
        hub.fetch("stable-audio-open-1.0", "model_config.json")
    path = "/stabilityai/stable-audio-open-1.0/resolve/main/model_config.json"
    assert a_hub.asked == [("HEAD", "/"), ("HEAD", path)]


def test_a_hub_that_is_out_of_order_is_asked_once(a_hub):
    a_hub.status = 503
    with pytest.raises(errors.ModelNotDownloaded):
        hub.fetch("stable-audio-open-1.0", "model_config.json")
    assert len(a_hub.asked) == 2


def test_what_had_come_when_a_transfer_stopped_is_kept(a_hub, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # the unit of writing
    monkeypatch.setattr(hub, "TIMEOUT", 2.0)
    a_hub.cut = WEIGHTS
    with pytest.raises(errors.ModelNotDownloaded):
        load_encoder()
    assert a_hub.asked.count(("GET", f"/t5-base/resolve/main/{WEIGHTS}")) == 1
    a_hub.cut = None
    monkeypatch.setattr(hub, "TIMEOUT", 60.0)
    encoder, _ = load_encoder()
    half = (a_hub.folder / WEIGHTS).stat().st_size // 2
    assert encoder is not None and a_hub.ranges == [(WEIGHTS, f"bytes={half // 1024 * 1024}-")]


def test_no_request_waits_longer_than_the_timeout(a_hub, monkeypatch):
    waits, send = [], requests.adapters.HTTPAdapter.send

    def counted(self, request, *args, **options):
        waits.append(options["timeout"])
        return send(self, request, *args, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", counted)
    load_encoder()
    assert len(waits) == len(a_hub.asked) and set(waits) == {hub.TIMEOUT} and AS_SHIPPED <= 5


def test_the_client_is_as_it_was_after_that():
    import huggingface_hub

    before = huggingface_hub.constants.HF_HUB_DISABLE_XET
    with hub.short_timeout():
        assert huggingface_hub.constants.HF_HUB_DISABLE_XET
        patient = huggingface_hub.utils.get_session()
    assert huggingface_hub.constants.HF_HUB_DISABLE_XET is before
    assert type(patient.get_adapter("https://x")) is not type(
        huggingface_hub.utils.get_session().get_adapter("https://x")
    )


def test_an_invalid_configuration_is_reported_where_its_encoder_is_complete(hub_cache):
    stable_audio_open.put_text_encoder(hub_cache)
    config = json.loads(json.dumps(ENCODER))
    config["configs"][0]["config"]["nonsense"] = 1
    files = weights.ModelFiles("model", Path("/nowhere/model_config.json"), Path("/nowhere/model.safetensors"))
    with pytest.raises(TypeError, match="nonsense"):
        build._conditioner(config, files)


@pytest.mark.parametrize("name", ["", "a b", "/nowhere/at/all"])
def test_there_is_no_encoder_under_an_invalid_name(name, hub_cache):
    assert not hub.has_encoder(name)


def test_the_hubs_program_is_named_as_one_types_it(tmp_path, monkeypatch):
    folder = tmp_path / "my venv"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(sys, "prefix", str(folder))
    assert hub.command("auth login") == "hf auth login"
    (folder / "hf").touch()
    (folder / "hf.exe").touch()
    assert hub.command("auth login") in (f"'{folder / 'hf'}' auth login", f'"{folder / "hf.exe"}" auth login')
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert hub.command("auth login") == "hf auth login"
