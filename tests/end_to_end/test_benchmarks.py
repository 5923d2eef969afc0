"""The benchmarks run; what they measure is for people to read."""

import json
import subprocess
import sys

from tests.end_to_end.daemons import ROOT


def test_a_fusion_is_timed_beside_audio_to_audio():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuse", "--seconds", "1", "--steps", "2", "--rounds", "1", "--json"],
        cwd=ROOT, env={"PYTHONPATH": ".:server:protocol", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["ratio"] > 0
