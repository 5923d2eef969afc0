"""Train the spectrum decoder of the embedded model's codec on the spectra of WORK.

    python -m pocket.train_decoder WORK [--minutes 25] [--resume] [--rate 2e-3] [--threads 1] [--bfloat16]

Each minute it writes WORK/decoder.pt (read back with ``--resume``), looks for new spectra, and says how far it got: the loss, and the same two
distances on recordings that it never sees. The learning rate falls to zero at the end of ``--minutes``, which counts this run alone.
"""

import argparse
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from pocket import spectra
from pocket.material import recordings
from pocket.spectra import Piece
from pocket.spectrum_decoder import SpectrumDecoder
from tertium.engine.models.pocket_codec import SpectralCodec

FRAMES, ROWS = 129, 8  # three seconds
FAINT = math.log(1e-4)  # -80 dB beside a full-scale sine: differences below are not heard
MOST_NOISE = 0.05  # beside latents of mean square 1: those of a sampler are not quite those of a sound


@dataclass
class Run:
    """What a checkpoint holds."""

    decoder: SpectrumDecoder
    optimiser: torch.optim.Optimizer
    average: dict[str, torch.Tensor]
    step: int = 0
    seconds: float = 0.0
    pieces: list[Piece] = field(default_factory=list)

    def save(self, path: Path) -> None:
        partial = path.with_suffix(".partial")
        state = {
            "decoder": self.decoder.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state | {"step": self.step, "seconds": self.seconds}, partial)
        partial.rename(path)

    def restore(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.decoder.load_state_dict(state["decoder"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name, tensor in state["average"].items():
            self.average[name].copy_(tensor)
        self.step, self.seconds = state["step"], state["seconds"]

    def follow(self) -> None:
        """Move the running average towards the decoder, the more slowly the further the training is."""
        current = self.decoder.state_dict()
        decay = min(0.995, (1 + self.step) / (20 + self.step))
        torch._foreach_lerp_(list(self.average.values()), list(current.values()), 1 - decay)


def begin(rate: float) -> Run:
    torch.manual_seed(0)
    decoder = SpectrumDecoder()
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    return Run(decoder, optimiser, {name: t.detach().clone() for name, t in decoder.state_dict().items()})


def distances(
    codec: SpectralCodec, found: torch.Tensor, true: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How far log magnitudes (rows, 2, bins, spectra) are from the true ones: of bins and of bands in nepers, and spectral convergence."""
    bins = (found.clamp(min=FAINT) - true.clamp(min=FAINT)).abs().mean()
    s, x = true.exp(), found.exp()
    bands = [codec.to_bands(each.square()).clamp(min=math.exp(2 * FAINT)).log() / 2 for each in (x, s)]
    error = (s - x).flatten(1).norm(dim=1) / s.flatten(1).norm(dim=1).clamp(min=0.1)
    return bins, (bands[0] - bands[1]).abs().mean(), error.mean()


def loss(
    codec: SpectralCodec, decoder: SpectrumDecoder, rows: list[Piece], *, noise: float, bfloat16: bool
) -> tuple[torch.Tensor, tuple]:
    """The sum to descend, and the distances of bins, bands and convergence in it."""
    latents = torch.stack([row.latents for row in rows]).float()
    latents = latents + noise * torch.rand(len(rows), 1, 1) * torch.randn_like(latents)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        nepers, change = decoder(latents)
    true, plain, coherence, decoded = (
        torch.stack([getattr(row, name) for row in rows]).float()
        for name in ("magnitudes", "plain", "coherence", "decoded")
    )
    bins, bands, error = distances(codec, plain + codec.in_order(nepers.float()), true)
    apart = (decoded + change.float() - coherence).abs().mean()
    return bins + bands + error + 0.05 * apart, (bins, bands, error)


def crops(pieces: list[Piece], generator: torch.Generator) -> list[Piece]:
    """Three seconds each of as many pieces as fit in a batch."""
    rows = []
    for place in torch.randint(len(pieces), (ROWS,), generator=generator).tolist():
        piece = pieces[place]
        start = int(torch.randint(piece.latents.shape[1] - FRAMES + 1, (), generator=generator))
        end = start + FRAMES
        spectra_of = slice(2 * start, 2 * end)
        rows.append(
            Piece(
                piece.latents[:, start:end],
                piece.magnitudes[..., spectra_of],
                piece.plain[..., spectra_of],
                piece.coherence[:, start:end],
                piece.decoded[:, start:end],
            )
        )
    return rows


def unseen(codec: SpectralCodec) -> list[Piece]:
    """The first six seconds of each recording that is held out."""
    return [
        spectra.analyse(codec, torch.from_numpy(recordings.read(name)[:, : 6 * recordings.RATE]).float())
        for name in recordings.HELD_OUT
    ]


@torch.no_grad()
def check(codec: SpectralCodec, weights: dict[str, torch.Tensor], pieces: list[Piece]) -> str:
    decoder = SpectrumDecoder()
    decoder.load_state_dict(weights)
    found = [loss(codec, decoder, [piece], noise=0.0, bfloat16=False)[1] for piece in pieces]
    bins, bands, error = torch.tensor(found).mean(0).tolist()
    return f"unseen: bins {bins:.4f}, bands {bands:.4f} nepers, convergence {error:.4f}"


def learning_rate(step: int, part: float, *, peak: float) -> float:
    """Rises over 100 steps; falls as a cosine over the whole run."""
    return peak * min(1.0, (step + 1) / 100) * max(0.0, (1 + math.cos(math.pi * min(1.0, part))) / 2)


def train(run: Run, work: Path, *, minutes: float, peak: float, bfloat16: bool) -> None:
    codec, known = spectra.load_codec(work), set()
    codec.requires_grad_(False)
    held = unseen(codec)
    generator = torch.Generator().manual_seed(run.step)
    begun, before, minute, sums, count = time.monotonic(), run.seconds, -1, torch.zeros(3), 0
    while (passed := time.monotonic() - begun) < 60 * minutes:
        if int(passed / 60) != minute:
            minute = int(passed / 60)
            run.pieces += spectra.read(work, known)
            run.seconds = before + passed
            run.save(work / "decoder.pt")
            means = ", ".join(f"{value:.4f}" for value in (sums / max(count, 1)).tolist())
            print(
                f"{minute} min, step {run.step}, {len(run.pieces)} pieces: {means}; {check(codec, run.average, held)}",
                flush=True,
            )
            sums, count = torch.zeros(3), 0
        rate = learning_rate(run.step, passed / (60 * minutes), peak=peak)
        for group in run.optimiser.param_groups:
            group["lr"] = rate
        total, parts = loss(codec, run.decoder, crops(run.pieces, generator), noise=MOST_NOISE, bfloat16=bfloat16)
        run.optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(run.decoder.parameters(), 1.0)
        run.optimiser.step()
        run.step += 1
        run.follow()
        sums, count = sums + torch.stack(parts).detach(), count + 1
    run.seconds = before + time.monotonic() - begun
    run.save(work / "decoder.pt")
    print(f"step {run.step}; {check(codec, run.average, held)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--rate", type=float, default=2e-3, help="the highest learning rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = begin(options.rate)
    if options.resume:
        run.restore(options.work / "decoder.pt")
    train(run, options.work, minutes=options.minutes, peak=options.rate, bfloat16=options.bfloat16)


if __name__ == "__main__":
    main()
