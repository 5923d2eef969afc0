"""Parallel rendering of training material."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator

import torch


@contextlib.contextmanager
def mapper(workers: int) -> Iterator[Callable]:
    """Yield a function like :func:`map`, results in order, that runs in ``workers`` processes; with one, in this process."""
    if workers == 1:
        yield map
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_use_one_thread) as pool:
        yield pool.imap


def _use_one_thread() -> None:
    torch.set_num_threads(1)
