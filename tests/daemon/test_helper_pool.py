"""The helper pool: its processes may hang, run out of memory or die without affecting the daemon."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from tertium import safe_files
from tertium.audio import files
from tertium.audio.warp import ALL, Excerpt
from tertium.daemon import helper_pool
from tertium.errors import SoundError, TertiumError
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Library
from tests.sounds import tone
from tests.storage.test_checkpoints import a_checkpoint


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def helpers(home):
    helpers = helper_pool.HelperPool(home, seconds=20)
    yield helpers
    helpers.close()


@pytest.fixture
def clip(tmp_path):
    files.write(tmp_path / "a.wav", tone(), 44_100, format="wav")
    return tmp_path / "a.wav"


def read(helpers, path, excerpt=ALL):
    with safe_files.open_regular(path) as file:
        return helpers.add_file(file, path, max_seconds=600, name=None, field="original", excerpt=excerpt)


def pids(helpers):
    return {child._process.pid for child in helpers._living}


def test_what_is_added_elsewhere_is_what_is_added_here(helpers, home, clip, tmp_path):
    here = Library(tmp_path / "other")
    part = files.Span(0.1, 0.6)
    warped = Excerpt.warped([(0.0, 0.0), (0.3, 0.4), (0.6, 0.6)])
    for excerpt in (ALL, Excerpt(part), Excerpt(part, 0.7), warped):
        ours, theirs = here.add_path(clip, None, excerpt=excerpt), read(helpers, clip, excerpt)
        assert (theirs.id, theirs.frames, theirs.notes, theirs.name) == (ours.id, ours.frames, ours.notes, ours.name)
        np.testing.assert_array_equal(Library(home).read(theirs).samples, here.read(ours).samples)
    assert len(pids(helpers)) == 1, "the same process did it all"


def test_samples_are_added_elsewhere_too(helpers, home, tmp_path):
    library, here = Library(home, adder=helpers), Library(tmp_path / "other")
    sound = library.add_samples(tone(), 44_100, name="mine", origin={"buffer": "x"})
    assert (sound.id, sound.name) == (here.add_samples(tone(), 44_100).id, "mine")
    assert library.get(sound.id[:8]) == sound


def test_checkpoints_are_exported_and_imported_elsewhere(helpers, home, tmp_path):
    checkpoints = Checkpoints(home / "checkpoints")
    numbers = {"layer.lora_A": np.arange(12, dtype=np.float32).reshape(4, 3)}
    saved = checkpoints.save(a_checkpoint(), save(numbers))
    path = tmp_path / "hum.safetensors"
    assert helpers.export_checkpoint(checkpoints.folder, "hum", path, size=saved.bytes) == str(path)
    with pytest.raises(TertiumError, match="exists already. Choose another name."):
        helpers.export_checkpoint(checkpoints.folder, "hum", path, size=saved.bytes)
    with safe_files.open_regular(path) as file:
        assert helpers.import_checkpoint(checkpoints.folder, file, path, name=None) == "hum-2"
    np.testing.assert_equal(load_file(checkpoints.get("hum-2").folder / "weights.safetensors"), numbers)
    assert list(tmp_path.glob(".*")) == []


def test_errors_come_back_as_they_are(helpers, tmp_path):
    (tmp_path / "b.wav").write_bytes(b"to be or not to be")
    with pytest.raises(SoundError) as caught:
        read(helpers, tmp_path / "b.wav")
    assert (caught.value.code, caught.value.field, caught.value.value) == (
        "bad_sound",
        "original",
        str(tmp_path / "b.wav"),
    )
    assert "cannot be read as a sound" in caught.value.message and "M4A" in caught.value.remedy


def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_read(clip, home):
    helpers = helper_pool.HelperPool(home, seconds=0.5)
    helpers.warm()
    time.sleep(2)  # until it is ready for requests
    (first,) = pids(helpers)
    os.kill(first, signal.SIGSTOP)  # as if a library hung
    with pytest.raises(SoundError, match="it took longer than 1 s") as caught:
        read(helpers, clip)
    assert caught.value.code == "bad_sound"
    helpers._seconds = 20
    assert read(helpers, clip).frames == tone().shape[1]
    assert first not in pids(helpers)
    helpers.close()


def test_a_helper_that_dies_costs_one_file(helpers, clip):
    helpers.warm()
    (first,) = pids(helpers)
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert read(helpers, clip).frames == tone().shape[1], "a dead process is replaced"


@pytest.mark.skipif(not os.path.exists("/proc"), reason="the memory limit needs /proc")
def test_a_file_that_takes_too_much_memory_is_refused(clip, home, monkeypatch, tmp_path):
    monkeypatch.setattr(helper_pool, "_START", "import tertium.helper.main as m; m.MEMORY = 300 << 20; m.main()")
    helpers = helper_pool.HelperPool(home)
    seconds = 400
    files.write(tmp_path / "long.wav", np.tile(tone(seconds=1), seconds), 44_100, format="wav")
    with pytest.raises(SoundError, match="it takes more memory than a task may take"):
        read(helpers, tmp_path / "long.wav")
    assert read(helpers, clip).frames == tone().shape[1]
    helpers.close()


def test_a_call_that_waits_for_a_file_fails_when_the_daemon_stops(clip, home):
    helpers = helper_pool.HelperPool(home, seconds=60)
    helpers.warm()
    (first,) = pids(helpers)
    os.kill(first, signal.SIGSTOP)
    errors = []

    def ask():
        try:
            read(helpers, clip)
        except TertiumError as error:
            errors.append((error.code, error.message, error.remedy))

    waiting = threading.Thread(target=ask)
    waiting.start()
    time.sleep(0.5)
    helpers.close()
    waiting.join(20)
    assert errors == [("busy", "The daemon is stopping.", "Send the request again after the daemon has restarted.")]
    assert not pids(helpers)


def test_several_files_are_read_at_a_time(helpers, clip):
    results = []
    threads = [threading.Thread(target=lambda: results.append(read(helpers, clip).frames)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [tone().shape[1]] * 6
    assert len(pids(helpers)) <= helper_pool.PROCESSES


def test_a_file_that_has_not_changed_is_not_read_again(helpers, home, clip, tmp_path):
    library = Library(home, adder=helpers)
    os.utime(clip, (1e9, 1e9))
    sound = library.add_path(clip, [tmp_path])
    (helper,) = pids(helpers)
    os.kill(helper, signal.SIGSTOP)  # it could not be read now
    assert library.add_path(clip, [tmp_path]).id == sound.id
    assert library.add_path(clip, [tmp_path], name="mine").name == "mine"
    os.kill(helper, signal.SIGCONT)
    files.write(tmp_path / "b.wav", tone(880), 44_100, format="wav")
    os.replace(tmp_path / "b.wav", clip)
    assert library.add_path(clip, [tmp_path]).id != sound.id


def test_a_file_that_has_just_changed_is_read_again(home, clip, tmp_path):
    """Its time of modification may not tell two changes in the same moment apart."""
    library = Library(home)
    state = os.stat(clip)
    first = library.add_path(clip, [tmp_path])
    data = bytearray(clip.read_bytes())
    data[-4:] = np.float32(0.25).tobytes()
    with open(clip, "r+b") as file:
        file.write(data)
    os.utime(clip, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert library.add_path(clip, [tmp_path]).id != first.id


def test_a_sound_is_read_elsewhere_as_it_is_read_here(helpers, home, clip, tmp_path):
    sound = read(helpers, clip)
    here = Library(home).read(sound)
    with open(tmp_path / "samples", "w+b") as file:
        facts = helpers.read_sound(sound, file)
        file.seek(0)
        samples = np.frombuffer(file.read(), "<f4").reshape(facts["frames"], facts["channels"]).T
    np.testing.assert_array_equal(samples, here.samples)
    assert facts["sample_rate"] == here.sample_rate == 44_100
    os.unlink(sound.path)
    with open(tmp_path / "samples", "w+b") as file, pytest.raises(SoundError) as caught:
        helpers.read_sound(sound, file)
    assert caught.value.code == "unknown_sound" and caught.value.field == "sound"
