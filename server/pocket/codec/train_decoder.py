"""Train the decoder of the codec's latents on the pool of rendered material.

    nice -n 19 python -m pocket.codec.train_decoder WORK [--minutes 60] [--rate 2e-3] [--width 128] [--threads 1]

Needs WORK/pool (see ``material.pool``). The codec's projection is read from WORK/codec256.safetensors, and the bins to train on from WORK/points.safetensors; both are
made from the pool the first time. Saves WORK/decoder.pt every minute and resumes it by itself; WORK/decoder.log has a line for each save. The learning rate falls to zero along a cosine over the last 40 % of ``--minutes``,
which counts this run only.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from pocket.codec import decoder
from pocket.codec.fit import projection
from pocket.material.pool import Pool
from pocket.material.synthesis import RATE
from tertium.engine.models.pocket_codec import SpectralCodec

LATENTS = 256
FIT_CROPS, FIT_SECONDS = 160, 6.0
ROWS, FRAMES = 8, 64  # crops that are analysed at once: eight of 64 latent frames, 1.5 s
ANALYSES, POINTS = 20, 16384  # how often, and how many bins are drawn each time
BATCH = 4096
_SAVE_SECONDS = 60.0


class FineCodec(SpectralCodec):
    """The codec with 288 bands, one bin wide up to 1.9 kHz."""

    bands = 288


@dataclass
class Run:
    """The state of a training: the network, the running average of its weights, the optimiser, steps and seconds."""

    network: decoder.PhaseNetwork
    average: dict[str, torch.Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Save the state atomically."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
        }
        shape = {"width": self.network.width}
        partial = path.with_suffix(".partial")
        torch.save(state | shape | {"step": self.step, "seconds": self.seconds}, partial)
        partial.rename(path)

    def restore(self, path: Path) -> None:
        """Load a saved state."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.step, self.seconds = state["average"], state["step"], state["seconds"]

    def update_average(self) -> None:
        """Move the running average towards the network, more slowly as training proceeds."""
        decay = min(0.998, (1 + self.step) / (20 + self.step))
        current = self.network.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [current[name] for name in self.average], 1 - decay)


@torch.no_grad()
def fit_codec(
    pool: Pool, *, latents: int = LATENTS, crops: int = FIT_CROPS, kind: type[SpectralCodec] = FineCodec
) -> SpectralCodec:
    """Return a codec whose projection is fitted to crops of the pool, with both spectra of a latent frame treated alike.

    The covariance is averaged with that of the frames whose two spectra are exchanged. So sums and differences of the two are separate components, and a steady
    sound, whose difference is zero, decodes to two equal spectra: nothing can flutter at the rate of the latent frames.
    """
    codec, generator = kind(latent_channels=latents), torch.Generator().manual_seed(5)
    total = outer = count = 0
    for _ in range(-(-crops // 4)):
        features = codec.features(pool.crops(min(4, crops), int(FIT_SECONDS * RATE), generator))
        features = features.permute(1, 0, 2).flatten(1).double()
        for each in (features, exchanged(codec, features)):
            total, outer, count = total + each.sum(1), outer + each @ each.T, count + each.shape[1]
    silence = codec.features(torch.zeros(1, 2, 8192))[0, :, 4].double()
    codec.load_state_dict(projection(total, outer, count, silence, size=latents))
    return codec


def exchanged(codec: SpectralCodec, features: torch.Tensor) -> torch.Tensor:
    """Return features (width, frames) with the two spectra of each frame exchanged."""
    bands = features[: -codec.groups].unflatten(0, (2, codec.stack, codec.bands)).flip(1).flatten(0, 2)
    return torch.cat([bands, features[-codec.groups :]])


def codec_of(work: Path, pool: Pool) -> SpectralCodec:
    """Return the codec of a working folder, which is fitted and saved the first time."""
    path = work / "codec256.safetensors"
    if not path.exists():
        save_file(fit_codec(pool).state_dict(), path)
    codec = FineCodec(latent_channels=LATENTS)
    codec.load_state_dict(load_file(path))
    return codec


def new_run(*, width: int) -> Run:
    """Return a run at step 0."""
    torch.manual_seed(0)
    network = decoder.PhaseNetwork(width)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    return Run(network, {name: tensor.clone() for name, tensor in network.state_dict().items()}, optimiser)


@torch.no_grad()
def draw_points(
    codec: SpectralCodec, sound: torch.Tensor, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the network's inputs and targets, (count, …), at random bins of sounds (rows, 2, whole frames).

    Inputs are levels as the codec decodes them, targets are of the sounds themselves.
    """
    magnitudes, _ = codec.spectrum(codec.decode_features(codec.encode(sound)))
    levels = decoder.levels_of(magnitudes)
    wanted, power = decoder.targets(codec, sound)
    wanted[..., decoder.DECIBELS] -= levels
    # Loud bins are drawn more often, faint ones hardly: by the energy to the power of 0.2, above a floor.
    chances = (power + 1e-9).pow(0.2).flatten().double().cumsum(0)
    chosen = torch.rand(count, generator=generator, dtype=torch.float64) * chances[-1]
    flat = torch.searchsorted(chances, chosen).clamp(max=len(chances) - 1)
    row, spectrum, place = torch.unravel_index(flat, power.shape)
    return decoder.inputs_at(decoder.padded(levels), row, spectrum, place), wanted[row, spectrum, place]


def points_of(
    work: Path, codec: SpectralCodec, pool: Pool, *, analyses: int = ANALYSES
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets of a working folder, in half precision, which are drawn from the pool and saved the first time."""
    path = work / "points.safetensors"
    if not path.exists():
        generator = torch.Generator().manual_seed(3)
        crops = (pool.crops(ROWS, FRAMES * codec.downsampling_ratio, generator) for _ in range(analyses))
        found = [draw_points(codec, sound, POINTS, generator) for sound in crops]
        save_file(
            {name: torch.cat([x[at] for x in found]).half() for at, name in enumerate(("inputs", "wanted"))}, path
        )
    points = load_file(path)
    return points["inputs"], points["wanted"]


def take_step(run: Run, inputs: torch.Tensor, wanted: torch.Tensor, rate: float) -> dict[str, float]:
    """Take one step of the optimiser; return the parts of the loss."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16):
        found = run.network(inputs)
    value, parts = decoder.loss(found, wanted)
    run.optimiser.zero_grad(set_to_none=True)
    value.backward()
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimiser.step()
    run.step += 1
    run.update_average()
    return parts


def learning_rate(step: int, progress: float, *, peak: float) -> float:
    """Return the rate: a rise over 100 steps, a plateau, and a cosine to zero over the last 40 % of the run (``progress`` 0.6 … 1)."""
    fall = 1.0 if progress < 0.6 else 0.5 + 0.5 * float(torch.cos(torch.tensor((progress - 0.6) / 0.4 * torch.pi)))
    return peak * min(1.0, (step + 1) / 100) * fall


def train(run: Run, points: tuple[torch.Tensor, torch.Tensor], work: Path, *, minutes: float, peak: float) -> None:
    """Train for so many minutes, saving the state and a line of the log every minute."""
    inputs, wanted = points
    generator = torch.Generator().manual_seed(1000 + run.step)
    began = saved = time.monotonic()
    before, recent = run.seconds, []
    while (elapsed := time.monotonic() - began) < minutes * 60:
        rate = learning_rate(run.step, elapsed / minutes / 60, peak=peak)
        chosen = torch.randint(len(inputs), (BATCH,), generator=generator)
        recent.append(take_step(run, inputs[chosen].float(), wanted[chosen].float(), rate))
        if time.monotonic() - saved > _SAVE_SECONDS:
            saved = time.monotonic()
            run.seconds = before + saved - began
            _report(run, work, recent)
            recent = []
    run.seconds = before + time.monotonic() - began
    _report(run, work, recent)


def _report(run: Run, work: Path, recent: list[dict[str, float]]) -> None:
    run.save(work / "decoder.pt")
    means = {key: round(sum(parts[key] for parts in recent) / len(recent), 4) for key in (recent[0] if recent else {})}
    line = json.dumps({"step": run.step, "minutes": round(run.seconds / 60, 1)} | means)
    with (work / "decoder.log").open("a") as log:
        log.write(line + "\n")
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pool = Pool(options.work / "pool")
    codec = codec_of(options.work, pool)
    run = new_run(width=options.width)
    if (options.work / "decoder.pt").exists():
        run.restore(options.work / "decoder.pt")
    train(run, points_of(options.work, codec, pool), options.work, minutes=options.minutes, peak=options.rate)


if __name__ == "__main__":
    main()
