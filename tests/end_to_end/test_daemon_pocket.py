"""The whole daemon with the embedded model: two recordings in over OSC and over ZeroMQ, a third sound out."""

import itertools
import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tertium.engine.fusion import inversion
from tertium.engine.sampling import conditioning
from tertium_protocol.client import Client, RemoteError
from tertium_protocol.messages import ANCHORS, NULLS
from tests.end_to_end.daemons import Osc, running

SOUNDS = Path(str(resources.files("tertium") / "assets" / "demo"))
ORIGINAL, REFERENCE = str(SOUNDS / "safari_drums.flac"), str(SOUNDS / "haunted_hum.flac")


@pytest.fixture(scope="module")
def pocket(tmp_path_factory):
    with running(tmp_path_factory.mktemp("home"), engine="tertium.worker.torch_engine", model="pocket") as daemon:
        yield daemon


def test_the_same_fusion_over_both_transports_gives_the_same_samples(pocket):
    request = {"original": ORIGINAL, "reference": REFERENCE, "steps": 12, "seed": 3, "blend": 0.5}
    with Osc(pocket.osc) as osc:
        osc.send("fuse", "by osc", **request)
        by_osc = osc.events("by osc")[-1].fields
    with Client(pocket.home) as client:
        by_zeromq = client.submit("fuse", **request).wait()
        samples = client.download(by_zeromq.sound).to_array()
    assert by_osc["sound"] == by_zeromq.sound
    info = soundfile.info(ORIGINAL)
    assert samples.shape == (2, info.frames)
    assert np.isfinite(samples).all()
    assert 0.01 < np.abs(samples).max() <= 10 ** (-1 / 20)
    assert by_osc["peak_dbtp"] <= -1.0


def test_blend_leads_from_the_reference_to_the_original(pocket):
    spectra = {
        name: _spectrum(soundfile.read(path)[0]) for name, path in (("original", ORIGINAL), ("reference", REFERENCE))
    }
    likeness = []
    with Client(pocket.home) as client:
        for blend in (0.0, 1.0):
            result = client.submit("fuse", original=ORIGINAL, reference=REFERENCE, blend=blend, steps=16, seed=1).wait()
            found = _spectrum(soundfile.read(result.path)[0])
            likeness.append({name: np.corrcoef(found, spectrum)[0, 1] for name, spectrum in spectra.items()})
    assert likeness[0]["reference"] > 0.9 > likeness[0]["original"]
    assert likeness[1]["original"] > 0.9 > likeness[1]["reference"]


def test_the_requested_null_prompt_is_used(pocket):
    with Client(pocket.home) as client:
        results = {
            null: client.submit("fuse", original=ORIGINAL, reference=REFERENCE, steps=6, seed=3, null=null).wait()
            for null in NULLS
        }
        recall = json.loads(Path(results["empty"].recall).read_text())["recall"]
        assert recall["fields"]["null"] == "empty"
        assert client.submit(recall["command"], **recall["fields"]).wait().sound == results["empty"].sound
    assert results["empty"].sound != results["unconditional"].sound


def test_a_window_between_a_sound_and_itself_has_a_warning(pocket):
    with Client(pocket.home) as client:
        done = client.submit("window", original=ORIGINAL, reference=ORIGINAL, steps=4, points=4, seed=3).wait()
    assert "hardly a window between them" in done.notes[-1]


def test_what_the_protocol_offers_the_engine_knows():
    assert (NULLS, ANCHORS) == (conditioning.NULLS, inversion.ANCHORS)


def test_every_other_command_makes_its_sound(pocket):
    with Client(pocket.home) as client:
        generated = client.submit("generate", prompt="a drum loop", seconds=1.5, steps=4).wait()
        assert (generated.frames, generated.sample_rate) == (66150, 44100)
        varied = client.submit(
            "vary", original=ORIGINAL, prompt="bells", strength=0.4, steps=5, sample_rate=48000, format="flac"
        ).wait()
        info = soundfile.info(varied.path)
        assert (info.format, info.samplerate, info.frames) == (
            "FLAC",
            48000,
            round(soundfile.info(ORIGINAL).frames * 48000 / 44100),
        )
        inverted = client.submit("invert", original=ORIGINAL, steps=5, reconstruct_from=5).wait()
        assert inverted.frames == soundfile.info(ORIGINAL).frames
        recall = json.loads(Path(varied.recall).read_text())["recall"]
        assert (
            recall["fields"]["strength"],
            recall["decided"]["start"],
            len(recall["decided"]["schedule"]["sigmas"]),
        ) == (0.4, 3, 6)
        assert len(recall["model"]["fingerprint"]) == 64


def test_a_running_fusion_stops_within_a_step(pocket):
    with Osc(pocket.osc) as client:
        client.send("generate", "long", prompt="x", seconds=30, steps=500)
        job = client.events("long", last=("progress",))[0].fields["job"]
        client.ask("cancel", job=job)
        assert client.events("long")[-1].event == "cancelled"


def test_a_deadline_is_promised_from_the_measured_pace(pocket):
    asked = {"prompt": "x", "seconds": 6, "steps": 500}
    with Client(pocket.home) as client:
        with pytest.raises(RemoteError, match=r"cannot be done in 0.05 s: it takes at least [0-9.]+ s.") as refused:
            client.submit("generate", **asked, deadline=0.05)
        least = float(
            re.search(r"at least ([0-9.]+) s", str(refused.value))[1]
        )  # depends on the speed and load of the machine
        result = client.submit("generate", **asked, deadline=2 * least).wait()
        assert 4 < result.steps < 500
        assert f"{result.steps} steps instead of 500, to meet the deadline of {2 * least:g} s" in result.notes
        assert client.ask("models").models[0].loaded


def _spectrum(audio):
    """Return log energy in 24 bands, 86 times a second: enough to distinguish two sounds."""
    frames = np.lib.stride_tricks.sliding_window_view(audio.mean(axis=-1), 2048)[::512]
    power = np.abs(np.fft.rfft(frames * np.hanning(2048))) ** 2
    edges = np.geomspace(3, 800, 25).astype(int)
    bands = np.stack([power[:, a : b + 1].sum(1) for a, b in itertools.pairwise(edges)])
    return np.log10(bands + 1e-4).ravel()


def test_a_morph_and_a_window_with_the_embedded_model(pocket):
    pair = {"original": ORIGINAL, "reference": REFERENCE, "hold": 0.2, "steps": 12, "seed": 1}
    with Client(pocket.home) as client:
        takes = []
        morph = client.submit("morph", **pair, count=3, on_take=takes.append).wait()
        end = client.submit("fuse", **pair, blend=1.0).wait()
        recalls = [json.loads(Path(take.path).with_suffix(".json").read_text())["recall"] for take in morph.takes[:2]]
        again = [client.submit(recall["command"], **recall["fields"]).wait() for recall in recalls]
        window = client.submit("window", **pair, points=4).wait()
    assert [take.index for take in takes] == [1, 3, 2]
    assert morph.takes[-1].sound == end.sound
    for take, alone in zip(morph.takes, again, strict=False):
        first, second = soundfile.read(take.path)[0], soundfile.read(alone.path)[0]
        assert np.abs(first - second).max() < 1e-4, "the recipe of a take reproduces it"
    first, *_, last = window.window.points
    assert first.reference == pytest.approx(1.0) and last.original == pytest.approx(1.0)
    assert window.window.begin <= window.window.end
    along = [point.position for point in window.window.points]
    assert along == sorted(along) and (along[0], along[-1]) == (0.0, 1.0)


def test_an_aligned_reference_is_told_and_its_recipe_gives_the_same_samples(pocket, tmp_path):
    drums, rate = soundfile.read(ORIGINAL, dtype="float32")
    later = tmp_path / "later.wav"
    soundfile.write(later, np.roll(drums, rate // 4, axis=0), rate, subtype="FLOAT")
    asked = {"original": ORIGINAL, "reference": str(later), "steps": 6, "seed": 3}
    with Client(pocket.home) as client:
        aligned = client.submit("fuse", **asked, align="onsets").wait()
        recall = json.loads(Path(aligned.recall).read_text())["recall"]
        again = client.submit(recall["command"], **recall["fields"]).wait()
        takes = []
        morph = client.submit("morph", **asked, align="both", count=2, on_take=takes.append).wait()
        as_it_is = client.submit("fuse", **asked).wait()
    assert aligned.shift == pytest.approx(-0.25, abs=0.003) and aligned.transposition == 0
    assert any(note.startswith("reference: begins 0.2") for note in aligned.notes)
    assert recall["fields"]["align"] == "onsets" and recall["decided"]["alignment"]["shift"] == aligned.shift
    assert again.sound == aligned.sound != as_it_is.sound
    assert (as_it_is.shift, as_it_is.transposition) == (None, None)
    assert {take.shift for take in takes} == {morph.shift} == {aligned.shift}
    first = soundfile.read(morph.takes[0].path)[0]  # the reference alone, which now sounds with the original
    assert np.corrcoef(_spectrum(first), _spectrum(drums))[0, 1] > 0.9


def test_over_osc_a_shift_is_a_number(pocket):
    with Osc(pocket.osc) as osc:
        osc.send("fuse", "aligned", original=ORIGINAL, reference=REFERENCE, steps=4, align="both")
        done = osc.events("aligned")[-1].fields
    notes = [note for note in json.loads(done["notes"]) if note.startswith("reference: ")]
    assert isinstance(done["shift"], float) and isinstance(done["transposition"], int)
    assert len(notes) == 2
    assert (done["transposition"] == 0) == notes[1].startswith("reference: not transposed")
