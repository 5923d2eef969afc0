"""Loads of files: stretches, damaged and hostile sounds, imports and exports of checkpoints."""

import contextlib
import itertools
import json
import os
import struct
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from benchmarks.soak.loads import Ground, load, refused, replied
from benchmarks.soak.loads.work import noise
from benchmarks.soak.peers import OscPeer, ZeroMqPeer
from tertium.errors import TertiumError
from tertium.storage.checkpoint_format import Checkpoint
from tertium.storage.checkpoints import Checkpoints


@load
def stretches(ground: Ground) -> None:
    """A part of a file stretched, a different one each time, once a second."""
    path, peer = noise(ground, seconds=30.0), OscPeer(ground.home)
    for number in ground.turns(1.0):
        part = {"start": number % 40 * 0.25, "end": 12.5 + number % 7, "seconds": 20.0}
        ground.expect("stretches", peer, "add_sound", path=path, promised=_in_time, **part)


@load
def bad_sounds(ground: Ground) -> None:
    """Files that are no sounds: pipes, devices, folders, cut and lying headers."""
    peer, good = OscPeer(ground.home), Path(noise(ground, seconds=1.0)).read_bytes()
    folder = _made(ground.folder / "bad sounds")
    contents = {
        "empty.wav": b"", "head.wav": good[:30], "lies.wav": good[:40] + b"\xff\xff\xff\x7f" + good[44:400], "zeros.flac": bytes(5000),
        "text.mp3": b"not a sound " * 99, "riff.wav": b"RIFF" + struct.pack("<I", 2**32 - 1) + b"WAVEfmt " + bytes(40),
    }  # fmt: skip
    _hostile(folder, contents)
    for path, _ in zip(itertools.cycle(sorted(folder.iterdir())), ground.turns(0.5), strict=False):
        ground.expect("bad_sounds", peer, "add_sound", path=str(path), promised=_handled)


@load
def checkpoints(ground: Ground) -> None:
    """Checkpoints imported, exported under a new name, and deleted."""
    peer, file = ZeroMqPeer(ground.home), _exported(ground.folder / "checkpoints")
    run = os.urandom(3).hex()
    for number in ground.turns(1.0):
        name, out = f"soak {run} {number}", ground.folder / "checkpoints" / f"{run}-{number}.safetensors"
        answer = ground.expect("checkpoints", peer, "import_checkpoint", path=str(file), name=name)
        if answer is None or answer.event != "reply":
            continue
        ground.expect("checkpoints", peer, "export_checkpoint", checkpoint=name, path=str(out))
        ground.expect("checkpoints", peer, "delete_checkpoint", checkpoint=name)
        out.unlink(missing_ok=True)


@load
def bad_checkpoints(ground: Ground) -> None:
    """Files that are no checkpoints, which must be refused in words."""
    peer, good = ZeroMqPeer(ground.home), _exported(ground.folder / "good checkpoint").read_bytes()
    folder = _made(ground.folder / "bad checkpoints")
    contents = {
        "empty.safetensors": b"",
        "cut.safetensors": good[: len(good) // 2],
        "endless.safetensors": struct.pack("<Q", 2**62) + b"{}",
        "deep.safetensors": _headed(json.dumps({"__metadata__": {"tertium_checkpoint": "[" * 100_000}})),
        "surrogate.safetensors": _headed(good[8:].partition(b"}")[0].decode() + '\\ud800"}}'),
        "other.safetensors": save({"x": np.zeros(4, np.float32)}),
    }
    _hostile(folder, contents)
    for path, _ in zip(itertools.cycle(sorted(folder.iterdir())), ground.turns(0.5), strict=False):
        ground.expect("bad_checkpoints", peer, "import_checkpoint", path=str(path), promised=refused)


def _in_time(answer) -> bool:
    """A helper that has to share the cores may run out of its time; that is said in words."""
    return replied(answer) or answer.fields.get("code") == "bad_sound"


def _handled(answer) -> bool:
    """Some damage is forgiven with a note; the rest is refused in words."""
    return replied(answer) or refused(answer)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _hostile(folder: Path, contents: dict[str, bytes]) -> None:
    """Write files, and beside them what is no file at all."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    suffix = Path(next(iter(contents))).suffix
    (folder / f"folder{suffix}").mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        os.mkfifo(folder / f"pipe{suffix}")
        os.symlink("/dev/zero", folder / f"device{suffix}")
        os.symlink(f"loop{suffix}", folder / f"loop{suffix}")


def _headed(header: str) -> bytes:
    return struct.pack("<Q", len(header.encode())) + header.encode()


def _exported(folder: Path) -> Path:
    """A checkpoint of four megabytes as one file."""
    kept = Checkpoints(_made(folder) / "kept")
    about = Checkpoint(
        name="good", prompt="a hum", reference="cd" * 32, model="fake", fingerprint="f" * 64, method="lora", rank=4, steps=10, seconds=1.0,
        settings={"rate": 0.003}, losses=(1.0, 0.5),
    )  # fmt: skip
    kept.save(about, save({"layer.lora_A": np.ones((4, 1 << 18), np.float32)}))
    path = folder / "good.safetensors"
    with contextlib.suppress(TertiumError):
        kept.export("good", path)
    return path
