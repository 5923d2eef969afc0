"""The CC0 recordings of Debian's ``sonic-pi-samples``: their files, words for their captions, and those held out of training."""

import re
from pathlib import Path

import numpy
import soundfile
import soxr

from pocket.material.synthesis import RATE

FOLDER = Path("/usr/share/sonic-pi/samples")
HELD_OUT = (
    "loop_safari", "ambi_haunted_hum", "ambi_glass_rub", "bass_voxy_c", "drum_tom_mid_hard", "elec_chime",
    "guit_e_slide", "glitch_perc3", "mehackit_robot4", "perc_bell2", "tabla_ghe3", "vinyl_rewind",
)  # fmt: skip
"""Recordings that are never used in training, for tests, figures and the demo. The first two are the demo's."""

_KINDS = {
    "ambi": "ambient texture", "bass": "bass synth note", "bd": "kick drum hit", "drum": "acoustic drum hit", "elec": "electronic percussion hit",
    "glitch": "glitch digital", "guit": "guitar", "loop": "loop", "mehackit": "electronic voice", "misc": "sound effect", "perc": "percussion",
    "sn": "snare drum hit", "tabla": "tabla indian hand drum", "vinyl": "vinyl record turntable",
}  # fmt: skip
_WORDS = {
    "bd": "kick", "tom": "tom drum", "hi": "high", "lo": "low", "mid": "middle", "em9": "chord minor", "perc": "percussion", "guit": "guitar",
    "amen": "drum break breakbeat drum loop fast", "breakbeat": "breakbeat drum loop fast", "compus": "electronic music beat", "garzul": "electronic synth beat",
    "industrial": "industrial drum loop machine", "mika": "electronic beat drum loop", "tabla": "tabla rhythm", "3d": "machine", "printer": "printer mechanical rhythm",
    "electric": "electric buzz rhythm", "mehackit": "electronic beat", "weirdo": "weird voices rhythm", "g": "", "c": "", "e": "", "f": "", "97": "", "full": "",
    "drone": "drone hum", "hum": "hum drone", "choir": "choir voices singing", "piano": "piano notes", "glass": "glass", "lunar": "space dark", "land": "landscape",
    "sauna": "water steam", "woosh": "woosh wind", "phone": "telephone voice", "robot": "robot voice", "burp": "burp voice", "crow": "crow bird", "cineboom": "cinematic boom deep",
    "ghe": "bass stroke", "na": "ringing stroke", "te": "dry stroke", "ke": "dry stroke", "tun": "tone stroke", "tas": "stroke", "dhec": "stroke", "re": "stroke",
}  # fmt: skip


def names() -> list[str]:
    """Return the names of the recordings used in training, sorted.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    found = sorted(path.stem for path in FOLDER.glob("*.flac"))
    if not found:
        raise FileNotFoundError(
            f"There are no recordings in {FOLDER}. Install the Debian package sonic-pi-samples (CC0), "
            "or begin a new working folder with --no-recordings."
        )
    return [name for name in found if name not in HELD_OUT]


def read(name: str) -> numpy.ndarray:
    """Return a recording as (2, frames), float64, at 44.1 kHz."""
    samples, rate = soundfile.read(FOLDER / f"{name}.flac", always_2d=True)
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE)
    return numpy.ascontiguousarray(
        numpy.broadcast_to(samples.T, (2, len(samples))) if samples.shape[1] == 1 else samples.T[:2]
    )


def words(name: str) -> list[str]:
    """Return words that describe a recording, from its name: "drum_tom_hi_hard" → acoustic drum hit, tom drum, high, hard."""
    kind, *rest = name.split("_")
    rest = [re.sub(r"\d+$", "", word) if word != "3d" else word for word in rest]
    found = [_KINDS[kind]] + [_WORDS.get(word, word) for word in rest]
    return [word for word in found if word]
