"""The Max for Live device's script: its Node tests, one file a case."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "max_for_live"
NODE = shutil.which("node")
FILES = sorted(path.name for path in (ROOM / "test").glob("script*.test.js"))
LIMIT = 540


@pytest.fixture(scope="session")
def packages():
    """The packages of the Node tests, installed from their lock."""
    if NODE is None:
        pytest.skip("Node is not installed (Debian: apt install nodejs npm)")
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 18:
        pytest.skip(f"Node 18 or later is needed for its test runner; here is {version}")
    if not (ROOM / "node_modules/osc-min").exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed (Debian: apt install npm), and max_for_live/node_modules is not there")
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=ROOM, check=True, capture_output=True, timeout=120)


def test_there_are_node_tests():
    assert len(FILES) >= 6


@pytest.mark.timeout(LIMIT + 60)
@pytest.mark.parametrize("name", FILES)
def test_the_script(packages, name):
    run = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", str(ROOM / "test" / name)],
        cwd=ROOM, env=os.environ | {"NODE_OPTIONS": ""}, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert "\n# pass 0\n" not in run.stdout, "a file without tests proves nothing"
