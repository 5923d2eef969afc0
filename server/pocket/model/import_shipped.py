"""Take up the training of the shipped model where its working folder is gone: the inverse of ``export``.

    python -m pocket.model.import_shipped WORK

Writes WORK/codec.safetensors, WORK/tokenizer and WORK/checkpoint.pt from ``server/tertium/assets/pocket``, for ``dataset`` and for ``train --resume``.
The weights are the shipped ones, in their half precision, as the model and as its running average; the optimiser begins anew.
A checkpoint that is there already is left alone.
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pocket.model import config
from pocket.model.export import TARGET
from pocket.model.train import Run, new_run

PREFIX = "pretransform."


def shipped(folder: Path = TARGET) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], int, float]:
    """The model's tensors, the codec's, both in float32, and the steps and seconds of training."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = file.metadata()
    whole = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    codec = {name.removeprefix(PREFIX): tensor for name, tensor in whole.items() if name.startswith(PREFIX)}
    model = {name: tensor for name, tensor in whole.items() if not name.startswith(PREFIX)}
    return model, codec, int(about["steps"]), float(about["minutes"]) * 60


def unpack(work: Path) -> Run:
    """Fill the working folder, and give the run that its checkpoint holds."""
    work.mkdir(parents=True, exist_ok=True)
    shutil.copytree(TARGET / "tokenizer", work / "tokenizer", dirs_exist_ok=True)
    tensors, codec, step, seconds = shipped()
    save_file(codec, work / "codec.safetensors")
    run = new_run(work, torch.device("cpu"))
    places = config.places(run.model).scale.detach().clone()
    run.model.load_state_dict(tensors)
    config.places(run.model).scale.data.copy_(places)
    run.average = {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}
    run.step, run.seconds = step, seconds
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    if (work / "checkpoint.pt").exists():
        raise SystemExit(
            f"{work / 'checkpoint.pt'} is there already; go on with: python -m pocket.model.train {work} --resume"
        )
    run = unpack(work)
    run.save(work / "checkpoint.pt")
    print(f"Took up the shipped model from step {run.step}, {run.seconds / 60:.0f} min.")


if __name__ == "__main__":
    main()
