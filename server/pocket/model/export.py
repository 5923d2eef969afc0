"""Export the trained model as a folder that the daemon can load.

    python -m pocket.model.export WORK [--to WORK/export]

Writes the running average of the weights and the codec's projection in half precision, the configuration, the tokenizer, and the provenance of
the sounds. To replace the shipped model: --to server/tertium/assets/pocket.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from pocket.codec.train_phases import whole_codec
from pocket.material import origin, provenance
from pocket.model import config

LARGEST = 30_000_000
SHIPPED = Path(__file__).parents[2] / "tertium" / "assets" / "pocket"


def weights(work: Path) -> tuple[dict[str, torch.Tensor], int, float]:
    """Return the state dict with the codec as its pretransform, and the steps and seconds of training.

    Raises:
        SystemExit: weights that half precision cannot represent.
    """
    state = torch.load(work / "checkpoint.pt", map_location="cpu", weights_only=True)
    codec = whole_codec(work).state_dict()
    tensors = state["average"] | {f"pretransform.{name}": tensor for name, tensor in codec.items()}
    small = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }
    bad = [name for name, tensor in small.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise SystemExit(f"Half precision cannot represent these weights: {', '.join(bad)}.")
    return small, state["step"], state["seconds"]


def export(work: Path, to: Path) -> None:
    """Write the model's folder.

    Raises:
        SystemExit: the weights are too large for the wheel, or half precision cannot represent them.
    """
    to.mkdir(parents=True, exist_ok=True)
    tensors, steps, seconds = weights(work)
    target = to / "model.safetensors"
    partial = target.with_suffix(".partial")
    save_file(tensors, partial, metadata={"steps": str(steps), "minutes": f"{seconds / 60:.0f}", "licence": "CC0-1.0"})
    if partial.stat().st_size > LARGEST:
        raise SystemExit(f"The weights have {partial.stat().st_size} bytes; the wheel has room for {LARGEST}.")
    partial.chmod(0o644)
    partial.rename(target)
    (to / "model_config.json").write_text(json.dumps(config.CONFIG, indent=2) + "\n")
    shutil.copytree(work / "tokenizer", to / "tokenizer", dirs_exist_ok=True)
    page = provenance.page(steps=steps, minutes=seconds / 60, with_recordings=origin.has_recordings(work))
    (to / "PROVENANCE.md").write_text(page)
    print(f"Wrote {to} ({target.stat().st_size / 1e6:.1f} MB) from step {steps}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--to", type=Path, metavar="DIR", help="default WORK/export")
    options = parser.parse_args()
    export(options.work, options.to or options.work / "export")


if __name__ == "__main__":
    main()
