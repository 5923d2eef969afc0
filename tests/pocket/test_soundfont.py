"""The SoundFont reader, on a file made here: one preset, one instrument, two samples."""

import struct

import numpy
import pytest

from pocket.material import instruments, soundfont
from pocket.material.soundfont import SoundFont

RATE = 44100
LOW, HIGH = 60, 61  # the keys at which the two samples change over


def chunk(name: str, data: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def zones(*of_each: dict[int, int]) -> tuple[bytes, bytes]:
    """Return the bags and generators of some zones, with the terminal ones."""
    bags, generators, count = b"", b"", 0
    for zone in (*of_each, {}):
        bags += struct.pack("<HH", count, 0)
        for kind, amount in zone.items():
            generators += struct.pack("<Hh", kind, amount)
        count += len(zone)
    return bags, generators + struct.pack("<Hh", 0, 0)


@pytest.fixture
def font(tmp_path):
    """A looped sine of 441 Hz for keys up to 60, and a click without a loop above; the preset lowers both by 20 dB as the hardware counts."""
    sine = numpy.round(16000 * numpy.sin(2 * numpy.pi * 441 * numpy.arange(1000) / RATE)).astype("<i2")
    click = numpy.full(500, 8000, "<i2")
    samples = numpy.concatenate([sine, numpy.zeros(46, "<i2"), click, numpy.zeros(46, "<i2")])
    heads = struct.pack("<20sIIIIIBbHH", b"sine", 0, 1000, 100, 900, RATE, 60, 0, 0, 1)
    heads += struct.pack("<20sIIIIIBbHH", b"click", 1046, 1546, 0, 0, RATE, 61, 0, 0, 1)
    heads += struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    preset_bags, preset_generators = zones({soundfont.ATTENUATION: 500, soundfont.INSTRUMENT: 0})
    bags, generators = zones(
        {soundfont.RELEASE: -12000},
        {soundfont.KEYS: LOW << 8, soundfont.LOOPS: 1, soundfont.SAMPLE: 0},
        {soundfont.KEYS: HIGH | 127 << 8, soundfont.SAMPLE: 1},
    )
    pdta = b"pdta" + chunk("phdr", struct.pack("<20sHHHIII", b"Sine and click", 7, 0, 0, 0, 0, 0) + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0))  # fmt: skip
    pdta += chunk("pbag", preset_bags) + chunk("pgen", preset_generators)
    pdta += chunk("inst", struct.pack("<20sH", b"Both", 0) + struct.pack("<20sH", b"EOI", 3))
    pdta += chunk("ibag", bags) + chunk("igen", generators) + chunk("shdr", heads)
    body = b"sfbk" + chunk("LIST", b"sdta" + chunk("smpl", samples.tobytes())) + chunk("LIST", pdta)
    path = tmp_path / "tiny.sf2"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return SoundFont(path)


def test_presets_know_their_zones(font):
    (preset,) = font.presets
    assert (preset.name, preset.bank, preset.number, preset.keys) == ("Sine and click", 0, 7, (0, 127))
    assert preset.samples == {0, 1} and [font.sample_name(number) for number in (0, 1)] == ["sine", "click"]
    assert [len(preset.sounding(key, 100)) for key in (LOW, HIGH)] == [1, 1]
    assert preset.sounding(LOW, 100)[0][soundfont.SAMPLE] == 0


def test_a_loop_lasts_as_long_as_its_key_is_held_and_at_the_pitch_of_the_key(font):
    note = font.note(font.presets[0], LOW - 12, 127, seconds=1.0)
    assert note.shape[0] == 2 and abs(note.shape[1] / RATE - 1.0) < 0.01
    spectrum = numpy.abs(numpy.fft.rfft(note[0][:RATE] * numpy.hanning(len(note[0][:RATE]))))
    assert abs(int(spectrum.argmax()) - 220.5) < 2, "an octave below"
    expected = 16000 / 32768 * 10 ** (-20 / 20) * numpy.cos(numpy.pi / 4)
    assert numpy.abs(note[0][5000:40000]).max() == pytest.approx(expected, rel=0.05)


def test_a_sample_without_a_loop_ends_by_itself(font):
    note = font.note(font.presets[0], HIGH, 127, seconds=1.0)
    assert note.shape[1] <= 600


def test_velocity_makes_louder(font):
    soft, loud = (numpy.abs(font.note(font.presets[0], LOW, v, seconds=0.2)).max() for v in (64, 127))
    assert loud / soft == pytest.approx((127 / 64) ** 2, rel=0.02)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "not.sf2"
    path.write_bytes(b"RIFF\x04\0\0\0WAVE" + b"\0" * 8)
    with pytest.raises(ValueError, match="not a SoundFont"):
        SoundFont(path)


def test_missing_instruments_are_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(instruments, "PATH", tmp_path / "none.sf2")
    instruments.soundfont.cache_clear()
    with pytest.raises(FileNotFoundError, match="musescore-general-soundfont-lossless"):
        instruments.soundfont()


@pytest.mark.skipif(not instruments.PATH.exists(), reason="musescore-general-soundfont-lossless is not installed")
def test_no_sample_of_a_held_out_instrument_is_in_training():
    held = set().union(*(preset.samples for preset in instruments.held_out()))
    assert [preset.name for preset in instruments.held_out()] == list(instruments.HELD_OUT)
    assert len(instruments.in_training()) > 150
    assert all(not preset.samples & held for preset in instruments.in_training())


@pytest.mark.skipif(not instruments.PATH.exists(), reason="musescore-general-soundfont-lossless is not installed")
def test_a_phrase_is_decided_by_its_seed_and_not_silent():
    for preset in instruments.held_out()[:3]:
        one, again = (instruments.phrase(numpy.random.default_rng(5), RATE, preset)[0] for _ in range(2))
        assert one.shape == (2, RATE) and numpy.array_equal(one, again) and numpy.abs(one).max() > 1e-3
