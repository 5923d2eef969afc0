"""Reference phases on disk, for the next process: one safetensors file for each, at most so many bytes of them."""

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
    """A :class:`tertium.engine.fusion.reference_phase.Store` in a folder. What was used longest ago goes first.

    Args:
        folder: made if it is not there.
        limit: bytes of all files together.
        context: what the numbers depend on besides their key: versions, device, precision.
    """

    def __init__(self, folder: Path, limit: int, *, context: str):
        self._folder, self._limit, self._context = folder, limit, context
        with safe_files.disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        safe_files.clean(folder)
        self._make_room(limit)

    def load(self, key: str) -> dict[str, torch.Tensor] | None:
        """What was saved under a key. A damaged file is removed, and counts as none."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                wanted = (file.metadata() or {})[CHECKSUM]
                # Copies: mapped from the file they would begin where the file has them, and kernels would split their sums otherwise.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            if wanted != _checksum(tensors):
                raise ValueError("its checksum is another")
        except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
            logging.getLogger(__name__).warning("a reference phase on disk is damaged, and removed: %s", error)
            _remove(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return tensors

    def save(self, key: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keep tensors under a key, whole or not at all; those that are larger than all may be together are not kept. Never fails: they can be made anew."""
        path = self._path(key)
        kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        part = safe_files.part_of(path)
        try:
            save_file(kept, part, {CHECKSUM: _checksum(kept)})
            if part.stat().st_size <= self._limit:
                os.replace(part, path)
        except (OSError, safetensors.SafetensorError) as error:
            logging.getLogger(__name__).warning("a reference phase could not be kept on disk: %s", error)
        finally:
            _remove(part)
        self._make_room(self._limit)

    def _make_room(self, limit: int) -> None:
        """Remove what was used longest ago until the rest fits."""
        found = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        held = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if held <= limit:
                return
            _remove(path)
            held -= size

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(f"{self._context} {key}".encode()).hexdigest()
        return self._folder / f"{digest[:32]}{SUFFIX}"


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _checksum(tensors: Mapping[str, torch.Tensor]) -> str:
    return str(checksum({name: tensor.reshape(-1).view(torch.uint8).numpy() for name, tensor in tensors.items()}))
