"""References that the renderer aligns: what reaches the engine, and what the result and its recipe say."""

import json
from pathlib import Path

import numpy as np
import pytest

from tertium.audio import alignment
from tertium.audio.signal import Audio
from tertium.storage.library import Library
from tertium.storage.window_cache import WindowCache
from tertium.worker.renderer import Renderer
from tests.audio.test_alignment import HITS, MAJOR, RATE, chord, hits, mixed
from tests.specs import spec
from tests.worker.fake_engine import FakeEngine

DELAY, DOWN = 0.3, 2  # s, semitones


class Listening(FakeEngine):
    """Keeps the sounds that it is given."""

    def perform(self, spec, *, sounds, **more):
        self.heard = sounds
        return super().perform(spec, sounds=sounds, **more)

    def takes(self, spec, *, sounds, **more):
        self.heard = sounds
        return super().takes(spec, sounds=sounds, **more)


@pytest.fixture
def engine():
    return Listening("fake")


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path)


@pytest.fixture
def renderer(engine, library, tmp_path):
    return Renderer(engine, library, WindowCache(tmp_path / "cache"))


@pytest.fixture
def pair(library):
    """A rhythm with a chord, and the same later and lower; the fields of a specification."""
    original = mixed(hits(HITS), chord(MAJOR, seconds=3.0))
    lower = chord([f * 2 ** (-DOWN / 12) for f in MAJOR], seconds=3.0)
    late = mixed(hits([at + DELAY for at in HITS], seed=1), lower)
    added = [library.add_samples(sound.samples, RATE) for sound in (original, late)]
    return {"original": added[0].id, "reference": added[1].id, "seconds": 3.0, "steps": 4}


def silent(stage, fraction, **facts):
    pass


def recalled(result):
    return json.loads(Path(result["recall"]).read_text())["recall"]


@pytest.mark.parametrize("command", ["fuse", "morph", "window"])
def test_a_reference_is_aligned_before_the_engine_gets_it(renderer, engine, library, pair, command):
    takes = []
    result, _ = renderer.make(spec(command, **pair, align="both"), (), silent, takes.append)
    assert result["shift"] == pytest.approx(-DELAY, abs=0.01)
    assert result["transposition"] == DOWN
    shifted, transposed = (note for note in result["notes"] if note.startswith("reference: "))
    assert shifted.startswith(f"reference: begins {-result['shift']:.3f} s earlier, for its onsets to match")
    assert transposed.startswith("reference: transposed by +2 semitones, for its pitch classes to match")
    given = [library.read(library.get(pair[role])) for role in ("original", "reference")]
    np.testing.assert_array_equal(engine.heard["reference"], alignment.align("both", *given).reference.samples)
    recall = recalled(result)
    assert recall["fields"]["align"] == "both"
    assert recall["notes"][: len(result["notes"])] == result["notes"]
    decided = recall["decided"]["alignment"]
    assert (decided["asked"], decided["shift"], decided["transposition"]) == ("both", result["shift"], DOWN)
    assert (
        decided["onsets"]["best"] > decided["onsets"]["before"]
        and decided["pitch"]["best"] > decided["pitch"]["before"]
    )
    assert all((take["shift"], take["transposition"]) == (result["shift"], DOWN) for take in takes)
    assert len(takes) == (3 if command == "morph" else 0)


def test_the_recipe_gives_the_same_samples(renderer, pair):
    first, _ = renderer.make(spec("fuse", **pair, align="both"), (), silent)
    recall = recalled(first)
    again = spec(recall["command"], **recall["fields"] | {"seconds": pair["seconds"], "name": "again"})
    second, _ = renderer.make(again, (), silent)
    off, _ = renderer.make(spec("fuse", **pair), (), silent)
    assert second["sound"] == first["sound"] != off["sound"]


def test_without_alignment_nothing_is_done_and_nothing_is_told(renderer, engine, library, pair):
    result, _ = renderer.make(spec("fuse", **pair), (), silent)
    assert (result["shift"], result["transposition"]) == (None, None)
    assert not [note for note in result["notes"] if note.startswith("reference")]
    assert "alignment" not in recalled(result)["decided"]
    np.testing.assert_array_equal(engine.heard["reference"], library.read(library.get(pair["reference"])).samples)


def test_a_match_that_is_not_sure_is_told_with_zeros(renderer, library, pair):
    noise = Audio((np.random.default_rng(7).normal(size=(2, 3 * RATE)) * 0.1).astype(np.float32), RATE)
    fields = pair | {"reference": library.add_samples(noise.samples, RATE).id}
    result, _ = renderer.make(spec("fuse", **fields, align="both"), (), silent)
    assert (result["shift"], result["transposition"]) == (0.0, 0)
    shifted, transposed = (note for note in result["notes"] if note.startswith("reference: "))
    assert shifted.startswith("reference: not shifted: ") and transposed.startswith("reference: not transposed: ")
    assert recalled(result)["fields"]["align"] == "both"


@pytest.mark.parametrize("align", ["onsets", "pitch"])
def test_what_is_not_asked_for_is_zero(renderer, pair, align):
    result, _ = renderer.make(spec("fuse", **pair, align=align), (), silent)
    assert (result["shift"] == 0.0) == (align == "pitch") and (result["transposition"] == 0) == (align == "onsets")


def test_a_loop_gets_the_shift_of_a_sound_that_is_none(renderer, pair):
    results = [renderer.make(spec("fuse", **pair, align="both", loop=loop), (), silent)[0] for loop in ("on", "off")]
    assert results[0]["shift"] == results[1]["shift"] and results[0]["transposition"] == results[1]["transposition"]
    assert any("made to loop" in note for note in results[0]["notes"])


def test_a_stored_result_still_says_what_was_done(renderer, pair):
    first, _ = renderer.make(spec("fuse", **pair, align="both"), (), silent, job="j")
    again, _ = renderer.make(spec("fuse", **pair, align="both"), (), silent, job="j")
    assert again["sound"] == first["sound"]
    assert (again["shift"], again["transposition"]) == (first["shift"], first["transposition"])


def test_a_window_calibrates_the_blend_of_fusions_that_are_aligned_alike(renderer, pair):
    renderer.make(spec("window", **pair, align="both"), (), silent)
    calibrated = {
        align: "blend goes by the measured window of this pair" in renderer.make(spec("fuse", **pair, align=align), (), silent)[0]["notes"]
        for align in ("off", "onsets", "both")
    }  # fmt: skip
    assert calibrated == {"off": False, "onsets": False, "both": True}
