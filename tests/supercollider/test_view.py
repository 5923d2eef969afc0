"""The window: what it shows and says, and, on a virtual screen, that it is drawn."""

import shutil
import subprocess

import pytest

from tests.supercollider import sclang, window


def test_it_fuses_and_says_how_it_goes(play):
    run = play("""
        var seen = IdentitySet.new;
        { v = t.gui }.defer;
        while { v.isNil or: { v.stateText == "looking for a daemon" } } { 0.05.wait };
        ~tell.(\\state, v.stateText);
        { v.fuse; ~tell.(\\empty, v.message); v.play; ~tell.(\\no_third, v.message); v.cancel; ~tell.(\\nothing, v.message) }.defer;
        0.3.wait;
        { v.original.sound = ~a; v.reference.sound = [~b]; v.blend[\\number].valueAction = 0.25; v.hold[\\slider].valueAction = 0.5; v.fuse }.defer;
        while { v.result.sound.isNil } { 0.05.wait };
        { ~tell.(\\asked, [v.blend[\\slider].value, v.hold[\\number].value, v.result.sound.recall[\\fields][\\hold]]);
            ~tell.(\\message, v.message); v.play; ~tell.(\\no_server, v.message) }.defer;
        while { v.jobTexts.isEmpty } { 0.05.wait };
        ~tell.(\\jobs, v.jobTexts);
        { v.original.sound = "/nowhere.wav"; ~tell.(\\emptied, v.original.sound); v.fuse; }.defer;
        0.3.wait;
        {
            CmdPeriod.run;
            SystemClock.sched(2.5, { { ~tell.(\\after, v.stateText); v.close }.defer; nil });
            SystemClock.sched(3.5, { ~tell.(\\closed, v.window.isNil); 0.exit; nil });
        }.defer;
        60.wait;
    """)
    assert run.value("state").startswith("ready: fake on cpu fp32, 0 waiting, ")
    assert run.value("empty") == "Two sounds are needed: drop an original and a reference on their places."
    assert run.value("no_third") == "There is no third sound yet: press Fuse."
    assert run.value("nothing") == "There is nothing to cancel here."
    assert run.value("asked") == pytest.approx([0.25, 0.5, 0.5])
    assert " + reference" in run.value("message") and ", seed " in run.value("message")
    assert run.value("no_server") == "The server “localhost” does not run. Boot it first: s.boot"
    assert any(line.startswith("done   fuse   ") and " + reference" in line for line in run.value("jobs"))
    assert run.value("emptied") is None
    assert run.value("after").startswith(("ready", "busy")) and run.value("closed")


def test_it_says_when_no_daemon_is_there_and_finds_the_one_that_comes(play, daemon, tmp_path):
    run = play(
        f"""
        t = Tertium(home: "{tmp_path}/later");
        {{ v = t.gui }}.defer;
        while {{ v.isNil or: {{ v.stateText == "looking for a daemon" }} }} {{ 0.05.wait }};
        ~tell.(\\absent, v.stateText);
        {{ v.original.sound = ~a; v.reference.sound = ~b; v.fuse; v.request.cancel }}.defer;
        File.mkdir("{tmp_path}/later");
        File.copy("{daemon.home}/daemon.json", "{tmp_path}/later/daemon.json");
        while {{ v.stateText.beginsWith("No ") }} {{ 0.05.wait }};
        ~tell.(\\found, v.stateText);
        {{ v.close }}.defer;
        0.2.wait;
        """,
        home=False,
    )
    assert run.value("absent") == "No Tertium daemon answers at 127.0.0.1:7700; start one with: tertium serve."
    assert run.value("found").startswith(("ready", "busy"))


def test_an_error_is_a_sentence_in_it(play):
    run = play("""
        { v = t.gui; v.original.sound = ~a; v.reference.sound = ~b; v.hold[\\number].clipHi = 5; v.hold[\\number].value = 3; v.fuse }.defer;
        while { v.isNil or: { v.request.isNil } } { 0.05.wait };
        v.request.wait(20);
        0.3.wait;
        { ~tell.(\\message, v.message); v.close }.defer;
        0.2.wait;
    """)
    assert run.value("message") == "hold must lie between 0 and 1; got 3. Give it a number from 0 to 1."


def test_whatever_can_be_dropped(play, clips):
    run = play(
        """
        [~a, [~b], "file://" ++ ~a, "file://" ++ ~a.replace("original", "orig%69nal") ++ 13.asAscii ++ "\\n", PathName(~a), SoundFile(~a), Buffer(s, 10).path_(~b),
            TertiumSound(~a), ~a.asSymbol, 12, "", nil, Buffer(s, 10)].do { |thing| ~tell.(\\dropped, TertiumSlotView.soundOf(thing)) };
        """,
        home=False,
    )
    a, b = clips
    assert run.values("dropped") == [a, b, a, a, a, a, b, a, a, None, None, None, None]


@pytest.mark.skipif(not all(map(shutil.which, window.PROGRAMS)), reason="Xvfb and ImageMagick are not installed")
@pytest.mark.skipif(sclang.SCLANG is None, reason=sclang.MISSING)
def test_it_is_drawn(pocket, tmp_path):
    run = window.look(pocket.home, tmp_path / "sclang", tmp_path / "window.png")
    assert run.value("state").startswith(("ready: pocket on cpu", "busy: pocket on cpu")) and run.value("closed")
    assert "safari_drums + haunted_hum" in run.value("message")
    assert any(line.startswith("done   fuse") for line in run.value("jobs"))
    for color in ("rgb(226,122,63)", "rgb(82,151,204)", "rgb(190,160,210)"):  # the waveforms' own
        counted = subprocess.run(
            ["convert", tmp_path / "window.png", "-fuzz", "12%", "-fill", "black", "+opaque", color, "-fill", "white", "-opaque", color,
             "-format", "%[fx:mean*w*h]", "info:"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert float(counted.stdout) > 500, f"{color} is not to be seen"
