"""Train the decoder of the codec's latents on the points of a working folder.

    nice -n 19 python -m pocket.codec.train_decoder WORK [--minutes 60] [--rate 3e-3] [--width 128] [--threads 1]

Needs WORK/points.safetensors (see ``codec.points``). Saves WORK/decoder.pt every minute and resumes it by itself; WORK/decoder.log has a line for each save. The
learning rate falls to zero along a cosine over the last 40 % of ``--minutes``, which counts this run only. A step takes a hundredth of a second of processor time.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from pocket.codec import phase_network

BATCH = 4096
_SAVE_SECONDS = 60.0


@dataclass
class Run:
    """The state of a training: the network, the running average of its weights, the optimiser, steps and seconds."""

    network: phase_network.PhaseNetwork
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
    network = phase_network.PhaseNetwork(width)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    return Run(network, {name: tensor.clone() for name, tensor in network.state_dict().items()}, optimiser)


def take_step(run: Run, inputs: torch.Tensor, wanted: torch.Tensor, rate: float) -> dict[str, float]:
    """Take one step of the optimiser; return the parts of the loss."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16):
        found = run.network(inputs)
    value, parts = phase_network.loss(found, wanted)
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
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    points = load_file(options.work / "points.safetensors")
    run = new_run(width=options.width)
    if (options.work / "decoder.pt").exists():
        run.restore(options.work / "decoder.pt")
    train(run, (points["inputs"], points["wanted"]), options.work, minutes=options.minutes, peak=options.rate)


if __name__ == "__main__":
    main()
