"""Reference phases on disk: bit-exact, limited in size, and checked for damage."""

import os

import pytest
import torch
from safetensors.torch import load_file

from tertium.worker.trajectory_files import TrajectoryFiles

ONE = {"predictions": torch.randn(3, 4, 50), "state": torch.randn(1, 4, 50)}


def files(folder, limit=10**6, context="here"):
    return TrajectoryFiles(folder, limit, context=context)


def on_disk(folder):
    return sorted(folder.iterdir())


def test_saved_tensors_are_read_bit_exactly_by_the_next_process(tmp_path):
    files(tmp_path).save("key", ONE)
    found = files(tmp_path).load("key")
    assert found.keys() == ONE.keys() and all(torch.equal(found[name], ONE[name]) for name in ONE)
    (path,) = on_disk(tmp_path)
    assert any(tensor.data_ptr() % 64 for tensor in load_file(path).values()), (
        "mapped tensors are aligned as in the file"
    )
    assert not any(tensor.data_ptr() % 64 for tensor in found.values()), (
        "kernels sum in an order that depends on the alignment"
    )
    assert files(tmp_path).load("another") is None
    assert files(tmp_path, context="another version").load("key") is None


def test_a_longer_reference_phase_replaces_the_previous_one(tmp_path):
    store = files(tmp_path)
    store.save("key", ONE)
    store.save("key", ONE | {"predictions": torch.ones(5, 4, 50)})
    assert len(store.load("key")["predictions"]) == 5
    assert len(on_disk(tmp_path)) == 1


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data[:-1] + b"!", lambda data: b"PK", lambda data: b""]
)
def test_a_damaged_file_is_removed_and_counts_as_none(tmp_path, change):
    store = files(tmp_path)
    store.save("key", ONE)
    (path,) = on_disk(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    assert store.load("key") is None
    assert on_disk(tmp_path) == []


def test_the_least_recently_used_file_is_evicted_first(tmp_path):
    store = files(tmp_path, limit=9000)  # enough for two of 3.2 kB with their headers
    for age, key in enumerate("ab"):
        store.save(key, ONE)
        os.utime(max(on_disk(tmp_path), key=os.path.getmtime), (1000 + age, 1000 + age))
    assert store.load("a") is not None
    store.save("c", ONE)
    assert [store.load(key) is not None for key in "abc"] == [True, False, True]
    assert sum(path.stat().st_size for path in on_disk(tmp_path)) <= 9000


def test_the_limit_applies_from_the_start_and_a_file_beyond_it_is_not_stored(tmp_path):
    files(tmp_path).save("key", ONE)
    store = files(tmp_path, limit=1000)
    assert on_disk(tmp_path) == []
    store.save("key", ONE)
    assert on_disk(tmp_path) == []


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tertium.worker.trajectory_files.save_file", full)
    store = files(tmp_path)
    store.save("key", ONE)
    assert store.load("key") is None and on_disk(tmp_path) == []
