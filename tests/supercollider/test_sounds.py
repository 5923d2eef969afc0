"""Sounds and the real server: Buffers go out through it, results come in and play as they are in the file, to the sample."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import tone
from tests.supercollider import jack, sclang

pytestmark = jack.needs("scsynth")
live = jack.needs("scsynth", "jackd")
ATTACH = 's = Server.remote(\\live, NetAddr("127.0.0.1", %d)); Server.default = s; while { s.serverRunning.not } { 0.05.wait };'
POCKET = Path(__file__).parents[2] / "server/tertium/assets/demo"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with jack.playing(tmp_path_factory.mktemp("server")) as server:
        yield server


def samples(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def rendered(score, channels=2, rate=44100):
    """What scsynth makes of a score: (frames, channels)."""
    out = Path(score).with_suffix(".wav")
    run = subprocess.run(
        [shutil.which("scsynth"), "-N", str(score), "_", str(out), str(rate), "WAV", "float", "-i", "0", "-o", str(channels)],
        capture_output=True, text=True, timeout=60, env=os.environ | {"HOME": str(Path(score).parent)},
    )  # fmt: skip
    assert out.exists() and "FAILURE" not in run.stdout, run.stdout + run.stderr
    return samples(out)


SCORE = """
    ~score = {{ |name, arguments| Score([
        [0, ["/d_recv", TertiumSound.definition(sound.channels).asBytes]],
        [0, sound.loadMsg(Buffer(s, sound.frames, sound.channels, 0))],
        [0, ["/s_new", TertiumSound.definitionName(sound.channels), 1000, 0, 0, \\bufnum, 0] ++ arguments],
        [sound.duration + 0.5, ["/c_set", 0, 0]]
    ]).writeOSCFile("{folder}/" ++ name ++ ".osc", clock: TempoClock.default) }};
"""


def test_a_result_plays_to_the_sample_and_never_louder(play, clips, tmp_path):
    run = play(
        f"""
        var sound = t.fuse(~b, ~b, steps: 3, seed: 5).wait(60);
        {SCORE.format(folder=tmp_path)}
        ~score.("plain", []);
        ~score.("loud", [\\amp, 20]);
        ~score.("half", [\\amp, 0.5]);
        ~score.("slow", [\\rate, 0.5]);
        ~tell.(\\path, sound.path);
        """
    )
    wanted = samples(run.value("path"))
    for name, gain in (("plain", 1), ("loud", 1), ("half", 0.5)):
        heard = rendered(tmp_path / f"{name}.osc")
        np.testing.assert_array_equal(heard[: len(wanted)], wanted * np.float32(gain), err_msg=name)
        assert not heard[len(wanted) + 64 :].any(), "it frees itself at the end"
    slow = rendered(tmp_path / "slow.osc")
    np.testing.assert_array_equal(slow[: 2 * len(wanted) : 2][:10000], wanted[:10000])


def test_a_mono_sound_plays_on_one_channel(play, tmp_path):
    soundfile.write(tmp_path / "mono.wav", tone(110, channels=1).T, 44100, subtype="FLOAT")
    play(
        f'var sound = TertiumSound("{tmp_path}/mono.wav"); sound.check; {SCORE.format(folder=tmp_path)} ~score.("mono", [\\out, 1]);',
        home=False,
    )
    heard, wanted = rendered(tmp_path / "mono.osc"), samples(tmp_path / "mono.wav")
    assert not heard[:, 0].any()
    np.testing.assert_array_equal(heard[: len(wanted), 1], wanted[:, 0])


@live
def test_a_buffer_is_written_by_the_server_whole_and_exact(play, server, tmp_path):
    noise = np.random.default_rng(1).uniform(-1, 1, (40000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", noise, 44100, subtype="FLOAT")
    run = play(
        f"""
        var buffer, added, r, three;
        {ATTACH % server.port}
        buffer = Buffer.read(s, "{tmp_path}/noise.wav"); s.sync;
        added = t.addSound(buffer, "from the server").wait(30);
        ~tell.(\\added, added);
        three = 3.collect {{ |i| t.fuse(buffer, buffer, steps: 2, seed: i) }}.collect {{ |r| r.wait(60).check }};
        ~tell.(\\fused, three);
        ~tell.(\\left, (TertiumBufferWriter.folder +/+ "*").pathMatch);
        ~tell.(\\folder, TertiumBufferWriter.folder);
        r = t.fuseMsg(buffer, ~b, blend: 0.4);
        ~tell.(\\message, r);
        buffer.free; s.sync;
        t.fuse(buffer, ~b, onError: {{ |error| ~tell.(\\freed, error) }}).wait(10);
        """
    )
    np.testing.assert_array_equal(samples(run.value("added")), noise)
    assert run.value("fused") == [True] * 3
    assert run.value("left") == [], "what was written for a request goes when it ends"
    assert run.value("folder").endswith("/tertium") and run.value("folder").startswith(str(tmp_path / "sclang/home"))
    address, _, *pairs = run.value("message")
    assert address == "/tertium/fuse" and pairs[0] == "original" and pairs[1].startswith(run.value("folder"))
    assert run.value("freed")["code"] == "server" and run.value("freed")["field"] == "original"


def test_a_buffer_of_a_server_that_does_not_run_is_refused_at_once(play):
    run = play(
        "t.fuse(Buffer(s, 100, 1), ~b, onError: { |error| ~tell.(\\error, error) }, action: { |sound| ~tell.(\\sound, sound) }).wait(10);"
    )
    assert run.value("error") == {
        "code": "server", "field": "original", "remedy": "Boot it first.",
        "message": "The server “localhost” does not run, so its buffer cannot be written.",
    }  # fmt: skip
    assert run.value("sound") is None


@live
def test_results_are_loaded_and_played_and_freed(play, server):
    run = play(
        f"""
        var sound, synth, again, buffers = List.new, held, kept = false;
        {ATTACH % server.port}
        sound = t.fuse(~b, ~b, steps: 2).wait(60);
        ~tell.(\\none, sound.buffer);
        2.do {{ sound.load(s, {{ |buffer| buffers.add(buffer) }}) }};
        while {{ buffers.size < 2 }} {{ 0.02.wait }};
        ~tell.(\\once, buffers[0] === buffers[1] and: {{ buffers[0] === sound.buffer }});
        ~tell.(\\loaded, [sound.buffer.numFrames, sound.buffer.numChannels, sound.buffer.sampleRate]);
        synth = sound.play;
        NodeWatcher.register(synth);
        while {{ synth.isPlaying.not }} {{ 0.01.wait }};
        "playing".postln;
        while {{ synth.isPlaying }} {{ 0.05.wait }};
        ~tell.(\\freed_itself, synth.isPlaying.not);
        sound.free; s.sync;
        ~tell.(\\unloaded, sound.buffer);
        synth = sound.play(loop: true);  // loads it first
        NodeWatcher.register(synth);
        while {{ synth.isPlaying.not }} {{ 0.01.wait }};
        1.2.wait;
        ~tell.(\\loops, synth.isPlaying);
        ~tell.(\\buffer, sound.buffer.numFrames);
        again = sound.play;  // two play one Buffer
        NodeWatcher.register(again);
        while {{ again.isPlaying.not }} {{ 0.01.wait }};
        synth.release;
        while {{ synth.isPlaying }} {{ 0.02.wait }};
        0.1.wait;
        ~tell.(\\lent, sound.buffer.notNil);
        held = s.bufferAllocator.blocks.size;
        again.release;
        while {{ sound.buffer.notNil }} {{ 0.02.wait }};
        ~tell.(\\given_back, held - s.bufferAllocator.blocks.size);
        synth = sound.play;
        sound.load(s, {{ kept = true }});
        while {{ kept.not }} {{ 0.02.wait }};
        NodeWatcher.register(synth);
        synth.release;
        s.sync; 0.3.wait;
        ~tell.(\\kept, sound.buffer.notNil);
        CmdPeriod.run;
        """
        + "0.exit",
    )
    assert run.value("none") is None and run.value("once") is True and run.value("unloaded") is None
    assert run.value("loaded") == [26460, 2, 44100] and run.value("buffer") == 26460
    assert run.value("freed_itself") and run.value("loops")
    assert run.value("lent") and run.value("given_back") == 1, (
        "a Buffer that only playing has made goes with its last Synth"
    )
    assert run.value("kept"), "one that was loaded stays"


@live
@pytest.mark.skipif(sclang.SCLANG is None, reason=sclang.MISSING)
def test_the_pocket_model_fuses_a_path_and_a_buffer_and_the_third_plays(play, server, pocket, tmp_path):
    drums, hum = POCKET / "safari_drums.flac", POCKET / "haunted_hum.flac"
    run = play(
        f"""
        var buffer, sound, again, r, done = false;
        {ATTACH % server.port}
        buffer = Buffer.read(s, "{drums}"); s.sync;
        r = t.fuse("{drums}", "{hum}", blend: 0.5, steps: 12, seed: 3, timeout: 30, onProgress: {{ |fraction, r| ~tell.(\\progress, [fraction, r.stage]) }});
        sound = r.wait(90);
        ~tell.(\\sound, [sound, sound.check, sound.duration, sound.seed, r.fields[\\elapsed]]);
        t.fuse(buffer, "{hum}", blend: 0.5, steps: 12, seed: 3, timeout: 30, action: {{ |third, r|
            ~tell.(\\third, [third, third.check]);
            third.play.onFree {{ done = true }}
        }});
        while {{ done.not }} {{ 0.05.wait }};
        {SCORE.format(folder=tmp_path)}
        ~score.("pocket", []);
        """,
        home=pocket.home,
    )
    path, checked, duration, seed, elapsed = run.value("sound")
    frames = soundfile.info(drums).frames
    assert checked and seed == 3 and elapsed > 0 and duration == pytest.approx(frames / 44100)
    by_path, by_buffer = samples(path), samples(run.value("third")[0])
    assert by_path.shape == (frames, 2) and np.abs(by_path).max() > 0.01
    np.testing.assert_allclose(by_buffer, by_path, atol=1e-3, err_msg="the same sound, whichever way it came")
    assert [fraction for fraction, _ in run.values("progress")] == sorted(
        fraction for fraction, _ in run.values("progress")
    )
    np.testing.assert_array_equal(rendered(tmp_path / "pocket.osc")[: len(by_path)], by_path)
    recall = json.loads(Path(path).with_suffix(".json").read_text())["recall"]
    assert recall["command"] == "fuse" and recall["fields"]["seed"] == 3
