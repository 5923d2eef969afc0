"""Files of a published model: from the model hub's cache on this machine, or downloaded with the user's token.

On stage the network may be missing or dead. Files on this machine are therefore used without any request; where a
download is necessary, the hub is given up after a silence of :data:`TIMEOUT`, whereas its client alone would retry for
minutes.
"""

import contextlib
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from tertium.engine.models import stable_audio
from tertium.engine.models.errors import ModelGated, ModelNotDownloaded, package_missing

REPOSITORIES = {
    "stable-audio-open-1.0": "stabilityai/stable-audio-open-1.0",
    "stable-audio-open-small": "stabilityai/stable-audio-open-small",
}

TEXT_ENCODER = "t5-base"
"""The repository of the text encoder that all models need; theirs do not contain it."""

TIMEOUT = 5.0
"""Longest silence of the hub, in seconds."""

_ENCODER_FILES = (
    ("config.json",),
    ("tokenizer.json", "spiece.model"),
    ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json"),
)
"""The files of a text encoder, each with its alternative names."""

T = TypeVar("T")

_report: ContextVar[Callable[[str], None]] = ContextVar("_report", default=lambda text: None)


@contextlib.contextmanager
def reporting_to(report: Callable[[str], None]) -> Iterator[None]:
    """Call ``report`` with a line of text at every download or wait within this context."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)


def command(words: str) -> str:
    """Return a command line of the hub's own program.

    Its path is included where it is installed beside this Python rather than on the user's PATH.
    """
    beside = Path(sys.executable).with_name("hf.exe" if os.name == "nt" else "hf")
    if sys.prefix == sys.base_prefix or not beside.exists():
        return f"hf {words}"
    quoted = f'"{beside}"' if os.name == "nt" else shlex.quote(str(beside))
    return f"{quoted} {words}"


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Keep the hub's client and transformers from using the network within this context."""
    constants, transformers = (
        stable_audio.load("huggingface_hub.constants"),
        stable_audio.load("transformers.utils.hub"),
    )
    before = constants.HF_HUB_OFFLINE, transformers._is_offline_mode
    constants.HF_HUB_OFFLINE = transformers._is_offline_mode = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, transformers._is_offline_mode = before


def is_reachable() -> bool:
    """Return whether the hub answers a single request within :data:`TIMEOUT`."""
    hub = stable_audio.load("huggingface_hub")
    if hub.constants.HF_HUB_OFFLINE:
        return False
    _report.get()(f"asking the model hub ({hub.constants.ENDPOINT})")
    try:
        _within_timeout(lambda: hub.utils.get_session().head(hub.constants.ENDPOINT, timeout=TIMEOUT))
    except OSError:  # includes the client's own exceptions
        return False
    return True


@contextlib.contextmanager
def short_timeout() -> Iterator[None]:
    """Make the hub's client fail at the first silence of :data:`TIMEOUT` within this context, and send no more requests."""
    hub, requests = stable_audio.load("huggingface_hub"), stable_audio.load("requests")
    constants, before = hub.constants, hub.constants.HF_HUB_DISABLE_XET
    gone: list[str] = []

    def give_up(error: Exception) -> Exception:
        gone.append(str(error) or f"it did not answer within {TIMEOUT:g} s")
        return hub.errors.OfflineModeIsEnabled(f"The model hub does not answer: {gone[0]}")

    class TimeoutAdapter(requests.adapters.HTTPAdapter):
        def send(self, request, *args, **options):
            if gone:
                raise hub.errors.OfflineModeIsEnabled(f"The model hub does not answer: {gone[0]}")
            options["timeout"] = TIMEOUT
            try:
                response = _within_timeout(lambda: super(TimeoutAdapter, self).send(request, *args, **options))
                if response.status_code >= 500:
                    raise TimeoutError(f"it returned {response.status_code} {response.reason}")
            except (requests.ConnectionError, requests.Timeout, TimeoutError) as error:
                raise give_up(error) from error
            response.iter_content = chunks(response.iter_content)
            return response

    def chunks(read: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
        def read_in_time(*args, **options) -> Iterator[bytes]:
            try:
                yield from read(*args, **options)
            except (requests.ConnectionError, requests.Timeout) as error:
                raise give_up(error) from error

        return read_in_time

    def session():
        client = requests.Session()
        for scheme in ("http://", "https://"):
            client.mount(scheme, TimeoutAdapter())
        return client

    hub.configure_http_backend(session)
    constants.HF_HUB_DISABLE_XET = True  # a separate client with its own retries
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before
        hub.configure_http_backend()


def _within_timeout(ask: Callable[[], T]) -> T:
    """Return or raise the outcome of ``ask``; raise TimeoutError after :data:`TIMEOUT`.

    A thread is needed because looking up a host name can take longer than any timeout of a request.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(TIMEOUT)


def has_encoder(name: str) -> bool:
    """Return whether a text encoder is complete on this machine, as a folder or in the hub's cache.

    An interrupted download leaves a part of it in the cache.
    """
    if name and Path(name).is_dir():
        return True
    cached = stable_audio.load("huggingface_hub").try_to_load_from_cache
    try:
        return all(any(isinstance(cached(name, file), str) for file in names) for names in _ENCODER_FILES)
    except ValueError:  # not a valid repository name
        return False


def report_fetch(what: str) -> None:
    """Report the download of ``what``."""
    _report.get()(f"fetching {what} from the model hub")


def fetch(name: str, *filenames: str) -> Path:
    """Return the first of ``filenames`` that the repository of model ``name`` has. Cached files need no request.

    Raises:
        ModelGated: the licence has not been accepted, or there is no token.
        ModelNotDownloaded: it is not in the cache and cannot be downloaded.
        PackageMissing: huggingface_hub is not installed.
    """
    try:
        hub = stable_audio.load("huggingface_hub")
    except stable_audio.MissingPackage as error:
        raise package_missing(error, name) from error
    repository, errors = REPOSITORIES[name], stable_audio.load("huggingface_hub.errors")
    for filename in filenames:
        try:
            return Path(hub.hf_hub_download(repository, filename, local_files_only=True))
        except errors.LocalEntryNotFoundError:
            continue
    if not is_reachable():
        raise _not_downloaded(name, hub.constants.HF_HUB_OFFLINE)
    reason: Exception | None = None
    for filename in filenames:
        report_fetch(f"{filename} of {name}")
        try:
            with short_timeout():
                return Path(hub.hf_hub_download(repository, filename))
        except errors.RepositoryNotFoundError as error:  # also where the repository is gated or the token invalid
            raise _gated(name, hub.constants.ENDPOINT) from error
        except errors.LocalEntryNotFoundError as error:
            raise _not_downloaded(name, hub.constants.HF_HUB_OFFLINE) from error
        except errors.EntryNotFoundError as error:
            reason = error
        except (OSError, errors.HfHubHTTPError) as error:
            raise _not_downloaded(name, hub.constants.HF_HUB_OFFLINE, f" ({error})") from error
    raise ModelNotDownloaded(
        f"The repository {repository} has no {' and no '.join(filenames)}.",
        value=name,
        remedy="Download a model folder by hand and give its path as the model.",
    ) from reason


def _gated(name: str, endpoint: str) -> ModelGated:
    repository = REPOSITORIES[name]
    return ModelGated(
        f"The model hub refuses access to {repository}: its licence has to be accepted first, and you have to be logged in.",
        value=name,
        remedy=f"Accept the licence on {endpoint}/{repository}, create a read token in your account's settings there, "
        f"and enter it with `{command('auth login')}` or in the environment variable HF_TOKEN. Or use the model 'pocket', which needs neither.",
    )


def _not_downloaded(name: str, offline: bool, detail: str = "") -> ModelNotDownloaded:
    switch = "Unset HF_HUB_OFFLINE" if offline else "Connect to the network"
    return ModelNotDownloaded(
        f"{REPOSITORIES[name]} is not on this machine, and the model hub cannot be reached{detail}.",
        value=name,
        remedy=f"{switch} and try again, download it beforehand with `{command('download ' + REPOSITORIES[name])}` and its text encoder "
        f"with `{command('download ' + TEXT_ENCODER)}`, or give the path of a folder with model_config.json and model.safetensors.",
    )
