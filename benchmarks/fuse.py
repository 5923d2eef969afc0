"""Compare a fusion on the daemon with stable-audio-tools' own audio-to-audio: same weights, same sound, same steps.

    python -m benchmarks.fuse [--seconds 6] [--steps 50] [--rounds 5] [--model pocket] [--json]

The fusion is timed as a client sees it: request over ZeroMQ, queue, journal, worker, encode, sampling, decode, safety, file, ``done``. Audio-to-audio is the
nearest function of stable-audio-tools: ``generate_diffusion_cond`` with the original as ``init_audio``, a prompt and guidance 6, in this process, without writing a
file. The two alternate, each after one warm-up round; the result is the ratio of their medians.
"""

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from tertium.cli.connect import Wanted, running_or_started
from tertium.cli.demo import ORIGINAL, REFERENCE
from tertium.cli.output import Output
from tertium.engine.models import stable_audio
from tertium.engine.models.loaded_model import load_model
from tertium_protocol.client import Client

GUIDANCE = 6.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--blend", type=float, default=0.5)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tertium-bench-") as folder:
        result = measure(arguments, Path(folder))
    print(json.dumps(result) if arguments.json else describe(result))
    return 0


def measure(arguments: argparse.Namespace, folder: Path) -> dict:
    """Return the median seconds of both, their ratio, and the settings."""
    original, reference = (clip(path, arguments.seconds, folder) for path in (ORIGINAL, REFERENCE))
    model = load_model(arguments.model)
    fusions, variations = [], []
    wanted = Wanted(home=str(folder / "home"), engine={"model": arguments.model})
    with running_or_started(wanted, Output(machine=True)) as client:
        for seed in range(arguments.rounds + 1):
            fusions.append(timed(lambda seed=seed: fuse(client, original, reference, arguments, seed)))
            variations.append(timed(lambda seed=seed: audio_to_audio(model, original, arguments, seed)))
    fuse_s, audio_to_audio_s = statistics.median(fusions[1:]), statistics.median(variations[1:])
    return {
        "model": arguments.model,
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "seconds": arguments.seconds,
        "steps": arguments.steps,
        "blend": arguments.blend,
        "guidance": GUIDANCE,
        "rounds": arguments.rounds,
        "fuse_s": fuse_s,
        "audio_to_audio_s": audio_to_audio_s,
        "ratio": audio_to_audio_s / fuse_s,
    }


def clip(path: Path, seconds: float, folder: Path) -> Path:
    """Write the sound, repeated or cut to a length, as a WAV file in ``folder``; return its path."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    frames = round(seconds * rate)
    out = folder / path.with_suffix(".wav").name
    soundfile.write(out, np.resize(samples, (frames, samples.shape[1])), rate, subtype="FLOAT")
    return out


def fuse(client: Client, original: Path, reference: Path, arguments: argparse.Namespace, seed: int) -> None:
    """Request a fusion and wait until it is done."""
    sounds = {"original": str(original), "reference": str(reference)}
    client.submit("fuse", **sounds, blend=arguments.blend, steps=arguments.steps, seed=seed).wait(600)


def audio_to_audio(model, original: Path, arguments: argparse.Namespace, seed: int) -> torch.Tensor:
    """Run stable-audio-tools' audio-to-audio and decode the result; return its samples."""
    samples, rate = soundfile.read(original, dtype="float32", always_2d=True)
    generate = stable_audio.load("stable_audio_tools.inference.generation").generate_diffusion_cond
    frames = -(-len(samples) // model.downsampling) * model.downsampling
    conditioning = [{"prompt": "a hum", "seconds_start": 0.0, "seconds_total": arguments.seconds}]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        latents = generate(
            model.model,
            steps=arguments.steps,
            cfg_scale=GUIDANCE,
            conditioning=conditioning,
            sample_size=frames,
            seed=seed,
            device=str(model.device),
            init_audio=(rate, torch.from_numpy(samples.T)),
            init_noise_level=10.0,
            sampler_type="dpmpp-3m-sde",
            sigma_min=0.3,
            return_latents=True,
        )
    return model.decode(latents.float(), samples=len(samples))


def timed(action) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def describe(result: dict) -> str:
    return (
        f"{result['model']} on {result['device']} ({result['threads']} threads), {result['seconds']:g} s of sound, {result['steps']} steps, "
        f"median of {result['rounds']}\n"
        f"  fuse on the daemon, request to done       {result['fuse_s']:6.2f} s\n"
        f"  stable-audio-tools, audio-to-audio, cfg 6 {result['audio_to_audio_s']:6.2f} s\n"
        f"  ratio                                     {result['ratio']:6.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
