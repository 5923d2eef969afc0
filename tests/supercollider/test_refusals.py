"""Requests that fail: the errors of daemon and Quark, how they are reported, and results that are not loaded."""

import pytest

from tests.supercollider import sclang

REFUSED = [
    ("t.fuse(~a, ~b, blend: 1.7", "out_of_range", "blend", "blend must lie between 0 and 1; got 1.7. Give it a number from 0 to 1."),
    ("t.fuse(~a, ~b, blend: 0.5, intervention: 3", "conflict", "blend", "blend"),
    ("t.fuse(~a, \\\\nothing", "unknown_checkpoint", "reference", "'nothing' is neither a sound nor a checkpoint"),
    ("t.fuse(\"nowhere.wav\", ~b", "unknown_sound", "original", "/nowhere.wav. Look at the path; relative ones begin at "),
    ("t.fuse(~a, ~b, steps: [1, 2]", "bad_type", "steps", "steps must be a number or a text; got [ 1, 2 ]."),
    ("t.fuse(~a, 12", "bad_type", "reference", "Give it a path, a SoundFile, a Buffer, a TertiumSound, or a Symbol"),
    ("t.fuse(nil, ~b", "missing_field", "original", "fuse needs original."),
    ("t.fuse(~a, ~b, hold: inf", "bad_type", "hold", "hold must be a number or a text"),
    ("t.generate(\"hum\", sampleRate: 100", "out_of_range", "sample_rate", "between 8000 and 192000"),
    ("t.generate(", "missing_field", "prompt", "reference, a checkpoint's name."),
    ("t.generate(\"memory\"", "out_of_memory", None, ""),
    ("t.generate(\"disk\"", "disk_full", None, ""),
    ("t.generate(\"mistake\"", "internal", None, ""),
    ("t.job(\"f00\"", "unknown_job", "job", "f00"),
    ("t.sound(\\\\deadbeef", "unknown_sound", "sound", "deadbeef"),
    ("t.deleteCheckpoint(\"nobody\"", "unknown_checkpoint", "checkpoint", "nobody"),
    ("t.request(\\\\fuze, []", "unknown_command", "command", "Did you mean fuse?"),
]  # fmt: skip


@pytest.fixture(scope="module")
def refusals(tmp_path_factory, daemon, clips):
    """What each of the refused calls gave, by one sclang: what its action and its onError were called with."""
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)
    scenes = []
    for number, (call, *_) in enumerate(REFUSED):
        given = call.replace("\\\\", "\\") + ("" if call.endswith("(") else ", ")
        told = f'action: {{ |result, r| ~tell.("action {number}", [result, r.state]) }}, onError: {{ |error| ~tell.("error {number}", [error.code, error.field, error.string]) }}'
        scenes.append(f"{given}{told}).wait(60); 0.05.wait;")
    a, b = map(sclang.scd_string, clips)
    script = f'~a = {a}; ~b = {b}; t = Tertium(home: "{daemon.home}"); ~scene.({{ {" ".join(scenes)} }});'
    return sclang.run(script, tmp_path_factory.mktemp("refusals")).check()


@pytest.mark.parametrize("number", range(len(REFUSED)), ids=[case[0] for case in REFUSED])
def test_an_error_says_what_is_wrong_and_what_to_do(refusals, number):
    _, code, field, says = REFUSED[number]
    assert refusals.values(f"action {number}") == [[None, "failed"]], "once, also on failure"
    [[got, at, said]] = refusals.values(f"error {number}")
    assert (got, at) == (code, field)
    assert says in said


def test_an_error_without_onError_is_one_line_in_the_post_window(play):
    run = play(
        't.fuse(~a, ~b, blend: 1.7).wait(30); t.fuse(~a, ~b, blend: 0.5, action: { "in action".postln }).wait(30);'
    )
    assert "WARNING: Tertium: blend must lie between 0 and 1; got 1.7. Give it a number from 0 to 1." in run.said
    assert run.said.count("WARNING") == 1 and "in action" in run.said


def test_a_mistake_in_a_users_function_stops_nothing(play):
    run = play(
        """
        var r = t.fuse(~a, ~b, action: { nil.mistake }, onProgress: { nil.mistake });
        ~tell.(\\sound, r.wait(30).check);
        ~tell.(\\next, t.fuse(~a, ~b, steps: 3).wait(30).check);
        """,
        errors=True,
    )
    assert run.value("sound") and run.value("next")
    assert "Message 'mistake' not understood" in run.said


def test_a_file_that_is_not_what_was_promised_is_not_loaded(play):
    run = play("""
        var sound = t.fuse(~a, ~b, steps: 3, name: "to be spoilt").wait(60), bytes, file, action = { |buffer, sound| ~tell.(\\loaded, buffer) };
        ~tell.(\\before, sound.check);
        sound.load(s, { |buffer| ~tell.(\\without_server, [buffer, s.bufferAllocator.blocks.size]) });
        file = File(sound.path, "rb"); bytes = Int8Array.newClear(20000); file.read(bytes); file.close;
        file = File(sound.path, "wb"); file.write(bytes); file.close;
        ~tell.(\\cut, sound.fault);
        sound.load(s, action);
        ~tell.(\\played, sound.play(s));
        file = File(sound.path, "wb"); file.write("this is no sound"); file.close;
        ~tell.(\\text, sound.fault);
        File.delete(sound.path);
        ~tell.(\\gone, sound.fault);
    """)
    assert run.value("before") is True
    assert run.value("without_server") == [None, 0] and "does not run. Boot it first." in run.said
    assert run.value("cut")["code"] == "bad_result" and run.value("cut")["message"].endswith(
        "frames; it should have 28800."
    )
    assert run.value("loaded") is None and run.value("played") is None
    assert run.value("text")["message"].endswith("to be spoilt.wav is no sound file that can be read.")
    assert run.value("gone")["message"].startswith("There is no file ")
    assert run.value("gone")["remedy"] == "Make the sound again, or restore the file."
