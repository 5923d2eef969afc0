"""The script of the listening study's page: its Node tests."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")


def test_the_script():
    if NODE is None:
        pytest.skip("Node is not installed (Debian: apt install nodejs)")
    tests = Path(__file__).with_name("listening_script.test.mjs")
    run = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", str(tests)],
        env=os.environ | {"NODE_OPTIONS": ""}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert "\n# pass 0\n" not in run.stdout, "a file without tests proves nothing"
