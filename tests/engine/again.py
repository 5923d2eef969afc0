"""Sounds computed with ``pocket`` in a process with a random history, for :mod:`tests.engine.test_repeatable` to
compare.

Run as ``python -m tests.engine.again SEED FOLDER``. The first process saves its trained weights in the folder; all
processes use these.
"""

import hashlib
import json
import random
import sys
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from tertium.engine import operations
from tertium.engine.models.loaded_model import load_model
from tertium.engine.settings import RATES, FuseSettings, GenerateSettings, LearnSettings
from tertium.engine.training import adapters
from tertium.engine.training.fine_tune import Learner
from tertium.storage.library import sound_id
from tertium.worker import torch_learner
from tests.sounds import tone


def anywhere(samples: np.ndarray, chance: random.Random) -> torch.Tensor:
    """Place the samples where no allocator would put them: at any multiple of 4 bytes."""
    memory = np.zeros(samples.size + 64, np.float32)
    begin = chance.randrange(64)
    placed = memory[begin : begin + samples.size].reshape(samples.shape)
    placed[:] = samples
    return torch.from_numpy(placed)


def main(seed: int, folder: Path) -> dict[str, str]:
    """Return digests of the sounds and of the trained weights."""
    chance = random.Random(seed)
    history: list[object] = [bytes(chance.randrange(1, 200_000)) for _ in range(chance.randrange(300))]
    model = load_model("pocket", device="cpu")
    original, reference = (anywhere(tone(pitch), chance) for pitch in (220, 330))
    for _ in range(seed % 3):
        settings = GenerateSettings(prompt="x", seconds=chance.uniform(0.5, 1.5), steps=2, seed=chance.randrange(99))
        history += [operations.generate(model, settings), torch.empty(chance.randrange(1, 10**6))]
    result = operations.fuse(model, original, reference, FuseSettings(steps=5, seed=3, blend=0.5))
    digests = {"fused": sound_id(result.numpy(), model.sample_rate)}
    for method in RATES:
        rank = 2 if method == "lora" else 0
        ranked = {"rank": rank} if rank else {}
        learner = Learner(
            model, reference, LearnSettings(prompt="tone", method=method, steps=2, batch=1, seed=7, **ranked)
        )
        learner.run()
        weights = safetensors.torch.save(dict(learner.weights().tensors))
        digests[f"learned {method}"] = hashlib.sha256(weights).hexdigest()
        path = folder / f"{method}.safetensors"
        if not path.exists():
            path.write_bytes(weights)
        view = adapters.apply(model, torch_learner.read(str(path), method=method, rank=rank))
        led = operations.fuse(view, original, None, FuseSettings(prompt="tone", steps=5, seed=3, blend=0.5))
        digests[f"under {method}"] = sound_id(led.numpy(), model.sample_rate)
    return digests


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), Path(sys.argv[2]))))
