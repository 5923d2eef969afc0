"""The renderer: results are stored atomically, and once per job."""

import json
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tertium.errors import SoundError
from tertium.storage.library import Library
from tertium.storage.window_cache import WindowCache
from tertium.worker.renderer import Renderer
from tests.sounds import tone
from tests.specs import spec
from tests.worker.fake_engine import FakeEngine


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path)


@pytest.fixture
def renderer(library, tmp_path):
    return Renderer(FakeEngine("fake"), library, WindowCache(tmp_path / "cache"))


@pytest.fixture
def original(library):
    return library.add_samples(tone(220, sample_rate=8000, seconds=0.5), 8000)


@contextmanager
def largest_file(size):
    """Limit the size of each file, to simulate a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_of(library):
    return sorted(path.name for path in library.results_folder.iterdir())


def silent(stage, fraction, **facts):
    pass


def test_an_inversion_whose_latents_do_not_fit_on_the_disk_leaves_nothing(renderer, library, original):
    fields = dict(original=original.id, seconds=original.seconds, steps=400)  # latents of 51 kB, a sound below 32 kB
    with largest_file(40_000), pytest.raises(SoundError) as caught:
        renderer.make(spec("invert", **fields), (), silent, job="j")
    assert caught.value.code == "disk_full"
    assert files_of(library) == []
    assert library.list() == [original]
    result, _ = renderer.make(spec("invert", **fields), (), silent, job="j")
    assert files_of(library) == ["made.json", "made.safetensors", "made.wav"]
    assert Path(result["latents"]).stat().st_size > 40_000


def test_a_job_that_is_repeated_reuses_the_name_of_its_incomplete_result(renderer, library, original, tmp_path):
    fields = dict(original=original.id, seconds=original.seconds, steps=3)
    result, _ = renderer.make(spec("invert", **fields), (), silent, job="j")
    os.unlink(result["path"])  # its last file: as if the process had been killed before writing it
    again = Renderer(FakeEngine("fake"), Library(tmp_path), WindowCache(tmp_path / "cache"))
    assert Path(again.make(spec("invert", **fields), (), silent, job="j")[0]["path"]).name == "made.wav"
    assert Path(again.make(spec("invert", **fields), (), silent, job="another")[0]["path"]).name == "made-2.wav"
    assert files_of(library) == [f"made{n}.{kind}" for n in ("-2", "") for kind in ("json", "safetensors", "wav")]


def test_a_result_without_its_sound_keeps_its_name_from_other_jobs(renderer, library, original):
    fields = dict(original=original.id, seconds=original.seconds, steps=3)
    result, _ = renderer.make(spec("vary", **fields), (), silent, job="j")
    os.unlink(result["path"])
    for job in ("another", None):
        assert Path(renderer.make(spec("vary", **fields), (), silent, job=job)[0]["path"]).stem != "made"
    assert json.loads(Path(result["recall"]).read_text())["job"] == "j"


def test_stored_takes_are_not_stored_again(renderer, library, original):
    fields = dict(
        original=original.id,
        reference=original.id,
        seconds=original.seconds,
        steps=4,
        count=3,
    )

    def end(take):
        if take["index"] == 3:  # the second take that is ready
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        renderer.make(spec("morph", **fields), (), silent, end, job="j")
    assert files_of(library) == [f"made {n}.{kind}" for n in (1, 3) for kind in ("json", "wav")]
    result, _ = renderer.make(spec("morph", **fields), (), silent, job="j")
    assert [Path(take["path"]).name for take in result["takes"]] == ["made 1.wav", "made 2.wav", "made 3.wav"]
    assert len(files_of(library)) == 6


def test_a_window_that_was_measured_is_not_measured_again(renderer, original):
    asked = spec("window", original=original.id, reference=original.id, seconds=original.seconds, steps=6, points=4)
    first, facts = renderer.make(asked, (), silent, job="one")
    second, facts_again = renderer.make(asked, (), silent, job="two")
    assert (facts["measured"], facts_again["measured"]) == (True, False)
    assert second["window"]["path"] == first["window"]["path"] and "the window was measured before" in second["notes"]


def test_two_mono_sounds_have_a_mono_result(renderer, library):
    """The engine of this test makes noise that differs between the channels."""
    one, other = (library.add_samples(tone(hertz, sample_rate=8000, channels=1), 8000) for hertz in (220, 330))
    wide = library.add_samples(tone(330, sample_rate=8000), 8000)
    for reference, mono in ((other, True), (wide, False)):
        fields = {"original": one.id, "reference": reference.id, "seconds": one.seconds, "steps": 4}
        result, _ = renderer.make(spec("fuse", **fields), (), silent)
        assert np.array_equal(*library.read(library.get(result["sound"])).samples) == mono
