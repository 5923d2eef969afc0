"""Files of a published model: from the hub's cache on this machine, else fetched with the user's token."""

from pathlib import Path

from tertium.engine import upstream
from tertium.engine.model_errors import ModelGated, ModelNotDownloaded, package_missing

REPOSITORIES = {
    "stable-audio-open-1.0": "stabilityai/stable-audio-open-1.0",
    "stable-audio-open-small": "stabilityai/stable-audio-open-small",
}


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
    reason: Exception | None = None
    for filename in filenames:
        try:
            return Path(hub.hf_hub_download(repository, filename))
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
        "and give it with `huggingface-cli login` or in the environment variable HF_TOKEN. Or use the model 'pocket', which needs neither.",
    )


def _not_downloaded(name: str, offline: bool, detail: str = "") -> ModelNotDownloaded:
    switch = "Unset HF_HUB_OFFLINE" if offline else "Connect to the network"
    return ModelNotDownloaded(
        f"{REPOSITORIES[name]} is not on this machine, and the model hub cannot be reached{detail}.",
        value=name,
        remedy=f"{switch} and try again, or give the path of a folder with model_config.json and model.safetensors.",
    )
