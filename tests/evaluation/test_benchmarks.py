"""``make bench``, run for real with tiny numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("server", "protocol"))}


@pytest.mark.timeout(300)
def test_the_benchmark_of_a_fusion_reports_a_ratio():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuse", "--seconds", "0.6", "--steps", "4", "--rounds", "1", "--json"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["fuse_s"] > 0 and result["ratio"] == pytest.approx(result["audio_to_audio_s"] / result["fuse_s"])
