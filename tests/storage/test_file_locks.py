"""Locks between open descriptors of one file: alone, together, and given back."""

import os

import pytest

from tertium.storage import file_locks


@pytest.fixture
def descriptors(tmp_path):
    opened = [os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(3)]
    yield opened
    for one in opened:
        os.close(one)


def test_one_alone_keeps_all_others_out(descriptors):
    first, second, _ = descriptors
    assert file_locks.exclusive(first)
    assert not file_locks.exclusive(second) and not file_locks.shared(second)


def test_several_together_keep_out_who_wants_it_alone(descriptors):
    first, second, third = descriptors
    assert file_locks.shared(first) and file_locks.shared(second)
    assert not file_locks.exclusive(third)
    file_locks.release(first)
    assert not file_locks.exclusive(third)
    file_locks.release(second)
    assert file_locks.exclusive(third)


def test_a_lock_given_back_is_free(descriptors):
    first, second, _ = descriptors
    assert file_locks.exclusive(first)
    file_locks.release(first)
    assert file_locks.shared(second)
