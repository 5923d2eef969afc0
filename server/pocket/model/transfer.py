"""Begin the training of a model with another codec from the shipped one: the transformer is carried over, its first and last layers are fitted.

    python -m pocket.model.transfer WORK

Needs WORK/codec.safetensors and WORK/pool; writes WORK/tokenizer and WORK/checkpoint.pt, for ``train --resume``. An existing checkpoint is never overwritten.

Latents of both codecs describe the same sounds, so that either are nearly a linear map of the other's. These maps, found by least squares, are put before the
shipped model's first layer and behind its last one. What the shipped codec cannot say is left to training, from small random weights.
"""

import argparse
import shutil
from pathlib import Path

import torch

from pocket.codec.fit import codec_of
from pocket.material.pool import Pool
from pocket.material.synthesis import RATE
from pocket.model.export import SHIPPED
from pocket.model.import_shipped import shipped
from pocket.model.train import Run, new_run, save_first
from tertium.engine.models.loaded_model import LoadedModel, load_model

CROPS, SECONDS = 64, 6.0
NEW = 0.02  # spread of the weights in the new directions
PROJECT_IN, PROJECT_OUT = "model.model.transformer.project_in.weight", "model.model.transformer.project_out.weight"
BEFORE, BEHIND = "model.model.preprocess_conv.weight", "model.model.postprocess_conv.weight"


@torch.no_grad()
def maps(old: LoadedModel, codec, pool: Pool, *, crops: int = CROPS) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the linear maps between latents, (old channels, new channels) and (new channels, old channels), by least squares over crops of the pool."""
    generator = torch.Generator().manual_seed(6)
    sounds = [pool.crops(1, int(SECONDS * RATE), generator) for _ in range(crops)]
    theirs = torch.cat([old.encode(sound[0])[0].float() for sound in sounds], 1)
    ours = torch.cat([codec.encode(sound)[0].float() for sound in sounds], 1)
    return tuple(torch.linalg.lstsq(a.T, b.T).solution.T for a, b in ((ours, theirs), (theirs, ours)))


def carried_over(
    tensors: dict[str, torch.Tensor], fresh: dict[str, torch.Tensor], to_old: torch.Tensor, to_new: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return a state dict for a model with the new codec from those of the shipped model and of an untrained one."""
    generator = torch.Generator().manual_seed(7)
    eye = torch.eye(to_old.shape[0])
    beside = torch.eye(to_old.shape[1]) - torch.linalg.pinv(to_old) @ to_old  # what the old codec does not say
    chance = torch.randn(fresh[PROJECT_IN].shape, generator=generator) * NEW
    into = tensors[PROJECT_IN] @ (tensors[BEFORE][..., 0] + eye) @ to_old + chance @ beside
    out = to_new @ (tensors[BEHIND][..., 0] + eye) @ tensors[PROJECT_OUT]
    # The same directions on the way out, so that noise in them can pass through from the first step on.
    out = out + (chance @ beside).T
    own = {PROJECT_IN: into, PROJECT_OUT: out, BEFORE: fresh[BEFORE], BEHIND: fresh[BEHIND]}
    return {name: own.get(name, tensors.get(name, tensor)) for name, tensor in fresh.items()}


def begin(work: Path) -> Run:
    """Return the run to save as the working folder's checkpoint; its steps and minutes are those of the shipped model."""
    shutil.copytree(SHIPPED / "tokenizer", work / "tokenizer", dirs_exist_ok=True)
    old, (_, _, step, seconds) = load_model("pocket", device="cpu"), shipped()
    pool = Pool(work / "pool")
    to_old, to_new = maps(old, codec_of(work), pool)
    run = new_run(work, torch.device("cpu"))
    tensors = {name: tensor.float() for name, tensor in old.model.state_dict().items()}
    run.model.load_state_dict(carried_over(tensors, run.model.state_dict(), to_old, to_new))
    run.average = {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}
    run.step, run.seconds = step, seconds
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    save_first(parser.parse_args().work, begin)


if __name__ == "__main__":
    main()
