"""Joined, truncated and miscounted streams, and unfinished headers: assumptions are stated in the notes."""

import io
import struct

import av
import numpy as np
import pytest
import soundfile

from tertium.audio import files, streams
from tertium.audio.signal import Audio
from tests.audio.test_decoders import PCM, RATE, SAMPLES, assert_is_the_tone, chunk, form, mp3, read, riff, without_xing
from tests.audio.test_files import refused
from tests.sounds import tone

STREAMED = "its header does not say how long it is: read to its end"
SOFTWARE = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"Lavf58.29.100\0"))
STEREO_PCM = (22, 16, 3, bytes.fromhex("0100000000001000800000aa00389b71"))
EXTENSIBLE = chunk(b"fmt ", struct.pack("<HHIIHHHHI16s", 0xFFFE, 2, RATE, 4 * RATE, 4, 16, *STEREO_PCM))


def sound(format, samples=SAMPLES, rate=RATE, **options):
    memory = io.BytesIO()
    soundfile.write(memory, samples.T, rate, format=format, **options)
    return memory.getvalue()


def counting(content, change):
    """Return an MP3 with the packet count in its first packet changed."""
    content = bytearray(content)
    at = (content.index(b"Xing") if b"Xing" in content else content.index(b"Info")) + 8
    content[at : at + 4] = struct.pack(">I", change(struct.unpack(">I", content[at : at + 4])[0]))
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "counted", "there", "seconds"),
    [
        (counting(mp3(), lambda count: count // 2), 39, 78, 2),
        (counting(mp3(), lambda count: count + 3), 81, 78, 2),
        (mp3()[: len(mp3()) // 2], 78, 37, 1),
    ],
    ids=["halved", "three too many", "cut"],
)
def test_an_mp3_that_miscounts_its_packets_is_read_whole_and_says_so(tmp_path, content, counted, there, seconds):
    result = read(tmp_path, content, "a.mp3")
    assert result.seconds == pytest.approx(seconds, abs=0.1)
    note = f"'a.mp3': its header counts {counted} packets and it holds {there}: read to its end"
    assert result.notes == (note,)
    assert_is_the_tone(result, frames=result.frames, likeness=0.99)
    count = min(result.frames, SAMPLES.shape[1]) - RATE // 20
    assert np.corrcoef(result.samples[0, :count], SAMPLES[0, :count])[0, 1] > 0.999, "nothing was removed in the middle"


def test_mp3s_that_were_joined_say_so(tmp_path):
    other = tone(880, seconds=2)
    result = read(tmp_path, mp3() + mp3(other), "a.mp3")
    assert result.notes == ("'a.mp3': several recordings follow one another in it: read one after the other",)
    assert result.seconds == pytest.approx(4, abs=0.1)
    count = SAMPLES.shape[1] - RATE // 20
    assert np.corrcoef(result.samples[0, :count], SAMPLES[0, :count])[0, 1] > 0.999
    assert_is_the_tone(Audio(result.samples[:, : 2 * RATE], RATE), likeness=0.99)
    spectra = [np.abs(np.fft.rfft(one[0, -int(1.9 * RATE) :])) for one in (result.samples, other)]
    assert np.corrcoef(*spectra)[0, 1] > 0.99


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_that_counts_rightly_needs_no_note_and_keeps_its_time(tmp_path, rate, channels, mode):
    samples = tone(seconds=2, sample_rate=rate, channels=channels)
    result = read(tmp_path, sound("MP3", samples, rate, bitrate_mode=mode), "a.mp3")
    assert result.notes == ()
    assert result.frames == samples.shape[1]
    assert np.corrcoef(result.samples[0], samples[0])[0, 1] > 0.99


def test_packet_counts_are_found_after_tags_and_only_if_declared(tmp_path):
    tags = b"ID3\4\0\0" + bytes([0, 0, 2, 0]) + bytes(256)
    count = streams.mp3_count(io.BytesIO(tags + mp3()))
    assert (count.packets, (tags + mp3())[count.at : count.at + 4]) == (78, struct.pack(">I", 78))
    assert streams.mp3_count(io.BytesIO(without_xing(mp3()))) is None
    assert streams.mp3_count(io.BytesIO(bytes(36) + b"VBRI" + bytes(10) + struct.pack(">I", 5))) == streams.Count(5, 50)
    assert streams.mp3_count(io.BytesIO(b"ID3")) is None
    assert read(tmp_path, tags + mp3(), "a.mp3").notes == ()


def test_a_late_part_of_a_long_mp3_takes_no_more_memory_than_an_early_one(tmp_path, monkeypatch):
    (tmp_path / "a.mp3").write_bytes(sound("MP3", tone(seconds=60)))
    parts = []
    concatenate = np.concatenate
    monkeypatch.setattr(
        np, "concatenate", lambda blocks, **more: (parts.extend(blocks), concatenate(blocks, **more))[1]
    )
    late = files.read(tmp_path / "a.mp3", span=files.Span(58.0, 59.0))
    assert late.seconds == 1
    assert sum(part.base.nbytes if part.base is not None else part.nbytes for part in parts) < 3 * late.samples.nbytes


def test_an_ogg_of_several_links_says_so(tmp_path):
    one, other = sound("OGG"), sound("OGG", tone(sample_rate=48_000, seconds=2), 48_000)
    result = read(tmp_path, one + one, "a.ogg")
    assert result.seconds == pytest.approx(4, abs=0.1)
    assert result.notes == ("'a.ogg': several recordings follow one another in it: read one after the other",)
    np.testing.assert_allclose(result.samples[:, -RATE:], read(tmp_path, one, "b.ogg").samples[:, -RATE:], atol=1e-3)
    result = read(tmp_path, one + other, "a.ogg")
    assert result.seconds == pytest.approx(2, abs=0.1)
    assert "'a.ogg': it goes on at another sample rate or with other channels, which is left out" in result.notes
    assert read(tmp_path, one, "a.ogg").notes == ()


@pytest.mark.parametrize(
    "chunks", [[form()], [EXTENSIBLE], [form(), SOFTWARE]], ids=["plain", "extensible", "with the name of the program"]
)
def test_a_wav_whose_length_is_that_of_its_header_is_read_to_its_end(tmp_path, chunks):
    before = len(riff(*chunks, chunk(b"data", b""))) - 8
    result = read(tmp_path, riff(*chunks, chunk(b"data", PCM, length=0), length=before))
    assert_is_the_tone(result)
    assert result.notes == (f"'a.wav': {STREAMED}",)
    np.testing.assert_allclose(result.samples, SAMPLES, atol=1e-4)


def test_a_chunk_after_an_empty_data_chunk_is_not_read_as_samples(tmp_path):
    refused(read, tmp_path, riff(form(), chunk(b"data", b""), SOFTWARE), text="holds no samples")


def without_length(container):
    """Return a FLAC or CAF file without a length, as if it had been written to a pipe."""
    content = bytearray(sound(container, subtype="PCM_16"))
    if container == "FLAC":
        content[21] &= 0xF0
        content[22:26] = bytes(4)
    else:
        at = content.index(b"data")
        content[at + 4 : at + 12] = struct.pack(">q", -1)
    return bytes(content)


@pytest.mark.parametrize("container", ["FLAC", "CAF"])
def test_a_stream_without_a_length_says_so(tmp_path, container):
    result = read(tmp_path, without_length(container), "a.sound")
    np.testing.assert_allclose(result.samples, SAMPLES, atol=1e-4)
    assert result.notes == (f"'a.sound': {STREAMED}",)


def test_a_caf_that_was_cut_is_reported_as_truncated(tmp_path):
    content = sound("CAF", subtype="PCM_16")
    refused(
        read, tmp_path, content[: len(content) // 2], "a.caf", text="is truncated: its header promises 178448 bytes"
    )
    result = read(tmp_path, content[: len(content) * 95 // 100], "a.caf")
    assert result.seconds == pytest.approx(1.9, abs=0.01)
    assert result.notes == ("'a.caf': its header promises 17845 bytes more than it holds",)


def aac_in_caf():
    """Return AAC in a CAF as Apple's programs write it, assembled chunk by chunk: FFmpeg cannot write it."""
    codec = av.CodecContext.create("aac", "w")
    codec.sample_rate, codec.layout, codec.format, codec.bit_rate = RATE, "stereo", "fltp", 160_000
    codec.open()
    frames = []
    for at in range(0, SAMPLES.shape[1] - 1023, 1024):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(SAMPLES[:, at : at + 1024]), "fltp", "stereo")
        frame.sample_rate = RATE
        frames.append(frame)
    packets = [bytes(packet) for frame in [*frames, None] for packet in codec.encode(frame)]

    def descriptor(tag, body):
        return bytes([tag, 0x80, 0x80, 0x80, len(body)]) + body

    config = descriptor(4, b"\x40\x15" + bytes(11) + descriptor(5, codec.extradata))
    cookie = descriptor(3, b"\0\0\0" + config + descriptor(6, b"\2"))
    sizes = b"".join(bytes([0x80 | len(one) >> 7, len(one) & 0x7F]) for one in packets)
    table = struct.pack(">qqii", len(packets), 1024 * len(frames), 1024, 0) + sizes
    described = struct.pack(">d4sIIIII", RATE, b"aac ", 0, 0, 1024, 2, 0)
    chunks = ((b"desc", described), (b"kuki", cookie), (b"pakt", table), (b"data", bytes(4) + b"".join(packets)))
    return b"caff\0\1\0\0" + b"".join(struct.pack(">4sq", name, len(body)) + body for name, body in chunks)


def test_aac_in_a_caf_is_read(tmp_path):
    result = read(tmp_path, aac_in_caf(), "a.caf")
    assert_is_the_tone(result, slack=4096, likeness=0.98)
    assert (result.layout, result.notes) == ("FL+FR", ())
