"""Validation of sound files, conversion of rate and channels, limiting of peaks, and atomic writing."""

import errno
import os
import socket
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tertium import safe_files
from tertium.audio import decoders, files
from tertium.audio.files import Span
from tertium.audio.signal import conform, true_peak_dbtp
from tertium.errors import SoundError
from tests.sounds import tone


def refused(action, *args, code="bad_sound", text, field="path", **kwargs) -> SoundError:
    with pytest.raises(SoundError) as caught:
        action(*args, **kwargs)
    error = caught.value
    assert (error.code, error.field) == (code, field)
    assert text in error.message
    assert error.remedy
    assert str(error) == f"{error.message} {error.remedy}"
    return error


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "tone.wav"
    files.write(path, tone(), 44_100, format="wav")
    return path


@pytest.mark.parametrize(("format", "tolerance"), [("wav", 0.0), ("flac", 2**-24)])
def test_what_is_written_is_read_again(tmp_path, format, tolerance):
    samples = tone(channels=3)
    files.write(tmp_path / f"a.{format}", samples, 48_000, format=format)
    sound = files.read(tmp_path / f"a.{format}")
    assert (sound.channels, sound.frames, sound.sample_rate, sound.notes) == (*samples.shape, 48_000, ())
    assert sound.samples.dtype == np.float32
    assert np.abs(sound.samples - samples).max() <= tolerance
    np.testing.assert_array_equal(sound.samples, files.stored(samples, format=format))
    assert os.listdir(tmp_path) == [f"a.{format}"]


def test_the_missing_and_the_empty(tmp_path):
    gone = tmp_path / "gone.wav"
    assert refused(files.read, gone, code="unknown_sound", text="There is no file").value == str(gone)
    (tmp_path / "empty.wav").touch()
    refused(files.read, tmp_path / "empty.wav", text="is empty")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2)), 44_100)
    refused(files.read, tmp_path / "none.wav", text="holds no samples")


@pytest.mark.parametrize(
    "content", [b"GIF89a" + bytes(5000), b"to be or not to be " * 500, b"RIFF\xff\xff\xff\xffWAVE"]
)
def test_what_is_no_audio(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    refused(files.read, tmp_path / "a.wav", text="cannot be read as a sound")


@pytest.mark.parametrize("container", ["WAV", "RF64", "AIFF", "FLAC"])
@pytest.mark.parametrize("share", [0.3, 0.85])
def test_the_truncated(tmp_path, container, share):
    path = tmp_path / "a.sound"
    soundfile.write(path, tone(seconds=2).T, 44_100, format=container)
    whole = path.read_bytes()
    assert files.read(path).seconds == 2
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(files.read, path, text="truncated")


def test_a_streamed_wav_without_a_length_is_read_to_its_end(wav):
    content = bytearray(wav.read_bytes())
    at = content.index(b"data")
    content[at + 4 : at + 8] = struct.pack("<I", 0xFFFFFFFF)
    wav.write_bytes(content)
    assert files.read(wav).seconds == pytest.approx(0.6)


def test_numbers_that_are_no_samples_are_refused(tmp_path):
    path = tmp_path / "huge.wav"
    soundfile.write(path, tone(peak=1e19).T, 44_100, subtype="FLOAT")
    refused(files.read, path, text="peaks at +380 dBFS")


def test_the_silent_and_what_is_not_a_number(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full((44_100, 2), 1e-6), 44_100, subtype="FLOAT")
    refused(files.read, path, text="is silent")
    for wrong in (np.nan, np.inf):
        samples = tone(seconds=1).T.copy()
        samples[1234, 1] = wrong
        soundfile.write(path, samples, 44_100, subtype="FLOAT")
        refused(files.read, path, text="not finite (NaN or infinity), the first at frame 1234")


def test_the_too_short_and_the_too_long(tmp_path, wav):
    soundfile.write(tmp_path / "short.wav", tone(seconds=0.003).T, 44_100)
    refused(files.read, tmp_path / "short.wav", text="lasts 0.00299 s, which is too short")
    refused(files.read, wav, max_seconds=0.55, text="lasts 0.6 s, which is too long")


def sparse_wav(path, *, seconds: int, sample_rate: int, channels: int):
    """Write a WAV of 16-bit silence as a sparse file, which takes no space on the disk."""
    size, block = 2 * channels * seconds * sample_rate, 2 * channels
    form = struct.pack("<IHHIIHH", 16, 1, channels, sample_rate, block * sample_rate, block, 16)
    head = struct.pack("<4sI8s", b"RIFF", 36 + size, b"WAVEfmt ") + form + struct.pack("<4sI", b"data", size)
    path.write_bytes(head)
    os.truncate(path, len(head) + size)


def test_the_huge_are_refused_by_their_header(tmp_path, monkeypatch):
    """Both would take gigabytes as floats."""
    monkeypatch.setattr(decoders.Sndfile, "read", None)  # no samples are read
    sparse_wav(tmp_path / "long.wav", seconds=3 * 3600, sample_rate=48_000, channels=1)
    refused(files.read, tmp_path / "long.wav", text="lasts 10800.0 s, which is too long")
    sparse_wav(tmp_path / "wide.wav", seconds=100, sample_rate=192_000, channels=32)
    refused(files.read, tmp_path / "wide.wav", text="holds 614 million samples, which is too many")


@pytest.mark.parametrize(
    ("sample_rate", "channels", "notes"),
    [
        (8_000, 2, ("resampled from 8000 Hz to 44100 Hz",)),
        (192_000, 2, ("resampled from 192000 Hz to 44100 Hz",)),
        (44_100, 1, ("mono, given to both channels",)),
        (44_100, 10, ("10 channels, the odd averaged to the left and the even to the right",)),
        (22_050, 1, ("mono, given to both channels", "resampled from 22050 Hz to 44100 Hz")),
        (44_100, 2, ()),
    ],
)
def test_conversion_is_said(tmp_path, sample_rate, channels, notes):
    path = tmp_path / "a.wav"
    samples = tone(seconds=1, sample_rate=sample_rate, channels=channels)
    soundfile.write(path, samples.T, sample_rate, subtype="FLOAT")
    sound = conform(files.read(path), sample_rate=44_100, channels=2)
    assert (sound.channels, sound.sample_rate, sound.notes) == (2, 44_100, notes)
    assert sound.frames == pytest.approx(44_100, abs=2)
    left = {1: 1, 2: 1, 10: np.mean([1, 0.9**2, 0.9**4, 0.9**6, 0.9**8])}[channels]
    expected = left * tone(seconds=1, channels=1)
    inner = slice(4410, 39_690)
    assert np.abs(sound.samples[0, inner] - expected[0, inner]).max() < 2e-3


def test_true_peak_is_seen_between_the_samples():
    """A sine at a quarter of the rate, sampled 45° off its peaks: the samples peak at -3 dB, the wave at 0 dB."""
    frames = np.arange(48_000)
    wave = np.hanning(48_000) * np.sin(np.pi / 2 * frames + np.pi / 4)
    assert 20 * np.log10(np.abs(wave).max()) == pytest.approx(-3.01, abs=0.01)
    assert true_peak_dbtp(wave[None]) == pytest.approx(0, abs=0.02)
    assert true_peak_dbtp(np.zeros((2, 100))) == -np.inf


def test_only_regular_files_are_opened(tmp_path):
    """A pipe without a writer would block forever; each of these must be refused at once."""
    os.mkfifo(tmp_path / "pipe.wav")
    refused(files.read, tmp_path / "pipe.wav", code="path_refused", text="is a pipe")
    refused(files.read, tmp_path, code="path_refused", text="is a folder")
    refused(files.read, "/dev/zero", code="path_refused", text="is a device")
    (tmp_path / "link.wav").symlink_to("/dev/zero")
    refused(files.read, tmp_path / "link.wav", code="path_refused", text="is a device")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "s"))
        refused(files.read, tmp_path / "s", code="path_refused", text="is a socket")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    refused(files.read, tmp_path / "round", code="path_refused", text="cannot be followed")
    refused(files.read, "/tmp/nul\0.wav", code="path_refused", text="cannot be followed")
    refused(files.read, "/" + "a" * 5000, code="path_refused", text="cannot be followed")


def test_a_pipe_that_replaces_a_file_does_not_block_the_reader(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    regular = os.stat(__file__)
    monkeypatch.setattr(safe_files.os, "stat", lambda path: regular)
    refused(files.read, tmp_path / "pipe", code="path_refused", text="is a pipe")


def test_paths_stay_within_the_roots(tmp_path, wav):
    root, outside = tmp_path / "root", tmp_path / "root-not"
    root.mkdir(), outside.mkdir()
    inside = root / "a.wav"
    inside.write_bytes(wav.read_bytes())
    assert safe_files.resolve(inside, [root]) == inside
    assert safe_files.resolve(root / "missing.wav", [root]) == root / "missing.wav"
    (tmp_path / "alias").symlink_to(root)
    assert safe_files.resolve(tmp_path / "alias" / "a.wav", [tmp_path / "alias"]) == inside
    (root / "out.wav").symlink_to(wav)
    for path in (wav, root / ".." / "tone.wav", root / "out.wav", outside / "a.wav", "/etc/passwd"):
        error = refused(safe_files.resolve, path, [root], code="path_refused", text="outside the folders")
        assert str(root) in error.remedy and error.value == str(path)
    for path in ("a.wav", "./a.wav", "~nobody-of-that-name/a.wav", ""):
        refused(safe_files.resolve, path, [root], code="path_refused", text="is relative")
    refused(safe_files.resolve, "/a\0b", [root], code="path_refused", text="cannot be followed")


def test_nothing_is_overwritten(wav):
    before = wav.read_bytes()
    with pytest.raises(FileExistsError):
        files.write(wav, tone(880), 44_100, format="wav")
    assert wav.read_bytes() == before
    assert os.listdir(wav.parent) == [wav.name]


def test_without_hard_links_nothing_is_overwritten_either(wav, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(safe_files.os, "link", no_links)
    before = wav.read_bytes()
    with pytest.raises(FileExistsError):
        files.write(wav, tone(880), 44_100, format="wav")
    assert wav.read_bytes() == before
    files.write(wav.with_name("b.wav"), tone(880), 44_100, format="wav")
    assert files.read(wav.with_name("b.wav")).frames == tone().shape[1]
    assert sorted(os.listdir(wav.parent)) == ["b.wav", "tone.wav"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safe_files.os, "fsync", full)
    error = refused(
        files.write, tmp_path / "a.wav", tone(), 44_100, format="wav", code="disk_full", text="the disk is full"
    )
    assert "Make room" in error.remedy
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_really_full(tmp_path):
    """On a file system of 64 kB, if the test may mount one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    try:
        refused(
            files.write,
            tmp_path / "a.wav",
            tone(seconds=2),
            44_100,
            format="wav",
            code="disk_full",
            text="the disk is full",
        )
        assert os.listdir(tmp_path) == []
        (tmp_path / "small").write_bytes(bytes(1000))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_missing_folder_is_said(tmp_path):
    refused(
        files.write, tmp_path / "no" / "a.wav", tone(), 44_100, format="wav", code="path_refused", text="No such file"
    )


def test_flac_holds_eight_channels(tmp_path):
    refused(
        files.write, tmp_path / "a.flac", tone(channels=9), 44_100, format="flac", text="9 channels", field="format"
    )


def test_what_crashed_writers_left_is_cleaned_and_living_ones_are_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".a.wav.{gone.pid}.0123abcd.part"
    live = safe_files.write_part(tmp_path / "b.wav", b"half")
    others = tmp_path / "music.part"
    left.touch(), others.touch()
    assert safe_files.clean(tmp_path) == [left.name]
    assert sorted(os.listdir(tmp_path)) == sorted([live.name, others.name])


def test_a_part_is_read_alone(wav):
    whole = files.read(wav).samples
    part = files.read(wav, span=Span(0.05, 0.58))
    np.testing.assert_array_equal(part.samples, whole[:, 2205:25578])
    np.testing.assert_array_equal(files.read(wav, span=Span(0.02)).samples, whole[:, 882:])
    np.testing.assert_array_equal(files.read(wav, span=Span(0.02, 0.609)).samples, whole[:, 882:])  # a host's rounding


def test_a_part_of_a_recording_that_is_too_long_is_fine(tmp_path):
    path = tmp_path / "rehearsal.flac"
    samples = np.concatenate([np.zeros(8_000 * 601), tone(seconds=1.0, sample_rate=8_000, channels=1)[0]])
    soundfile.write(path, samples, 8_000)
    refused(files.read, path, text="lasts 602.0 s, which is too long")
    part = files.read(path, span=Span(601.0, 602.0))
    assert part.frames == 8_000 and np.abs(part.samples).max() > 0.4


@pytest.mark.parametrize(
    ("span", "field", "text", "remedy"),
    [
        (Span(0.7), "start", "start is 0.7 s, but the file '", "from 0 to 0.6."),
        (Span(0.0, 0.62), "end", "end is 0.62 s, but the file '", "from 0 to 0.6."),
    ],
)
def test_a_part_beyond_the_end_is_refused(wav, span, field, text, remedy):
    error = refused(files.read, wav, span=span, code="out_of_range", field=field, text=text)
    assert "lasts 0.600 s." in error.message and remedy in error.remedy


def test_a_part_that_is_too_short_is_refused_as_a_part(wav):
    refused(files.read, wav, span=Span(0.2, 0.21), text="The part of the file")


def whole(bits, channels=2, frames=20_000):
    """Samples that are whole numbers of so many bits, both ends of their range among them."""
    steps = np.random.default_rng(bits).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (channels, frames))
    steps[:, :2] = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return (steps / 2 ** (bits - 1)).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 16, 24])
@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (2, 44_100), (8, 96_000), (2, 44_117), (2, 384_000)])
def test_whole_numbers_become_flac_and_come_back_the_same(tmp_path, bits, channels, rate):
    samples = whole(bits, channels)
    format, data = files.encode_exactly(samples, rate)
    (tmp_path / "a.flac").write_bytes(data)
    assert format == "flac" and soundfile.info(tmp_path / "a.flac").subtype == ("PCM_24" if bits == 24 else "PCM_16")
    again = files.read(tmp_path / "a.flac")
    assert again.sample_rate == rate
    np.testing.assert_array_equal(again.samples, samples)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (whole(24) * np.float32(0.7), 44_100),
        (np.full((1, 5000), 2.0**-24, np.float32), 44_100),
        (np.ones((1, 5000), np.float32), 44_100),
        (whole(16) * np.float32(2), 44_100),
        (whole(16, channels=9), 44_100),
        (whole(16), 768_000),
        (whole(16), 88_207),
    ],
    ids=[
        "other numbers",
        "half a step",
        "one step too loud",
        "above full scale",
        "nine channels",
        "too fast",
        "an odd rate",
    ],
)
def test_what_flac_cannot_hold_exactly_stays_wav(tmp_path, samples, rate):
    format, data = files.encode_exactly(samples, rate)
    (tmp_path / "a.wav").write_bytes(data)
    assert format == "wav"
    np.testing.assert_array_equal(files.load(tmp_path / "a.wav").samples, samples)
