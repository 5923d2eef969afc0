"""Files of a published model: from the hub's cache on this machine, else fetched with the user's token.

On stage there is no network, or one that leads nowhere. So what is on this machine is used without a question asked; and before anything
is fetched, the hub has :data:`PATIENCE` to answer at all, since its client would try again and again for minutes.
"""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

from tertium.engine import upstream
from tertium.engine.model_errors import ModelGated, ModelNotDownloaded, package_missing

REPOSITORIES = {
    "stable-audio-open-1.0": "stabilityai/stable-audio-open-1.0",
    "stable-audio-open-small": "stabilityai/stable-audio-open-small",
}

PATIENCE = 5.0
"""Seconds that the hub has to answer."""

_told: ContextVar[Callable[[str], None]] = ContextVar("_told", default=lambda text: None)


@contextlib.contextmanager
def telling(tell: Callable[[str], None]) -> Iterator[None]:
    """Within it, ``tell`` is called with a line of text whenever something is fetched or waited for."""
    token = _told.set(tell)
    try:
        yield
    finally:
        _told.reset(token)


def command(words: str) -> str:
    """A command of the hub's own program as one types it here: with its path, where it lies beside this Python and not on the user's."""
    beside = Path(sys.executable).parent / "hf"
    return f"{beside if beside.exists() and sys.prefix != sys.base_prefix else 'hf'} {words}"


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Within it, neither the hub's client nor transformers asks the network for anything."""
    constants, transformers = upstream.load("huggingface_hub.constants"), upstream.load("transformers.utils.hub")
    before = constants.HF_HUB_OFFLINE, transformers._is_offline_mode
    constants.HF_HUB_OFFLINE = transformers._is_offline_mode = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, transformers._is_offline_mode = before


def is_reachable() -> bool:
    """Whether the hub answers at all, asked once, within :data:`PATIENCE`."""
    hub = upstream.load("huggingface_hub")
    if hub.constants.HF_HUB_OFFLINE:
        return False
    _told.get()(f"asking the model hub ({hub.constants.ENDPOINT})")
    answered = []

    def ask() -> None:
        with contextlib.suppress(OSError):  # which the client's own exceptions are
            answered.append(hub.utils.get_session().head(hub.constants.ENDPOINT, timeout=PATIENCE))

    asking = threading.Thread(target=ask, daemon=True)  # looking up a name can take longer than any time-out
    asking.start()
    asking.join(PATIENCE)
    return bool(answered)


def fetching(what: str) -> None:
    """Say that something is being fetched."""
    _told.get()(f"fetching {what} from the model hub")


def fetch(name: str, *filenames: str) -> Path:
    """The first of ``filenames`` that the repository of model ``name`` has. What is in the cache is used without asking the network.

    Raises:
        ModelGated: the licence has not been accepted, or there is no token.
        ModelNotDownloaded: it is not in the cache and cannot be fetched.
        PackageMissing: huggingface_hub is not installed.
    """
    try:
        hub = upstream.load("huggingface_hub")
    except upstream.MissingPackage as error:
        raise package_missing(error, name) from error
    repository, errors = REPOSITORIES[name], upstream.load("huggingface_hub.errors")
    for filename in filenames:
        try:
            return Path(hub.hf_hub_download(repository, filename, local_files_only=True))
        except errors.LocalEntryNotFoundError:
            continue
    if not is_reachable():
        raise _not_downloaded(name, hub.constants.HF_HUB_OFFLINE)
    reason: Exception | None = None
    for filename in filenames:
        fetching(f"{filename} of {name}")
        try:
            return Path(hub.hf_hub_download(repository, filename, etag_timeout=PATIENCE))
        except errors.RepositoryNotFoundError as error:  # a gated repository is one, and so is any to an invalid token
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
        f"The model hub does not hand out {repository} to you: its licence has to be accepted first, and you have to be logged in.",
        value=name,
        remedy=f"Accept the licence on {endpoint}/{repository}, make a read token in your account's settings there, "
        f"and give it with `{command('auth login')}` or in the environment variable HF_TOKEN. Or use the model 'pocket', which needs neither.",
    )


def _not_downloaded(name: str, offline: bool, detail: str = "") -> ModelNotDownloaded:
    switch = "Unset HF_HUB_OFFLINE" if offline else "Connect to the network"
    return ModelNotDownloaded(
        f"{REPOSITORIES[name]} is not on this machine, and the model hub cannot be reached{detail}.",
        value=name,
        remedy=f"{switch} and try again, fetch it beforehand with `{command('download ' + REPOSITORIES[name])}`, "
        "or give the path of a folder with model_config.json and model.safetensors.",
    )
