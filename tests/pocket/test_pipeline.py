"""``python -m pocket``, run for real with tiny numbers: from nothing to a model that the daemon's loader accepts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pocket.material import dataset
from pocket.model import export
from tertium.engine import operations
from tertium.engine.models.loaded_model import load_model
from tertium.engine.settings import GenerateSettings

ROOT = Path(__file__).parents[2]
TINY = (
    "--minutes",
    "0.05",
    "--pieces",
    "3",
    "--codec-pieces",
    "8",
    "--phase-minutes",
    "0.02",
    "--workers",
    "1",
    "--no-recordings",
)

pytestmark = pytest.mark.timeout(600)


def pocket(work: Path, *options: str) -> subprocess.CompletedProcess:
    """Run ``python -m pocket`` in a folder of its own, as the Makefile does but for the working directory."""
    path = os.pathsep.join(str(ROOT / name) for name in ("server", "protocol"))
    return subprocess.run(
        [sys.executable, "-m", "pocket", work, *options],
        cwd=work.parent, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A working folder after a complete run."""
    folder = tmp_path_factory.mktemp("pocket") / "work"
    shipped = export.SHIPPED / "model.safetensors"
    before = shipped.stat().st_mtime_ns
    run = pocket(folder, *TINY)
    assert run.returncode == 0, run.stdout + run.stderr
    assert shipped.stat().st_mtime_ns == before, "the shipped weights are left alone"
    return folder


def test_the_exported_model_is_loaded_and_generates_finite_audio(work):
    model = load_model(str(work / "export"), device="cpu")
    audio = operations.generate(model, GenerateSettings(prompt="drone dark", seconds=1.0, steps=4))
    assert audio.shape == (2, 44100) and torch.isfinite(audio).all()
    provenance = (work / "export" / "PROVENANCE.md").read_text()
    assert "CC0" in provenance and "without any recording" in provenance


def test_a_second_call_repeats_nothing_that_is_done(work):
    files = [
        work / name
        for name in ("codec.safetensors", "points.safetensors", "phases.pt", "shards/0000.safetensors", "checkpoint.pt")
    ]
    before = [path.stat().st_mtime_ns for path in files]
    run = pocket(work, *TINY)
    assert run.returncode == 0, run.stdout + run.stderr
    assert [path.stat().st_mtime_ns for path in files] == before
    assert "larger --minutes" in run.stdout


def test_more_minutes_and_pieces_continue_the_training(work, tmp_path):
    before = torch.load(work / "checkpoint.pt", weights_only=True)
    minutes = str(before["seconds"] / 60 + 0.02)
    run = pocket(work, *TINY, "--minutes", minutes, "--pieces", "4", "--to", str(tmp_path / "elsewhere"))
    assert run.returncode == 0, run.stdout + run.stderr
    assert torch.load(work / "checkpoint.pt", weights_only=True)["step"] > before["step"]
    assert len(dataset.read_shards(work)[0]) == 4
    assert (tmp_path / "elsewhere" / "model.safetensors").exists()


def test_a_folder_keeps_to_the_material_that_it_was_begun_with(work):
    run = pocket(work)
    assert run.returncode == 1 and "--no-recordings" in run.stderr
