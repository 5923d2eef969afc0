"""``tertium listen`` with a real daemon and the embedded model: one page, whose sounds are what they are said to be."""

import base64
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from scipy import signal

from tertium import subprocess_env
from tertium.audio import files, levels
from tertium.audio.signal import true_peak_dbtp
from tertium.cli.demo import ORIGINAL, REFERENCE
from tertium.cli.listening import pairs, stimuli
from tertium.engine.models.loaded_model import load_model

RATE, SECONDS = pairs.SAMPLE_RATE, 2
BLEND = 0.4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the command printed, and the sounds of the sets in its page, by pair and name."""
    folder = tmp_path_factory.mktemp("listen")
    target = folder / "study.html"
    run = subprocess.run(
        [sys.executable, "-m", "tertium", "listen", target, "--pair", ORIGINAL, REFERENCE, "--kind", "drums and hum", "--seconds",
         str(SECONDS), "--blend", str(BLEND), "--steps", "12", "--home", folder / "home", "--json"],
        env=subprocess_env.environment(), capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout), target, sounds_in(target.read_text(encoding="utf-8"))


def sounds_in(page: str) -> dict[str, dict[str, np.ndarray]]:
    data = dict(re.findall(r'class="sound" id="(\w+)">([^<]*)<', page))
    study = json.loads(base64.b64decode(re.search(r'id="study">(.*?)<', page)[1]))

    def decoded(id: str) -> np.ndarray:
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data[id])), always_2d=True)
        assert rate == RATE
        return samples.T

    return {
        one["kind"]: {name: decoded(id) for name, id in one["parents"].items()}
        | {each["method"]: decoded(each["sound"]) for each in one["stimuli"]}
        for one in study["sets"]
    }


def test_the_page_holds_the_pair_and_a_practice(made):
    printed, target, sounds = made
    assert [each["kind"] for each in printed["sets"]] == ["practice", "drums and hum"] == list(sounds)
    assert printed["bytes"] == os.path.getsize(target) < 6e6
    for each, heard in zip(printed["sets"], sounds.values(), strict=True):
        assert set(heard) == {*stimuli.PARENTS, *stimuli.METHODS}
        for name, sound in heard.items():
            assert sound.shape == (2, SECONDS * RATE)
            assert levels.loudness_lufs(sound, RATE) == pytest.approx(each["loudness"], abs=0.1), name
            assert true_peak_dbtp(sound) <= levels.CEILING_DBTP, name


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of the levels of two sounds, in decibels. Their phases may differ where latents do by rounding."""
    levels = [
        20 * np.log10(np.abs(signal.stft(sound / np.abs(sound).max(), nperseg=2048)[2]) + 1e-4)
        for sound in (one, other)
    ]
    return float(np.corrcoef(*(x.ravel() for x in levels))[0, 1])


def test_the_interpolation_is_that_of_the_latents_and_the_others_are_the_codecs(made):
    """Against the engine, without a daemon. The gain differs, and 16 bits round."""
    heard = made[2]["drums and hum"]
    model = load_model("pocket", device="cpu")
    own, other = (torch.from_numpy(files.read(path).samples[:, : SECONDS * RATE]) for path in (ORIGINAL, REFERENCE))
    levelled = [torch.from_numpy(stimuli.for_model(sound.numpy())) for sound in (own, other)]
    z_o, z_r = (model.encode(sound) for sound in levelled)
    inner = slice(0, SECONDS * RATE - round(stimuli.FADE * RATE))

    def rendered(latents: torch.Tensor) -> np.ndarray:
        return model.decode(latents, samples=SECONDS * RATE)[0].numpy()[:, inner]

    between = rendered(torch.lerp(z_r, z_o, BLEND))
    assert alike(heard["interpolation"][:, inner], between) > 0.995
    assert alike(heard["original"][:, inner], rendered(z_o)) > 0.995
    assert alike(heard["reference"][:, inner], rendered(z_r)) > 0.995
    assert alike(heard["fusion"][:, inner], between) < 0.99, "the fusion is another sound"


def test_every_method_is_another_sound(made):
    for heard in made[2].values():
        names = list(heard)
        for index, name in enumerate(names):
            for other in names[index + 1 :]:
                assert np.abs(heard[name] - heard[other]).max() > 0.01, (name, other)
