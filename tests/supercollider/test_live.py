"""TertiumLive on a real server and a real daemon: a fusion swapped in on each bar, and nothing that goes wrong is heard."""

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import firwin, oaconvolve

from tests.end_to_end.daemons import Daemon, running
from tests.supercollider import jack, sclang

HERE = Path(__file__).parent
RATE, BLOCK = jack.RATE, 512
pytestmark = [jack.needs("sclang", "scsynth", "jackd"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "hum.wav"
    time = np.arange(3 * RATE) / RATE
    soundfile.write(path, np.stack([0.2 * np.sin(2 * np.pi * 100 * time)] * 2, 1), RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def long_set(tmp_path_factory, reference):
    """32 swaps at 240 beats a minute, with a daemon that takes some tenths of a second for each."""
    folder = tmp_path_factory.mktemp("long")
    with running(folder / "daemon", step=0.005) as daemon:
        return perform(folder, daemon, reference, swaps=32)


def test_a_swap_each_bar_for_32_bars(long_set):
    assert long_set.count("swapped") == len(long_set.swaps) >= 32
    assert len(set(long_set.swaps)) == len(long_set.swaps), "at most one a bar"
    assert long_set.count("kept") <= 8, long_set.said  # on a machine that has time there are none


def test_each_swap_is_on_its_bar_and_brings_the_bar_that_was_taken(long_set):
    bars = long_set.bars()
    for bar in long_set.swaps:
        if bar + 1 not in bars:
            continue  # the recording ends within it
        begin, end = bars[bar], bars[bar + 1]
        assert long_set.pitch(begin + 0.04, end - 0.04) == pytest.approx(tone(bar - 2), abs=6), f"bar {bar}"
        if bar - 1 in long_set.swaps:
            assert long_set.pitch(begin - 0.3, begin - 0.005) == pytest.approx(tone(bar - 3), abs=6), (
                f"before bar {bar}"
            )


def test_no_block_is_silent_from_the_first_swap_on(long_set):
    assert long_set.quietest() > -12.0, "dB below the median block"


def test_a_swap_clicks_no_more_than_the_sounds_do(long_set):
    bars, high = long_set.bars(), np.abs(long_set.above(6000))
    around = np.zeros(len(high), bool)
    for bar in long_set.swaps[1:]:
        around[int((bars[bar] - 0.05) * RATE) : int((bars[bar] + 0.05) * RATE)] = True
    heard = slice(int((bars[long_set.swaps[0]] + 0.1) * RATE), int(bars[long_set.swaps[-1]] * RATE))
    swaps, rest = high[heard][around[heard]].max(), high[heard][~around[heard]].max()
    assert 20 * np.log10(swaps / rest) < 3


def test_no_message_came_late(long_set):
    assert long_set.server.late == []


def test_all_is_given_back_to_the_server(long_set):
    assert long_set.held == "all given back"


def test_with_the_embedded_model(tmp_path, reference):
    with running(tmp_path / "daemon", engine="tertium.worker.torch_engine", model="pocket") as daemon:
        done = perform(tmp_path, daemon, reference, swaps=4, tempo=2)
    assert done.count("swapped") >= 4, done.said
    bars = done.bars()
    assert done.level(bars[done.swaps[0]] + 0.1, bars[done.swaps[-1]]) > -50


@jack.needs("supernova")
def test_in_supernova(tmp_path, reference):
    with running(tmp_path / "daemon", step=0.005) as daemon:
        done = perform(tmp_path, daemon, reference, swaps=4, program="supernova")
    assert done.count("swapped") >= 4, done.said
    assert done.quietest() > -12.0


def test_a_daemon_that_is_killed_and_started_anew_is_not_heard(tmp_path, reference):
    home = tmp_path / "daemon"
    daemons = [Daemon(home, step=0.005).ready()]

    def kill_and_start(running_set):
        running_set.wait_for("^TOLD swap: ")
        running_set.wait_for("^TOLD swap: ")
        daemons[0].stop(signal.SIGKILL)
        running_set.wait_for("^TOLD keep: .*no_answer.*No Tertium daemon answers")
        daemons.append(Daemon(home, step=0.005).ready())

    try:
        done = perform(tmp_path, daemons[0], reference, swaps=6, bars=90, during=kill_and_start)
    finally:
        for daemon in daemons:
            daemon.stop()
    assert done.count("swapped") >= 6, done.said
    lost = next(bar for bar, reason, _ in done.values("keep") if reason == "no_answer")
    assert min(done.swaps) < lost < max(done.swaps)
    assert done.quietest() > -12.0
    assert done.held == "all given back"


def test_what_the_daemon_says_it_cannot_make_in_time_is_kept_out(tmp_path, reference):
    with running(tmp_path / "daemon", step=0.4) as daemon:
        done = perform(tmp_path, daemon, reference, swaps=1, bars=6)
    assert done.count("swapped") == 0
    assert done.values("keep"), done.said
    for _, reason, words in done.values("keep"):
        assert reason == "deadline" and "it takes at least" in words


def test_what_comes_late_is_swapped_in_on_a_later_bar(tmp_path, reference):
    with running(tmp_path / "daemon", step=0.005) as daemon:

        def hold_up(running_set):
            running_set.wait_for("^TOLD swap: ")
            os.kill(daemon.worker(), signal.SIGSTOP)
            running_set.wait_for('^TOLD keep: .*"late"')
            os.kill(daemon.worker(), signal.SIGCONT)

        done = perform(tmp_path, daemon, reference, swaps=6, bars=90, during=hold_up)
    late = next(bar for bar, reason, _ in done.values("keep") if reason == "late")
    assert max(done.swaps) > late, done.said
    numbers = [int(re.search(r"-(\d+) \+ ", path)[1]) for _, path in done.values("swap")]
    assert numbers == sorted(set(numbers)), "the latest wins: never an older one after a newer"
    assert done.quietest() > -12.0


class Performed:
    """What was said during a set, and what was heard."""

    def __init__(self, ended, folder, server):
        self.said, self.value, self.values, self.server = ended.said, ended.value, ended.values, server
        samples = soundfile.read(folder / "set.wav")[0]
        self.out, self.source = samples[:, 0], samples[:, 2]

    def count(self, name):
        return int(self.value(name))

    @property
    def held(self):
        """What the server holds at the end: synths, groups, buffers and control buses. The test's own recorder has ended, too."""
        (synths, *others), after = self.value("before"), self.value("after")
        return "all given back" if after == [synths - 1, *others] else after

    @property
    def swaps(self):
        """The bars on which something was swapped in."""
        return [bar for bar, _ in self.values("swap")]

    def bars(self):
        """When each bar began, in seconds of the recording: where the source's tone changed."""
        turning = np.unwrap(np.angle(_analytic(self.source)))
        pitch = np.diff(turning) * RATE / (2 * np.pi)
        smooth = np.convolve(pitch, np.full(256, 1 / 256), "same")
        nearest = np.clip(np.round((smooth - 300) / 40), 0, 7)
        changes = np.flatnonzero(np.diff(nearest)) / RATE
        changes = [time for i, time in enumerate(changes) if i == 0 or time - changes[i - 1] > 0.1]
        return {number + 1: time for number, time in enumerate(changes)}

    def pitch(self, begin, end):
        """The strongest of the tones that bars have, in a part of what came out, in Hz."""
        part = self.out[int(begin * RATE) : int(end * RATE)]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 4 * RATE))
        return 250 + np.argmax(spectrum[1000:2480]) / 4

    def level(self, begin, end):
        return 10 * np.log10(np.mean(self.out[int(begin * RATE) : int(end * RATE)] ** 2) + 1e-12)

    def quietest(self):
        """The quietest block after the first swap, in dB of the median one."""
        begin = int(self.bars()[self.swaps[0]] * RATE) + 3000
        part = self.out[begin : len(self.out) // BLOCK * BLOCK]
        blocks = part[: len(part) // BLOCK * BLOCK].reshape(-1, BLOCK)
        power = np.mean(blocks**2, 1)
        return 10 * np.log10(power.min() / np.median(power) + 1e-12)

    def above(self, pitch):
        return oaconvolve(self.out, firwin(513, pitch, fs=RATE, pass_zero=False), "same")


def perform(folder, daemon, reference, *, swaps, bars=120, tempo=4, program="scsynth", during=lambda running: None):
    """A set with so many swaps, in at most so many bars; ``during`` is called with sclang as it runs."""
    environment = {
        "PORT": None, "FOLDER": str(folder), "SWAPS": str(swaps), "BARS": str(bars), "TEMPO": str(tempo),
        "DAEMON": str(daemon.home), "REFERENCE": str(reference),
    }  # fmt: skip
    (folder / "sclang").mkdir()
    with jack.playing(folder, program) as server:
        environment["PORT"] = str(server.port)
        named = {f"TERTIUM_TEST_{name}": value for name, value in environment.items()}
        with sclang.running(HERE / "live.scd", folder / "sclang", limit=240, environment=named) as script:
            during(script)
            ended = script.end().check()
    return Performed(ended, folder, server)


def tone(bar):
    return 300 + 40 * (bar % 8)


def _analytic(signal_):
    """The signal with its Hilbert transform as the imaginary part."""
    spectrum = np.fft.fft(signal_)
    spectrum[len(spectrum) // 2 :] = 0
    return np.fft.ifft(2 * spectrum)
