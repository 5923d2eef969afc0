"""Retention: what may be removed when the library is above its budget, in which order, and how."""

import json
import os
from pathlib import Path

import pytest

from tertium.errors import SoundError
from tertium.storage import catalogue, retention
from tertium.storage.library import Library
from tertium.storage.retention import Needed
from tests.sounds import tone
from tests.storage.library_parts import result, rows, there, unused_for


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "home")


def clean(library, budget=1, needed=Needed()):  # noqa: B008
    """Remove what exceeds a budget; return the names of what was removed."""
    planned = retention.plan(library.catalogue, budget=budget, needed=needed)
    return [entry.sound.name for entry in retention.remove(library.catalogue, planned)]


def test_the_longest_unused_goes_first_and_no_more_than_must(library):
    made = [result(library, 100 * number, name=f"n{number}") for number in range(1, 6)]
    for days, sound in zip((3, 9, 5, 2, 7), made, strict=True):
        unused_for(library, days, sound)
    size = library.catalogue.of_id(made[0].id)[0].bytes
    held = library.catalogue.bytes()
    assert clean(library, held) == [] and clean(library, 0) == []
    assert clean(library, held - size - 1) == ["n2", "n5"]
    assert there(*made) == [True, False, True, True, False]
    assert library.catalogue.bytes() <= held - size - 1
    assert clean(library) == ["n3", "n1", "n4"] and library.catalogue.bytes() == 0
    assert os.listdir(library.results_folder) == [], "sidecars and latents go too"


def test_what_was_used_within_a_day_stays(library):
    old, new, named = (result(library, 100 * number, name=f"n{number}") for number in (1, 2, 3))
    unused_for(library, 2, old, named)
    unused_for(library, 0.9, new)
    library.get(named.id)
    assert clean(library) == ["n1"]


def test_what_is_kept_stays_and_so_does_what_its_recipe_names(library):
    inputs = [library.add_samples(tone(100 * number), 44_100, name=f"in{number}") for number in (1, 2, 3)]
    kept = result(library, 500, of=inputs[:2], name="kept")
    other = result(library, 600, of=inputs[1:], name="other")
    library.keep(kept.id, kept=True)
    unused_for(library, 30, *inputs, kept, other)
    assert clean(library) == ["other", "in3"]
    library.keep(kept.id, kept=False)
    unused_for(library, 30, *inputs[:2], kept)
    assert clean(library) == ["kept", "in1", "in2"]


def test_an_input_goes_after_the_results_that_name_it_or_when_nothing_else_is_left(library):
    drums, hum = (
        library.add_samples(tone(100 * number), 44_100, name=name) for number, name in ((1, "drums"), (2, "hum"))
    )
    old, recent = result(library, 500, of=[drums], name="old"), result(library, 600, of=[hum], name="recent")
    unused_for(library, 30, drums, hum)
    unused_for(library, 3, old)
    bytes_of = {one.id: library.catalogue.of_id(one.id)[0].bytes for one in (drums, hum, old, recent)}
    held = library.catalogue.bytes()
    assert clean(library, held - 1) == ["old"], "though its input is older"
    assert clean(library, held - bytes_of[old.id] - 1) == ["drums"], "no result names it any more"
    assert clean(library) == ["hum"], "a result of today names it, but nothing else is left"
    assert there(recent) == [True]


def test_a_chain_of_results_goes_from_its_end(library):
    first = library.add_samples(tone(100), 44_100, name="first")
    second = result(library, 200, of=[first], name="second")
    third = result(library, 300, of=[second], name="third")
    unused_for(library, 30, first)
    unused_for(library, 20, second)
    unused_for(library, 10, third)
    assert clean(library) == ["third", "second", "first"]


def test_what_jobs_need_stays(library):
    named, taken, other = (result(library, 100 * n, name=f"n{n}", job=f"j{n}", take=1) for n in (1, 2, 3))
    unused_for(library, 30, named, taken, other)
    assert clean(library, needed=Needed(frozenset({named.id}), frozenset({"j2"}))) == ["n3"]


def test_what_is_used_between_plan_and_removal_stays(library):
    one, other = result(library, 100, name="one"), result(library, 200, name="other")
    unused_for(library, 30, one, other)
    planned = retention.plan(library.catalogue, budget=1, needed=Needed())
    assert len(planned) == 2
    elsewhere = Library(library.sounds_folder.parent)
    elsewhere.get(one.id)
    assert [entry.sound.name for entry in retention.remove(library.catalogue, planned)] == ["other"]
    elsewhere.keep(one.id, kept=True)
    assert there(one) == [True] and library.get(one.id).kept


def test_a_sound_that_is_removed_while_it_is_looked_up_is_not_found(library, monkeypatch):
    made = result(library, 100, name="made")
    monkeypatch.setattr(library.catalogue, "used", lambda sound: False)
    with pytest.raises(SoundError, match="The sound 'made' was just deleted") as caught:
        library.get(made.id)
    assert caught.value.code == "unknown_sound" and caught.value.remedy == "Add it again."


@pytest.mark.parametrize("files_gone", [0, 1, 2])
def test_a_removal_that_a_crash_interrupts_is_ended_at_the_next_start(library, monkeypatch, files_gone):
    made = library.store_result(tone(100), 44_100, name="made", latents=b"latents")
    unlink, gone = Path.unlink, []

    def killed(path, **options):
        if len(gone) == files_gone:
            raise KeyboardInterrupt
        gone.append(path)
        unlink(path, **options)

    entry = library.catalogue.of_id(made.id)[0]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            library.catalogue.remove(entry)
    monkeypatch.setattr(catalogue, "REMOVAL_SECONDS", -1.0)
    again = Library(library.sounds_folder.parent)
    again.reconcile()
    if files_gone == 0:
        assert again.get(made.id) == made, "it is whole"
        again.delete(made.id)
    assert os.listdir(library.results_folder) == [] and rows(again) == 0
    assert again.store_result(tone(100), 44_100, name="made").name == "made"


def test_a_removal_that_was_left_does_not_touch_a_new_sound_of_that_name(library, monkeypatch):
    made = result(library, 100, name="made")
    entry = library.catalogue.of_id(made.id)[0]
    library.catalogue._do(lambda index: index.begin_removal(entry))
    for path in library.results_folder.iterdir():
        path.unlink()
    new = result(library, 200, name="made")
    monkeypatch.setattr(catalogue, "REMOVAL_SECONDS", -1.0)
    library.reconcile()
    assert there(new) == [True] and library.get(new.id) == new


def test_a_file_that_cannot_be_removed_stays_with_its_row(library, monkeypatch):
    made = result(library, 100, name="made")
    unused_for(library, 30, made)

    def refused(path, **options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        assert clean(library) == []
        with pytest.raises(SoundError, match="Permission denied") as caught:
            library.delete(made.id)
        assert caught.value.code == "path_refused"
    assert library.get(made.id) == made and there(made) == [True]


def test_deleting_takes_all_files_with_these_samples_and_refuses_what_is_kept(library):
    first, second = result(library, 100, name="a"), result(library, 100, name="b")
    held = library.catalogue.bytes()
    assert library.keep(first.id, kept=True).kept
    assert [json.loads(Path(one.sidecar).read_text())["kept"] for one in (first, second)] == [True, True]
    with pytest.raises(SoundError, match=r"The sound 'b' is kept\.") as caught:
        library.delete(first.id)
    assert (caught.value.code, caught.value.remedy) == ("conflict", "Send keep with kept 0 first, if it may go.")
    later = result(library, 100, name="c")
    assert library.get(first.id).kept, "a sound is kept if one of its files is"
    assert not library.keep(first.id, kept=False).kept
    assert library.delete(first.id) > held and there(first, second, later) == [False] * 3
    assert library.list() == [] and library.catalogue.bytes() == 0


def test_without_the_index_nothing_is_removed(library):
    made = result(library, 100)
    unused_for(library, 30, made)
    library.catalogue._tell(OSError("the disk is full"))
    assert retention.plan(library.catalogue, budget=1, needed=Needed()) == []


def test_the_default_is_what_there_is_and_a_tenth_of_the_free_disk_up_to_20_gb(tmp_path, monkeypatch):
    def free(size):
        monkeypatch.setattr(retention.shutil, "disk_usage", lambda home: type("Usage", (), {"free": size}))

    free(50 * 10**9)
    assert retention.default_budget(tmp_path, 3 * 10**9) == 8 * 10**9
    free(900 * 10**9)
    assert retention.default_budget(tmp_path, 3 * 10**9) == 20 * 10**9


def test_two_of_thousands_are_removed_without_looking_at_the_others(library):
    first = result(library, 100, name="first")
    entry = library.catalogue.of_id(first.id)[0]
    content, data = json.loads(Path(first.sidecar).read_text()), Path(first.path).read_bytes()
    for number in range(1200):
        (library.results_folder / f"n{number}.wav").write_bytes(data)
        sidecar = library.results_folder / f"n{number}.json"
        sidecar.write_text(
            json.dumps(content | {"id": f"{number:064x}", "path": f"n{number}.wav", "name": f"n{number}"})
        )
        os.utime(sidecar, (1e9 + number, 1e9 + number))
    library.reconcile()
    asked = []
    library.catalogue._index._database.set_trace_callback(asked.append)
    budget = library.catalogue.bytes() - entry.bytes - entry.bytes // 2
    assert clean(library, budget) == ["n0", "n1"]
    assert len(asked) < 60
