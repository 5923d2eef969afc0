"""Files found in practice: wrong headers, formats that only one reader supports, joined and truncated streams."""

import io
import struct

import av
import numpy as np
import pytest
import soundfile

from tertium.audio import decoders, files
from tertium.errors import SoundError
from tests.audio.test_files import refused
from tests.sounds import tone

RATE = 44_100


def chunk(name, body, *, length=None, padded=True):
    size = len(body) if length is None else length
    return struct.pack("<4sI", name, size) + body + bytes(len(body) % 2 if padded else 0)


def riff(*chunks, length=None):
    body = b"WAVE" + b"".join(chunks)
    return struct.pack("<4sI", b"RIFF", len(body) if length is None else length) + body


def form(*, channels=2, bits=16, tag=1):
    block = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, RATE, block * RATE, block, bits))


SAMPLES = tone(seconds=2)
PCM = (SAMPLES.T * 32767).round().astype("<i2").tobytes()
FLOAT = SAMPLES.T.astype("<f4").tobytes()


def read(tmp_path, content, name="a.wav"):
    path = tmp_path / name
    path.write_bytes(content)
    return files.read(path)


def assert_is_the_tone(sound, *, frames=SAMPLES.shape[1], likeness=0.999, slack=0):
    assert sound.sample_rate == RATE and abs(sound.frames - frames) <= slack
    count = min(sound.frames, frames, SAMPLES.shape[1])
    spectra = [np.abs(np.fft.rfft(one[0, :count])) for one in (sound.samples, SAMPLES)]
    assert np.corrcoef(*spectra)[0, 1] > likeness


@pytest.mark.parametrize("size", [0xFFFFFFF8, 0xFFFFFFFF, 0x7FFFFFFF])
def test_an_entry_with_an_impossible_size_does_not_block_the_reader(tmp_path, size):
    info = chunk(b"LIST", b"INFO" + struct.pack("<4sI", b"ISFT", size) + bytes(16))
    refused(read, tmp_path, riff(form(), info, chunk(b"data", bytes(24))), text="lasts 0.000136 s, which is too short")
    assert_is_the_tone(read(tmp_path, riff(form(), info, chunk(b"data", PCM))))


@pytest.mark.parametrize("length", [0x7FFFF000, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF])
def test_a_streamed_wav_is_read_to_its_end(tmp_path, length):
    sound = read(tmp_path, riff(form(), chunk(b"data", PCM, length=length), length=0xFFFFFFFF))
    assert_is_the_tone(sound)
    assert sound.notes == ("'a.wav': its header does not say how long it is: read to its end",)


def test_a_wav_whose_writer_never_came_back_to_its_header_is_read_to_its_end(tmp_path):
    sound = read(tmp_path, riff(form(), chunk(b"data", PCM, length=0), length=36))
    assert_is_the_tone(sound)
    assert sound.notes == ("'a.wav': its header does not say how long it is: read to its end",)


@pytest.mark.parametrize("beyond", [4, 28])
def test_a_length_a_little_beyond_the_end_is_noted(tmp_path, beyond):
    sound = read(tmp_path, riff(form(), chunk(b"data", PCM, length=len(PCM) + beyond)))
    assert_is_the_tone(sound)
    assert sound.notes == (f"'a.wav': its header promises {beyond} bytes more than it holds",)


@pytest.mark.parametrize("container", ["WAV", "RF64", "AIFF", "FLAC"])
def test_what_lacks_less_than_a_tenth_is_read_and_noted(tmp_path, container):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (4 * RATE, 2))
    soundfile.write(tmp_path / "whole", noise, RATE, format=container)
    content = (tmp_path / "whole").read_bytes()
    sound = read(tmp_path, content[: int(len(content) * 0.95)], "a.sound")
    assert 3.6 < sound.seconds < 4
    assert "more than it holds" in sound.notes[-1]
    np.testing.assert_allclose(sound.samples[:, :RATE], noise[:RATE].T, atol=1e-4)


def test_a_chunk_without_its_pad_byte_is_passed(tmp_path):
    odd = chunk(b"note", b"odd", padded=False)
    assert_is_the_tone(read(tmp_path, riff(form(), odd, chunk(b"data", PCM))))
    assert_is_the_tone(read(tmp_path, riff(form(), chunk(b"note", b"odd"), chunk(b"data", PCM))))


def test_a_float_wav_with_peaks_of_one_channel_is_read(tmp_path):
    peak = chunk(b"PEAK", struct.pack("<IIfI", 1, 0, 0.5, 0))
    fact = chunk(b"fact", struct.pack("<I", SAMPLES.shape[1]))
    sound = read(tmp_path, riff(form(bits=32, tag=3), fact, peak, chunk(b"data", FLOAT)))
    np.testing.assert_array_equal(sound.samples, SAMPLES)
    assert sound.notes == ()


def test_a_flac_of_unknown_length_is_read(tmp_path):
    soundfile.write(tmp_path / "a.flac", SAMPLES.T, RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0  # the upper 4 of the 36 bits that count the samples, in STREAMINFO
    content[22:26] = bytes(4)
    assert_is_the_tone(read(tmp_path, content, "b.flac"))


def test_a_caf_without_a_length_is_read(tmp_path):
    soundfile.write(tmp_path / "a.caf", SAMPLES.T, RATE, format="CAF", subtype="PCM_16")
    content = bytearray((tmp_path / "a.caf").read_bytes())
    at = content.index(b"data")
    content[at + 4 : at + 12] = struct.pack(">q", -1)
    assert_is_the_tone(read(tmp_path, content, "b.caf"))


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_32", "IMA_ADPCM", "MS_ADPCM", "ULAW", "ALAW"])
def test_old_codecs_in_a_wav_are_read(tmp_path, subtype):
    if not soundfile.check_format("WAV", subtype):
        pytest.skip(f"libsndfile here does not write {subtype}")
    soundfile.write(tmp_path / "a.wav", tone(seconds=2, sample_rate=8000, channels=1).T, 8000, subtype=subtype)
    sound = files.read(tmp_path / "a.wav")
    assert (sound.sample_rate, sound.channels) == (8000, 1)
    assert sound.seconds == pytest.approx(2, abs=0.05)
    spectra = [np.abs(np.fft.rfft(one[0, :15_900])) for one in (sound.samples, tone(seconds=2, sample_rate=8000))]
    assert np.corrcoef(*spectra)[0, 1] > 0.95


def encoded(codec, container, samples=SAMPLES, rate=RATE, **options):
    """Encode the samples in a lossy format with FFmpeg."""
    memory = io.BytesIO()
    with av.open(memory, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="stereo", **options)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.sample_rate = rate
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return memory.getvalue()


def mp3(samples=SAMPLES):
    memory = io.BytesIO()
    soundfile.write(memory, samples.T, RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=0.2)
    return memory.getvalue()


def without_xing(content):
    """Return an MP3 without its first frame, which declares the number of frames."""
    at = content.index(b"Xing") if b"Xing" in content else content.index(b"Info")
    following = content.index(b"\xff\xfb", at)
    return content[following:]


def test_a_variable_mp3_that_begins_quietly_is_read_whole(tmp_path):
    quiet = np.concatenate([np.zeros((2, RATE), np.float32), tone(seconds=7)], axis=1)
    sound = read(tmp_path, without_xing(mp3(quiet)), "a.mp3")
    assert sound.seconds == pytest.approx(8, abs=0.1)


def test_mp3s_that_were_joined_are_read_to_the_end(tmp_path):
    sound = read(tmp_path, mp3() + mp3(), "a.mp3")
    assert sound.seconds == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("change", [lambda count: count // 2, lambda count: count + 3])
def test_an_mp3_that_miscounts_its_frames_is_read_whole(tmp_path, change):
    content = bytearray(mp3())
    at = (content.index(b"Xing") if b"Xing" in content else content.index(b"Info")) + 8
    count = struct.unpack(">I", content[at : at + 4])[0]
    content[at : at + 4] = struct.pack(">I", change(count))
    assert read(tmp_path, content, "a.mp3").seconds == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("container", ["mp4", "adts"])
def test_aac_is_read(tmp_path, container):
    sound = read(tmp_path, encoded("aac", container), "a.m4a")
    assert_is_the_tone(sound, slack=4096, likeness=0.98)
    assert sound.layout == "FL+FR"


def test_an_ogg_that_is_cut_gives_what_decodes(tmp_path):
    soundfile.write(tmp_path / "a.ogg", np.random.default_rng(0).uniform(-0.5, 0.5, (6 * RATE, 2)), RATE)
    content = (tmp_path / "a.ogg").read_bytes()
    assert files.read(tmp_path / "a.ogg").notes == ()
    sound = read(tmp_path, content[: len(content) // 2], "b.ogg")
    assert 2 < sound.seconds < 4
    assert "'b.ogg': it ends in the middle of its stream: read as far as it goes" in sound.notes


def test_oggs_that_were_joined_are_read_to_the_end(tmp_path):
    soundfile.write(tmp_path / "a.ogg", SAMPLES.T, RATE)
    content = (tmp_path / "a.ogg").read_bytes()
    assert read(tmp_path, content + content, "b.ogg").seconds == pytest.approx(4, abs=0.2)


def test_a_part_of_a_file_whose_length_is_not_known(tmp_path):
    (tmp_path / "a.mp3").write_bytes(mp3())
    whole = files.read(tmp_path / "a.mp3").samples
    part = files.read(tmp_path / "a.mp3", span=files.Span(0.5, 1.5)).samples
    np.testing.assert_array_equal(part, whole[:, RATE // 2 : 3 * RATE // 2])
    refused(files.read, tmp_path / "a.mp3", max_seconds=1.5, text="lasts more than 1.5 s, which is too long")
    refused(
        files.read, tmp_path / "a.mp3", span=files.Span(3.0, 4.0), code="out_of_range", field="start", text="start is 3 s, but the file"
    )  # fmt: skip


def test_playlists_that_name_other_files_are_not_followed(tmp_path):
    for content in (b"#EXTM3U\n#EXTINF:2,\nfile:///etc/hostname\n", b"ffconcat version 1.0\nfile a.wav\n"):
        refused(read, tmp_path, content, "a.m3u8", text="cannot be read as a sound")


def test_a_large_wav_gets_a_large_header(tmp_path):
    """More than 4 GiB of samples, in a sparse file that takes no space on the disk."""
    path, length = tmp_path / "large.wav", 5 * 2**30
    head = struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE")
    head += chunk(b"ds64", struct.pack("<QQQI", length + 100, length, 0, 0)) + form()
    head += struct.pack("<4sI", b"data", 0xFFFFFFFF)
    path.write_bytes(head + PCM)
    with path.open("r+b") as file:
        file.truncate(len(head) + length)
    sound = files.read(path, span=files.Span(0.0, 2.0))
    assert_is_the_tone(sound)


def test_randomly_damaged_headers_end_in_a_sound_or_an_error_message(tmp_path):
    """Twenty damaged files of each container."""
    rng = np.random.default_rng(7)
    sources = {"a.mp3": mp3(), "a.m4a": encoded("aac", "mp4")}
    for container in ("WAV", "AIFF", "CAF", "FLAC", "OGG", "AU", "W64", "RF64"):
        memory = io.BytesIO()
        soundfile.write(memory, SAMPLES[:, :RATE].T, RATE, format=container)
        sources[f"a.{container.lower()}"] = memory.getvalue()
    for name, content in sources.items():
        for _ in range(20):
            damaged = bytearray(content)
            for at in rng.integers(0, 120, 4):
                damaged[at] = rng.integers(256)
            (tmp_path / name).write_bytes(damaged)
            try:
                assert files.read(tmp_path / name).frames > 0
            except SoundError as error:
                assert error.message and error.remedy


def test_the_container_is_found_by_the_first_bytes(tmp_path):
    for content, expected in (
        (mp3(), "mp3"),
        (encoded("aac", "mp4"), "mov"),
        (b"ID3\x04\0\0\0\0\0\1xfLaC", "flac"),
        (b"%PDF", None),
    ):
        assert decoders.container_of(io.BytesIO(content)) == expected
