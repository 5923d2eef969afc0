"""The command line with a real daemon and the embedded model: jobs, copies, plots, errors, Ctrl-C, and a daemon for a single call."""

import json
import os
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from tertium import subprocess_env
from tertium.audio import files
from tertium.audio.signal import true_peak_dbtp
from tertium.cli.daemon_use import DaemonUse
from tertium.storage import home
from tertium_protocol.client import Client
from tests.sounds import tone

START_SECONDS = 120
QUICK = ("--steps", "6")


def tertium(*arguments, **environment) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tertium", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=subprocess_env.environment() | environment,
    )  # fmt: skip


def finished(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=150)
    return process.returncode, out, err


def until(condition, *, seconds: float = START_SECONDS):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two clips and the home of a running daemon."""
    folder = tmp_path_factory.mktemp("cli")
    daemon = tertium("serve", "--home", folder / "home", "--osc", "127.0.0.1:0")
    files.write(folder / "low.wav", tone(110, seconds=1), 44_100, format="wav")
    files.write(folder / "high.wav", tone(1760, seconds=0.7, sample_rate=22_050, channels=1), 22_050, format="wav")
    until(lambda: home.find(folder / "home"))
    yield folder
    daemon.send_signal(signal.SIGINT)
    assert daemon.wait(30) == 0
    assert home.find(folder / "home") is None


@pytest.fixture
def call(folder):
    """call(command, …): the exit status, standard output and standard error of a command to that daemon."""

    def run(command, *arguments):
        return finished(tertium(command, *arguments, "--home", folder / "home"))

    return run


@pytest.fixture
def ask(call):
    """ask(command, …): the object that a command prints with --json; it must succeed."""

    def run(*arguments):
        status, out, err = call(*arguments, "--json")
        assert (status, err) == (0, ""), out + err
        return json.loads(out)

    return run


def test_fuse_copies_draws_and_can_be_repeated(ask, folder, tmp_path):
    command = ("fuse", folder / "low.wav", folder / "high.wav", *QUICK, "--blend", "0.4")
    done = ask(*command, "-o", tmp_path / "third.flac", "--plot", tmp_path / "third.png")
    samples, sample_rate = soundfile.read(tmp_path / "third.flac", dtype="float32")
    assert (samples.shape, sample_rate) == ((44_100, 2), 44_100)
    assert np.isfinite(samples).all() and np.abs(samples).max() > 1e-4
    assert true_peak_dbtp(samples.T) <= -1
    assert done["output"] == str(tmp_path / "third.flac")
    width, height = struct.unpack(">II", (tmp_path / "third.png").read_bytes()[16:24])
    assert width > 2.5 * height
    assert any("22050" in note for note in done["notes"]), "conversions are noted"
    again = ask(*command, "--seed", done["seed"], "--format", "flac")
    assert again["sound"] == done["sound"], "the same seed, the same samples"
    assert again["path"] != done["path"], "and nothing overwritten"


def test_results_are_printed_as_lines(call, folder):
    status, out, err = call(
        "fuse", folder / "high.wav", folder / "low.wav", *QUICK, "--intervention", "3", "--name", "mine"
    )
    assert (status, err) == (0, "")
    path, facts, *rest = out.splitlines()
    assert path == str(folder / "home" / "results" / "mine.wav") and os.path.exists(path)
    assert facts.startswith("  0.70 s, 22050 Hz, stereo, peak ") and "intervention 3 of 6 steps, seed " in facts
    assert rest[-1].startswith("  again: the same command with --seed ")


def test_invert_copies_latents_and_reconstructs(ask, folder, tmp_path):
    done = ask(
        "invert", folder / "low.wav", *QUICK, "-o", tmp_path / "z.safetensors", "--reconstruct", tmp_path / "back.wav"
    )
    latents = load_file(tmp_path / "z.safetensors")
    assert latents and all(np.isfinite(value).all() for value in latents.values())
    assert files.read(tmp_path / "back.wav").frames == 44_100
    assert done["latents_output"] == str(tmp_path / "z.safetensors")


def test_a_reference_is_learned_saved_and_used_in_a_fusion(ask, call, folder, tmp_path):
    quick = ("--prompt", "a high tone", "--steps", "3", "--batch", "1", "--rank", "2", "--seed", "1")
    learned = ask("learn", folder / "high.wav", "--name", "high", *quick, "-o", tmp_path / "learned.wav")
    assert (learned["checkpoint"], learned["steps"]) == ("high", 3)
    assert soundfile.info(tmp_path / "learned.wav").frames == learned["frames"]
    assert ask("fuse", folder / "low.wav", "high", *QUICK)["steps"] == 6
    morphed = ask("morph", folder / "low.wav", "high", "--count", "2", *QUICK)
    assert any(
        "learned at 0.70 s, shorter than the original, repeated from its start" in note for note in morphed["notes"]
    )
    status, out, err = call("checkpoints")
    assert (status, err) == (0, "")
    assert "high: 'a high tone'\n  LoRA of rank 2 on pocket, 3 steps, 0.70 s, " in out
    path = tmp_path / "high.safetensors"
    assert call("checkpoints", "export", "high", path)[:2] == (0, f"{path}\n")
    assert call("checkpoints", "import", path, "--name", "again")[:2] == (0, "Imported as again.\n")
    assert call("checkpoints", "rename", "again", "twice")[:2] == (0, "Renamed to twice.\n")
    assert [one["name"] for one in ask("checkpoints")["checkpoints"]] == ["high", "twice"]
    assert ask("checkpoints", "delete", "twice")["name"] == "twice"
    status, out, err = call("checkpoints", "delete", "twice")
    assert (status, out) == (2, "") and "There is no checkpoint 'twice'." in err
    status, out, err = call("learn", folder / "high.wav", "--name", "high", *quick)
    assert (status, out) == (2, "") and "There is a checkpoint 'high' already." in err


def test_a_running_training_job_is_previewed(ask, call, folder, tmp_path):
    arguments = ("--prompt", "a high tone", "--name", "long", "--steps", "5000", "--batch", "1", "--rank", "2")
    training = tertium("learn", folder / "high.wav", *arguments, "--home", folder / "home")
    try:
        job = until(lambda: next((one for one in ask("jobs", "--state", "running")["jobs"] if one["fraction"]), None))[
            "job"
        ]
        status, out, err = call("preview", job, "--steps", "2", "-o", tmp_path / "preview.flac")
        assert (status, err) == (0, ""), out + err
        assert (
            out.startswith(f"{tmp_path / 'preview.flac'}\n  0.70 s") and ", learned for " in out and "again:" not in out
        )
        assert soundfile.info(tmp_path / "preview.flac").format == "FLAC"
    finally:
        training.send_signal(signal.SIGINT)
        finished(training)
    status, out, err = call("preview", job)
    assert (status, out) == (2, "") and f"The job {job} has ended: it is cancelled." in err


def test_generate_and_vary(ask, folder, tmp_path):
    assert ask("generate", "a low hum", "--seconds", "0.8", *QUICK)["seconds"] == pytest.approx(0.8, abs=1e-3)
    done = ask("vary", folder / "low.wav", "--strength", "0.3", *QUICK, "--plot", tmp_path / "v.png")
    assert done["frames"] == 44_100 and (tmp_path / "v.png").exists()


def test_a_failed_copy_loses_no_sound(call, folder, tmp_path):
    os.symlink(tmp_path / "nowhere" / "x.wav", tmp_path / "link.wav")
    code, out, err = call("vary", folder / "low.wav", "-o", tmp_path / "link.wav", "--steps", "1", "--name", "kept")
    assert (code, out) == (2, "")
    assert f"copy it from '{folder / 'home' / 'results' / 'kept.wav'}'" in err


def test_sounds_can_be_named_by_id(ask, folder):
    done = ask("fuse", folder / "low.wav", folder / "high.wav", *QUICK)
    assert ask("vary", done["sound"][:12], *QUICK)["frames"] == done["frames"]


def test_status_jobs_and_models(ask, call, folder):
    ask("generate", "x", "--seconds", "0.5", *QUICK)
    status = ask("status")
    assert status["state"] == "ready" and status["model"] == "pocket" and status["osc"].startswith("127.0.0.1:")
    jobs = ask("jobs", "--state", "done", "--limit", "1")
    assert jobs["total"] >= 1 and jobs["jobs"][0]["result"]["path"]
    assert [model["name"] for model in ask("models")["models"] if model["loaded"]] == ["pocket"]
    for command, text in (("status", "ready: pocket on "), ("jobs", "generate  done"), ("models", "pocket: loaded")):
        code, out, _ = call(command)
        assert code == 0 and text in out


@pytest.mark.parametrize(
    ("make", "code", "text"),
    [
        (lambda path: path.write_bytes(b"no sound at all" * 99), "bad_sound", "cannot be read as a sound"),
        (lambda path: path.touch(), "bad_sound", "is empty"),
        (lambda path: soundfile.write(path, np.zeros((44_100, 2)), 44_100), "bad_sound", "is silent"),
        (lambda path: soundfile.write(path, tone(seconds=601, sample_rate=8_000).T, 8_000), "bad_sound", "too long"),
        (lambda path: os.mkfifo(path), "path_refused", "is a pipe"),
        (lambda path: path.symlink_to("/etc/passwd"), "bad_sound", "cannot be read as a sound"),
    ],
)  # fmt: skip
def test_bad_sounds_are_refused(call, folder, tmp_path, make, code, text):
    make(tmp_path / "bad.wav")
    status, out, err = call("fuse", folder / "low.wav", tmp_path / "bad.wav", "--json")
    error = json.loads(out)["error"]
    assert (status, err, error["code"], error["field"]) == (2, "", code, "reference")
    assert text in error["message"] and error["remedy"]
    assert error["value"] == str(tmp_path / "bad.wav")


def test_unknown_sounds_checkpoints_and_models_are_refused(call, folder):
    status, out, err = call("fuse", "0123456789abcdef", folder / "low.wav")
    assert (status, out) == (2, "") and err.startswith("Error: No sound has the id '0123456789abcdef'.")
    status, _, err = call("fuse", folder / "low.wav", "nobody")
    assert status == 2 and "nobody" in err and "Traceback" not in err
    status, _, err = call("generate", "x", "--model", "stable-audio-open-1.0")
    assert status == 2 and "serves pocket, not stable-audio-open-1.0" in err


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_the_job(ask, folder, end):
    long = folder / "long.wav"
    if not long.exists():
        files.write(long, tone(seconds=40), 44_100, format="wav")
    process = tertium("fuse", long, long, "--steps", "500", "--home", folder / "home")
    job = until(lambda: ask("status").get("job"))
    process.send_signal(end)
    assert finished(process) == (130, "", "Interrupted.\n")
    (cancelled,) = [one for one in ask("jobs")["jobs"] if one["job"] == job]
    assert cancelled["state"] == "cancelled"


def test_a_daemon_started_for_a_call_serves_other_calls_and_stops_afterwards(folder, tmp_path):
    """Two calls at once in a home where none runs: whichever daemon gets the home serves both."""
    command = ("fuse", folder / "low.wav", folder / "high.wav", *QUICK, "--home", tmp_path / "fresh", "--json")
    calls = [tertium(*command), tertium(*command, "--seed", "5")]
    ends = [finished(process) for process in calls]
    assert [status for status, _, _ in ends] == [0, 0], ends
    paths = {json.loads(out)["path"] for _, out, _ in ends}
    assert len(paths) == 2 and all(os.path.exists(path) for path in paths)
    assert home.find(tmp_path / "fresh") is None and not home.is_served(tmp_path / "fresh")


def test_a_daemon_started_for_a_call_is_not_ended_between_two_requests_of_another_call(folder, tmp_path):
    """The other call has no job yet: it holds the daemon all the same."""
    command = ("fuse", folder / "low.wav", folder / "high.wav", *QUICK, "--home", tmp_path / "fresh", "--json")
    with DaemonUse(tmp_path / "fresh") as other:
        owner = tertium(*command)
        stem = until(lambda: list((tmp_path / "fresh" / "results").glob("*.json")))[0].stem
        with Client(tmp_path / "fresh", name="another call") as client:
            until(lambda: client.ask("status").job is None)
            time.sleep(0.5)  # ten looks of the owner
            assert owner.poll() is None and client.ask("status").state == "ready"
        other.give_up()
        status, out, err = finished(owner)
    assert status == 0, err
    assert stem in json.loads(out)["path"] and home.find(tmp_path / "fresh") is None


def test_morph_copies_its_takes_into_a_folder(call, ask, folder, tmp_path):
    command = ("morph", folder / "low.wav", folder / "high.wav", *QUICK, "--count", "3", "-o", tmp_path / "takes")
    status, out, err = call(*command, "--seed", "2")
    assert status == 0, err
    names = ["take-01.wav", "take-02.wav", "take-03.wav"]
    assert sorted(path.name for path in (tmp_path / "takes").iterdir()) == names
    assert [line.split(": ")[0] for line in err.splitlines()] == ["take 1 of 3", "take 3 of 3", "take 2 of 3"]
    assert [name in line for name, line in zip(names, out.splitlines(), strict=False)] == [True] * 3
    status, _, err = call(*command)
    assert status == 2 and "There are takes in" in err and "--force" in err
    done = ask(*command, "--force", "--seed", "2")
    assert [os.path.basename(path) for path in done["outputs"]] == names
    ends = ask("fuse", folder / "low.wav", folder / "high.wav", *QUICK, "--blend", "1", "--seed", "2")
    assert done["takes"][-1]["sound"] == ends["sound"]


def test_a_training_job_of_one_step_and_its_sound_again(call, ask, folder):
    status, out, err = call(
        "learn", folder / "low.wav", "--prompt", "a low tone", "--name", "low", "--steps", "1", "--seed", "3"
    )
    assert (status, err) == (0, "") and "learned in 1 step to a loss of " in out
    status, out, _ = call("checkpoints", "list")
    assert status == 0 and ", 1 step, 1.00 s" in out
    learned = next(one for one in ask("jobs")["jobs"] if one["command"] == "learn")  # newest first
    assert learned["result"]["checkpoint"] == "low"
    again = ask("generate", "--reference", "low", "--steps", "50", "--seed", "3")
    assert again["sound"] == learned["result"]["sound"]


def test_a_window_is_printed_drawn_and_used(call, folder, tmp_path):
    command = ("window", folder / "low.wav", folder / "high.wav", *QUICK, "--points", "4", "--plot", tmp_path / "w.png")
    status, out, err = call(*command)
    assert (status, err) == (0, "")
    assert out.startswith("the window: from step ") and "the fusion at the equilibrium: " in out
    width, height = struct.unpack(">II", (tmp_path / "w.png").read_bytes()[16:24])
    assert width > height
    status, out, _ = call("fuse", folder / "low.wav", folder / "high.wav", *QUICK, "--blend", "0.5")
    assert status == 0 and "blend goes by the measured window of this pair" in out


def test_a_folder_that_cannot_hold_takes_is_refused(call, folder, tmp_path):
    (tmp_path / "file").write_text("")
    for place, message in ((tmp_path / "file", "is a file"), (tmp_path / "no" / "takes", "There is no folder")):
        status, _, err = call("morph", folder / "low.wav", folder / "high.wav", "-o", place)
        assert status == 2 and message in err
