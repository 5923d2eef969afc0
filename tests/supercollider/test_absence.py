"""Daemons that are not there, die, come back elsewhere; datagrams that are lost and repeated. No sound is lost, and no request waits for ever."""

import contextlib
import json
import signal
import socket

import pytest

from tertium_protocol.client import Client
from tertium_protocol.codecs import osc_requests
from tertium_protocol.commands import COMMANDS
from tests.end_to_end.daemons import Daemon, Osc, running, until
from tests.supercollider import sclang
from tests.supercollider.relay import Relay


@pytest.fixture
def start(tmp_path, clips):
    """Starts a scene that goes on while the test does something to the daemon."""
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)
    scenes = []

    def started(code, home, **options):
        a, b = map(sclang.scd_string, clips)
        script = f"~a = {a}; ~b = {b}; t = Tertium(home: {sclang.scd_string(str(home))});\n~scene.({{\n{code}\n}});\n"
        scenes.append(sclang.Sclang(script, tmp_path / f"sclang{len(scenes)}", **options))
        return scenes[-1]

    yield started
    for scene in scenes:
        scene.kill()
        scene.end()


@pytest.fixture
def unused_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))  # held, and silent
        yield held.getsockname()[1]


def test_no_daemon_is_said_after_a_stated_time_and_how_to_start_one(play, unused_port):
    run = play(
        f"""
        var began = Main.elapsedTime, r;
        t = Tertium(port: {unused_port});
        r = t.fuse(~a, ~b, timeout: 2, action: {{ |sound, r| ~tell.(\\action, [sound, r.state]) }}, onError: {{ |error| ~tell.(\\error, error) }});
        ~tell.(\\result, r.wait(30));
        ~tell.(\\took, Main.elapsedTime - began);
        ~tell.(\\cancelled, [r.cancel.wait(5), r.cancel.error.message]);
        6.wait;
        """,
        home=False,
    )
    said = f"No Tertium daemon answers at 127.0.0.1:{unused_port}; start one with: tertium serve."
    assert run.value("error") == {"code": "no_answer", "message": said}
    assert run.values("action") == [[None, "failed"]] and run.value("result") is None
    assert run.value("took") > 2
    assert run.value("cancelled")[0] is None
    assert f"WARNING: Tertium: {said}" in run.said, "new says so by itself"


def test_a_request_is_sent_again_unchanged_and_what_cannot_be_repeated_once(start, tmp_path):
    """To a port that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(0.5)
        scene = start(
            f"""
            var errors = List.new, other = Tertium(port: {silent.getsockname()[1]});
            var requests = [
                other.fuse(~a, ~b, timeout: 4, onError: {{ }}),
                other.renameCheckpoint("moth", "night moth", timeout: 4, onError: {{ |error| ~tell.(\\once, error.string) }})
            ];
            requests.do(_.wait(30));
            """,
            tmp_path / "home",
        )
        sent = []
        while scene.process.poll() is None:
            with contextlib.suppress(TimeoutError):
                sent.append(silent.recv(65536))
        run = scene.end().check()
    fusions = [datagram for datagram in sent if datagram.startswith(b"/tertium/fuse")]
    assert len(fusions) >= 2 and len(set(fusions)) == 1
    assert len([datagram for datagram in sent if datagram.startswith(b"/tertium/rename_checkpoint")]) == 1
    assert run.value("once").endswith(" It may have been done all the same: look at t.checkpoints.")


def test_without_a_daemon_json_it_is_port_7700_and_a_broken_one_is_no_fault(play, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/daemon.json").write_text('{"osc": ["127.0.0.1", ')
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/daemon.json").write_text('{"osc": "127.0.0.1:9"}')
    run = play(
        f"""
        ["{tmp_path}/none", "{tmp_path}/broken", "{tmp_path}/odd"].do {{ |home| ~tell.(\\port, TertiumHome.endpoint(TertiumHome.read(home))) }};
        ~tell.(\\fallback, Tertium.port);
        """,
        home=False,
    )
    assert run.values("port") == [None] * 3 and run.value("fallback") == 7700


def test_daemon_json_is_read_as_it_is_written(play, daemon, monkeypatch):
    run = play(
        f'~tell.(\\facts, TertiumHome.read("{daemon.home}")); ~tell.(\\default, TertiumHome.default);',
        environment={"TERTIUM_HOME": "/else/where"},
    )
    assert run.value("facts") == json.loads((daemon.home / "daemon.json").read_text())
    assert run.value("default") == "/else/where"


def test_a_daemon_that_starts_later_is_found(start, tmp_path):
    scene = start("~tell.(\\sound, t.fuse(~a, ~b, steps: 3, timeout: 60).wait(90).check)", tmp_path / "home")
    scene.wait_for("Welcome to SuperCollider")
    with running(tmp_path / "home"):
        assert scene.end().check().value("sound") is True


def test_a_daemon_that_is_killed_and_comes_back_on_another_port_finishes_what_was_asked(start, tmp_path):
    home = tmp_path / "home"
    code = """
        var first = t.fuse(~a, prompt: "step=0.1", steps: 60, seed: 1, timeout: 60, onProgress: { |p| if(p > 0) { "under way".postln } }), second;
        second = t.fuse(~a, ~b, steps: 3, seed: 2, timeout: 60);
        ~tell.(\\first, [first.wait(120).check, first.sound.seed, first.state]);
        ~tell.(\\second, [second.wait(60).check, second.sound.seed]);
        ~tell.(\\third, t.fuse(~a, ~b, steps: 3, seed: 3).wait(60).seed);
        ~tell.(\\jobs, t.jobs.wait(10)[\\total]);
    """
    daemon = Daemon(home).ready()
    ports = [daemon.osc[1]]
    try:
        scene = start(code, home)
        scene.wait_for("^under way")
        with Osc(daemon.osc) as client:
            until(lambda: client.ask("status")["queued"] == 1)
        daemon.stop(signal.SIGKILL)
        with running(home) as again:
            ports.append(again.osc[1])
            run = scene.end().check()
    finally:
        daemon.stop(signal.SIGKILL)
    assert ports[0] != ports[1]
    assert run.value("first") == [True, 1, "done"]
    assert run.value("second") == [True, 2] and run.value("third") == 3
    assert run.value("jobs") == 3, "nothing was made twice"


def test_a_daemon_that_dies_under_a_job_is_said_and_the_next_request_finds_the_new_one(start, tmp_path):
    home = tmp_path / "home"
    daemon = Daemon(home).ready()
    try:
        scene = start(
            """
            var r = t.fuse(~a, prompt: "step=0.1", steps: 500, timeout: 3, onProgress: { |p| if(p > 0) { "under way".postln } },
                onError: { |error, r| ~tell.(\\error, [error.code, error.string, r.job]); });
            ~tell.(\\result, r.wait(60));
            "start another".postln;
            ~tell.(\\next, t.generate("x", seconds: 1, steps: 2, timeout: 60).wait(90).check);
            """,
            home,
        )
        scene.wait_for("^under way")
        daemon.stop(signal.SIGKILL)
        scene.wait_for("^start another")
        with running(tmp_path / "other") as other:
            (home / "daemon.json").write_text((other.home / "daemon.json").read_text())
            run = scene.end().check()
    finally:
        daemon.stop(signal.SIGKILL)
    code, said, job = run.value("error")
    assert code == "no_answer" and run.value("result") is None
    assert said.startswith(
        f"No Tertium daemon answers at 127.0.0.1:{daemon.osc[1]}; start one with: tertium serve. Job {job} goes on where the daemon"
    )
    assert run.value("next") is True


def test_a_sound_that_comes_after_its_time_is_not_lost(start, tmp_path, clips):
    """The daemon is stopped for longer than the request's patience, and then goes on."""
    with running(tmp_path / "home") as daemon:
        scene = start(
            """
            var r = t.fuse(~a, prompt: "step=0.1", steps: 30, timeout: 2, onProgress: { |p| if(p > 0) { "under way".postln } },
                action: { |sound, r| ~tell.(\\action, [sound, r.state]) }, onError: { "given up".postln });
            ~tell.(\\result, r.wait(60));
            while { r.state != \\done } { 0.1.wait };
            ~tell.(\\late, [r.sound.check, r.isDone]);
            """,
            tmp_path / "home",
        )
        scene.wait_for("^under way")
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            scene.wait_for("^given up")
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        run = scene.end().check()
    assert run.values("action") == [[None, "failed"]], "once"
    assert run.value("late") == [True, True]
    assert "Tertium: fuse is done after all: " in run.said


def test_lost_and_repeated_datagrams_lose_and_repeat_nothing(play, daemon):
    with Relay(daemon.osc, lose=0.25, repeat=0.25, swap=0.2) as relay:
        run = play(
            f"""
            var times = IdentityDictionary.new, u = Tertium(port: {relay.port}), requests, morph, taken = List.new;
            requests = 12.collect {{ |i| u.fuse(~a, ~b, steps: 2, seed: i, timeout: 60, name: "lossy " ++ i, action: {{ |sound, r| times[r.id] = (times[r.id] ? 0) + 1 }}) }};
            morph = u.morph(~a, ~b, count: 5, steps: 4, timeout: 60, onTake: {{ |sound, index| taken.add(index) }});
            requests.do(_.wait(90));
            ~tell.(\\seeds, requests.collect {{ |r| r.sound !? _.seed }});
            ~tell.(\\checked, requests.every {{ |r| r.sound.check }});
            ~tell.(\\times, times.values);
            ~tell.(\\takes, [morph.wait(60).collect(_.blend), taken.size, taken.asArray.sort]);
            ~tell.(\\commands, u.commands(timeout: 60).wait(60)[\\commands].size);
            ~tell.(\\listed, u.jobs(limit: 40, timeout: 60).wait(60)[\\jobs].size);
            """,
            limit=150,
        )
        assert relay.lost > 20 and relay.repeated > 20 and relay.swapped > 10, vars(relay)
    assert run.value("seeds") == list(range(12)) and run.value("checked") is True
    assert run.value("times") == [1] * 12, "each action once"
    assert run.value("takes") == [[0, 0.25, 0.5, 0.75, 1], 5, [1, 2, 3, 4, 5]]
    assert run.value("commands") == len(COMMANDS)
    with Client(daemon.home) as client:  # over ZeroMQ, which loses nothing
        jobs = client.ask("jobs", limit=500).jobs
    paths = [job.result.path for job in jobs if job.state == "done"]
    made = [path for path in paths if "/lossy " in path]
    assert run.value("listed") == min(40, len(jobs))
    assert len(made) == len(set(made)) == 12, "nothing was made twice"


@pytest.mark.parametrize("refuses", ["the daemon", "the client"])
def test_a_daemon_of_another_major_version_is_asked_for_nothing(tmp_path, clips, refuses):
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.settimeout(0.5)
        script = f"""
            t = Tertium(port: {stranger.getsockname()[1]});
            ~scene.({{
                while {{ t.refusal.isNil }} {{ 0.05.wait }};
                t.fuse("{clips[0]}", "{clips[1]}", action: {{ |sound, r| ~tell.(\\action, [sound, r.state]) }}, onError: {{ |error| ~tell.(\\error, error) }}).wait(5);
            }});
        """
        heard = []
        with sclang.running(script, tmp_path / "sclang", limit=30) as scene:
            while scene.process.poll() is None:
                with contextlib.suppress(TimeoutError):
                    datagram, sender = stranger.recvfrom(65536)
                    [(address, id, _)] = osc_requests.decode_messages(datagram)
                    heard.append(address)
                    if refuses == "the client":
                        answer = [
                            "/tertium/reply",
                            id,
                            "protocol",
                            "2.0",
                            "version",
                            "9.0.0",
                            "model",
                            "pocket",
                            "state",
                            "ready",
                        ]
                    else:
                        answer = [
                            "/tertium/error",
                            id,
                            "code",
                            "bad_message",
                            "message",
                            "This daemon speaks protocol 2.0.",
                        ]
                    stranger.sendto(osc_requests.encode_message(answer[0], answer[1:]), sender)
            run = scene.end().check()
    assert set(heard) == {"/tertium/hello"}
    assert run.said.count("WARNING: Tertium: ") == 1, "said once"
    assert run.values("action") == [[None, "failed"]]
    assert run.value("error")["code"] == "bad_message" and "speaks protocol 2.0" in run.value("error")["message"]


def test_two_clients_at_once_get_their_own(tmp_path, daemon, clips):
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)
    a, b = map(sclang.scd_string, clips)
    scenes = []
    for number in range(2):
        # both seed the random numbers, as patches do; their ids must differ all the same
        scenes.append(
            sclang.Sclang(
                f"""
                thisThread.randSeed = 42;
                t = Tertium(home: "{daemon.home}");
                ~scene.({{
                    var requests = 20.collect {{ |i| t.fuse({a}, {b}, steps: 2, seed: {number} * 100 + i) }};
                    requests.do(_.wait(60));
                    ~tell.(\\seeds, requests.collect {{ |r| r.sound.seed }});
                    ~tell.(\\ids, requests.collect(_.id));
                    ~tell.(\\jobs, requests.collect(_.job));
                }});
                """,
                tmp_path / str(number),
            )
        )
    runs = [scene.end().check() for scene in scenes]
    assert [run.value("seeds") for run in runs] == [list(range(20)), list(range(100, 120))]
    for told in ("ids", "jobs"):
        assert len({*runs[0].value(told), *runs[1].value(told)}) == 40
