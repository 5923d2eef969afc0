"""The recordings that are measured: two are shipped for the demo, the others come from Debian's ``sonic-pi-samples`` (CC0)."""

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
        shipped: its file among the demo's sounds, if it is one of them (a cut of the recording).
    """

    recording: str
    shipped: str | None = None

    @property
    def path(self) -> Path:
        return SHIPPED / self.shipped if self.shipped else recordings.FOLDER / f"{self.recording}.flac"

    @property
    def held_out(self) -> bool:
        """Whether the embedded model was never trained on it."""
        return self.recording in recordings.HELD_OUT


SOUNDS = {
    "drums": Sound("loop_safari", "safari_drums.flac"), "hum": Sound("ambi_haunted_hum", "haunted_hum.flac"), "glass rub": Sound("ambi_glass_rub"),
    "voice bass": Sound("bass_voxy_c"), "tom": Sound("drum_tom_mid_hard"), "chime": Sound("elec_chime"), "guitar slide": Sound("guit_e_slide"),
    "glitch": Sound("glitch_perc3"), "robot": Sound("mehackit_robot4"), "bell": Sound("perc_bell2"), "tabla": Sound("tabla_ghe3"),
    "rewind": Sound("vinyl_rewind"),
}  # fmt: skip
"""By the name that figures give them."""


class SoundsMissing(FileNotFoundError):
    """Recordings that are to be measured are not on this machine. The message says what to install."""

    def __init__(self, missing: list[str]):
        super().__init__(
            f"These recordings are missing: {', '.join(missing)}. They belong to the Debian package sonic-pi-samples (CC0): "
            f"apt install sonic-pi-samples, or put its FLAC files into {recordings.FOLDER}. A report without them: --quick."
        )


def check(names: set[str]) -> None:
    """Raise SoundsMissing unless all are there."""
    missing = sorted(str(SOUNDS[name].path) for name in names if not SOUNDS[name].path.is_file())
    if missing:
        raise SoundsMissing(missing)


def load(name: str, model: LoadedModel, seconds: float) -> torch.Tensor:
    """(channels, samples) at the model's rate, ``seconds`` long from the recording's start; a shorter one is repeated."""
    conformed = conform(files.read(SOUNDS[name].path), sample_rate=model.sample_rate, channels=model.channels)
    return looped(torch.from_numpy(conformed.samples), round(seconds * model.sample_rate))


def about(names: set[str]) -> dict[str, dict[str, str | bool]]:
    """Of each: recording, SHA-256 of its file, and whether the embedded model was never trained on it."""
    return {
        name: {
            "recording": SOUNDS[name].recording,
            "file": SOUNDS[name].path.name,
            "sha256": hashlib.sha256(SOUNDS[name].path.read_bytes()).hexdigest(),
            "held out of pocket's training": SOUNDS[name].held_out,
        }
        for name in sorted(names)
    }
