"""Spellings of paths, and files opened within allowed folders while another process moves them."""

import itertools
import os
import threading
import time
import unicodedata
from pathlib import Path

import pytest

from tertium import path_spelling, safe_files
from tertium.errors import SoundError

COMPOSED = "J\u00f6rg é"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
READS = 3000


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("file:///a/b%20c%C3%B6.wav", "/a/b cö.wav"),
        ("file://localhost/a/b.wav", "/a/b.wav"),
        ("FILE:/a/b.wav", "/a/b.wav"),
        ("file:///a/kick #2?.wav", "/a/kick #2?.wav"),
        ("file:///C:/a.wav", "C:/a.wav"),
        ("file://studio/a.wav", "file://studio/a.wav"),
        ("file://[/a.wav", "file://[/a.wav"),
        ("/a/100%25.wav", "/a/100%25.wav"),
        ("file.wav", "file.wav"),
    ],
)
def test_file_urls(text, meant):
    assert path_spelling.from_url(text) == meant


def test_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert path_spelling.spelled("~/x.wav") == "/home/me/x.wav"
    assert path_spelling.spelled("/a/~/x.wav") == "/a/~/x.wav"
    assert path_spelling.spelled("~nobody-of-that-name/x.wav") == "~nobody-of-that-name/x.wav"


def test_disks_by_name(tmp_path):
    (tmp_path / "T7" / "Library").mkdir(parents=True)
    (tmp_path / DECOMPOSED).mkdir()
    assert path_spelling.spelled("T7:/Library/a.wav", volumes=tmp_path) == f"{tmp_path}/T7/Library/a.wav"
    assert path_spelling.spelled("Macintosh HD:/Users/me/a.wav", volumes=tmp_path) == "/Users/me/a.wav"
    assert path_spelling.spelled(f"{COMPOSED}:/a.wav", volumes=tmp_path) == f"{tmp_path}/{DECOMPOSED}/a.wav"
    for other in ("C:/a.wav", "http://a/b.wav", "/a:/b.wav", "a:b.wav", "T7:a.wav"):
        assert path_spelling.from_disk(other, volumes=tmp_path) == other


@pytest.mark.parametrize(("there", "asked"), [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED)])
def test_a_name_is_found_composed_or_decomposed(tmp_path, there, asked):
    folder = tmp_path / there
    folder.mkdir()
    (folder / f"{there}.wav").write_bytes(b"x")
    found = path_spelling.spelled(tmp_path / asked / f"{asked}.wav")
    assert os.path.samefile(found, folder / f"{there}.wav")
    with safe_files.open_allowed(str(tmp_path / asked / f"{asked}.wav"), None) as opened:
        assert opened.file.read() == b"x"


def test_a_name_half_composed_is_found_and_the_one_asked_for_goes_first(tmp_path):
    half = "o\u0308\u00f6.wav"
    (tmp_path / half).write_bytes(b"half")
    whole = unicodedata.normalize("NFC", half)
    assert os.path.samefile(path_spelling.spelled(tmp_path / whole), tmp_path / half)
    (tmp_path / whole).write_bytes(b"whole")
    assert Path(path_spelling.spelled(tmp_path / whole)).read_bytes() == b"whole"
    gone = str(tmp_path / "\u00fc.wav")
    assert path_spelling.spelled(gone) == gone


def test_ids_and_names_are_no_files():
    assert not path_spelling.names_file("0123abcd") and not path_spelling.names_file("hum")
    assert all(map(path_spelling.names_file, ("~/a.wav", "file:///a", "T7:/a", "C:\\a", "/a")))


def _swap(name: Path, inside: Path, outside: Path, ended: threading.Event) -> None:
    """Replace a name by a link that leads outside and one that leads inside, in turn, until ``ended`` is set."""
    spare = name.with_name("spare")
    while not ended.is_set():
        for target in (outside, inside):
            spare.symlink_to(target)
            os.replace(spare, name)


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize("real", [False, True], ids=["links", "exchanged"])
def test_no_swap_leads_out_of_the_roots(tmp_path, what, real):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir(), outside.mkdir()
    (outside / "a.wav").write_bytes(b"secret")
    good = root / "good"
    good.mkdir()
    (good / "a.wav").write_bytes(b"allowed")
    name = root / "name"
    asked = name / "a.wav" if what == "folder" else name
    inner, outer = (good, outside) if what == "folder" else (good / "a.wav", outside / "a.wav")
    ended = threading.Event()

    def exchange() -> None:
        """Exchange a real file or folder for a link that leads outside, and back."""
        aside, link = root / "aside", root / "link"
        for turn in itertools.count():
            if ended.is_set():
                break
            pause = 0.002 if turn % 8 == 0 else 0  # sometimes long enough for each to be seen on a busy machine
            os.rename(inner, name)
            time.sleep(pause)
            os.rename(name, aside)
            link.symlink_to(outer)
            os.rename(link, name)
            time.sleep(pause)
            name.unlink()
            os.rename(aside, inner)

    swapping = threading.Thread(target=exchange if real else lambda: _swap(name, inner, outer, ended))
    swapping.start()
    read = {b"allowed": 0, b"secret": 0, None: 0}
    try:
        for _ in range(READS):
            try:
                with safe_files.open_allowed(asked, [root]) as opened:
                    read[opened.file.read()] += 1
                    assert opened.path.is_relative_to(root)
            except SoundError as error:
                assert error.code in ("path_refused", "unknown_sound")
                read[None] += 1
    finally:
        ended.set()
        swapping.join()
    assert read[b"secret"] == 0
    assert read[b"allowed"] > 0 and read[None] > 0


def test_a_refusal_names_the_remedy_and_without_roots_every_file_is_read(tmp_path):
    root, other = tmp_path / "root", tmp_path / "a.wav"
    root.mkdir()
    other.write_bytes(b"x")
    with pytest.raises(SoundError) as refused:
        safe_files.open_allowed(other, [root], field="original")
    assert (refused.value.code, refused.value.field) == ("path_refused", "original")
    assert "--roots" in refused.value.remedy
    with safe_files.open_allowed(other, None) as opened:
        assert opened.path == other
    os.mkfifo(root / "pipe")
    with pytest.raises(SoundError, match="is a pipe"):
        safe_files.open_allowed(root / "pipe", [root])
    with pytest.raises(SoundError, match="is a folder"):
        safe_files.open_allowed(root, [root])
