"""The Quark's window on a virtual screen: for a test that looks whether it is drawn, and for the picture in docs/.

PYTHONPATH=.:server:protocol python -m tests.supercollider.window docs/supercollider.png
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.end_to_end.daemons import running
from tests.supercollider import sclang

SOUNDS = Path(__file__).parents[2] / "server/tertium/assets/demo"
PROGRAMS = ("Xvfb", "import")
SCENE = """
    t = Tertium(home: "{home}");
    Font.default = Font("DejaVu Sans", 12);
    TertiumView.interval = 0.2;
    {{ v = t.gui; v.window.bounds = Rect(20, 20, {width}, {height}) }}.defer;
    ~scene.({{
        var third;
        while {{ v.isNil }} {{ 0.05.wait }};
        {{ v.original.sound = "{sounds}/safari_drums.flac"; v.reference.sound = "{sounds}/haunted_hum.flac" }}.defer;
        third = t.fuse("{sounds}/safari_drums.flac", "{sounds}/haunted_hum.flac", blend: 0.8, seed: 5, name: "drums, humming").wait(60);
        {{ v.result.sound = third; v.blend[\\slider].valueAction = 0.62; v.fuse }}.defer;
        while {{ v.request.isNil }} {{ 0.05.wait }};
        t.fuse("{sounds}/safari_drums.flac", "{sounds}/haunted_hum.flac", blend: 0.2, steps: 200);
        t.vary("{sounds}/safari_drums.flac", prompt: "rain on glass", steps: 200);
        while {{ v.request.progress < 0.3 or: {{ v.jobTexts.size < 4 }} }} {{ 0.02.wait }};
        0.1.wait;
        "LOOK".postln;
        v.request.wait(60);
        1.5.wait;
        {{ ~tell.(\\state, v.stateText); ~tell.(\\message, v.message); ~tell.(\\jobs, v.jobTexts); v.close }}.defer;
        1.wait;
        ~tell.(\\closed, v.window.isNil);
    }});
"""
SIZE = (760, 600)


def look(home, folder, path):
    """Open the window on a daemon with the pocket model, let it fuse, take a picture meanwhile; gives what it said at the end."""
    with screen(SIZE[0] + 60, SIZE[1] + 80) as display:
        scene = SCENE.format(home=home, sounds=SOUNDS, width=SIZE[0], height=SIZE[1])
        with sclang.running(scene, folder, screen="xcb", environment={"DISPLAY": display}) as running:
            running.wait_for("^LOOK")
            picture(display, path)
            return running.end().check()


@contextlib.contextmanager
def screen(width, height):
    """A virtual screen, as the value of DISPLAY."""
    read, write = os.pipe()
    size = f"{width}x{height}x24"
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            yield f":{told.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def picture(display, path):
    """What is on a screen, without the black around it, as a PNG."""
    subprocess.run(
        ["import", "-display", display, "-window", "root", "-trim", "+repage", str(path)], check=True, timeout=30
    )


def main(path):
    with tempfile.TemporaryDirectory(prefix="tertium-window-") as folder:
        home = Path(folder) / "home"
        with running(home, engine="tertium.worker.torch_engine", model="pocket"):
            look(home, Path(folder) / "sclang", path)


if __name__ == "__main__":
    main(sys.argv[1])
