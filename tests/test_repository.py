"""The repository: import contracts, the length of modules, shipped weights and sounds, versions and the lock file."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tertium

ROOT = Path(__file__).parents[1]
PACKAGES = ("server/tertium", "protocol/tertium_protocol")
SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name]


def test_the_import_contracts_hold():
    folders = os.pathsep.join(str(ROOT / folder) for folder in ("server", "protocol"))
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": folders}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_documented(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert text.strip() == "" or text.startswith('"""'), "every module has a docstring"


def test_a_script_fits_in_the_head_too():
    scripts = [
        path for path in tracked()
        if path.suffix in {".js", ".mjs", ".sc"} and not {"dist", "recorded", "node_modules"} & set(path.relative_to(ROOT).parts)
    ]  # fmt: skip
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in scripts}
    assert len(texts) > 50
    assert [name for name, text in texts.items() if len(text.splitlines()) > 400] == []
    silent = [name for name, text in texts.items() if not name.endswith(".sc") and not text.startswith("// ")]
    assert silent == [], "every script says what it is for"


def test_the_pocket_weights_are_small_and_safe():
    folder = ROOT / "server/tertium/assets/pocket"
    weights = list(folder.rglob("*.safetensors"))
    assert weights
    assert sum(path.stat().st_size for path in weights) <= 30e6
    assert not [path for path in tracked() if path.suffix in {".ckpt", ".pt", ".pth", ".pkl", ".bin"}]


def test_whatever_is_shipped_has_its_provenance_beside_it():
    for folder in {path.parent for path in tracked() if path.suffix in {".flac", ".wav", ".safetensors"}}:
        text = (folder / "PROVENANCE.md").read_text(encoding="utf-8")
        assert "CC0" in text
        for path in folder.iterdir():
            if path.suffix in {".flac", ".wav", ".safetensors"}:
                assert path.name in text, f"{folder}/PROVENANCE.md does not say where {path.name} is from"


def test_versions_agree():
    declared = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert declared[1] == tertium.__version__


def test_the_readme_names_only_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize(("name", "least"), [("locked.txt", 50), ("torch-locked.txt", 15), ("uv.txt", 1)])
def test_the_lock_pins_everything_with_hashes_and_names_no_server(name, least):
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) >= least
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)


def test_pytorch_is_locked_in_the_version_that_the_set_up_asks_for():
    wanted = (ROOT / "requirements/torch.txt").read_text(encoding="utf-8").strip()
    assert f"{wanted} " in (ROOT / "requirements/torch-locked.txt").read_text(encoding="utf-8")


def test_threads_wait_without_spinning_in_the_tests_too():
    """Check PyTorch's wait policy as reported by its OpenMP runtime at load time, which would not see a variable set
    later.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-q", "-p", "no:cacheprovider", "--collect-only", "tests/engine/test_schedule.py"],
        cwd=ROOT, env=environment | {"OMP_DISPLAY_ENV": "VERBOSE"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    reported = [line.split("=")[-1].strip() for line in run.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    if not reported:
        pytest.skip("this build of PyTorch does not use GNU OpenMP")
    assert set(reported) == {"'0'"}


def test_the_page_on_the_architecture_names_only_what_is_there():
    text = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)\b", text)) | set(re.findall(r"`((?:[a-z_]+/)+)`", text))
    assert len(named) > 20
    inside = [ROOT, *(ROOT / room for room in ("server/tertium", "server/tertium/daemon", "server/tertium/engine", "server/tertium/engine/models",
                                              "protocol/tertium_protocol", "server/tertium/daemon/jobs"))]  # fmt: skip
    absent = [name for name in named if not any((folder / name).exists() for folder in inside)]
    assert absent == []
