"""A reader of SoundFont 2 files, and a simple player of their notes.

Written from the SoundFont Technical Specification, version 2.04 (Creative Labs and E-MU, 2006). A preset names instruments, an instrument names samples, and both
are lists of zones: settings ("generators") for a range of keys and velocities. Played are pitch, loop, volume envelope, attenuation, pan and the resting cutoff of
the filter; modulators, low-frequency oscillators, the modulation envelope and resonance are left out. That is enough for material, which needs many sounds rather than a perfect rendition of one.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy
import soxr
from scipy import signal

from pocket.material.synthesis import RATE

START, END, LOOP_START, LOOP_END = 0, 1, 2, 3
START_COARSE, END_COARSE, LOOP_START_COARSE, LOOP_END_COARSE = 4, 12, 45, 50  # in units of 32,768 samples
CUTOFF, PAN, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE = 8, 17, 34, 35, 36, 37, 38
INSTRUMENT, KEYS, VELOCITIES, ATTENUATION, COARSE, FINE, SAMPLE, LOOPS, SCALE, ROOT = (
    41,
    43,
    44,
    48,
    51,
    52,
    53,
    54,
    56,
    58,
)
_DEFAULTS = {CUTOFF: 13500, ATTACK: -12000, HOLD: -12000, DECAY: -12000, RELEASE: -12000, SCALE: 100, ROOT: -1}
_RANGES = (KEYS, VELOCITIES)
_NOT_ADDED = {*_RANGES, INSTRUMENT, SAMPLE, LOOPS, ROOT}  # a preset adds its other settings to the instrument's
_ROM = 0x8000  # samples of this type are in a sound card, not in the file

_PRESET = numpy.dtype([("name", "S20"), ("number", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("unused", "<u4", 3)])
_INSTRUMENT = numpy.dtype([("name", "S20"), ("bag", "<u2")])
_BAG = numpy.dtype([("generator", "<u2"), ("modulator", "<u2")])
_GENERATOR = numpy.dtype([("kind", "<u2"), ("amount", "<i2")])
_HEADER = numpy.dtype(
    [("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("loop_start", "<u4"), ("loop_end", "<u4"),
     ("rate", "<u4"), ("key", "u1"), ("correction", "i1"), ("link", "<u2"), ("type", "<u2")]
)  # fmt: skip

Zone = dict[int, int]
"""Amounts by kind of generator."""


@dataclass(frozen=True)
class Preset:
    """A preset: its name, bank (128 holds drum kits) and number, and the zones of its samples, preset and instrument combined."""

    name: str
    bank: int
    number: int
    zones: tuple[Zone, ...]

    @cached_property
    def samples(self) -> frozenset[int]:
        """The numbers of all samples that it plays."""
        return frozenset(zone[SAMPLE] for zone in self.zones)

    @cached_property
    def keys(self) -> tuple[int, int]:
        """The lowest and the highest MIDI key that sounds."""
        ranges = [_range(zone, KEYS) for zone in self.zones]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def sounding(self, key: int, velocity: int) -> list[Zone]:
        """Return the zones that sound for a MIDI key and velocity."""
        return [zone for zone in self.zones if _inside(zone, KEYS, key) and _inside(zone, VELOCITIES, velocity)]


class SoundFont:
    """An open SoundFont file; the samples stay on the disk until they are played.

    Raises:
        ValueError: not a SoundFont of version 2 with 16-bit samples.
    """

    def __init__(self, path: Path):
        self._bytes = numpy.memmap(path, numpy.uint8, "r")
        chunks = dict(_chunks(self._bytes))
        if "smpl" not in chunks or "phdr" not in chunks:
            raise ValueError(f"{path} is not a SoundFont 2 file")
        first, size = chunks["smpl"]
        self._samples = self._bytes[first : first + size // 2 * 2].view("<i2")
        self._tables = {
            name: self._bytes[chunks[name][0] : sum(chunks[name])].view(kind)
            for name, kind in {
                "phdr": _PRESET, "pbag": _BAG, "pgen": _GENERATOR, "inst": _INSTRUMENT, "ibag": _BAG, "igen": _GENERATOR, "shdr": _HEADER,
            }.items()
        }  # fmt: skip

    @cached_property
    def presets(self) -> tuple[Preset, ...]:
        """All presets with their zones, in the file's order."""
        table = self._tables["phdr"]
        return tuple(
            Preset(
                _text(head["name"]), int(head["bank"]), int(head["number"]), tuple(self._preset_zones(head, following))
            )
            for head, following in itertools.pairwise(table)
        )

    def sample_name(self, number: int) -> str:
        """Return the name of a sample."""
        return _text(self._tables["shdr"][number]["name"])

    def note(self, preset: Preset, key: int, velocity: int, *, seconds: float, most: float = 12.0) -> numpy.ndarray:
        """Return a note as (2, samples) at 44.1 kHz, with a full-scale sample at 1.

        Args:
            key: MIDI, 0 … 127.
            velocity: MIDI, 1 … 127.
            seconds: from the key's press to its release; the note then fades.
            most: the length in seconds that it does not exceed, fade included.
        """
        voices = [
            self._voice(zone, key, velocity, seconds=seconds, most=most) for zone in preset.sounding(key, velocity)
        ]
        out = numpy.zeros((2, max((voice.shape[1] for voice in voices), default=1)))
        for voice in voices:
            out[:, : voice.shape[1]] += voice
        return out

    def _preset_zones(self, head, following) -> Iterator[Zone]:
        shared: Zone = {}
        for zone in self._zones("p", head["bag"], following["bag"]):
            if INSTRUMENT not in zone:
                shared = zone  # the first zone without an instrument holds for all that follow
                continue
            for inner in self._instrument_zones(zone[INSTRUMENT]):
                both = _combined(inner, shared | zone)
                if both is not None and not int(self._tables["shdr"][both[SAMPLE]]["type"]) & _ROM:
                    yield both

    def _instrument_zones(self, number: int) -> Iterator[Zone]:
        table, shared = self._tables["inst"], {}
        for zone in self._zones("i", table[number]["bag"], table[number + 1]["bag"]):
            if SAMPLE in zone:
                yield _DEFAULTS | shared | zone
            else:
                shared = zone

    def _zones(self, kind: str, first: int, last: int) -> Iterator[Zone]:
        bags, generators = self._tables[f"{kind}bag"], self._tables[f"{kind}gen"]
        for bag in range(int(first), int(last)):
            found = generators[int(bags[bag]["generator"]) : int(bags[bag + 1]["generator"])]
            yield {int(entry["kind"]): int(entry["amount"]) for entry in found}

    def _voice(self, zone: Zone, key: int, velocity: int, *, seconds: float, most: float) -> numpy.ndarray:
        head = self._tables["shdr"][zone[SAMPLE]]
        root = zone[ROOT] if zone[ROOT] >= 0 else int(head["key"])
        cents = (key - root) * zone[SCALE] + int(head["correction"]) + zone.get(COARSE, 0) * 100 + zone.get(FINE, 0)
        rate = int(head["rate"]) * 2 ** (cents / 1200)
        count = int(RATE * min(most, seconds + min(4.0, _seconds(zone[RELEASE]))))
        source = self._source(zone, head, int(count * rate / RATE) + 64)
        sound = soxr.resample(source, min(rate, 16 * RATE), RATE, quality="MQ")[:count] if len(source) else source
        cutoff = 8.176 * 2 ** (zone[CUTOFF] / 1200)
        if cutoff < 16_000:
            sound = signal.sosfilt(signal.butter(2, max(cutoff, 40.0), fs=RATE, output="sos"), sound)
        # The attenuation counts 0.4 of what the specification says, as in the hardware for which these files were made.
        gain = (velocity / 127) ** 2 * 10 ** (-0.4 * max(0, zone.get(ATTENUATION, 0)) / 200)
        sound = sound * envelope(zone, len(sound), seconds) * gain
        place = (min(500, max(-500, zone.get(PAN, 0))) / 1000 + 0.5) * numpy.pi / 2
        return numpy.stack([sound * numpy.cos(place), sound * numpy.sin(place)])

    def _source(self, zone: Zone, head, count: int) -> numpy.ndarray:
        """Return at least ``count`` samples of the recording where it loops, and at most all of it where it does not."""

        def at(place, fine, coarse):
            return int(head[place]) + zone.get(fine, 0) + 32768 * zone.get(coarse, 0)

        start, end = at("start", START, START_COARSE), at("end", END, END_COARSE)
        first, last = at("loop_start", LOOP_START, LOOP_START_COARSE), at("loop_end", LOOP_END, LOOP_END_COARSE)
        if zone.get(LOOPS, 0) & 1 and start <= first < last <= end and start + count > last:
            once, loop = self._samples[start:last], self._samples[first:last]
            repeats = -(-(count - len(once)) // len(loop))
            return numpy.concatenate([once, numpy.tile(loop, max(0, repeats))]) / 32768
        return self._samples[start : min(end, start + count)] / 32768


def envelope(zone: Zone, count: int, seconds: float) -> numpy.ndarray:
    """Return the volume envelope (count,), 0 … 1: a linear attack, a hold, a decay in decibels to the sustain level, a release in decibels from ``seconds`` on."""
    t = numpy.arange(count) / RATE
    attack, hold, decay, release = (_seconds(zone[kind]) for kind in (ATTACK, HOLD, DECAY, RELEASE))
    sustain = min(100.0, max(0.0, zone.get(SUSTAIN, 0) / 10))
    fallen = numpy.clip((t - attack - hold) * 100 / decay, 0, sustain)
    fallen = fallen + numpy.clip(t - seconds, 0, None) * 100 / max(release, 0.02)
    return numpy.clip(t / attack, 0, 1) * 10 ** (-fallen / 20)


def _seconds(timecents: int) -> float:
    return 2 ** (max(timecents, -12000) / 1200)


def _range(zone: Zone, kind: int) -> tuple[int, int]:
    """Return the lowest and the highest key or velocity of a zone; both are bytes of one amount."""
    amount = zone.get(kind, 127 << 8) & 0xFFFF
    return amount & 0xFF, amount >> 8


def _inside(zone: Zone, kind: int, value: int) -> bool:
    low, high = _range(zone, kind)
    return low <= value <= high


def _combined(inner: Zone, outer: Zone) -> Zone | None:
    """Return an instrument's zone as a preset's zone modifies it; None where their ranges do not meet."""
    both = dict(inner)
    for kind, amount in outer.items():
        if kind not in _NOT_ADDED:
            both[kind] = both.get(kind, 0) + amount
    for kind in _RANGES:
        (low, high), (least, most) = _range(inner, kind), _range(outer, kind)
        low, high = max(low, least), min(high, most)
        if low > high:
            return None
        both[kind] = low | high << 8
    return both


def _text(name: bytes) -> str:
    return bytes(name).split(b"\0")[0].decode("latin-1").strip()


def _chunks(data: numpy.ndarray) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the names of a RIFF file's chunks with the position and length of their contents; those inside lists too."""
    place = 12
    while place + 8 <= len(data):
        name, size = bytes(data[place : place + 4]).decode("latin-1"), int(data[place + 4 : place + 8].view("<u4")[0])
        if name == "LIST":
            place += 12  # its chunks follow
            continue
        yield name, (place + 8, size)
        place += 8 + size + size % 2
