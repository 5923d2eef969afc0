"""The checks of ``tertium doctor`` that import PyTorch, stable-audio-tools and the hub, which may be broken. Prints JSON."""

import contextlib
import functools
import json
import sys


def device() -> dict:
    """Return the device that the engine would choose, and its properties."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        detail = f"{torch.cuda.get_device_name()}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free, PyTorch {torch.__version__}"
        return {"kind": "cuda", "detail": detail}
    if torch.backends.mps.is_available():
        return {"kind": "mps", "detail": f"PyTorch {torch.__version__}"}
    return {"kind": "cpu", "detail": f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}"}


def upstream() -> str | None:
    """Return why stable-audio-tools cannot be used, or None."""
    from tertium.engine.models import stable_audio as upstream

    try:
        for module in ("stable_audio_tools.models.factory", "k_diffusion.sampling"):
            upstream.load(module)
    except Exception as error:  # any error counts as a finding
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None


def trial() -> dict:
    """Return the device and precision in which the embedded model runs, with notes on limitations; or why it does not run."""
    try:
        from tertium.worker import self_test, torch_engine

        load = functools.partial(torch_engine.load, "pocket", device="auto")
        engine, note = self_test.loaded(load, precision="auto")
    except Exception as error:
        return {"broken": str(error) or type(error).__name__}
    return {"device": engine.about["device"], "precision": engine.about["precision"], "notes": [note] if note else []}


def hub() -> dict:
    """Return which published models and text encoder are in the hub's cache, whether a token is set (not the token itself), and the commands to
    log in and to download."""
    try:
        import huggingface_hub
        from huggingface_hub import constants

        from tertium.engine.models.hub import REPOSITORIES, TEXT_ENCODER, command, has_encoder
        from tertium.worker import torch_engine

        models = {known["name"]: known["available"] for known in torch_engine.known_models()}
        return {
            "cache": constants.HF_HUB_CACHE,
            "models": {name: models[name] for name in REPOSITORIES},
            "encoder": {"name": TEXT_ENCODER, "there": has_encoder(TEXT_ENCODER)},
            "token": huggingface_hub.get_token() is not None,
            "commands": {"login": command("auth login"), "encoder": command(f"download {TEXT_ENCODER}")},
        }
    except Exception as error:
        return {"broken": str(error) or type(error).__name__}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # some packages print when they are imported
        facts = {"device": device(), "upstream": upstream(), "hub": hub(), "trial": trial()}
    print(json.dumps(facts))
