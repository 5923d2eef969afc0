"""Write the trained model where the daemon finds it.

    python -m pocket.model.export WORK [--to server/tertium/assets/pocket]

The running average of the weights and the codec's projection, in half precision, with the configuration, the tokenizer and where the sounds came from.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from pocket.material import provenance
from pocket.model import config

LARGEST = 24_000_000
TARGET = Path(__file__).parents[2] / "tertium" / "assets" / "pocket"


def weights(work: Path) -> tuple[dict[str, torch.Tensor], int, float]:
    """The state dict with the codec as its pretransform, and the steps and seconds of training."""
    state = torch.load(work / "checkpoint.pt", map_location="cpu", weights_only=True)
    tensors = state["average"] | {
        f"pretransform.{name}": tensor for name, tensor in load_file(work / "codec.safetensors").items()
    }
    small = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }
    bad = [name for name, tensor in small.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise SystemExit(f"These weights do not fit half precision: {', '.join(bad)}.")
    return small, state["step"], state["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--to", type=Path, default=TARGET)
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    tensors, steps, seconds = weights(options.work)
    target = options.to / "model.safetensors"
    partial = target.with_suffix(".partial")
    save_file(tensors, partial, metadata={"steps": str(steps), "minutes": f"{seconds / 60:.0f}", "licence": "CC0-1.0"})
    if partial.stat().st_size > LARGEST:
        raise SystemExit(f"{partial.stat().st_size} bytes are more than the {LARGEST} that the wheel has room for.")
    partial.chmod(0o644)
    partial.rename(target)
    (options.to / "model_config.json").write_text(json.dumps(config.CONFIG, indent=2) + "\n")
    shutil.copytree(options.work / "tokenizer", options.to / "tokenizer", dirs_exist_ok=True)
    (options.to / "PROVENANCE.md").write_text(provenance.page(steps=steps, minutes=seconds / 60))
    print(f"Wrote {options.to} ({target.stat().st_size / 1e6:.1f} MB) from step {steps}.")


if __name__ == "__main__":
    main()
