"""Loads of jobs: a knob that is turned, generations, training jobs."""

import os
import time
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.soak.loads import Ground, load, replied
from benchmarks.soak.peers import OscPeer, ZeroMqPeer


@load
def slider(ground: Ground) -> None:
    """A knob at 100 Hz: fusions of one slot, each of which takes the place of the last."""
    sounds, peer = [noise(ground, seconds=1.0, seed=seed) for seed in (1, 2)], OscPeer(ground.home)
    for number in ground.turns(0.01):
        peer.send(
            "fuse", original=sounds[0], reference=sounds[1], blend=number % 100 / 100, steps=4, slot="knob",
        )  # fmt: skip
        ground.notes.tried("slider")
        for answer in peer.answers():
            if answer.event == "accepted":
                ground.notes.accepted(answer.fields["job"])
                ground.notes.passed("slider")
            elif answer.event == "error" and not replied(answer):
                ground.notes.broken("slider", str(answer.fields))
        if number % 300 == 299:
            time.sleep(1.0)


@load
def jobs(ground: Ground) -> None:
    """Generations one after the other; every one that is accepted is looked for in the end."""
    _jobs(ground, "jobs", lambda number: ("generate", {"prompt": "step=0.02", "seconds": 0.5, "steps": 5}), pause=0.2)


@load
def learns(ground: Ground) -> None:
    """Training jobs, which all the others interrupt."""
    sound, run = noise(ground, seconds=1.0, seed=1), os.urandom(3).hex()

    def asked(number: int) -> tuple[str, dict]:
        return "learn", {"reference": sound, "prompt": "step=0.02", "steps": 10, "name": f"soak {run} {number}"}

    _jobs(ground, "learns", asked, pause=5.0)


@load
def cancels(ground: Ground) -> None:
    """Jobs that are cancelled as soon as they are accepted."""
    peer = ZeroMqPeer(ground.home)
    for _ in ground.turns(1.0):
        answer = ground.expect("cancels", peer, "generate", prompt="step=0.5", seconds=0.5, steps=20)
        if answer is not None and answer.event == "accepted":
            ground.notes.accepted(answer.fields["job"])
            ground.expect("cancels", peer, "cancel", job=answer.fields["job"], promised=_cancelled)


def _cancelled(answer) -> bool:
    """A daemon that was started anew in between may have finished the job, or know it by no other name."""
    return replied(answer) or answer.fields.get("code") == "unknown_job"


def _jobs(ground: Ground, name: str, asked, *, pause: float) -> None:
    peer = ZeroMqPeer(ground.home)
    for number in ground.turns(pause):
        command, fields = asked(number)
        answer = ground.expect(name, peer, command, **fields)
        if answer is not None and answer.event == "accepted":
            ground.notes.accepted(answer.fields["job"])


def noise(ground: Ground, *, seconds: float, seed: int = 0) -> str:
    """The path of a file of noise, made where it is missing."""
    path = Path(ground.folder) / f"noise-{seed}-{seconds:g}.wav"
    if not path.exists():
        samples = np.random.default_rng(seed).uniform(-0.3, 0.3, (round(seconds * 44_100), 2))
        part = path.with_suffix(f".{os.getpid()}")
        soundfile.write(part, samples, 44_100, format="WAV")
        os.replace(part, path)
    return str(path)
