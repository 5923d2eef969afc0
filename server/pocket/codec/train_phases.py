"""Train the codec's network for phases on the points of a working folder, by regression on single bins: no sound is made in training.

    python -m pocket.codec.train_phases WORK [--minutes 3] [--rate 3e-3] [--width 32] [--threads 1]

Needs WORK/points.safetensors (see ``codec.points``). Saves WORK/phases.pt every minute and resumes it by itself; WORK/phases.log has a line for each save. The
learning rate falls to zero along a cosine over the last 40 % of ``--minutes``, which counts this run only. A step takes four thousandths of a second of
processor time.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from pocket.codec.fit import codec_of
from tertium.engine.models.phase_network import ALONG_FREQUENCY, ALONG_TIME, DECIBELS, PhaseNetwork
from tertium.engine.models.pocket_codec import SpectralCodec

FILE = "phases.pt"
BATCH = 4096
MINUTES, RATE, WIDTH = 3.0, 3e-3, 32
_SAVE_SECONDS = 60.0


@dataclass
class Run:
    """The state of a training: the network, the running average of its weights, the optimiser, steps and seconds."""

    network: PhaseNetwork
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


def new_run(*, width: int) -> Run:
    """Return a run at step 0."""
    torch.manual_seed(0)
    network = PhaseNetwork(width)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    return Run(network, {name: tensor.clone() for name, tensor in network.state_dict().items()}, optimiser)


def run_of(weights: dict[str, torch.Tensor]) -> Run:
    """Return a run at step 0 from the weights of a trained network."""
    run = new_run(width=len(weights["first.bias"]))
    run.network.load_state_dict(weights)
    run.average = {name: tensor.clone() for name, tensor in weights.items()}
    return run


def loss(found: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the loss of predictions (points, 5), and its parts: mean difference in decibels, and mean squared errors of the phase changes."""
    off = found - wanted
    level = off[:, DECIBELS].abs().mean()
    time_, frequency = (off[:, part].square().sum(1).mean() for part in (ALONG_TIME, ALONG_FREQUENCY))
    parts = {"decibels": level.item(), "along time": time_.item(), "along frequency": frequency.item()}
    return level / 10 + time_ + frequency, parts


def take_step(run: Run, inputs: torch.Tensor, wanted: torch.Tensor, rate: float) -> dict[str, float]:
    """Take one step of the optimiser; return the parts of the loss."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16):
        found = run.network(inputs)
    value, parts = loss(found, wanted)
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
    run.save(work / FILE)
    means = {key: round(sum(parts[key] for parts in recent) / len(recent), 4) for key in (recent[0] if recent else {})}
    line = json.dumps({"step": run.step, "minutes": round(run.seconds / 60, 1)} | means)
    with (work / "phases.log").open("a") as log:
        log.write(line + "\n")
    print(line, flush=True)


def network_of(work: Path, *, minutes: float = MINUTES) -> PhaseNetwork:
    """Return the running average of a working folder's training, which is done the first time.

    Args:
        minutes: of that training.
    """
    if not (work / FILE).exists():
        points = load_file(work / "points.safetensors")
        train(new_run(width=WIDTH), (points["inputs"], points["wanted"]), work, minutes=minutes, peak=RATE)
    state = torch.load(work / FILE, map_location="cpu", weights_only=True)
    network = PhaseNetwork(state["width"])
    network.load_state_dict(state["average"])
    return network.eval().requires_grad_(False)


def whole_codec(work: Path) -> SpectralCodec:
    """Return the codec of a working folder with its network; see :func:`pocket.codec.fit.codec_of` and :func:`network_of`."""
    codec = codec_of(work)
    codec.phases = network_of(work)
    return codec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    points = load_file(options.work / "points.safetensors")
    run = new_run(width=options.width)
    if (options.work / FILE).exists():
        run.restore(options.work / FILE)
    train(run, (points["inputs"], points["wanted"]), options.work, minutes=options.minutes, peak=options.rate)


if __name__ == "__main__":
    main()
