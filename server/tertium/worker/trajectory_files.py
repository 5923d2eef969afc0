"""Reference phases on disk, so that later processes can use them: one safetensors file for each, limited in total
size.
"""

import contextlib
import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file

from tertium import safe_files
from tertium.storage.safetensors_files import checksum

SUFFIX, CHECKSUM = ".safetensors", "checksum"


class TrajectoryFiles:
    """A :class:`tertium.engine.fusion.reference_phase.Store` in a folder, which evicts the least recently used files.

    Args:
        folder: created if it is missing.
        limit: bytes of all files together.
        context: everything that the values depend on besides their key: versions, device, precision.
    """

    def __init__(self, folder: Path, limit: int, *, context: str):
        self._folder, self._limit, self._context = folder, limit, context
        with safe_files.disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        safe_files.clean(folder)
        self._make_room(limit)

    def load(self, key: str) -> dict[str, torch.Tensor] | None:
        """Return the tensors saved under a key; None if there are none. A damaged file is removed."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                expected = (file.metadata() or {})[CHECKSUM]
                # Copied: tensors mapped from the file are aligned as they are there, and kernels could sum in another order.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            if expected != _checksum(tensors):
                raise ValueError("the checksum does not match")
        except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
            logging.getLogger(__name__).warning("removing a damaged reference phase on disk: %s", error)
            _remove(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return tensors

    def save(self, key: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Save tensors under a key, atomically, unless they exceed the limit alone.

        Errors are only logged: the tensors can be computed again.
        """
        path = self._path(key)
        copies = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        part = safe_files.part_of(path)
        try:
            save_file(copies, part, {CHECKSUM: _checksum(copies)})
            if part.stat().st_size <= self._limit:
                os.replace(part, path)
        except (OSError, safetensors.SafetensorError) as error:
            logging.getLogger(__name__).warning("a reference phase could not be saved on disk: %s", error)
        finally:
            _remove(part)
        self._make_room(self._limit)

    def _make_room(self, limit: int) -> None:
        """Remove the least recently used files until the rest fits."""
        found = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= limit:
                return
            _remove(path)
            total -= size

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(f"{self._context} {key}".encode()).hexdigest()
        return self._folder / f"{digest[:32]}{SUFFIX}"


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _checksum(tensors: Mapping[str, torch.Tensor]) -> str:
    return str(checksum({name: tensor.reshape(-1).view(torch.uint8).numpy() for name, tensor in tensors.items()}))
