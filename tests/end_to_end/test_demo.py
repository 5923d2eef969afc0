"""``make demo``, after set-up: two fusions, four sounds, a picture, and nothing left running."""

import json
import os
import subprocess
import sys

import numpy as np

from tertium import subprocess_env
from tertium.audio import files
from tertium.audio.signal import Audio, true_peak_dbtp
from tertium.cli import demo
from tertium.plots import spectrogram


def decibels(sound: Audio) -> np.ndarray:
    return np.log10(spectrogram.band_power(sound.samples, sound.sample_rate) + 1e-7)


def similarity_over_time(one: Audio, other: Audio) -> float:
    """Return the correlation of two sounds' loudness over time."""
    return np.corrcoef(decibels(one).mean(axis=0), decibels(other).mean(axis=0))[0, 1]


def similarity_over_frequency(one: Audio, other: Audio) -> float:
    """Return the correlation of two sounds' loudness over frequency."""
    return np.corrcoef(decibels(one).mean(axis=1), decibels(other).mean(axis=1))[0, 1]


def test_the_demo_makes_what_it_says(tmp_path):
    out = tmp_path / "demo"
    run = subprocess.run(
        [sys.executable, "-m", "tertium.cli.demo", "--out", out], capture_output=True, text=True, timeout=170, check=False,
        env=subprocess_env.environment() | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    over_osc, over_zeromq = f"osc_blend_{demo.OSC_BLEND}", f"zeromq_blend_{demo.ZEROMQ_BLEND}"
    assert sorted(os.listdir(out)) == sorted(
        [f"{name}.{kind}" for name in (over_osc, over_zeromq) for kind in ("wav", "json")]
        + ["original.wav", "reference.wav", "spectrograms.png"]
    )
    names = ("original", "reference", over_osc, over_zeromq)
    original, reference, first, second = (files.read(out / f"{name}.wav") for name in names)
    for result in (first, second):
        assert result.samples.shape == original.samples.shape
        assert true_peak_dbtp(result.samples) <= -1
        assert similarity_over_time(result, original) > 0.6 > similarity_over_time(reference, original), (
            "it moves as the drums do"
        )
        assert similarity_over_frequency(result, reference) > 0.75 > similarity_over_frequency(original, reference), (
            "it is result of the hum"
        )
    assert np.abs(first.samples - second.samples).max() > 1e-3
    assert json.loads((out / f"{over_osc}.json").read_text())["recall"]
    assert str(out) in run.stdout and "tertium fuse ORIGINAL.wav" in run.stdout
    assert not list(tmp_path.glob("tertium-*")), "the daemon's home is gone with the daemon"
