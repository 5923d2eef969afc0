"""The wheel is complete: installed outside the checkout, it fuses with the embedded model."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """A Python interpreter with the wheel and its dependencies only."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next((folder / "lib").glob("python3*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    # Some requirements of stable-audio-tools install an outdated argparse; the standard library's must take precedence.
    (packages / "argparse.py").write_text("raise ImportError('this is not the standard library')")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "bin/python"


def run(python, *arguments, cwd):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TERTIUM"))}
    done = subprocess.run(
        [python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_daemon_fuses(python, tmp_path):
    where = run(python, "-c", "import tertium.cli.demo as d; print(d.__file__, d.ORIGINAL, d.REFERENCE)", cwd=tmp_path)
    module, original, reference = where.split()
    assert str(ROOT) not in module
    out = tmp_path / "third.wav"
    said = run(
        python, "-m", "tertium", "fuse", original, reference, "-o", str(out), "--steps", "8", "--seed", "1",
        "--home", str(tmp_path / "home"), "--json", cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(said)["model"] == "pocket"
    assert soundfile.info(out).frames == soundfile.info(original).frames


def test_the_installed_command_line_makes_a_listening_study(python, tmp_path):
    sounds = run(python, "-c", "import tertium.cli.demo as d; print(d.ORIGINAL, d.REFERENCE)", cwd=tmp_path).split()
    said = run(
        python, "-m", "tertium", "listen", "study.html", "--pair", *sounds, "--seconds", "1", "--steps", "4",
        "--home", str(tmp_path / "home"), "--json", cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(said)["bytes"] == (tmp_path / "study.html").stat().st_size


def test_the_wheel_holds_no_more_than_it_should(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"tertium", "tertium_protocol"}
    assert not [name for name in names if name.endswith((".pyc", ".pt", ".ckpt"))]
    assert wheel.stat().st_size < 30e6
