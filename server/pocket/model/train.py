"""Train the embedded model: stable-audio-tools' DiT and conditioners on the latents of the shards.

    python -m pocket.model.train WORK [--minutes 60] [--resume] [--device cpu] [--threads 2] [--rate 3e-4] [--bfloat16]

Each minute it writes WORK/checkpoint.pt (read back with ``--resume``) and looks for new shards. The learning rate falls to zero at the end of
``--minutes``, which counts this run alone.
"""

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from pocket.material.dataset import Item, read_shards
from pocket.material.piece import SECONDS
from pocket.model import config

FRAMES_A_SECOND = 44100 / 1024
TOKENS_A_BATCH = 8 * 258  # eight crops of six seconds, or as much of other lengths
NULL_CHANCE = 0.3
FIRST_TIME = 0.15  # a little before that of sigma = 0.3, where schedules end
_LENGTHS = (0.5, 1, 2, 3, 4, 6, 8, 12, 24, 47.5)
_LENGTH_SHARES = (0.02, 0.04, 0.08, 0.12, 0.14, 0.34, 0.12, 0.10, 0.02, 0.02)
_MOST_ROWS = 24


@dataclass
class Run:
    """What a checkpoint holds: the model, its running average, the optimiser, and how far it came."""

    model: torch.nn.Module
    average: dict[str, torch.Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        partial = path.with_suffix(".partial")
        state = {"model": self.model.state_dict(), "average": self.average, "optimiser": self.optimiser.state_dict()}
        torch.save(state | {"step": self.step, "seconds": self.seconds}, partial)
        partial.rename(path)

    def restore(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name, tensor in state["average"].items():
            self.average[name].copy_(tensor)
        self.step, self.seconds = state["step"], state["seconds"]

    def follow(self) -> None:
        """Move the running average towards the model, the more slowly the further the training is."""
        decay = min(0.999, (1 + self.step) / (20 + self.step))
        current = self.model.state_dict()
        names = [name for name, tensor in current.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.average[name] for name in names], [current[name] for name in names], 1 - decay)


def _by_length(items: list[Item]) -> tuple[list[Item], list[Item]]:
    """Those that fill the usual crops only, and those that fill any."""
    usual = math.ceil(SECONDS * FRAMES_A_SECOND)
    return [item for item in items if item.latents.shape[1] <= usual], [
        item for item in items if item.latents.shape[1] > usual
    ]


def batch(short: list[Item], long: list[Item], generator: torch.Generator) -> tuple[torch.Tensor, list[dict]]:
    """Crops of one length (rows, channels, frames), and their captions and seconds. Longer crops come in smaller batches."""
    seconds = _LENGTHS[int(torch.multinomial(torch.tensor(_LENGTH_SHARES), 1, generator=generator))]
    frames = math.ceil(seconds * FRAMES_A_SECOND)
    rows = min(_MOST_ROWS, max(1, TOKENS_A_BATCH // frames))
    source = long if seconds > SECONDS else short + long
    crops, about = [], []
    for place in torch.randint(len(source), (rows,), generator=generator).tolist():
        item = source[place]
        spare = item.latents.shape[1] - frames
        start = (
            int(torch.randint(max(1, spare + 1), (1,), generator=generator))
            if torch.rand((), generator=generator) < 0.7
            else 0
        )
        crop = item.latents[:, start : start + frames]
        crops.append(torch.nn.functional.pad(crop, (0, frames - crop.shape[1]), mode="replicate"))
        about.append({"prompt": item.caption, "seconds_total": seconds})
    return torch.stack(crops), about


def loss(
    model, latents: torch.Tensor, about: list[dict], generator: torch.Generator, *, precision: torch.dtype
) -> torch.Tensor:
    """Mean squared error of the velocity alpha * noise - sigma * latents at times spread evenly up to 1.

    The time is that of the EDM scaling, sigma_edm = tan(t pi / 2). Rows lose their cross-attention (zeros, as guidance's null branch) by
    chance; the global embedding of the length stays.
    """
    device, rows = latents.device, latents.shape[0]
    spread = (torch.arange(rows) + torch.rand((), generator=generator)) / rows
    times = (FIRST_TIME + (1 - FIRST_TIME) * spread).to(device)
    alpha, sigma = (times * math.pi / 2).cos()[:, None, None], (times * math.pi / 2).sin()[:, None, None]
    noise = torch.randn(latents.shape, generator=generator).to(device)
    inputs = model.get_conditioning_inputs(model.conditioner(about, device))
    keep = (torch.rand(rows, 1, 1, generator=generator) >= NULL_CHANCE).to(device)
    context = inputs["cross_attn_cond"] * keep
    with torch.autocast(device.type, precision, enabled=precision != torch.float32):
        velocity = model.model.model(
            alpha * latents + sigma * noise,
            times,
            cross_attn_cond=context,
            global_embed=inputs["global_cond"],
            use_checkpointing=False,
        )
    return (velocity.float() - (alpha * noise - sigma * latents)).square().mean()


def learning_rate(step: int, progress: float, *, peak: float) -> float:
    """A rise over 200 steps, a plateau, and a cosine to zero over the last 40 % of the run."""
    fall = 1.0 if progress < 0.6 else 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - 0.6) / 0.4))
    return peak * min(1.0, (step + 1) / 200) * fall


def train(run: Run, work: Path, *, minutes: float, device: torch.device, precision: torch.dtype, peak: float) -> None:
    items, known = read_shards(work)
    short, long = _by_length(items)
    generator = torch.Generator().manual_seed(1000 + run.step)
    began = saved = time.monotonic()
    before, recent = run.seconds, []
    while (elapsed := time.monotonic() - began) < minutes * 60:
        latents, about = batch(short, long, generator)
        for group in run.optimiser.param_groups:
            group["lr"] = learning_rate(run.step, elapsed / (minutes * 60), peak=peak)
        value = loss(run.model, latents.to(device), about, generator, precision=precision)
        run.optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        run.optimiser.step()
        run.step += 1
        run.follow()
        recent.append(value.item())
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            run.seconds = before + saved - began
            run.save(work / "checkpoint.pt")
            print(
                f"step {run.step}, {run.seconds / 60:.1f} min, {len(short) + len(long)} pieces, loss {sum(recent) / len(recent):.4f}",
                flush=True,
            )
            recent = []
            more, known = read_shards(work, known)
            short, long = (old + new for old, new in zip((short, long), _by_length(more), strict=True))
    run.seconds = before + time.monotonic() - began
    run.save(work / "checkpoint.pt")
    print(f"Done: step {run.step}, {run.seconds / 60:.1f} min.", flush=True)


def new_run(work: Path, device: torch.device) -> Run:
    """A run that has not begun, with the tokenizer of ``work``."""
    torch.manual_seed(0)
    model = config.build(work).to(device)
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=3e-4, betas=(0.9, 0.99), weight_decay=0.01)
    return Run(model, {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}, optimiser)


def start(work: Path, device: torch.device, *, resume: bool) -> Run:
    """A new run, or the one of the checkpoint. The tokenizer is trained on the captions that are there when the first run starts."""
    if not (work / "tokenizer").exists():
        config.train_tokenizer([item.caption for item in read_shards(work)[0]], work / "tokenizer")
    run = new_run(work, device)
    if resume:
        run.restore(work / "checkpoint.pt")
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rate", type=float, default=3e-4, help="the highest learning rate")
    parser.add_argument("--bfloat16", action="store_true", help="twice as fast on processors that multiply it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    precision = torch.bfloat16 if options.bfloat16 else torch.float32
    run = start(options.work, device, resume=options.resume)
    train(run, options.work, minutes=options.minutes, device=device, precision=precision, peak=options.rate)


if __name__ == "__main__":
    main()
