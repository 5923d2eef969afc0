"""The Max for Live device's script: its Node tests, one file a case, and the words that it shares with the daemon."""

import importlib.util
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


def words():
    spec = importlib.util.spec_from_file_location("m4l_words", ROOM / "src/words.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_words_of_the_script_are_those_of_the_command_table():
    tool = words()
    script = tool.SCRIPT.read_text(encoding="utf-8")
    assert tool.written(script) == script, "run: python max_for_live/src/words.py"


def test_a_script_without_its_marks_is_noticed():
    tool = words()
    with pytest.raises(ValueError, match="must have one part from"):
        tool.written("anything else")
