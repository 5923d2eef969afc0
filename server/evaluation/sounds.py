"""The recordings that are measured: two ship with the demo, the others come from Debian's ``sonic-pi-samples`` (CC0)."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from pocket.material import recordings
from tertium.audio import files
from tertium.audio.signal import conform
from tertium.cli.demo import SOUNDS as SHIPPED
from tertium.engine.inputs import looped
from tertium.engine.models.loaded_model import LoadedModel


@dataclass(frozen=True)
class Sound:
    """A recording.

    Args:
        recording: its name in ``sonic-pi-samples``.
        shipped: the file among the demo's sounds, a cut of the recording; None if it is not one of them.
    """

    recording: str
    shipped: str | None = None

    @property
    def path(self) -> Path:
        return SHIPPED / self.shipped if self.shipped else recordings.FOLDER / f"{self.recording}.flac"

    @property
    def held_out(self) -> bool:
        """True if the embedded model was not trained on it."""
        return self.recording in recordings.HELD_OUT


SOUNDS = {
    "drums": Sound("loop_safari", "safari_drums.flac"), "hum": Sound("ambi_haunted_hum", "haunted_hum.flac"), "glass rub": Sound("ambi_glass_rub"),
    "voice bass": Sound("bass_voxy_c"), "tom": Sound("drum_tom_mid_hard"), "chime": Sound("elec_chime"), "guitar slide": Sound("guit_e_slide"),
    "glitch": Sound("glitch_perc3"), "robot": Sound("mehackit_robot4"), "bell": Sound("perc_bell2"), "tabla": Sound("tabla_ghe3"),
    "rewind": Sound("vinyl_rewind"),
}  # fmt: skip
"""By their names in the figures."""


class SoundsMissing(FileNotFoundError):
    """Recordings that the plan measures are not installed. The message says how to install them."""

    def __init__(self, missing: list[str]):
        super().__init__(
            f"These recordings are missing: {', '.join(missing)}. They are in the Debian package sonic-pi-samples (CC0): "
            f"apt install sonic-pi-samples, or put its FLAC files into {recordings.FOLDER}. --quick makes a tiny report without them."
        )


def check(names: set[str]) -> None:
    """Check that all recordings are installed.

    Raises:
        SoundsMissing: some are not.
    """
    missing = sorted(str(SOUNDS[name].path) for name in names if not SOUNDS[name].path.is_file())
    if missing:
        raise SoundsMissing(missing)


def load(name: str, model: LoadedModel, seconds: float) -> torch.Tensor:
    """Return the first ``seconds`` of a recording as (channels, samples) at the model's sample rate; a shorter recording is repeated."""
    conformed = conform(files.read(SOUNDS[name].path), sample_rate=model.sample_rate, channels=model.channels)
    return looped(torch.from_numpy(conformed.samples), round(seconds * model.sample_rate))


def about(names: set[str]) -> dict[str, dict[str, str | bool]]:
    """Return for each sound its recording, its file with the SHA-256, and whether it was held out of the embedded model's training."""
    return {
        name: {
            "recording": SOUNDS[name].recording,
            "file": SOUNDS[name].path.name,
            "sha256": hashlib.sha256(SOUNDS[name].path.read_bytes()).hexdigest(),
            "held out of pocket's training": SOUNDS[name].held_out,
        }
        for name in sorted(names)
    }
