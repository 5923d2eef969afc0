"""The command line without a daemon: arguments generated from the protocol's table, errors in one sentence, and the doctor."""

import argparse
import io
import json
import os
import socket
import subprocess
import sys

import pytest

from tertium import __version__, subprocess_env
from tertium.audio import files
from tertium.cli import commands, connect, doctor, main, output, parser, render
from tertium.errors import TertiumError
from tertium_protocol.client import NoDaemon
from tertium_protocol.errors import ERROR_CODES
from tertium_protocol.messages import Done
from tests.sounds import tone


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TERTIUM_HOME", str(tmp_path / "home"))


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.wav"
    files.write(path, tone(), 44_100, format="wav")
    return str(path)


def run_cli(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def parse(*arguments) -> argparse.Namespace:
    return parser.build().parse_args(list(arguments))


def test_version_and_help(capsys):
    assert run_cli(capsys, "--version")[:2] == (0, f"tertium {__version__}\n")
    status, out, _ = run_cli(capsys, "--help")
    assert status == 0
    for command in ("serve", "fuse", "invert", "generate", "vary", "status", "jobs", "models", "doctor"):
        assert f"    {command} " in out


def test_the_help_of_a_command_is_the_protocols(capsys):
    _, out, _ = run_cli(capsys, "fuse", "--help")
    plain = " ".join(out.split())
    for option in (
        "--blend",
        "--intervention",
        "--steps",
        "--order",
        "--eta",
        "--hold",
        "--seed",
        "--plot",
        "--output",
        "-o",
    ):
        assert option in plain
    assert "sampling steps; with a deadline, at most so many; 1 … 500; default 50" in plain
    assert "0 … 2147483647" in plain


def test_options_become_fields_and_what_is_absent_is_left_out():
    arguments = parse(
        "fuse", "a.wav", "b.wav", "--steps", "20", "--eta", "0.5", "--sample-rate", "48000", "--name", "x"
    )
    assert parser.request_fields(arguments) == {
        "original": "a.wav", "reference": "b.wav", "steps": 20, "eta": 0.5, "sample_rate": 48_000, "name": "x",
    }  # fmt: skip
    assert parser.request_fields(parse("vary", "a.wav", "--null", "empty")) == {"original": "a.wav", "null": "empty"}
    for command in ("fuse", "morph", "window"):
        aligned = parser.request_fields(parse(command, "a.wav", "b.wav", "--align", "both"))
        assert aligned == {"original": "a.wav", "reference": "b.wav", "align": "both"}
    assert parser.request_fields(parse("generate", "a low hum")) == {"prompt": "a low hum"}
    assert parser.request_fields(parse("generate", "--reference", "hum")) == {"reference": "hum"}
    assert parser.request_fields(parse("jobs", "--state", "done")) == {"state": "done"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "required: COMMAND. See: tertium --help"),
        (["fuse"], "required: ORIGINAL. See: tertium fuse --help"),
        (["frob"], "invalid choice: 'frob'"),
        (["fuse", "CLIP", "CLIP", "--step", "4"], "Unrecognized arguments: --step 4"),
        (["fuse", "CLIP", "CLIP", "--steps", "0"], "steps must lie between 1 and 500; got 0. Give it a whole number"),
        (["fuse", "CLIP", "CLIP", "--steps", "many"], "steps must be a whole number; got the text “many”."),
        (["fuse", "CLIP", "CLIP", "--eta", "-0.1"], "eta must lie between 0 and 1; got -0.1."),
        (["fuse", "CLIP", "CLIP", "--blend", "nan"], "blend must be a finite number"),
        (["fuse", "CLIP", "CLIP", "--blend", ".5", "--intervention", "3"], "Send one of the two."),
        (["fuse", "CLIP"], "reference is missing, and so is prompt"),
        (["fuse", "CLIP", "gone.wav"], "There is no file 'gone.wav'. Check the path"),
        (["fuse", "gone", "CLIP"], "There is no file 'gone'. Check the path"),
        (["fuse", "CLIP", "CLIP", "--anchor", "cleam"], "Did you mean clean?"),
        (["fuse", "CLIP", "CLIP", "--align", "onset"], "align must be one of off, onsets, pitch, both; got “onset”. Did you mean onsets?"),
        (["vary", "CLIP", "--align", "both"], "Unrecognized arguments: --align both"),
        (["fuse", "CLIP", "CLIP", "-o", "a.mp3"], "'a.mp3' does not end in .wav or .flac."),
        (["fuse", "CLIP", "CLIP", "-o", "no/a.wav"], "There is no folder"),
        (["fuse", "CLIP", "CLIP", "-o", "CLIP"], "exists already. Choose another name, or replace a file with --force."),
        (["fuse", "CLIP", "CLIP", "--plot", "a.jpg"], "'a.jpg' does not end in .png."),
        (["invert", "CLIP", "-o", "a.wav"], "'a.wav' does not end in .safetensors."),
        (["invert", "CLIP", "--reconstruct-from", "60"], "reconstruct_from must lie between 0 and steps, which is 50"),
        (["generate", " "], "prompt must not be empty."),
        (["generate"], "prompt is missing, and so is reference: a sound is made from one of them."),
        (["generate", "--reference", "CLIP"], "names a sound, but generate takes the name of a checkpoint. Learn the sound first"),
        (["generate", "--reference", "hum.wav"], "'hum.wav' names a sound, but generate takes the name of a checkpoint."),
        (["serve", "--osc", "0.0.0.0:7700"], "can be reached by other machines"),
        (["serve", "--allow", "/no/such/folder"], "--allow does not name a folder"),
        (["serve", "--roots", "/no/such/folder"], "--roots does not name a folder"),
    ],
)  # fmt: skip
def test_an_invalid_command_is_refused_in_a_sentence_and_starts_nothing(
    capsys, clip, tmp_path, monkeypatch, arguments, text
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connect.subprocess, "Popen", None)
    status, out, err = run_cli(capsys, *[clip if argument == "CLIP" else argument for argument in arguments])
    assert (status, out) == (2, "")
    assert err.startswith("Error: ") and err.count("\n") == 1 and "Traceback" not in err
    assert text in err


def test_a_preview_starts_no_daemon(capsys, monkeypatch):
    monkeypatch.setattr(connect.subprocess, "Popen", None)
    status, _, err = run_cli(capsys, "preview", "5f0c2ad19b3e4471")
    assert status == 1 and "No daemon runs in" in err and "tertium serve" in err


def test_json_output_is_one_object(capsys, clip):
    status, out, err = run_cli(capsys, "fuse", clip, clip, "--steps", "0", "--json")
    assert (status, err) == (2, "")
    error = json.loads(out)["error"]
    assert (error["code"], error["field"], error["value"]) == ("out_of_range", "steps", 0)
    assert error["message"] and error["remedy"]


@pytest.mark.parametrize("command", ["status", "jobs"])
def test_queries_start_no_daemon(capsys, tmp_path, command):
    status, out, err = run_cli(capsys, command)
    assert (status, out) == (1, "")
    assert err == f"Error: No daemon runs in {tmp_path / 'home'}. Start one with: tertium serve\n"
    assert not (tmp_path / "home").exists()
    assert json.loads(run_cli(capsys, command, "--json")[1])["error"]["code"] == "no_daemon"


def test_sounds_are_paths_ids_or_for_the_reference_checkpoints(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields = render.checked_fields("fuse", {"original": "clip.wav", "reference": "my voice"}, None)
    assert fields == {"original": clip, "reference": "my voice"}
    (tmp_path / "drums 1.2").mkdir()
    for command, name in (("morph", "my voice"), ("window", "naïve"), ("fuse", "drums 1.2"), ("fuse", "a.b.c")):
        fields = render.checked_fields(command, {"original": clip, "reference": name}, None)
        assert fields["reference"] == name
    for command, name in (("fuse", "voice.WAV"), ("fuse", "./voice"), ("window", "~voice"), ("learn", "my voice")):
        with pytest.raises(TertiumError, match="There is no file"):
            render.checked_fields(command, {"original": clip, "reference": name, "prompt": "x"}, None)
    fields = render.checked_fields("fuse", {"original": "0123abcd", "reference": clip}, "out.FLAC")
    assert fields == {"original": "0123abcd", "reference": clip, "format": "flac"}
    assert render.checked_fields("generate", {"prompt": "hum", "format": "wav"}, "a.wav")["format"] == "wav"


def test_a_daemon_started_for_a_call_has_no_allowed_folders():
    wanted = connect.Wanted(home="h", engine={"model": "pocket"})
    tail = connect.serve_arguments(wanted)[3:]
    assert tail == ["--osc", "127.0.0.1:0", "--model", "pocket"]
    assert parse(*connect.serve_arguments(wanted)).command == "serve"


def test_copies_replace_nothing_unless_forced(tmp_path):
    path = tmp_path / "a.wav"
    render.put(b"one", path, replace=False)
    with pytest.raises(TertiumError, match="exists already"):
        render.put(b"two", path, replace=False)
    assert path.read_bytes() == b"one"
    render.put(b"two", path, replace=True)
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.wav"]


def test_exit_statuses():
    assert {code for code in ERROR_CODES if output.exit_status(code) == 1} == {
        "model_unavailable", "deadline", "busy", "out_of_memory", "disk_full", "worker_died", "internal", "cancelled",
    }  # fmt: skip
    assert output.exit_status(output.describe_error(NoDaemon("none"))["code"]) == 1


def test_a_daemon_that_does_not_start_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(connect, "serve_arguments", lambda wanted: ["serve", "--osc", "nowhere"])
    with (
        pytest.raises(TertiumError) as caught,
        connect.running_or_started(connect.Wanted(), output.Output(machine=True)),
    ):
        pass
    assert "The daemon did not start: Error: 'nowhere' has no port number." in caught.value.message
    assert caught.value.remedy == "Run: tertium doctor"


def run_python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=subprocess_env.environment() | environment,
        check=False,
    )


def test_without_packages_there_is_a_sentence_and_a_doctor(tmp_path):
    """-S hides the installed packages: only the standard library and this code remain."""
    run = run_python("-S", "-m", "tertium", "status")
    assert run.returncode == 1
    assert run.stderr.startswith("Error: pydantic cannot be imported") and run.stderr.endswith("Run: tertium doctor\n")
    script = (
        "import tertium.cli.doctor as d, sys; d.probe = lambda: {'broken': 'no torch'}; sys.exit(d.main(['--json']))"
    )
    run = run_python("-S", "-c", script)
    report = json.loads(run.stdout)
    assert run.returncode == 1 and report["healthy"] is False
    missing = next(found["text"] for found in report["findings"] if found["state"] == "fault")
    assert missing.startswith("not installed: torch, ") and "pydantic" in missing


def test_the_doctor_checks_this_machine(capsys, tmp_path):
    status, out, _ = run_cli(capsys, "doctor", "--json")
    findings = json.loads(out)["findings"]
    by_topic = {topic: [f for f in findings if f["topic"] == topic] for topic in {f["topic"] for f in findings}}
    assert by_topic.keys() == {"python", "packages", "home", "daemon", "ports", "weights", "device"}
    assert by_topic["device"][0]["text"].startswith(("cpu", "cuda", "mps"))
    assert by_topic["device"][1]["text"].startswith("pocket runs on ")
    assert "torch 2" in by_topic["packages"][0]["text"]
    assert str(tmp_path / "home") in by_topic["home"][0]["text"] and not (tmp_path / "home").exists()
    assert [f["text"] for f in by_topic["daemon"]] == ["none runs in this folder"]
    assert any("stable-audio-open-1.0" in f["text"] for f in by_topic["weights"])
    assert all(f["remedy"] for f in findings if f["state"] != "ok")
    assert status == (1 if any(f["state"] == "fault" for f in findings) else 0)


def test_a_broken_pytorch_is_reported(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise OSError('libtorch_cpu.so: cannot open shared object file')")
    monkeypatch.setattr(
        doctor,
        "environment",
        lambda: os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{subprocess_env.environment()['PYTHONPATH']}"},
    )
    (finding,) = doctor._engine(doctor.probe())
    assert (finding.state, finding.topic) == ("fault", "device")
    assert "libtorch_cpu.so: cannot open shared object file" in finding.text and "make setup" in finding.remedy


def test_a_port_in_use_is_reported():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        finding = doctor._osc_port(None, usual := f"127.0.0.1:{other.getsockname()[1]}")
        assert finding.state == "note" and "is not free" in finding.text and "--osc" in finding.remedy
    assert doctor._osc_port(None, usual).state == "ok"
    assert "9000" in doctor._osc_port({"osc": ["127.0.0.1", 9000], "zmq": "ipc://x"}, usual).text


def test_missing_or_truncated_pocket_weights_are_reported(tmp_path):
    from safetensors.numpy import save_file

    (tmp_path / "model_config.json").write_text("{}")
    assert "model.safetensors is missing" in doctor._pocket(tmp_path).text
    save_file({"a": tone()}, tmp_path / "model.safetensors")
    assert doctor._pocket(tmp_path).state == "ok"
    whole = (tmp_path / "model.safetensors").read_bytes()
    for size in (0, 5, 30, len(whole) - 1):
        (tmp_path / "model.safetensors").write_bytes(whole[:size])
        assert doctor._pocket(tmp_path).state == "fault" and "truncated" in doctor._pocket(tmp_path).text
    (tmp_path / "model_config.json").write_text("{")
    assert doctor._pocket(tmp_path).state == "fault"


def test_the_contents_of_the_hub_cache_are_reported():
    commands = {"login": "'/my venv/bin/hf' auth login", "encoder": "/venv/bin/hf download words"}
    encoder = {"name": "words", "there": True}
    hub = {"cache": "/cache", "models": {"one": True, "two": False}, "token": False}
    hub |= {"commands": commands, "encoder": encoder}
    one, two = doctor._hub(hub)
    assert (one.state, one.text) == ("ok", "one: in /cache")
    assert two.state == "note" and "no token" in two.text and "HF_TOKEN" in two.remedy
    assert "`'/my venv/bin/hf' auth login`" in two.remedy
    assert "you are logged in" in list(doctor._hub(hub | {"token": True}))[1].text
    *_, lacking = doctor._hub(hub | {"encoder": encoder | {"there": False}})
    assert lacking.state == "note" and lacking.text.startswith("words, their text encoder: not completely downloaded")
    assert "`/venv/bin/hf download words`" in lacking.remedy
    unused = hub | {"models": {"one": False}, "encoder": encoder | {"there": False}}
    assert [finding.text for finding in doctor._hub(unused)] == ["one: not downloaded, and there is no token"]


def test_a_home_without_space_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: argparse.Namespace(free=2e8))
    assert doctor._folder(tmp_path / "new").state == "note"
    (tmp_path / "file").touch()
    assert doctor._folder(tmp_path / "file" / "home").state == "fault"


def test_an_unknown_device_is_refused(capsys):
    assert main(["fuse", "a.wav", "b.wav", "--device", "gpu"]) == 2
    assert "must be auto, cpu, cuda, cuda:1 or mps; got gpu" in capsys.readouterr().err


@pytest.mark.parametrize("machine", [False, True])
def test_characters_that_the_terminal_lacks_are_escaped(machine, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1", write_through=True))
    output.Output(machine=machine).result({"path": "/ü/🥁.wav"}, ["/ü/🥁.wav"])
    text = written.getvalue().decode("latin-1")
    assert json.loads(text) == {"path": "/ü/🥁.wav"} if machine else text == "/ü/\\U0001f941.wav\n"


UNREAD = {
    "full": 'exec "$@" > /dev/full',
    "closed": 'exec "$@" >&-',
    "both": 'exec "$@" >&- 2>&-',
    "unread": '"$@" | true; exit ${PIPESTATUS[0]}',
}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device here")
@pytest.mark.parametrize("command", [("--help",), ("jobs", "--json"), ("doctor",)], ids=" ".join)
@pytest.mark.parametrize("how", UNREAD)
def test_output_that_cannot_be_written_is_reported_in_a_sentence(how, command, tmp_path):
    wait = "import sys, time; time.sleep(0.3); from tertium.cli import main; sys.exit(main(sys.argv[1:]))"  # until `true` has ended
    shell = ["bash", "-c", UNREAD[how], "-", sys.executable, "-c", wait, *command]
    buffered = subprocess_env.environment() | {"PYTHONUNBUFFERED": ""}  # as usual
    run = subprocess.run(shell, capture_output=True, text=True, env=buffered, timeout=60)
    assert "Traceback" not in run.stderr and "Exception" not in run.stderr
    if how == "full":
        sentence = "Error: The output could not be written: No space left on device. Redirect it elsewhere.\n"
        assert (run.returncode, run.stderr) == (1, sentence)
    elif how == "unread":
        assert (run.returncode, run.stderr) == (141, "")
    elif command != ("--help",):  # help that cannot be printed is not an error
        assert run.returncode == 1
        assert run.stderr == (
            ""
            if how == "both"
            else "Error: The output could not be written: standard output is closed. Redirect it elsewhere.\n"
        )


def test_a_single_step_is_singular():
    assert [output.counted(number, "step") for number in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    facts = {
        "path": "/a.wav",
        "seconds": 1.0,
        "sample_rate": 44_100,
        "channels": 2,
        "frames": 44_100,
        "sound": "s",
        "job": "j",
    }
    for more, words in (
        ({"steps": 1}, ", 1 step"),
        ({"steps": 1, "intervention": 0}, "intervention 0 of 1 step"),
        ({"steps": 1, "checkpoint": "c", "loss": 0.5}, "learned in 1 step to a loss of 0.5000"),
        ({"steps": 20, "learned": 1, "loss": 0.5}, "20 steps, learned for 1 step to a loss of 0.5000"),
    ):
        assert words in render._lines("generate", {}, Done(**facts, **more), {})[1]


def test_the_end_of_the_log_is_shown(tmp_path, capsys):
    (tmp_path / "daemon.log").write_text("".join(f"line {number}\n" for number in range(9)))
    assert commands.run(["log", "--home", str(tmp_path), "--lines", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == ["line 7", "line 8", f"({tmp_path / 'daemon.log'})"]
    assert commands.run(["log", "--home", str(tmp_path / "nowhere")]) == 2
    assert "There is no log at" in capsys.readouterr().err


def test_a_terminal_gets_no_commands_from_the_names_of_files(capsys):
    given = output.Output(machine=False)
    given.result({}, ["a\x1b[2Jb\x07", "rtl \u202e name", "plain ü"])
    given.note("\x1b]0;title\x07")
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["a\\x1b[2Jb\\x07", "rtl \\u202e name", "plain ü"]
    assert shown.err == "\\x1b]0;title\\x07\n"
