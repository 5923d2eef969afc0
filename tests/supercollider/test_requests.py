"""Requests from a real sclang to a real daemon: their results, and how they arrive."""

import json
from pathlib import Path

import pytest
import soundfile

from tertium_protocol.commands import COMMANDS


def test_a_fusion_comes_back_as_a_sound_that_is_checked(play, clips):
    run = play("""
        var r = t.fuse(~a, ~b, blend: 0.4, steps: 12, seed: 7, name: "third", onProgress: { |fraction, r| ~tell.(\\progress, [fraction, r.stage, r.state]) },
            action: { |sound, r| ~tell.(\\action, [sound, r.state]) });
        var sound;
        ~tell.(\\at_once, r.state);
        sound = r.wait(60);
        ~tell.(\\sound, (path: sound.path, frames: sound.frames, channels: sound.channels, rate: sound.sampleRate, duration: sound.duration, seed: sound.seed,
            id: sound.id, notes: sound.notes, intervention: sound.intervention, check: sound.check, fields: sound.fields));
        ~tell.(\\recall, sound.recall);
        ~tell.(\\request, (state: r.state, progress: r.progress, job: r.job, done: r.isDone, error: r.error, same: r.sound === sound));
        ~tell.(\\again, t.vary(sound, steps: 2).wait(60).check);
    """)
    told = run.value("sound")
    info = soundfile.info(told["path"])
    assert run.value("at_once") == "waiting", "nothing blocks"
    assert (
        (told["frames"], told["channels"], told["rate"])
        == (info.frames, info.channels, info.samplerate)
        == (28800, 2, 48000)
    )
    assert told["duration"] == pytest.approx(0.6) and told["seed"] == 7 and told["check"] is True
    assert told["fields"]["steps"] == 12
    assert "original: mono, given to both channels" in told["notes"]
    assert run.value("recall")["fields"]["seed"] == 7 and run.value("recall")["fields"]["blend"] == pytest.approx(
        0.4, abs=1e-6
    )
    assert (
        run.value("request")["state"] == "done"
        and run.value("request")["same"]
        and run.value("request")["progress"] == 1
    )
    assert run.values("action") == [[told["path"], "done"]], "once"
    fractions = [fraction for fraction, _, _ in run.values("progress")]
    assert fractions == sorted(fractions) and all(state == "running" for *_, state in run.values("progress"))
    assert run.value("again") is True


def test_progress_comes_with_stage_fraction_and_seconds_left(play):
    run = play("""
        var r = t.fuse(~a, prompt: "step=0.05", steps: 40, onProgress: { |fraction, r| ~tell.(\\progress, [fraction, r.progress, r.stage, r.secondsLeft]) });
        r.wait(60);
        ~tell.(\\left, r.secondsLeft);
    """)
    told = run.values("progress")
    assert len(told) > 5
    assert [fraction for fraction, *_ in told] == sorted({fraction for fraction, *_ in told})
    assert all(fraction == progress for fraction, progress, *_ in told)
    assert "sample" in {stage for _, _, stage, _ in told}
    assert any(left for *_, left in told)
    assert run.value("left") == 0


def test_a_running_fusion_and_a_queued_one_are_cancelled(play):
    run = play("""
        var first = t.fuse(~a, prompt: "step=0.1", steps: 500, action: { |sound, r| ~tell.(\\first, [sound, r.state, r.reason]) }, onError: { ~tell.(\\error, 1) });
        var second = t.fuse(~a, prompt: "step=0.1", steps: 400, action: { |sound, r| ~tell.(\\second, [sound, r.state]) });
        var third;
        second.cancel;  // before it can have been accepted
        while { first.progress <= 0 } { 0.05.wait };
        third = first.cancel;
        ~tell.(\\waited, first.wait(30));
        second.wait(30);
        ~tell.(\\reply, third.wait(10));
        ~tell.(\\by_job, t.cancel(t.fuse(~a, prompt: "step=0.1", steps: 499)).wait(10));
    """)
    assert run.value("first")[:2] == [None, "cancelled"] and "cancel" in run.value("first")[2].lower()
    assert run.value("second") == [None, "cancelled"]
    assert run.value("waited") is None
    assert run.value("reply")["job"] and run.value("by_job")["job"]
    assert not run.values("error"), "what was cancelled is no error"


def test_latest_wins_in_a_slot(play):
    run = play("""
        var running = t.fuse(~a, prompt: "step=0.05", steps: 30);
        var older, newer;
        while { running.progress <= 0 } { 0.05.wait };
        older = t.fuse(~a, ~b, slot: "live", steps: 3);
        while { older.job.isNil } { 0.05.wait };
        newer = t.fuse(~a, ~b, slot: "live", steps: 4);
        ~tell.(\\newer, newer.wait(60).check);
        ~tell.(\\older, [older.state, older.reason, older.result]);
    """)
    assert run.value("newer") is True
    assert run.value("older") == ["cancelled", run.value("older")[1], None] and "slot live" in run.value("older")[1]


@pytest.mark.parametrize("clock", ["SystemClock", "AppClock", "TempoClock(2)"])
def test_a_routine_waits_on_any_clock(play, clock):
    run = play(f"""
        var ended = false;
        Routine {{
            var r = t.fuse(~a, prompt: "step=0.1", steps: 8), began = thisThread.seconds, early = r.wait(0.2), took = thisThread.seconds - began;
            ~tell.(\\waited, [early, took, r.wait(30).check]);
            ended = true
        }}.play({clock});
        while {{ ended.not }} {{ 0.05.wait }};
    """)
    early, took, checked = run.value("waited")
    assert early is None and took >= 0.15 and checked is True


def test_an_action_may_wait_too(play):
    run = play(
        """
        var ended = false;
        t.fuse(~a, ~b, steps: 2, action: { |sound|
            var more = t.vary(sound, steps: 2).wait(30);
            0.2.wait;
            ~tell.(\\more, more.check);
            ended = true
        });
        while { ended.not } { 0.05.wait };
    """,
        limit=40,
    )
    assert run.value("more") is True


def test_wait_outside_a_routine_explains_itself(play):
    run = play(
        "AppClock.sched(0, { try { t.status.wait(1) } { |problem| ~tell.(\\said, problem.what) }; nil }); 1.wait;"
    )
    assert run.value("said").startswith("wait works in a Routine only, as it must never block sclang. Write: fork {")


def test_wait_gives_up_after_its_time_and_the_request_goes_on(play):
    run = play("""
        var r = t.fuse(~a, prompt: "step=0.1", steps: 20);
        ~tell.(\\early, [r.wait(0.3), r.isDone]);
        ~tell.(\\late, [r.wait(60).check, r.isDone]);
    """)
    assert run.value("early") == [None, False]
    assert run.value("late") == [True, True]


def test_a_morph_is_an_array_of_sounds_from_the_reference_on(play):
    run = play("""
        var told = List.new;
        var r = t.morph(~a, ~b, count: 4, steps: 12, onTake: { |sound, index, r| ~tell.(\\take, [index, sound, sound.check, r.command]) });
        var takes = r.wait(60);
        ~tell.(\\takes, takes.collect { |each| (blend: each.blend, step: each.intervention, path: each.path, check: each.check, frames: each.frames, recall: each.recall) });
        ~tell.(\\sound, r.sound);
        ~tell.(\\fields, r.fields[\\takes].size);
    """)
    takes = run.value("takes")
    assert [take["blend"] for take in takes] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert "step" not in takes[0] and [take["step"] for take in takes[1:]] == [4, 8, 12]
    assert all(take["check"] and take["frames"] == 28800 and take["recall"]["command"] == "fuse" for take in takes)
    assert [index for index, *_ in run.values("take")] == [1, 4, 2, 3]
    assert {path for _, path, _, _ in run.values("take")} == {take["path"] for take in takes}
    assert all(checked for _, _, checked, _ in run.values("take"))


def test_a_window_has_points_and_is_drawn(play):
    run = play("""
        var w = t.window(~a, ~b, points: 4, steps: 8).wait(60), plotter;
        ~tell.(\\window, (begin: w.begin, equilibrium: w.equilibrium, end: w.end, steps: w.steps, ratios: w.ratios, points: w.points, path: w.path, check: w.sound.check));
        { plotter = w.plot; ~tell.(\\plot, [plotter.value, plotter.domain]); plotter.parent.close }.defer;
        1.wait;
    """)
    window = run.value("window")
    assert (window["begin"], window["equilibrium"], window["end"], window["steps"]) == (1, 3, 4, 8)
    assert window["ratios"] == [2, 1, 0.5] and window["check"] is True
    assert [point["position"] for point in window["points"]] == [0, 0.5, 1]
    assert "intervention" not in window["points"][0]
    assert json.loads(Path(window["path"]).read_text())
    assert run.value("plot") == [[[0.5] * 3] * 2, [0, 4, 8]]


def test_a_window_is_drawn_when_it_is_asked_for_in_one_breath(play):
    run = play("""
        var before = Window.allWindows.size, r = t.window(~a, ~b, points: 4, steps: 8).plot(Rect(0, 0, 200, 100)), late;
        ~tell.(\\request, [r.class.name, r.command]);
        r.wait(60);
        late = 200;
        while { Window.allWindows.size == before and: { late > 0 } } { 0.05.wait; late = late - 1 };
        ~tell.(\\drawn, { Window.allWindows.size - before }.value);
        { Window.allWindows.last.close }.defer;
        0.2.wait;
        r.plot;
        while { Window.allWindows.size == before and: { late > 0 } } { 0.05.wait; late = late - 1 };
        ~tell.(\\again, Window.allWindows.size - before);
        try { t.status.plot } { |problem| ~tell.(\\no_curve, problem.what) };
    """)
    assert run.value("request") == ["TertiumRequest", "window"]
    assert run.value("drawn") == run.value("again") == 1
    assert run.value("no_curve") == "A status has no curve to plot; a window has."


def test_learning_previewed_listed_renamed_exported_imported_deleted(play, tmp_path):
    exported = tmp_path / "moth.safetensors"
    run = play(f"""
        var r = t.learn(~b, prompt: "step=0.05 moth wings on glass", name: \\moth, steps: 60), preview, sound;
        while {{ r.progress <= 0 }} {{ 0.05.wait }};
        preview = t.preview(r, steps: 3).wait(60);
        ~tell.(\\preview, [preview.check, preview.fields[\\learned]]);
        sound = r.wait(60);
        ~tell.(\\learnt, [sound.check, sound.fields[\\checkpoint]]);
        ~tell.(\\fused, t.fuse(~a, \\moth, steps: 4).wait(60).check);
        ~tell.(\\generated, t.generate(reference: \\moth, steps: 4).wait(60).check);
        ~tell.(\\listed, t.checkpoints.wait(10)[\\checkpoints].collect(_[\\name]));
        ~tell.(\\exported, t.exportCheckpoint(\\moth, "{exported}").wait(30)[\\path]);
        ~tell.(\\renamed, t.renameCheckpoint(\\moth, "night moth").wait(30)[\\name]);
        ~tell.(\\imported, t.importCheckpoint("{exported}", "again", onError: {{ |error| ~tell.(\\refused, error) }}).wait(30));
        ~tell.(\\deleted, t.deleteCheckpoint("night moth").wait(30)[\\name]);
        ~tell.(\\left, t.checkpoints.wait(10)[\\checkpoints]);
    """)
    checked, learned = run.value("preview")
    assert checked and 0 < learned <= 60
    assert run.value("learnt") == [True, "moth"]
    assert run.value("fused") and run.value("generated")
    assert run.value("listed") == ["moth"]
    assert run.value("exported") == str(exported) and exported.stat().st_size
    assert run.value("renamed") == run.value("deleted") == "night moth"
    assert run.value("imported") is None and run.value("refused")["field"] == "path", (
        "what the fake engine learns is no LoRA"
    )
    assert run.value("left") == []


def test_whatever_is_answered_at_once(play, clips, daemon):
    run = play("""
        var added;
        ~tell.(\\hello, t.hello("a test", Tertium.protocol).wait(10));
        ~tell.(\\status, t.status.wait(10));
        added = t.addSound(~a, "moth").wait(10);
        ~tell.(\\added, (class: added.class.name, name: added.fields[\\name], check: added.check, id: added.id));
        ~tell.(\\by_id, t.sound(added.id.asSymbol).wait(10).id);
        ~tell.(\\by_text, t.sound(added.id.keep(12)).wait(10).id);
        ~tell.(\\by_sound, t.sound(added).wait(10).id);
        ~tell.(\\sounds, t.sounds(limit: 500).wait(10)[\\sounds].collect(_.id));
        ~tell.(\\models, t.models.wait(10)[\\models]);
        ~tell.(\\jobs, t.jobs(limit: 3).wait(10));
        ~tell.(\\job, t.job(t.fuse(~a, ~b, steps: 2)).wait(10)[\\command]);
        ~tell.(\\commands, t.commands.wait(10)[\\commands].collect(_[\\name]));
        ~tell.(\\parameters, t.commands(\\learn).wait(10)[\\commands][0][\\parameters].collect(_[\\name]));
    """)
    assert run.value("hello")["home"] == str(daemon.home)
    assert run.value("status")["model"] == "fake" and run.value("status")["sample_rate"] == 44100
    added = run.value("added")
    assert added == {"class": "TertiumSound", "name": "moth", "check": True, "id": added["id"]}
    assert {run.value(name) for name in ("by_id", "by_text", "by_sound")} == {added["id"]} <= set(run.value("sounds"))
    assert {model["name"] for model in run.value("models")} >= {"fake", "gated"}
    assert len(run.value("jobs")["jobs"]) <= 3 <= run.value("jobs")["total"]
    assert run.value("job") == "fuse"
    assert len(run.value("commands")) == len(COMMANDS) and "sound_audio" in run.value("commands")
    assert run.value("parameters")[:2] == ["reference", "prompt"]


def test_help_is_what_the_daemon_says(play):
    run = play("t.help(\\fuse).wait(10); t.help(\\renameCheckpoint).wait(10); t.help.wait(10);")
    assert "    blend (number, 0 … 1, else 0.5): 0 is the reference, 1 the original; excludes intervention" in run.said
    assert (
        "    sampleRate (integer, 8000 … 192000 Hz, else the original's, else the model's): sample rate of the result"
        in run.said
    )
    assert "    original (text, at most 4096 characters, required): the sound to keep the shape of" in run.said
    assert "renameCheckpoint   Gives a checkpoint another name." in run.said
    assert "    checkpoint (text, at most 100 characters, required): its name now" in run.said
    assert "shutdown           Stops the daemon" in run.said


def test_paths_with_spaces_and_letters_beyond_ascii(play, clips, tmp_path):
    odd = tmp_path / "Übung ☂ 😀 näher dran"
    odd.mkdir()
    paths = [odd / "Ton eins’ — ä.wav", odd / 'a "quoted" & {braced} 100%.wav']
    for path, clip in zip(paths, clips, strict=True):
        path.write_bytes(Path(clip).read_bytes())
    a, b = (str(path).replace("\\", "\\\\").replace('"', '\\"') for path in paths)
    run = play(f"""
        var sound = t.fuse("{a}", PathName("{b}"), steps: 3, name: "Drittes ☂ für Łódź").wait(60), file;
        ~tell.(\\sound, [sound, sound.check, sound.recall[\\fields][\\name]]);
        file = SoundFile("{a}");
        ~tell.(\\file, t.fuse(file, ~b, steps: 3).wait(60).check);
        ~tell.(\\again, t.vary(sound, prompt: "späte Motten, 東京", steps: 3).wait(60).recall[\\fields][\\prompt]);
    """)
    path, checked, name = run.value("sound")
    assert Path(path).is_file() and Path(path).stem == "Drittes ☂ für Łódź" == name and checked
    assert run.value("file") is True
    assert run.value("again") == "späte Motten, 東京"


def test_a_relative_path_and_one_from_home(play, clips, tmp_path):
    folder = tmp_path / "sclang"
    (folder / "home").mkdir(parents=True)
    (folder / "near.wav").write_bytes(Path(clips[0]).read_bytes())
    (folder / "home/far.wav").write_bytes(Path(clips[1]).read_bytes())
    assert play('~tell.(\\check, t.fuse("near.wav", "~/far.wav", steps: 3).wait(60).check);').value("check")


def test_the_longest_prompt_and_a_long_path(play, clips, tmp_path):
    deep = tmp_path / "/".join(["d" * 200] * 15)
    deep.mkdir(parents=True)
    (deep / "a.wav").write_bytes(Path(clips[0]).read_bytes())
    run = play(f"""
        var prompt = String.fill(2000, {{ |i| "abcdefghij"[i % 10] }});
        ~tell.(\\prompt, t.vary("{deep}/a.wav", prompt: prompt, steps: 3).wait(60).recall[\\fields][\\prompt]);
    """)
    assert run.value("prompt") == "abcdefghij" * 200


def test_two_hundred_requests_in_a_burst_all_come_back(play):
    run = play(
        """
        var ended = IdentitySet.new, times = 0;
        var requests = 200.collect { |i|
            t.fuse(~a, ~b, steps: 1, seed: i, name: "burst " ++ i, action: { |sound, r| times = times + 1; if(sound.notNil) { ended.add(r) } })
        };
        requests.do { |r| r.wait(120) };
        ~tell.(\\counts, [ended.size, times, requests.count { |r| r.sound.check }, requests.collect { |r| r.sound.seed } == (0..199), requests.collect(_.job).asSet.size]);
        """,
        limit=170,
    )
    assert run.value("counts") == [200, 200, 200, True, 200]


def test_cmd_period_loses_no_answer_and_no_patience(play):
    run = play("""
        var r = t.fuse(~a, prompt: "step=0.1", steps: 15, action: { |sound| ~tell.(\\action, sound.check); });
        var gone = Tertium(home: "/nonexistent", port: 9).status(timeout: 2, onError: { |error| ~tell.(\\gone, error.code); 0.exit });
        SystemClock.sched(0.5, { CmdPeriod.run; nil });
        60.wait;
    """)
    assert run.value("action") is True
    assert run.value("gone") == "no_answer"


@pytest.mark.parametrize("clock", ["SystemClock", "AppClock", "TempoClock(2).permanent_(true)"])
@pytest.mark.parametrize("timeout", ["", "60"])
def test_a_routine_that_cmd_period_ended_stays_ended(play, clock, timeout):
    run = play(
        f"""
        var clock = {clock};
        var r = t.fuse(~a, prompt: "step=0.05", steps: 20);
        Routine {{ r.wait({timeout}); "woken from the dead".postln }}.play(clock);
        SystemClock.sched(0.3, {{
            CmdPeriod.run;
            Routine {{ ~tell.(\\later, r.wait(60).check); {{ 0.exit }}.defer(0.5) }}.play(clock);
            nil
        }});
        60.wait;
    """,
        limit=20,
    )
    assert run.value("later") is True
    assert "woken" not in run.said


def test_events_of_others_are_told_to_who_subscribes(play, daemon, clips):
    run = play("""
        var other = Tertium(home: t.home), events = List.new;
        t.onEvent = { |event, fields, id| events.add([event, fields, id]) };
        t.subscribe(30).wait(10);
        NetAddr("127.0.0.1", t.addr.port).sendMsg("/tertium/fuse", "somebody else", \\original, ~a, \\reference, ~b, \\steps, 2);
        t.fuse(~a, ~b, steps: 3).wait(60);
        1.wait;
        ~tell.(\\events, events.collect { |each| [each[0], each[2], each[1][\\path]] });
        t.onEvent = nil;
        t.subscribe(0).wait(10);
    """)
    events = run.value("events")
    assert {id for _, id, _ in events} == {"somebody else"}, "its own are told to its own requests"
    assert [event for event, *_ in events if event in ("accepted", "done")] == ["accepted", "done"]
    assert Path(next(path for event, _, path in events if event == "done")).is_file()
