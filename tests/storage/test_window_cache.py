"""Measured windows on disk, and their plot."""

import json
import struct
from pathlib import Path

import pytest

from tertium.cli.render import window_lines
from tertium.plots import window
from tertium.storage.window_cache import WindowCache
from tertium_protocol.messages import WindowInfo
from tests.specs import spec
from tests.worker.fake_engine import a_window

SHAPE = {"original": "a" * 64, "reference": "b" * 64, "hold": 0.2}
MEASURED = spec("window", **SHAPE, steps=50, seed=4)


@pytest.fixture
def windows(tmp_path):
    return WindowCache(tmp_path / "cache")


def test_a_window_is_found_again_whatever_the_steps_and_the_seed(windows):
    path = windows.save(MEASURED, "f" * 64, a_window(50))
    found = windows.find(spec("fuse", **SHAPE, steps=20, seed=9, blend=0.3), "f" * 64)
    assert found == a_window(50) | {"path": path}


@pytest.mark.parametrize(
    "other",
    [{"original": "c" * 64}, {"reference": None}, {"prompt": "hum"}, {"hold": 0.3}, {"anchor": "forward"}, {"order": 2}, {"null": "empty"}, {"eta": 0.0},
     {"align": "both"}],
)  # fmt: skip
def test_another_pair_or_shape_has_its_own(other, windows):
    windows.save(MEASURED, "f" * 64, a_window(50))
    assert windows.find(spec("fuse", **SHAPE | other), "f" * 64) is None
    assert windows.find(MEASURED, "e" * 64) is None


def test_a_window_of_before_there_was_a_choice_of_null_prompts_is_found(windows):
    path = windows.save(MEASURED, "f" * 64, a_window(50))
    assert windows.find(spec("fuse", **SHAPE, null="unconditional"), "f" * 64)["path"] == path


def test_a_window_of_before_references_were_aligned_is_found_without_alignment_only(windows):
    path = windows.save(MEASURED, "f" * 64, a_window(50))
    assert "align" not in json.loads(Path(path).read_text())["of"]
    assert windows.find(spec("fuse", **SHAPE, align="off"), "f" * 64)["path"] == path
    by = {
        align: windows.save(spec("window", **SHAPE, align=align), "f" * 64, a_window(50)) for align in ("pitch", "both")
    }
    assert len({path, *by.values()}) == 3


def test_a_newer_window_takes_the_place_of_an_older(windows):
    windows.save(MEASURED, "f" * 64, a_window(50))
    windows.save(MEASURED, "f" * 64, a_window(20))
    assert windows.find(MEASURED, "f" * 64)["steps"] == 20


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 99, "of": {}, "window": {}}'])
def test_a_damaged_file_counts_as_none(text, windows):
    path = windows.save(MEASURED, "f" * 64, a_window(50))
    Path(path).write_text(text)
    assert windows.find(MEASURED, "f" * 64) is None
    windows.save(MEASURED, "f" * 64, a_window(50))
    assert json.loads(Path(path).read_text())["of"]["hold"] == 0.2


def an_info(**changes):
    return WindowInfo.model_validate(a_window(50) | {"path": "/x.json"} | changes)


@pytest.mark.parametrize("ratios", [[2.0, 1.0, 0.5], [1.0, 1.0]])
def test_a_window_is_drawn(ratios):
    png = window.draw(an_info(ratios=ratios))
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert width > height > 300


def test_a_window_in_words():
    lines = window_lines(an_info())
    assert lines[0] == "the window: from step 1.0 to 4.0 of 50, equilibrium at 3.0"
    assert [line.split()[0] for line in lines[2:]] == ["-", "25", "50"]
