"""What TertiumMorph and TertiumLive take from a real server they give back, and Cmd-Period leaves them ready to play again."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.end_to_end.daemons import running
from tests.supercollider import jack, sclang
from tests.supercollider.takes import write_takes

pytestmark = [jack.needs("sclang", "scsynth", "jackd"), pytest.mark.timeout(300)]

# synths, groups, buffers and control buses are counted beyond those that were there before
SAID = {
    "playing": [1, 1, 5, 1],
    "count": 5,
    # takes in another number, swapped in behind those that play: the old are freed
    "swap_error": None,
    "swapped": [1, 1, 3, 1],
    # two loadings at once: the last given wins, and the other is told
    "calls": ["superseded", None],
    "last": 4,
    "after_last": [1, 1, 4, 1],
    # what cannot be loaded leaves what plays
    "missing": "bad_sound",
    "unlike": "bad_sound",
    "none": "out_of_range",
    "too_many": "out_of_range",
    "no_sound": "bad_sound",
    "unread": "bad_sound",
    "given_back": "bad_sound",
    "left": 4,
    "after_errors": [1, 1, 4, 1],
    # a buffer that was given stays when it is swapped out
    "borrow_error": None,
    "borrowed": [1, 1, 3, 1],
    "own": True,
    # Cmd-Period and stop keep the takes and the bus; free keeps nothing
    "cmd_period": [False, 0, 0, 2, 1],
    "again": [True, 1, 1, 2, 1],
    "stopped": [False, 0, 0, 2, 1],
    "freed": [0, 0, 0, 0],
    "freed_plays": False,
    "fading_bus": 1,
    "faded": [0, 0, 0, 0],
    "unbegun": [0, 0],
    "once": [0, 0, 2, 1],
    "most_error": None,
    "most": [1, 1, 32, 1],
    "cut_off": "superseded",
    "cut_off_holds": [0, 0, 0, 0],
    "morph_synth": [2, 0],
    # TertiumBusRecorder
    "early": [None, "server"],
    "long": [None, "server", "Make a recorder with more seconds."],
    "nowhere": [None, "server"],
    "recorder_freed": [None, "server"],
    "recorder_holds": [0, 0, 0, 0],
    # TertiumLive: the recorder's buffer and the last fusion stay; nothing goes on unnoticed
    "live_cmd_period": [False, False, False, 0, 0, 2, 1],
    "live_silent": 0,
    "live_status": False,
    "live_again": True,
    # not auto: only what was asked for, once
    "live_waits": 0,
    "live_once": 1,
    "live_stopped": False,
    "live_freed": [0, 0, 0, 0],
    "files_left": 0,
    "kept_for": "unknown_field",
    "quit": [False, True, False, False],
    "quit_play": "The server “stage” does not run. Boot it first.",
}  # fmt: skip


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    folder = tmp_path_factory.mktemp("life")
    write_takes(folder)
    with jack.playing(folder) as server, running(folder / "daemon", step=0.005) as daemon:
        environment = {
            "PORT": str(server.port), "FOLDER": str(folder), "REFERENCE": str(folder / "low_0.wav"), "DAEMON": str(daemon.home),
        }  # fmt: skip
        named = {f"TERTIUM_TEST_{name}": value for name, value in environment.items()}
        (folder / "sclang").mkdir()
        script = Path(__file__).parent / "stage_life.scd"
        ended = sclang.run(script, folder / "sclang", limit=200, environment=named).check()
        ended.folder = folder
        return ended


@pytest.mark.parametrize("name", SAID)
def test_what_is_held_and_given_back(life, name):
    assert life.value(name) == SAID[name]


def test_a_recorder_writes_each_frame_once_wherever_it_is_in_its_ring(life):
    ends = []
    for index in range(9):  # the ring begins anew every 1.7 s
        frames, rate = soundfile.read(life.folder / f"recording_{index}.wav", dtype="float32")
        assert frames.shape == (round(0.6 * rate), 2)
        assert (np.diff(frames[:, 0]) == 1).all() and (frames[:, 1] == 0.5).all()
        ends.append(frames[-1, 0])
    assert ends == sorted(ends) and ends[-1] - ends[0] > 1.7 * rate, "it went round"


def test_errors_say_what_is_wrong_and_what_to_do(life):
    errors = life.values("error")
    for words in (
        'none.wav". Name a WAV, AIFF or FLAC file that exists.',
        "alike in length and channels; these have 30000 and 66150 frames. Take them from one morph.",
        "A Buffer among these takes has not been read yet. Wait for it: s.sync.",
        "A Buffer among these takes was freed. Give Buffers that hold a sound.",
        "A morph has 1 to 32 takes; got 0. Give it the array that a morph's action gets.",
    ):
        assert any(words in error for error in errors), errors


def test_without_onKeep_it_says_once_why_it_keeps(life):
    assert life.said.count("WARNING: Tertium: fuse has no field “hodl”. Did you mean hold?") == 1


def test_a_clock_that_cmd_period_ended_is_told_of(life):
    assert "Make a new TertiumLive with a clock that runs" in life.value("ended_clock")
