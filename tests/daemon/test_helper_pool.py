"""The reader pool: reader processes may hang, run out of memory or die without affecting the daemon."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from tertium import safe_files
from tertium.audio import files
from tertium.daemon import reader_pool
from tertium.errors import SoundError, TertiumError
from tertium.storage.library import Library
from tests.sounds import tone


@pytest.fixture
def readers():
    readers = reader_pool.ReaderPool(seconds=20)
    yield readers
    readers.close()


@pytest.fixture
def clip(tmp_path):
    files.write(tmp_path / "a.wav", tone(), 44_100, format="wav")
    return tmp_path / "a.wav"


def read(readers, path, **more):
    with safe_files.open_regular(path) as file:
        return readers.read(file, value=str(path), max_seconds=600, field="original", **more)


def pids(readers):
    return {child._process.pid for child in readers._living}


def test_another_process_reads_the_same_samples(readers, clip):
    whole, part = read(readers, clip), read(readers, clip, span=files.Span(0.1, 0.65 - 0.05))
    np.testing.assert_array_equal(whole.samples, files.read(clip).samples)
    np.testing.assert_array_equal(part.samples, whole.samples[:, 4410:26_460])
    assert len(pids(readers)) == 1, "the same process read both"


def test_errors_come_back_as_they_are(readers, tmp_path):
    (tmp_path / "b.wav").write_bytes(b"to be or not to be")
    with pytest.raises(SoundError) as caught:
        read(readers, tmp_path / "b.wav")
    assert (caught.value.code, caught.value.field, caught.value.value) == (
        "bad_sound",
        "original",
        str(tmp_path / "b.wav"),
    )
    assert "cannot be read as a sound" in caught.value.message and "M4A" in caught.value.remedy


def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_read(clip):
    readers = reader_pool.ReaderPool(seconds=0.5)
    readers.warm()
    time.sleep(2)  # until it is ready for requests
    (first,) = pids(readers)
    os.kill(first, signal.SIGSTOP)  # as if a library hung
    with pytest.raises(SoundError, match="it took longer than 1 s") as caught:
        read(readers, clip)
    assert caught.value.code == "bad_sound"
    readers._seconds = 20
    assert read(readers, clip).frames == tone().shape[1]
    assert first not in pids(readers)
    readers.close()


def test_a_reader_that_dies_costs_one_file(readers, clip):
    readers.warm()
    (first,) = pids(readers)
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert read(readers, clip).frames == tone().shape[1], "a dead process is replaced"


@pytest.mark.skipif(not os.path.exists("/proc"), reason="the memory limit needs /proc")
def test_a_file_that_takes_too_much_memory_is_refused(clip, monkeypatch, tmp_path):
    monkeypatch.setattr(reader_pool, "_START", "import tertium.audio.reader as m; m.MEMORY = 200 << 20; m.main()")
    readers = reader_pool.ReaderPool()
    seconds = 400
    files.write(tmp_path / "long.wav", np.tile(tone(seconds=1), seconds), 44_100, format="wav")
    with pytest.raises(SoundError, match="it takes more memory than a file may take"):
        read(readers, tmp_path / "long.wav")
    assert read(readers, clip).frames == tone().shape[1]
    readers.close()


def test_a_call_that_waits_for_a_file_fails_when_the_daemon_stops(clip):
    readers = reader_pool.ReaderPool(seconds=60)
    readers.warm()
    (first,) = pids(readers)
    os.kill(first, signal.SIGSTOP)
    errors = []

    def ask():
        try:
            read(readers, clip)
        except TertiumError as error:
            errors.append((error.code, error.message, error.remedy))

    waiting = threading.Thread(target=ask)
    waiting.start()
    time.sleep(0.5)
    readers.close()
    waiting.join(20)
    assert errors == [("busy", "The daemon is stopping.", "Send the request again after the daemon has restarted.")]
    assert not pids(readers)


def test_several_files_are_read_at_a_time(readers, clip):
    results = []
    threads = [threading.Thread(target=lambda: results.append(read(readers, clip).frames)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [tone().shape[1]] * 6
    assert len(pids(readers)) <= reader_pool.PROCESSES


def test_the_library_reads_what_clients_name_through_it(readers, clip, tmp_path):
    library = Library(tmp_path / "home", read=readers.read)
    sound = library.add_path(clip, [tmp_path])
    assert (sound.frames, len(pids(readers))) == (tone().shape[1], 1)
