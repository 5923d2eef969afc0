"""Recreate a working folder from the shipped model, to continue its training where the original folder is gone: the inverse of ``export``.

    python -m pocket.model.import_shipped WORK

Writes WORK/codec.safetensors, WORK/phases.pt, WORK/tokenizer and WORK/checkpoint.pt from ``server/tertium/assets/pocket``, for ``dataset`` and for ``train --resume``.
The shipped weights, in half precision, become both the model and its running average; the optimiser starts fresh. An existing checkpoint is never
overwritten.
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pocket.codec import fit, train_phases
from pocket.material import origin
from pocket.model import config
from pocket.model.export import SHIPPED
from pocket.model.train import Run, new_run, save_first

PREFIX, PHASES = "pretransform.", "phases."


def shipped(folder: Path = SHIPPED) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], int, float]:
    """Return the tensors of the model and of the codec, both in float32, and the steps and seconds of training."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = file.metadata()
    whole = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    codec = {name.removeprefix(PREFIX): tensor for name, tensor in whole.items() if name.startswith(PREFIX)}
    model = {name: tensor for name, tensor in whole.items() if not name.startswith(PREFIX)}
    return model, codec, int(about["steps"]), float(about["minutes"]) * 60


def unpack(work: Path) -> Run:
    """Fill the working folder, all but the checkpoint, and return the run to save as its checkpoint."""
    origin.begin(work, with_recordings=True)
    shutil.copytree(SHIPPED / "tokenizer", work / "tokenizer", dirs_exist_ok=True)
    tensors, codec, step, seconds = shipped()
    save_file(codec, work / fit.FILE)
    train_phases.run_of(
        {name.removeprefix(PHASES): tensor for name, tensor in codec.items() if name.startswith(PHASES)}
    ).save(work / train_phases.FILE)
    run = new_run(work, torch.device("cpu"))
    positions = config.positions(run.model).scale.detach().clone()
    run.model.load_state_dict(tensors)
    config.positions(run.model).scale.data.copy_(positions)
    run.average = {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}
    run.step, run.seconds = step, seconds
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    run = save_first(parser.parse_args().work, unpack)
    print(f"Imported the shipped model: step {run.step}, {run.seconds / 60:.0f} min.")


if __name__ == "__main__":
    main()
