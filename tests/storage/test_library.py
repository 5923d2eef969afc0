"""The library: sounds by the hash of their samples, results that are never overwritten, and sidecars with their
origin.
"""

import errno
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tertium import safe_files
from tertium.audio import files
from tertium.audio.files import Span
from tertium.audio.signal import true_peak_dbtp
from tertium.audio.warp import Excerpt
from tertium.errors import SoundError
from tertium.storage.library import Library, sound_id
from tests.sounds import tone


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "home")


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clips" / "kick.wav"
    path.parent.mkdir()
    files.write(path, tone(100, channels=1), 22_050, format="wav")
    return path


def test_a_file_is_kept_under_the_hash_of_its_samples(library, clip, tmp_path):
    sound = library.add_path(clip, [tmp_path])
    samples = files.read(clip).samples
    assert sound.id == sound_id(samples, 22_050) and re.fullmatch("[0-9a-f]{64}", sound.id)
    assert sound.path == str(library.sounds_folder / f"{sound.id}.wav")
    assert (sound.frames, sound.channels, sound.sample_rate, sound.name) == (samples.shape[1], 1, 22_050, "kick")
    assert sound.seconds == samples.shape[1] / 22_050
    np.testing.assert_array_equal(library.read(sound).samples, samples)
    sidecar = json.loads(Path(sound.sidecar).read_text())
    assert sidecar["origin"] == {"path": str(clip)}
    assert sidecar["path"] == f"{sound.id}.wav"


def test_the_id_tells_rates_and_shapes_apart():
    samples = tone()
    ids = {sound_id(samples, 44_100), sound_id(samples, 48_000), sound_id(samples.reshape(1, -1), 44_100)}
    assert len(ids) == 3


def test_the_same_samples_are_one_sound(library, clip, tmp_path):
    first = library.add_path(clip, [tmp_path])
    (tmp_path / "copy.wav").write_bytes(clip.read_bytes())
    assert library.add_path(tmp_path / "copy.wav", [tmp_path]) == first
    assert library.add_samples(files.read(clip).samples, 22_050) == first
    assert library.add_path(first.path, []) == first, "the library's own files are always allowed"
    assert len(os.listdir(library.sounds_folder)) == 2


def test_refusals_name_the_field_and_leave_nothing(library, clip, tmp_path):
    with pytest.raises(SoundError, match="outside the folders") as caught:
        library.add_path(clip, [tmp_path / "home"], field="original")
    assert (caught.value.code, caught.value.field) == ("path_refused", "original")
    with pytest.raises(SoundError, match="too long") as caught:
        library.add_path(clip, [tmp_path], max_seconds=0.6, field="reference")
    assert (caught.value.code, caught.value.field) == ("bad_sound", "reference")
    for wrong in (
        np.zeros((2, 44_100)),
        np.full((2, 44_100), np.nan),
        tone(seconds=0.003),
        np.zeros((0, 5)),
        np.zeros((1, 0)),
    ):
        with pytest.raises(SoundError) as caught:
            library.add_samples(wrong, 44_100)
        assert caught.value.code == "bad_sound"
    assert library.list() == [] and os.listdir(library.sounds_folder) == []


def test_sounds_are_found_by_id_or_its_beginning(library):
    low, high = library.add_samples(tone(100), 44_100, name="low"), library.add_samples(tone(2000), 44_100)
    assert library.get(low.id) == library.get(low.id[:8]) == library.get(low.id[:20].upper()) == low
    assert [sound.id for sound in library.list()] == [high.id, low.id], "newest first"
    for wrong in ("0" * 64, "0" * 8, low.id[:7], "kick", "../../etc", ""):
        with pytest.raises(SoundError) as caught:
            library.get(wrong)
        assert (caught.value.code, caught.value.field, caught.value.value) == ("unknown_sound", "sound", wrong)
        assert caught.value.remedy


def test_an_ambiguous_id_prefix_is_refused(library, monkeypatch):
    for last in "ab":
        monkeypatch.setattr("tertium.storage.library.sound_id", lambda samples, rate, last=last: "12345678" + last * 56)
        library.add_samples(tone(100 if last == "a" else 200), 44_100)
    with pytest.raises(SoundError, match="2 sounds have ids that begin with '12345678'"):
        library.get("12345678")
    assert library.get("12345678a").id.endswith("a")


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_results_never_overwrite_and_can_be_made_again(library, format):
    recall = {"command": "fuse", "fields": {"blend": 0.5}, "seed": 7}
    results = [
        library.store_result(tone(frequency), 48_000, name="kick × bell", format=format, recall=recall)
        for frequency in (100, 200, 300)
    ]
    assert [Path(sound.path).name for sound in results] == [f"kick × bell{n}.{format}" for n in ("", "-2", "-3")]
    for sound, frequency in zip(results, (100, 200, 300), strict=True):
        np.testing.assert_array_equal(library.read(sound).samples, files.stored(tone(frequency), format=format))
        assert sound.id == sound_id(library.read(sound).samples, 48_000)
        assert json.loads(Path(sound.sidecar).read_text())["recall"] == recall
    other = "flac" if format == "wav" else "wav"
    assert library.store_result(tone(), 48_000, name="kick × bell", format=other).name == "kick × bell-4", (
        "one sidecar each"
    )


def test_results_are_safe(library):
    sound = library.store_result(tone(peak=2.0), 44_100, name="loud", format="flac")
    assert sound.peak_dbtp == pytest.approx(true_peak_dbtp(library.read(sound).samples), abs=1e-6)
    assert -1.01 < sound.peak_dbtp <= -1
    assert sound.notes == ("lowered by 1.0 dB, and peaks limited by 6.0 dB to keep its true peak at -1 dBTP",)
    silent = library.store_result(np.zeros((2, 30_000)), 44_100, name="silent")
    assert silent.peak_dbtp is None and library.get(silent.id) == silent
    assert silent.notes == ("the result is silent",), "silence is not passed off as success"
    assert not library.read(silent).samples.any()


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", ".hidden", "", "x" * 101, "nul\0", "new\nline"])
def test_a_name_that_is_a_path_is_refused(library, name):
    with pytest.raises(SoundError) as caught:
        library.store_result(tone(), 44_100, name=name)
    assert (caught.value.code, caught.value.field) == ("out_of_range", "name")
    assert os.listdir(library.results_folder) == []


def test_a_name_of_more_bytes_than_file_systems_take_is_cut(library):
    first, second = (library.store_result(tone(), 44_100, name="🥁" * 100) for _ in range(2))
    assert (first.name, second.name) == ("🥁" * 45, "🥁" * 45 + "-2")


def test_a_name_whose_latents_are_still_there_is_taken(library):
    (library.results_folder / "drums.safetensors").write_bytes(b"")
    assert library.store_result(tone(), 44_100, name="drums").name == "drums-2"


def test_the_library_is_read_again_at_the_next_start(library, tmp_path):
    given = library.add_samples(tone(100), 44_100, name="given")
    result = library.store_result(tone(200, peak=2), 44_100, name="made", recall={"seed": 1})
    gone = library.store_result(tone(300), 44_100, name="gone")
    os.unlink(gone.path)
    (library.results_folder / "made.json.bak.json").write_text("{")
    (library.results_folder / "list.json").write_text("[]")
    (library.results_folder / "half.json").write_text('{"id": "abc"}')
    assert Library(tmp_path / "home").list() == [result, given] == library.list()
    with pytest.raises(SoundError, match="No sound has the id"):
        library.get(gone.id)


def test_a_moved_home_keeps_its_sounds(library, tmp_path):
    sound = library.add_samples(tone(), 44_100)
    (tmp_path / "home").rename(tmp_path / "moved")
    moved = Library(tmp_path / "moved").get(sound.id)
    assert moved.path == str(tmp_path / "moved" / "sounds" / f"{sound.id}.wav")


def test_another_process_shares_the_library(library, tmp_path):
    """The worker stores results; the daemon finds them."""
    script = "import sys; from tests.sounds import tone; from tertium.storage.library import Library\n"
    script += "print(Library(sys.argv[1]).store_result(tone(), 44100, name='fused').id)"
    run = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "home"], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert library.get(run.stdout.strip()).name == "fused"


def test_many_at_once_share_no_name(library):
    results = []

    def make(frequency):
        results.append(library.store_result(tone(frequency), 44_100, name="same"))
        library.add_samples(tone(50), 44_100)

    threads = [threading.Thread(target=make, args=(100 * n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({sound.path for sound in results}) == 8
    assert len(library.list()) == 9


def test_a_full_disk_leaves_the_library_as_it_was(library, monkeypatch):
    sound = library.add_samples(tone(100), 44_100)
    before = sorted(os.listdir(library.sounds_folder)), sorted(os.listdir(library.results_folder))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for step in ("fsync", "link"):
        with monkeypatch.context() as patch:
            patch.setattr(safe_files.os, step, full)
            patch.setattr(safe_files.os, "open", full) if step == "link" else None
            for action in (library.add_samples, library.store_result):
                extra = {"name": "x"}
                with pytest.raises(SoundError) as caught:
                    action(tone(900), 44_100, **extra)
                assert caught.value.code == "disk_full"
    assert (sorted(os.listdir(library.sounds_folder)), sorted(os.listdir(library.results_folder))) == before
    assert library.list() == [sound]
    assert library.add_samples(tone(900), 44_100).name == "buffer"


def test_a_crash_between_sidecar_and_sound_is_made_good(library, tmp_path):
    sound = library.add_samples(tone(), 44_100)
    os.unlink(sound.path)
    (library.sounds_folder / f".x.wav.{2**22 + 1}.00.part").touch()  # beyond the largest process id of Linux
    again = Library(tmp_path / "home")
    assert again.list() == []
    assert again.add_samples(tone(), 44_100).id == sound.id
    os.unlink(sound.sidecar)
    assert Library(tmp_path / "home").add_samples(tone(), 44_100).id == sound.id
    assert len(os.listdir(library.sounds_folder)) == 2


def test_a_file_in_another_format_is_kept_without_loss(library, tmp_path):
    soundfile.write(tmp_path / "a.aiff", tone(channels=8, seconds=2).T, 96_000, subtype="PCM_24")
    sound = library.add_path(tmp_path / "a.aiff", [tmp_path])
    assert (sound.channels, sound.sample_rate) == (8, 96_000)
    np.testing.assert_array_equal(library.read(sound).samples, files.read(tmp_path / "a.aiff").samples)


def test_the_name_that_was_given_last_is_the_sounds(library, clip, tmp_path):
    first = library.add_path(clip, [tmp_path], name="drum")
    elsewhere = Library(tmp_path / "home")
    assert library.add_path(clip, [tmp_path]) == first, "a file's own name does not replace a given one"
    again = library.add_path(clip, [tmp_path], name="Trommel ü")
    assert (again.id, again.name, again.path) == (first.id, "Trommel ü", first.path)
    assert again.notes[-1] == "known already as 'drum', now called 'Trommel ü'"
    assert library.add_path(clip, [tmp_path], name="Trommel ü").notes == first.notes
    assert [sound.name for sound in library.list()] == ["Trommel ü"]
    assert elsewhere.get(first.id).name == "Trommel ü", "other processes see the new name"
    assert json.loads(Path(first.sidecar).read_text())["origin"] == {"path": str(clip)}
    assert Library(tmp_path / "home").list()[0].notes == first.notes


def test_a_result_takes_a_name_as_well_and_its_file_keeps_its_own(library):
    result = library.store_result(tone(), 44_100, name="made", recall={"seed": 3})
    named = library.add_samples(library.read(result).samples, 44_100, name="keeper")
    assert (named.id, named.name, named.path) == (result.id, "keeper", result.path)
    assert library.recall(named) == {"seed": 3}


def test_a_name_that_finds_no_room_is_refused_and_the_old_one_stays(library, clip, tmp_path, monkeypatch):
    first = library.add_path(clip, [tmp_path], name="drum")
    monkeypatch.setattr(safe_files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(SoundError) as caught:
        library.add_path(clip, [tmp_path], name="other")
    assert caught.value.code == "disk_full"
    assert Library(tmp_path / "home").get(first.id) == first


def test_a_sidecar_of_an_older_version_is_read(library, tmp_path):
    result = library.store_result(tone(), 44_100, name="made")
    content = json.loads(Path(result.sidecar).read_text())
    del content["job"], content["take"]
    Path(result.sidecar).write_text(json.dumps(content))
    assert Library(tmp_path / "home").get(result.id) == result


def test_a_part_is_a_sound_of_its_own_and_knows_where_it_came_from(library, clip, tmp_path):
    whole = library.add_path(clip, [tmp_path])
    part = library.add_path(clip, [tmp_path], excerpt=Excerpt(Span(0.05, 0.55), 1.0), name="slow kick")
    assert part.id != whole.id and (part.name, part.frames) == ("slow kick", 22_050)
    assert part.notes == ("stretched from 0.500 s to 1.000 s, its pitch kept",)
    origin = json.loads(Path(part.sidecar).read_text())["origin"]
    assert origin == {"path": str(clip), "start": 0.05, "end": 0.55, "seconds": 1.0}
    again = library.add_path(clip, [tmp_path], excerpt=Excerpt(Span(0.05, 0.55), 1.0))
    assert again.id == part.id, "the same part at the same length is the same sound"


def test_a_part_of_samples(library, clip):
    samples = files.read(clip).samples
    part = library.add_samples(samples, 22_050, excerpt=Excerpt(Span(0.0, 0.5)))
    np.testing.assert_array_equal(library.read(part).samples, samples[:, :11_025])
    with pytest.raises(SoundError, match="start is 2 s, but the sound lasts 1.200 s"):
        library.add_samples(samples, 22_050, excerpt=Excerpt(Span(2.0)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", 5), ("notes", [1]), ("frames", "many"), ("seconds", None), ("take", "one"), ("name", None), ("peak_dbtp", "loud"), ("layout", 7)],
)  # fmt: skip
def test_a_damaged_sidecar_costs_its_own_sound_alone(library, name, value):
    good, bad = library.add_samples(tone(220), 44_100), library.add_samples(tone(440), 44_100)
    sidecar = Path(bad.sidecar)
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {name: value}))
    again = Library(library.sounds_folder.parent)
    assert [sound.id for sound in again.list()] == [good.id]
    assert again.get(good.id[:8]).id == good.id


def test_an_input_is_stored_as_flac_where_that_is_exact_and_has_the_same_id(library, tmp_path):
    samples = files.stored(tone(300), format="flac")
    sound = library.add_samples(samples, 44_100)
    assert sound.path == str(library.sounds_folder / f"{sound.id}.flac") and sound.id == sound_id(samples, 44_100)
    np.testing.assert_array_equal(library.read(sound).samples, samples)
    assert library.add_path(sound.path, []) == sound
    assert Path(sound.path).stat().st_size < samples.nbytes / 1.3


def test_an_input_that_an_older_version_stored_as_wav_stays(library, tmp_path):
    samples = files.stored(tone(300), format="flac")
    sid = sound_id(samples, 44_100)
    files.write(library.sounds_folder / f"{sid}.wav", samples, 44_100, format="wav")
    sound = library.add_samples(samples, 44_100, name="old")
    assert (sound.id, sound.path) == (sid, str(library.sounds_folder / f"{sid}.wav"))
    assert library.add_samples(samples, 44_100).path == sound.path
    assert sorted(os.listdir(library.sounds_folder)) == [f"{sid}.json", f"{sid}.wav"]
