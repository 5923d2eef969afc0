"""Train the embedded model: stable-audio-tools' DiT and conditioners on the latents of the shards.

    python -m pocket.model.train WORK [--minutes 60] [--resume] [--device cpu] [--threads 2] [--rate 3e-4] [--bfloat16]

Every minute it saves WORK/checkpoint.pt (resumed with ``--resume``) and looks for new shards. The learning rate falls to zero at the end of
``--minutes``, which counts this run only.
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from pocket.codec.fit import codec_of
from pocket.material.dataset import Item, read_shards
from pocket.material.piece import SECONDS
from pocket.model import config, mixtures
from pocket.model.mixtures import Batch

CHECKPOINT = "checkpoint.pt"
FRAMES_A_SECOND = 44100 / 1024
LAST_MIXED_TIME = 0.85  # at more noise nothing is heard of a mixture
TOKENS_A_BATCH = 8 * 258  # eight crops of six seconds, or as many frames of another length
LATE = 0.5  # noise-to-signal ratio below which mixtures start nearer to their third sounds, since little way is left
FIRST_TIME = 0.15  # a little below the time of sigma = 0.3, where schedules end
_LENGTHS = (0.5, 1, 2, 3, 4, 6, 8, 12, 24, 47.5)
_LENGTH_SHARES = (0.02, 0.04, 0.08, 0.12, 0.14, 0.34, 0.12, 0.10, 0.02, 0.02)
_MOST_ROWS = 24


@dataclass
class Run:
    """The training state that a checkpoint holds: the model, its running average, the optimiser, steps and seconds."""

    model: torch.nn.Module
    average: dict[str, torch.Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Save the training state atomically."""
        partial = path.with_suffix(".partial")
        state = {"model": self.model.state_dict(), "average": self.average, "optimiser": self.optimiser.state_dict()}
        torch.save(state | {"step": self.step, "seconds": self.seconds}, partial)
        partial.rename(path)

    def restore(self, path: Path) -> None:
        """Load a saved training state."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name, tensor in state["average"].items():
            self.average[name].copy_(tensor)
        self.step, self.seconds = state["step"], state["seconds"]

    def update_average(self) -> None:
        """Move the running average towards the model, more slowly as training proceeds."""
        decay = min(0.999, (1 + self.step) / (20 + self.step))
        current = self.model.state_dict()
        names = [name for name, tensor in current.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.average[name] for name in names], [current[name] for name in names], 1 - decay)


def _by_length(items: list[Item]) -> tuple[list[Item], list[Item]]:
    """Split items into those that fill crops up to :data:`SECONDS` only, and longer ones, which fill any crop."""
    usual = math.ceil(SECONDS * FRAMES_A_SECOND)
    return [item for item in items if item.latents.shape[1] <= usual], [
        item for item in items if item.latents.shape[1] > usual
    ]


def crops(short: list[Item], long: list[Item], generator: torch.Generator) -> tuple[torch.Tensor, list[dict]]:
    """Draw crops of one length (rows, channels, frames), with their captions and seconds. Longer crops come in smaller batches.

    Without long items, the length is one that the short ones fill.
    """
    shares = torch.tensor(
        [share if long or seconds <= SECONDS else 0.0 for seconds, share in zip(_LENGTHS, _LENGTH_SHARES, strict=True)]
    )
    seconds = _LENGTHS[int(torch.multinomial(shares, 1, generator=generator))]
    frames = math.ceil(seconds * FRAMES_A_SECOND)
    rows = min(_MOST_ROWS, max(1, TOKENS_A_BATCH // frames))
    source = long if seconds > SECONDS else short + long
    found, about = [], []
    for place in torch.randint(len(source), (rows,), generator=generator).tolist():
        item = source[place]
        spare = item.latents.shape[1] - frames
        start = (
            int(torch.randint(max(1, spare + 1), (1,), generator=generator))
            if torch.rand((), generator=generator) < 0.7
            else 0
        )
        crop = item.latents[:, start : start + frames]
        found.append(torch.nn.functional.pad(crop, (0, frames - crop.shape[1]), mode="replicate"))
        about.append({"prompt": item.caption, "seconds_total": seconds})
    return torch.stack(found), about


def loss(model, batch: Batch, about: list[dict], generator: torch.Generator, *, precision: torch.dtype) -> torch.Tensor:
    """Return the mean squared error of the velocity (alpha x - target) / sigma for x = alpha * start + sigma * noise, at times from FIRST_TIME to 1.

    The time t is that of the EDM scaling, sigma_edm = tan(t pi / 2); the times of a batch are spread evenly. Where the start is the target, this is the
    usual velocity alpha * noise - sigma * target. A row under the null prompt has zeros for its cross-attention, as in the null branch of guidance; the
    global embedding of the length stays.
    """
    device, rows = batch.target.device, batch.target.shape[0]
    spread = (torch.randperm(rows, generator=generator) + torch.rand((), generator=generator)) / rows
    last = torch.where(batch.mixed[:, 0, 0].cpu(), LAST_MIXED_TIME, 1.0)
    times = (FIRST_TIME + (last - FIRST_TIME) * spread).to(device)
    alpha, sigma = (times * math.pi / 2).cos()[:, None, None], (times * math.pi / 2).sin()[:, None, None]
    noise = torch.randn(batch.target.shape, generator=generator).to(device)
    x = alpha * torch.lerp(batch.target, batch.start, (sigma / alpha / LATE).clamp(max=1.0)) + sigma * noise
    inputs = model.get_conditioning_inputs(model.conditioner(about, device))
    context = inputs["cross_attn_cond"] * ~batch.null
    with torch.autocast(device.type, precision, enabled=precision != torch.float32):
        velocity = model.model.model(
            x, times, cross_attn_cond=context, global_embed=inputs["global_cond"], use_checkpointing=False
        )
    return (velocity.float() - (alpha * x - batch.target) / sigma).square().mean()


def learning_rate(step: int, progress: float, *, peak: float) -> float:
    """Return the rate: a rise over 200 steps, a plateau, and a cosine to zero over the last 40 % of the run.

    Args:
        step: of this run; the optimiser may be new.
        progress: part of this run that has passed, 0 … 1.
    """
    fall = 1.0 if progress < 0.6 else 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - 0.6) / 0.4))
    return peak * min(1.0, (step + 1) / 200) * fall


def train(run: Run, work: Path, *, minutes: float, device: torch.device, precision: torch.dtype, peak: float) -> None:
    """Train a run for so many minutes on the shards of a working folder, saving checkpoints there.

    Raises:
        ValueError: there are no shards.
    """
    items, known = read_shards(work)
    if not items:
        raise ValueError(f"there are no shards in {work / 'shards'}; render them with pocket.material.dataset")
    short, long = _by_length(items)
    codec = codec_of(work).to(device)
    generator = torch.Generator().manual_seed(1000 + run.step)
    began = saved = time.monotonic()
    before, first, recent = run.seconds, run.step, []
    while (elapsed := time.monotonic() - began) < minutes * 60:
        latents, about = crops(short, long, generator)
        for group in run.optimiser.param_groups:
            group["lr"] = learning_rate(run.step - first, elapsed / (minutes * 60), peak=peak)
        examples = mixtures.examples(codec, latents.to(device), generator)
        value = loss(run.model, examples, about, generator, precision=precision)
        run.optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        run.optimiser.step()
        run.step += 1
        run.update_average()
        recent.append(value.item())
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            run.seconds = before + saved - began
            run.save(work / CHECKPOINT)
            print(
                f"step {run.step}, {run.seconds / 60:.1f} min, {len(short) + len(long)} pieces, loss {sum(recent) / len(recent):.4f}",
                flush=True,
            )
            recent = []
            more, known = read_shards(work, known)
            short, long = (old + new for old, new in zip((short, long), _by_length(more), strict=True))
    run.seconds = before + time.monotonic() - began
    run.save(work / CHECKPOINT)
    print(f"Done: step {run.step}, {run.seconds / 60:.1f} min.", flush=True)


def new_run(work: Path, device: torch.device) -> Run:
    """Return a run at step 0, with the tokenizer of ``work``."""
    torch.manual_seed(0)
    model = config.build(work).to(device)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trainable, lr=3e-4, betas=(0.9, 0.99), weight_decay=0.01)
    return Run(model, {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}, optimiser)


def start(work: Path, device: torch.device, *, resume: bool) -> Run:
    """Return a new run, or resume that of the checkpoint. The first run trains the tokenizer on the captions rendered so far."""
    if not (work / "tokenizer").exists():
        config.train_tokenizer([item.caption for item in read_shards(work)[0]], work / "tokenizer")
    run = new_run(work, device)
    if resume:
        run.restore(work / CHECKPOINT)
    return run


def save_first(work: Path, run_of: Callable[[Path], Run]) -> Run:
    """Save the run that ``run_of`` makes of a working folder as its checkpoint, and return it.

    Raises:
        SystemExit: there is a checkpoint already; it is never overwritten.
    """
    path = work / CHECKPOINT
    if path.exists():
        raise SystemExit(f"{path} exists already. Continue with: python -m pocket.model.train {work} --resume")
    run = run_of(work)
    run.save(path)
    return run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to train."""
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rate", type=float, default=3e-4, help="peak learning rate")
    parser.add_argument("--bfloat16", action="store_true", help="twice as fast on processors that support it")


def train_with(options: argparse.Namespace, run: Run, *, minutes: float) -> None:
    """Train a run as the options of :func:`add_arguments` say."""
    precision = torch.bfloat16 if options.bfloat16 else torch.float32
    device = torch.device(options.device)
    train(run, options.work, minutes=minutes, device=device, precision=precision, peak=options.rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=60, help="of this run")
    parser.add_argument("--resume", action="store_true")
    add_arguments(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = start(options.work, torch.device(options.device), resume=options.resume)
    train_with(options, run, minutes=options.minutes)


if __name__ == "__main__":
    main()
