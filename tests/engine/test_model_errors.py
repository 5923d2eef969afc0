"""Errors of unavailable models: each states the fault and the remedy."""

import http.server
import json
import pickle
import shutil
import socket
import threading

import pytest
import safetensors.torch
import torch

from tertium.engine.models import build, errors, stable_audio, weights
from tertium.engine.models.device import choose_dtype
from tertium.engine.models.loaded_model import load_model
from tests.engine import stable_audio_open, tiny
from tests.engine.conftest import write_model


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of the small model's folder, to be damaged."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def refused(kind, name, **options):
    with pytest.raises(kind) as caught:
        load_model(str(name), **({"device": "cpu"} | options))
    error = caught.value
    assert error.message
    assert error.remedy
    assert str(error) == f"{error.message} {error.remedy}"
    return error


class Run:
    """Creates the named file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_unknown_name(hub_cache):
    error = refused(errors.UnknownModel, "stable-audio")
    assert (error.code, error.field, error.value) == ("unknown_model", "model", "stable-audio")
    assert "'stable-audio'" in error.message
    assert "pocket, stable-audio-open-1.0, stable-audio-open-small" in error.remedy


def test_no_configuration(folder):
    (folder / "model_config.json").unlink()
    assert "has no model_config.json" in refused(errors.BadConfig, folder).message


@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_configuration_that_is_not_a_json_object(text, folder):
    (folder / "model_config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "JSON" in refused(errors.BadConfig, folder).message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.update(model_type="autoencoder"), "model_type must be 'diffusion_cond'; it is 'autoencoder'"),
        (lambda c: c.update(sample_rate="44.1k"), "sample_rate must be a whole number above 0; it is '44.1k'"),
        (lambda c: c.pop("sample_size"), "sample_size must be a whole number above 0; it is None"),
        (lambda c: c.pop("model"), "it has no model"),
        (lambda c: c["model"].pop("diffusion"), "it has no model.diffusion"),
        (lambda c: c["model"].pop("pretransform"), "it has no model.pretransform"),
        (lambda c: c["model"]["diffusion"].update(type="adp_1d"), "model.diffusion.type must be 'dit'; it is 'adp_1d'"),
        (lambda c: c["model"]["diffusion"].update(diffusion_objective="eps"), "diffusion_objective must be one of v"),
        (lambda c: c["model"]["diffusion"].update(input_concat_ids=["mask"]), "a model for inpainting"),
        (lambda c: c["model"]["pretransform"]["config"]["bottleneck"].update(type="rvq"), "its latents are discrete"),
        (lambda c: c["model"]["conditioning"]["configs"][0].update(id="bpm"), "it is conditioned by 'bpm'"),
        (lambda c: c["model"]["diffusion"]["config"].update(depth="two"), "no model can be built from it: TypeError"),
        (
            lambda c: c["model"]["diffusion"]["config"].update(num_heads=0),
            "no model can be built from it: ZeroDivision",
        ),
        (lambda c: c["model"]["pretransform"].update(type="magic"), "no model can be built from it: NotImplemented"),
    ],
)
def test_configuration_that_describes_no_usable_model(change, reason, folder):
    config = tiny.model_config()
    change(config)
    (folder / "model_config.json").write_text(json.dumps(config), encoding="utf-8")
    error = refused(errors.BadConfig, folder)
    assert reason in error.message
    assert error.value == str(folder / "model_config.json")


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    error = refused(errors.WeightsMissing, folder)
    assert "has no weights" in error.message
    assert "model.safetensors" in error.remedy


@pytest.mark.parametrize("length", [0, 5, 1000, -1])
def test_weights_cut_short(length, folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:length])
    error = refused(errors.WeightsDamaged, folder)
    assert "cannot be read" in error.message
    assert "download it again" in error.remedy


@pytest.mark.parametrize("length", [0, 3, 5000])
def test_a_checkpoint_cut_short(length, folder):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": tensors}, folder / "model.ckpt")
    (folder / "model.ckpt").write_bytes((folder / "model.ckpt").read_bytes()[:length])
    refused(errors.WeightsDamaged, folder)


@pytest.mark.parametrize("content", [{}, {"a": 1}, [torch.zeros(1)]])
def test_a_checkpoint_without_tensors(content, folder):
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "model.ckpt")
    assert "not a table of tensors" in refused(errors.WeightsDamaged, folder).message


def test_weights_of_another_model(folder):
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    name = "model.model.to_timestep_embed.0.weight"
    tensors[name] = torch.zeros(3, 5)
    tensors["surplus"] = tensors.pop("model.model.preprocess_conv.weight")
    safetensors.torch.save_file(tensors, path)
    error = refused(errors.WeightsMismatched, folder)
    assert f"{name} is 3 x 5 and should be 64 x 256" in error.message
    assert "missing: model.model.preprocess_conv.weight" in error.message
    assert "not in the model: surplus" in error.message
    assert "model_config.json that came with these weights" in error.remedy


@pytest.mark.parametrize("save", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))], ids=["zip", "plain"])
def test_a_pickle_is_refused_and_not_run(save, folder, tmp_path):
    (folder / "model.safetensors").unlink()
    save({"state_dict": {"x": Run(tmp_path / "ran")}}, folder / "model.ckpt")
    error = refused(errors.WeightsUnsafe, folder)
    assert "can run any code" in error.message
    assert "save_file" in error.remedy
    assert not (tmp_path / "ran").exists()


def test_weights_only_as_a_pickle_by_name(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "only as pytorch_model.bin" in refused(errors.WeightsUnsafe, folder).message


def test_missing_package(folder, monkeypatch):
    def absent(module="stable_audio_tools"):
        raise stable_audio.MissingPackage(
            f"The package 'einops' is missing, which {module} needs. {stable_audio.REMEDY}"
        )

    monkeypatch.setattr(stable_audio, "load", absent)
    error = refused(errors.PackageMissing, folder)
    assert "'einops' is missing" in error.message
    assert error.remedy == stable_audio.REMEDY


def test_missing_package_of_a_conditioner(folder, monkeypatch):
    def absent(config, files):
        raise ModuleNotFoundError("No module named 'laion_clap'", name="laion_clap")

    monkeypatch.setattr(build, "_conditioner", absent)
    assert refused(errors.PackageMissing, folder).message == "The package 'laion_clap' is missing, which model needs."


def test_no_text_encoder(tmp_path, hub_cache):
    config = tiny.model_config()
    folder = write_model(tmp_path / "model", config)
    config["model"]["conditioning"]["configs"] += stable_audio_open.configuration()["model"]["conditioning"]["configs"][
        :1
    ]
    (folder / "model_config.json").write_text(json.dumps(config), encoding="utf-8")
    error = refused(errors.ModelNotDownloaded, folder)
    assert "text encoder t5-base" in error.message
    assert "/hf download t5-base`" in error.remedy


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model["pretransform"]["config"]["encoder"].update(type="taae_v2"),
        lambda model: model["diffusion"].update(local_add_cond_ids=["inpaint_mask", "inpaint_masked_input"]),
    ],
)
def test_stable_audio_3_is_refused_by_name(change, folder):
    config = tiny.model_config()
    config["model_type"] = "diffusion_cond_inpaint"
    change(config["model"])
    (folder / "model_config.json").write_text(json.dumps(config), encoding="utf-8")
    error = refused(errors.BadConfig, folder)
    assert error.message.startswith("Stable Audio 3 is not supported yet")
    assert error.remedy == "Use Stable Audio Open 1.0 or Small, a model fine-tuned from them, or pocket."


def test_an_empty_additional_conditioning_is_not_stable_audio_3(folder):
    config = tiny.model_config()
    config["model"]["diffusion"]["local_add_cond_ids"] = []
    build.check_config(config, folder / "model_config.json")


def test_the_embedded_model_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "POCKET", tmp_path / "nowhere")
    error = refused(errors.ModelNotDownloaded, "pocket")
    assert "embedded model's folder" in error.message
    assert "Reinstall tertium" in error.remedy


def test_not_downloaded_and_offline(hub_cache):
    error = refused(errors.ModelNotDownloaded, "stable-audio-open-1.0")
    assert "stabilityai/stable-audio-open-1.0 is not on this machine" in error.message
    assert "HF_HUB_OFFLINE" in error.remedy


@pytest.fixture
def hub(hub_cache, monkeypatch):
    """A model hub on this machine that answers everything with hub.answer = (status, headers)."""
    import huggingface_hub.constants
    import huggingface_hub.file_download
    from huggingface_hub.utils import _http

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            server.asked.append(self.path)
            status, headers = server.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    _http.reset_sessions()  # sessions created offline stay offline
    yield server
    _http.reset_sessions()
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_on_this_machine_is_loaded_without_a_question_to_the_hub(hub, hub_cache, monkeypatch):
    import transformers.utils.hub

    monkeypatch.setattr(transformers.utils.hub, "_is_offline_mode", False)
    hub.answer = (503, {})
    stable_audio_open.put_text_encoder(hub_cache)
    conditioning = stable_audio_open.configuration()["model"]["conditioning"]
    folder = hub_cache / "model"
    files = weights.ModelFiles("model", folder / "model_config.json", folder / "model.safetensors")
    assert build._conditioner(conditioning, files) is not None
    assert hub.asked == []


def test_a_hub_that_never_answers_is_given_up_after_the_timeout(hub_cache, monkeypatch):
    """A dead network: a port that accepts connections and sends nothing."""
    import huggingface_hub.constants

    from tertium.engine.models import hub as own

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(own, "TIMEOUT", 0.2)
        reports = []
        with own.reporting_to(reports.append):
            error = refused(errors.ModelNotDownloaded, "stable-audio-open-1.0")
    assert "the model hub cannot be reached" in error.message
    assert "/hf download stabilityai/stable-audio-open-1.0`" in error.remedy
    assert reports == [f"asking the model hub ({huggingface_hub.constants.ENDPOINT})"]


@pytest.mark.parametrize("status", [401, 403])
def test_gated(status, hub):
    hub.answer = (status, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
    error = refused(errors.ModelGated, "stable-audio-open-small")
    assert "licence has to be accepted" in error.message
    assert "/stabilityai/stable-audio-open-small" in error.remedy
    assert "HF_TOKEN" in error.remedy


def test_a_hub_that_does_not_answer_as_one(hub):
    """Such as a network that answers every request with its login page."""
    hub.answer = (200, {})
    error = refused(errors.ModelNotDownloaded, "stable-audio-open-small")
    assert "cannot be reached" in error.message


def test_a_repository_without_weights(hub, hub_cache):
    snapshot = hub_cache / "models--stabilityai--stable-audio-open-1.0"
    (snapshot / "refs").mkdir(parents=True)
    (snapshot / "refs/main").write_text("0" * 40, encoding="utf-8")
    (snapshot / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (snapshot / "snapshots" / ("0" * 40) / "model_config.json").write_text("{}", encoding="utf-8")
    hub.answer = (404, {"X-Error-Code": "EntryNotFound"})
    error = refused(errors.ModelNotDownloaded, "stable-audio-open-1.0")
    assert "has no model.safetensors and no model.ckpt" in error.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:99"}, "PyTorch cannot use 'cuda:99'"),
        ({"device": "abacus"}, "There is no device 'abacus'."),
        ({"device": "meta"}, "There is no device 'meta'."),
        ({"precision": "fp8"}, "There is no precision 'fp8'."),
    ],
)
def test_a_device_or_precision_that_is_not_there(options, message, folder):
    error = refused(errors.DeviceUnavailable, folder, **options)
    assert message in error.message
    assert error.field in options
    assert error.value == options[error.field]


def test_precision_by_device(monkeypatch):
    assert choose_dtype(torch.device("cpu")) == torch.float32
    assert choose_dtype(torch.device("mps")) == torch.float16
    for capability, expected in {(7, 5): torch.float16, (8, 0): torch.bfloat16, (9, 0): torch.bfloat16}.items():
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, c=capability: c)
        assert choose_dtype(torch.device("cuda")) == expected
    assert choose_dtype(torch.device("cuda"), "fp32") == torch.float32
