"""Sounds shorter than the model's minimum, and files beyond full scale."""

import numpy as np
import pytest
import soundfile

from tests.end_to_end.daemons import Osc, running
from tests.sounds import tone


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with running(tmp_path_factory.mktemp("home")) as daemon, Osc(daemon.osc) as client:
        yield client


def write(path, samples, rate=48_000):
    soundfile.write(path, samples.T, rate, subtype="FLOAT")
    return str(path)


def test_a_kick_is_fused_and_keeps_its_length(client, tmp_path):
    kick = write(tmp_path / "kick.wav", tone(60, seconds=0.3, sample_rate=48_000))
    long = write(tmp_path / "long.wav", tone(seconds=1.0, sample_rate=48_000))
    client.send("fuse", "kick first", original=kick, reference=long, steps=4, loop="off")
    done = client.events("kick first")[-1].fields
    assert done["frames"] == 14_400
    assert "original: lasts 0.300 s, computed with silence after it up to 0.5 s" in done["notes"]
    client.send("fuse", "kick leads", original=long, reference=kick, steps=4)
    done = client.events("kick leads")[-1].fields
    assert done["frames"] == 48_000
    assert "reference: lasts 0.300 s, repeated to 0.600 s" in done["notes"]
    client.send("learn", "kick learned", reference=kick, prompt="x", steps=2)
    assert client.events("kick learned")[-1].event == "done"


def test_a_sound_below_the_limit_is_refused(client, tmp_path):
    click = write(tmp_path / "click.wav", np.ones((2, 480), np.float32) * 0.5)
    refused = client.refused("fuse", original=click, reference=click)
    assert refused["message"].endswith("lasts 0.01 s, which is too short.")
    assert refused["remedy"] == "Give at least 0.02 s."


def test_a_file_beyond_full_scale_has_a_note(client, tmp_path):
    loud = write(tmp_path / "loud.wav", tone(seconds=1.0, sample_rate=48_000, peak=4.0))
    calm = write(tmp_path / "calm.wav", tone(330, seconds=1.0, sample_rate=48_000))
    client.send("fuse", "loud", original=loud, reference=calm, steps=4)
    notes = client.events("loud")[-1].fields["notes"]
    assert "original: peaks at +12.0 dBFS, lowered to full scale" in notes
