"""What the tests of TertiumMorph and TertiumLive share: scripts in a real sclang, scores rendered by a real server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{' and '.join(missing)} not installed")


def sclang(script, folder, **environment):
    home = folder / "home"
    (home / ".local/share/SuperCollider/synthdefs").mkdir(parents=True, exist_ok=True)
    conf = folder / "conf.yaml"
    conf.write_text(
        f"includePaths:\n  - {ROOT}/supercollider/Tertium/Classes\nexcludePaths: []\npostInlineWarnings: false\n"
    )
    run = subprocess.run(
        ["sclang", "-i", "none", "-l", str(conf), str(HERE / script)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ
        | {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1", "HOME": str(home)}
        | environment,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def rendered(score, server="scsynth", channels=2):
    """What a server makes of a score: (frames, channels), float32."""
    out = score.with_name(f"{score.stem}-{server}.wav")
    if not out.exists():
        home = score.parent / "home"
        run = subprocess.run(
            [server, "-N", str(score), "_", str(out), "44100", "WAV", "float", "-i", "0", "-o", str(channels)],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"HOME": str(home)},
        )
        assert out.exists(), run.stdout + run.stderr
        assert "FAILURE" not in run.stdout, run.stdout
    return soundfile.read(out, dtype="float32", always_2d=True)[0]
