"""The classes of the Quark as files: a folder for each layer, one class a file, each with a comment that says what it is, none too long."""

import re

import pytest

from tests.supercollider import sclang

CLASSES = sclang.QUARK / "Classes"
FILES = sorted(path for folder in ("Classes", "Tests") for path in (sclang.QUARK / folder).rglob("*.sc"))
SCRIPTS = sorted([*(sclang.QUARK / "examples").glob("*.scd"), *sclang.PRELUDE.parent.glob("*.scd")])
DEFINED = re.compile(r"^(\+ )?([A-Z]\w*)(?: : \w+)? \{", re.MULTILINE)
LONGEST = 400


def test_each_layer_has_a_folder():
    assert {path.name for path in CLASSES.iterdir()} == {"Client", "Sound", "Stage", "View"}
    assert all(path.parent.parent == CLASSES for path in CLASSES.rglob("*.sc"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_has_one_class_and_its_name(path):
    [(extends, name)] = DEFINED.findall(path.read_text(encoding="utf-8"))
    assert name == path.stem or (extends and path.stem in ("TertiumCommands", f"ext{name}"))


@pytest.mark.parametrize("path", [*FILES, *SCRIPTS], ids=lambda path: path.stem)
def test_a_file_is_short_and_says_what_it_is(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST
    assert lines[0].startswith("// ") or path.parent.name == "Tests"
