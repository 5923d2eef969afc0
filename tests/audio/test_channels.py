"""Conversion of channels by their layout, and attenuation to full scale."""

import struct

import numpy as np
import pytest
import soundfile

from tertium.audio import channels
from tertium.audio.signal import Audio, conform, within_full_scale
from tertium.storage.library import Library
from tests.audio.test_decoders import RATE, chunk, riff
from tests.sounds import tone

HALF = channels.HALF_POWER


def one_channel(count, which):
    samples = np.zeros((count, RATE), np.float32)
    samples[which] = tone(seconds=1, channels=1)[0]
    return samples


FLOAT = bytes.fromhex("0300000000001000800000aa00389b71")


def extensible(samples, *, mask, guid=FLOAT):
    """Return a float WAV that declares its channel layout."""
    count, block = samples.shape[0], 4 * samples.shape[0]
    form = (
        struct.pack("<HHIIHH", 0xFFFE, count, RATE, RATE * block, block, 32) + struct.pack("<HHI", 22, 32, mask) + guid
    )
    return riff(chunk(b"fmt ", form), chunk(b"data", samples.T.astype("<f4").tobytes()))


def downmixed(tmp_path, content, name="a.wav"):
    """Add a file to a library and convert it to two channels, as for a stereo model."""
    (tmp_path / name).write_bytes(content)
    library = Library(tmp_path / "home")
    return conform(library.read(library.add_path(tmp_path / name, [tmp_path])), sample_rate=RATE, channels=2)


def levels(sound):
    wave = tone(seconds=1, channels=1)[0]
    return [float(row @ wave / (wave @ wave)) for row in sound.samples]


@pytest.mark.parametrize(
    ("count", "mask", "which", "left", "right", "names"),
    [
        (6, 0x3F, 2, HALF, HALF, "FL FR FC LFE BL BR"),
        (6, 0x60F, 4, HALF, 0, "FL FR FC LFE SL SR"),
        (6, 0x3F, 3, 0, 0, "FL FR FC LFE BL BR"),
        (8, 0x63F, 7, 0, HALF, "FL FR FC LFE BL BR SL SR"),
        (4, 0x33, 1, 0, 1, "FL FR BL BR"),
        (3, 0x7, 2, HALF, HALF, "FL FR FC"),
    ],
)
def test_a_declared_layout_is_mixed_down(tmp_path, count, mask, which, left, right, names):
    samples = one_channel(count, which)
    samples[0, :4] = 1e-3  # no file is entirely silent
    sound = downmixed(tmp_path, extensible(samples, mask=mask))
    assert levels(sound) == pytest.approx([left, right], abs=1e-3)
    assert sound.notes == (f"{count} channels ({names}), mixed down to stereo",)


@pytest.mark.parametrize("guid", ["010000002107d3118644c8c1ca000000", "030000002107d3118644c8c1ca000000"])
def test_the_omnidirectional_channel_goes_to_both_sides(tmp_path, guid):
    samples = one_channel(4, 0)
    content = extensible(samples, mask=0, guid=bytes.fromhex(guid))
    if guid.startswith("01"):
        whole = bytearray(extensible((samples * 2**31 * 0.99).view(np.float32), mask=0, guid=bytes.fromhex(guid)))
        at = whole.index(b"data") + 8
        whole[at:] = (samples.T.astype(np.float64) * (2**31 - 1)).astype("<i4").tobytes()
        content = bytes(whole)
    sound = downmixed(tmp_path, content)
    assert levels(sound) == pytest.approx([1, 1], abs=1e-3)
    assert sound.notes == ("4 channels (W X Y Z), mixed down to stereo",)


@pytest.mark.parametrize("count", [3, 4, 9, 16])
def test_b_format_of_any_order_begins_with_the_omnidirectional_channel(tmp_path, count):
    guid = bytes.fromhex("030000002107d3118644c8c1ca000000")
    sound = downmixed(tmp_path, extensible(one_channel(count, 0), mask=0, guid=guid))
    assert levels(sound) == pytest.approx([1, 1], abs=1e-3)
    side = downmixed(tmp_path, extensible(one_channel(count, 2), mask=0, guid=guid), "side.wav")
    assert levels(side) == pytest.approx([0.5, -0.5], abs=1e-3)


def test_ambisonics_by_ffmpegs_channel_names():
    first = Audio(one_channel(4, 0), RATE, layout="AMBI0+AMBI1+AMBI2+AMBI3")
    assert levels(conform(first, sample_rate=RATE, channels=2)) == pytest.approx([1, 1], abs=1e-3)


def test_without_a_declared_layout_the_usual_one_is_assumed(tmp_path):
    soundfile.write(tmp_path / "six.flac", one_channel(6, 2).T, RATE, subtype="PCM_24")
    sound = downmixed(tmp_path, (tmp_path / "six.flac").read_bytes(), "a.flac")
    assert levels(sound) == pytest.approx([HALF, HALF], abs=1e-3)
    assert sound.notes == ("6 channels, taken for FL FR FC LFE BL BR and mixed down to stereo",)


def test_to_other_numbers_of_channels():
    six = Audio(np.arange(1, 5, dtype=np.float32)[:, None].repeat(9, 1), RATE)
    assert conform(six, sample_rate=RATE, channels=6).samples[:, 0].tolist() == [1, 2, 3, 4, 1, 2]
    mono = conform(six, sample_rate=RATE, channels=1)
    assert mono.samples[:, 0] == pytest.approx([(1 + 2 + 7 * HALF) / 2])
    assert mono.notes == ("4 channels, taken for FL FR BL BR and mixed down to mono",)


def test_a_mask_that_does_not_fit_is_not_believed():
    assert channels.of_mask(0x3F, 5) is None and channels.of_mask(0, 2) is None
    assert channels.of_mask(0x3, 2) == "FL+FR"


def test_what_is_beyond_full_scale_is_lowered_and_said():
    loud = within_full_scale(Audio(tone(peak=4.0), RATE))
    assert np.abs(loud.samples).max() == pytest.approx(1.0)
    assert loud.notes == ("peaks at +12.0 dBFS, lowered to full scale",)
    calm = Audio(tone(peak=1.0), RATE)
    assert within_full_scale(calm) is calm


def test_a_hair_beyond_full_scale_is_lowered_without_a_word():
    sound = within_full_scale(Audio(tone(peak=1.004), RATE))
    assert np.abs(sound.samples).max() == pytest.approx(1.0)
    assert sound.notes == ()


def test_a_downmix_beyond_full_scale_is_not_clipped():
    """The same full-scale wave on all channels of 5.1: the sum is 2.4 times as large and keeps its shape."""
    wave = tone(peak=1.0, channels=1)
    mixed = conform(Audio(np.repeat(wave, 6, axis=0), RATE, layout="FL+FR+FC+LFE+BL+BR"), sample_rate=RATE, channels=2)
    assert mixed.samples[0] == pytest.approx((1 + 2 * HALF) * wave[0], abs=1e-5)
    assert within_full_scale(mixed).notes[-1] == "peaks at +7.7 dBFS, lowered to full scale"
