"""The boxes of the panel and their ways to the script."""

from .controls import (
    AS_INT,
    FLOAT,
    FONT,
    NUMBER_LCD,
    STORED,
    at,
    button,
    choice,
    drop,
    field,
    info,
    named,
    number,
    parameter,
    toggle,
    words,
)  # fmt: skip
from .layout import CLEAR, DISPLAY, LIGHTS, MARK, ORIGINAL, REFERENCE, SHADE, TEXT
from .wiring import width_of_fold

CENTRE, RIGHT = 1, 2
TITLE = {"fontface": 1}
COLORS = {"original": ORIGINAL, "reference": REFERENCE}

# What stands on the buttons, and the long names by which Live knows them.
BUTTONS = {
    "original_clip": ("Take clip", "Original Clip"),
    "original_result": ("Last result", "Original Result"),
    "reference_clip": ("Take clip", "Reference Clip"),
    "reference_result": ("Last result", "Reference Result"),
    "fuse": ("Fuse", "Fuse"),
    "morph": ("Morph", "Morph"),
    "window": ("Measure", "Measure"),
    "learn": ("Learn", "Learn"),
    "place": ("Place", "Place"),
    "cancel": ("Cancel", "Cancel"),
    "copy_command": ("Command", "Command"),
    "again": ("Look again", "Look Again"),
    "show_results": ("Show", "Show Results"),
}
FACE_OF = {f"{slot}_{part}": f"{slot} {part}" for slot in COLORS for part in ("clip", "result")}
# These ask the prompt's field for its text before they say their own word, so that nobody has to press Return in it.
WITH_PROMPT = ("fuse", "morph", "window", "learn")
CHOICES = {
    "destination": ("live.menu", ["To next slot", "To arrangement", "To Simpler", "To Audition"]),
    "by_next": ("live.menu", ["No deadline", "By next bar", "By next 2 bars", "By next 4 bars", "By next 8 bars"]),
    "order": ("live.tab", ["1", "2", "3"]),
    "solver": ("live.tab", ["SDE", "ODE"]),
}  # fmt: skip
COMMAND = "tertium serve"


def display(patcher):
    """The window of the pair: what it is drawn on, the curves, the marks. The later lies upon the earlier."""
    patcher.section("The window of the pair")
    words(patcher, "reference end", "Reference", color=REFERENCE, **TITLE)
    words(patcher, "original end", "Original", color=ORIGINAL, justify=RIGHT, **TITLE)
    patcher.row()
    patcher.add("display", "panel", mode=0, rounded=3, proportion=0.5, ignoreclick=1, colors={"bgfillcolor": DISPLAY}, **at("display"))  # fmt: skip
    patcher.row()
    _mark(patcher, "shade", "window_shade", SHADE)
    patcher.row()
    for name in ("reference", "original"):
        patcher.add(
            f"curve {name}", "multislider", size=64, orientation=1, setminmax=[0.0, 1.0], settype=1, setstyle=0, thickness=2, spacing=0,
            ignoreclick=1, bgcolor=CLEAR, border_bottom=0, border_left=0, border_right=0, border_top=0,
            colors={"slidercolor": COLORS[name]}, **at(f"curve {name}"),
        )  # fmt: skip
        patcher.row()
    _mark(patcher, "equilibrium", "window_equilibrium", MARK)
    _mark(patcher, "position", "window_position", colors={"bgfillcolor": TEXT})


def _mark(patcher, name, scripting_name, color=CLEAR, **more):
    patcher.add(
        name, "panel", mode=0, rounded=0, ignoreclick=1, bgcolor=color, varname=scripting_name, **at(name), **more
    )  # fmt: skip


def slot(patcher, controls, name):
    """One of the two sounds: what it is called, how long it is, how it looks, and where it is taken from."""
    patcher.section(f"The {name}")
    words(patcher, f"{name} label", name.capitalize(), color=COLORS[name], **TITLE)
    words(patcher, f"{name} length", justify=RIGHT, size=9.0)
    words(patcher, f"{name} name", "Take a clip, or drop a file")
    patcher.row()
    patcher.add(
        f"{name} wave", "waveform~", buffername=f"---{name}", allowdrag=0, grid=0.0, labels=0, ruler=0, ticks=0, vticks=0,
        setmode=0, ignoreclick=1, colors={"bgcolor": DISPLAY, "waveformcolor": COLORS[name]}, **at(f"{name} wave"),
    )  # fmt: skip
    patcher.row()
    drop(patcher, f"{name} drop", controls.take(f"{name}_drop"), f"Tertium {name.capitalize()} Drop")
    patcher.add(f"{name} dropped", f"prepend {name}_drop")
    patcher.chain(f"{name} drop", f"{name} dropped", "script")


def prompt(patcher, controls):
    control = controls.take("prompt")
    patcher.section("The prompt")
    words(patcher, "learned title", "Learned references", **TITLE)
    patcher.row()
    field(patcher, "prompt", "", "Prompt", control["info"])
    patcher.row()
    patcher.add("prompt text", "route text")
    patcher.add("prompt empty", "route bang")
    patcher.row()
    patcher.add("no prompt", "message", text="prompt")
    patcher.add("a prompt", "prepend prompt")
    patcher.chain("prompt", "prompt text", "prompt empty", "no prompt", "script")
    patcher.wire("prompt empty", 1, "a prompt")
    patcher.wire("a prompt", 0, "script")


def buttons(patcher, controls):
    patcher.section("Buttons")
    for name, (text, long) in BUTTONS.items():
        control = controls.take(name)
        box = FACE_OF.get(name, name)
        button(patcher, box, text, control["info"], long=f"Tertium {long}", big=name == "fuse")
        said = f"say {name}"
        if name in WITH_PROMPT:
            patcher.add(f"{name} after prompt", "t b b")
            patcher.add(said, "message", text=control["message"])
            patcher.wire(box, 0, f"{name} after prompt")
            patcher.wire(f"{name} after prompt", 1, "prompt")
            patcher.wire(f"{name} after prompt", 0, said)
        else:
            patcher.add(said, "message", text=control["message"])
            patcher.wire(box, 0, said)
        patcher.wire(said, 0, "script")
        patcher.row()


def numbers(patcher, controls):
    patcher.section("Numbers")
    blend = controls.take("blend")
    number(patcher, "blend", blend, kind="live.slider", orientation=1, showname=0, shownumber=0, colors={"slidercolor": ORIGINAL})  # fmt: skip
    patcher.add("say blend", "prepend blend")
    patcher.chain("blend", "say blend", "script")
    patcher.row()
    patcher.add("two places", "sprintf symout %.2f")
    patcher.add("set blend number", "prepend set")
    words(patcher, "blend number", f"{blend['default']:.2f}", size=14.0, justify=CENTRE, **TITLE)
    patcher.chain("blend", "two places", "set blend number", "blend number")
    for name, text in {"hold": "Hold", "steps": "Steps", "seed": "Seed", "count": None}.items():
        patcher.row()
        if text:
            words(patcher, f"{name} label", text)
        number(patcher, name, controls.take(name))
        patcher.add(f"say {name}", f"prepend {name}")
        patcher.chain(name, f"say {name}", "script")
    patcher.row()
    words(patcher, "port label", "Daemon's port")
    patcher.add(
        "daemon", "live.numbox", appearance=NUMBER_LCD, **at("daemon"),
        **info("Daemon's port", "The port that the daemon listens on, where it is not found by itself: as it says when it starts. 0 finds it."),
        parameter=parameter("Tertium Port", "Port", FLOAT, visible=STORED, initial=0.0, maximum=65535.0, unit=AS_INT),
    )  # fmt: skip
    patcher.add("say daemon", "prepend daemon")
    patcher.chain("daemon", "say daemon", "script")


def choices(patcher, controls):
    patcher.section("Choices")
    for name, (kind, shown) in CHOICES.items():
        control = controls.take(name)
        if kind == "live.tab":
            words(patcher, f"{name} label", name.capitalize())
        choice(patcher, name, control, shown, kind=kind)
        patcher.row()
        patcher.add(f"which {name}", "sel " + " ".join(str(number) for number in range(len(shown))))
        patcher.wire(name, 0, f"which {name}")
        patcher.row()
        for number_, item in enumerate(control["items"]):
            said = f"say {name} {item}"
            patcher.add(said, "message", text=f"{control['message']} {item}")
            patcher.wire(f"which {name}", number_, said)
            patcher.wire(said, 0, "script")
        patcher.row()


def audition(patcher, controls):
    control = controls.take("audition")
    long, short, visible = named(control)
    patcher.section("Audition, which the script may switch too")
    toggle(patcher, "audition", "Audition", short, control["info"], long, visible=visible, off_on=("Off", "On"))
    patcher.add("say audition", "prepend audition")
    patcher.chain("audition", "say audition", "script")
    patcher.row()
    patcher.add("which control", "route audition")
    patcher.add("set audition", "prepend set")
    patcher.chain("which control", "set audition", "audition")


def checkpoints(patcher, controls):
    control = controls.take("checkpoint")
    patcher.section("Checkpoints, by name")
    patcher.add(
        "checkpoints", "umenu", items=["none"], fontname=FONT, fontsize=9.5, arrow=1, rounded=3.0,
        colors={"bgfillcolor": DISPLAY, "textcolor": "live_control_fg"}, **at("checkpoints"),
        **info("Checkpoint", control["info"]),
    )  # fmt: skip
    patcher.row()
    patcher.add("one name", "tosymbol")
    patcher.add("say checkpoint", "prepend checkpoint")
    patcher.wire("checkpoints", 1, "one name")
    patcher.chain("one name", "say checkpoint", "script")


def results(patcher, controls):
    control = controls.take("choose_results")
    patcher.section("The folder of the results")
    words(patcher, "results title", "Results", **TITLE)
    words(patcher, "results text", "The daemon's own folder", size=8.5, linecount=2, presentation_linecount=2)
    patcher.row()
    button(patcher, "choose_results", "Choose…", control["info"], long="Tertium Choose Results")
    patcher.add("ask for folder", "t b")
    patcher.add("folder", "opendialog fold")
    patcher.add("say choose_results", "prepend choose_results")
    patcher.chain("choose_results", "ask for folder", "folder", "say choose_results", "script")
    patcher.row()
    button(patcher, "default_results", "Default", "Goes back to the daemon's own folder for the results.", long="Tertium Default Results")  # fmt: skip
    patcher.add("own folder", "message", text="choose_results")
    patcher.chain("default_results", "own folder", "script")


def said(patcher):
    """What the device has to say."""
    patcher.section("What is said")
    patcher.add("light", "panel", mode=0, shape=1, ignoreclick=1, bgcolor=LIGHTS["off"], **at("light"))
    patcher.row()
    for name, more in {
        "status text": {"size": 9.0},
        "error text": {"color": "live_control_fg", "linecount": 4, "presentation_linecount": 4, "size": 8.5},
        "model text": {"size": 9.0},
        "note text": {"linecount": 8, "presentation_linecount": 8, "size": 8.5},
    }.items():
        words(patcher, name, **more)
        patcher.row()
    words(patcher, "rendering title", "Rendering", **TITLE)
    words(patcher, "note title", "What was converted", **TITLE)
    patcher.row()
    # Not for reading only: then Max would select it without giving it the keyboard, and Cmd-C would go elsewhere.
    field(patcher, "command text", COMMAND, "Command", "Starts the daemon, in a terminal. Command selects it; copy it with Cmd-C or Ctrl-C.")  # fmt: skip
    patcher.row()
    patcher.add(
        "progress", "multislider", size=1, orientation=0, setminmax=[0.0, 1.0], settype=1, setstyle=1, ignoreclick=1,
        colors={"bgcolor": DISPLAY, "slidercolor": ORIGINAL}, **at("progress"),
    )  # fmt: skip
    words(patcher, "progress text", size=9.0)


def fold(patcher):
    patcher.section("Folds out what is set rarely")
    toggle(
        patcher, "fold", "+", "More", "Folds out learned references, the rendering, the folder of the results, and notes.",
        "Tertium Fold-out", visible=STORED, texton="-", off_on=("Folded", "Folded out"),
        colors={"activebgoncolor": DISPLAY, "activetextoncolor": TEXT},
    )  # fmt: skip
    width_of_fold(patcher, "fold")
