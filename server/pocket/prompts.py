"""Whether the prompt or the seed decides what is generated.

    python -m pocket.prompts [--model pocket] [--seeds 3] [--steps 50] [--seconds 6] [--guidance G]

Prints for each of ten prompts of the training vocabulary the mean likeness (log-mel) of its generations under several seeds to each other, that of its generations to
those of the other prompts under the same seeds, and the highest true peak in dB relative to full scale, before any limiter.
"""

import argparse
import itertools
import statistics

import torch

from pocket import likeness
from pocket.measure import PROMPTS
from tertium.engine import operations
from tertium.engine.models.loaded_model import LoadedModel, load_model
from tertium.engine.settings import GenerateSettings


def generations(model: LoadedModel, *, seeds: int, **settings) -> dict[str, list[torch.Tensor]]:
    """Return the sounds of each prompt by seed, 0 … seeds - 1; ``settings`` are those of :class:`GenerateSettings`."""
    return {
        prompt: [
            operations.generate(model, GenerateSettings(prompt=prompt, seed=seed, **settings)) for seed in range(seeds)
        ]
        for prompt in PROMPTS
    }


def compare(sounds: dict[str, list[torch.Tensor]]) -> dict[str, dict[str, float]]:
    """Return, by prompt, the likeness to itself under other seeds, to other prompts under the same seed, and the true peak in dB."""
    return {
        prompt: {
            "same prompt": statistics.mean(likeness.mel(a, b) for a, b in itertools.combinations(own, 2)),
            "same seed": statistics.mean(
                likeness.mel(sound, others[seed])
                for name, others in sounds.items()
                if name != prompt
                for seed, sound in enumerate(own)
            ),
            "true peak dB": max(likeness.true_peak(sound) for sound in own),
        }
        for prompt, own in sounds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--guidance", type=float)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model, device="cpu")
    settings = {"steps": options.steps, "seconds": options.seconds, "guidance": options.guidance}
    rows = compare(generations(model, seeds=options.seeds, **settings))
    print("| prompt | same prompt, other seeds | same seed, other prompts | true peak, dB |\n| --- | --- | --- | --- |")
    for prompt, row in rows.items():
        print(f"| {prompt} | {row['same prompt']:.2f} | {row['same seed']:.2f} | {row['true peak dB']:+.1f} |")
    ahead = sum(row["same prompt"] > row["same seed"] for row in rows.values())
    print(f"\nThe prompt decides more than the seed for {ahead} of {len(rows)} prompts.")


if __name__ == "__main__":
    main()
