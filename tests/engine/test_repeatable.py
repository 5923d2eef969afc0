"""The same request with the same seed gives the same samples on the same machine, whatever the layout of memory and
files.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import safetensors.torch
import torch

from tertium.engine import operations
from tertium.engine.models import device
from tertium.engine.models.loaded_model import load_model
from tertium.engine.settings import FuseSettings
from tests.engine.test_operations import sound

ROOT = Path(__file__).parents[2]


def misplaced(tensors) -> list[torch.Tensor]:
    """Return the tensors that are not aligned as PyTorch's allocator would align them."""
    return [tensor for tensor in tensors if tensor.data_ptr() % device.ALIGNMENT]


def test_weights_behind_another_header_give_the_same_samples(tiny_folder, tmp_path):
    """Weights are mapped from their file, so the length of its header shifts all of them in memory."""
    tensors = safetensors.torch.load_file(tiny_folder / "model.safetensors")
    results, headers = [], set()
    for length in range(0, 32, 8):
        folder = tmp_path / str(length)
        shutil.copytree(tiny_folder, folder)
        file = folder / "model.safetensors"
        safetensors.torch.save_file(tensors, file, {"note": "x" * length})
        headers.add(int.from_bytes(file.read_bytes()[:8], "little") % device.ALIGNMENT)
        model = load_model(str(folder), device="cpu")
        assert not misplaced(model.model.state_dict().values())
        results.append(operations.fuse(model, sound(1), sound(2), FuseSettings(intervention=2, steps=4)))
    assert len(headers) == 4 and misplaced(tensors.values()), "the files differ in the alignment of their weights"
    assert all(torch.equal(result, results[0]) for result in results)


def test_processes_with_different_histories_make_the_same_sounds(tmp_path):
    """Other jobs before, fragmented memory, samples at other addresses: fusions, trained weights, and fusions with
    these.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "server", ROOT / "protocol")))}
    results = []
    for seed in (1, 2):
        command = [sys.executable, "-m", "tests.engine.again", str(seed), str(tmp_path)]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150)
        assert run.returncode == 0, run.stderr
        results.append(json.loads(run.stdout.splitlines()[-1]))
    assert len(set(results[0].values())) == 5
    assert results[0] == results[1]
