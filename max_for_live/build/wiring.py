"""What runs behind the panel: the script, Live, the daemon, and the way of what the script says to the boxes."""

from .controls import BLOB, STORED, parameter
from .layout import FACES, FOLDED, LIGHTS, UNFOLDED, WINDOW

FIRST_PORT = 7700

# What the script says to the panel, and the box that it is for.
PANEL = {
    "light": "which light",
    "status_text": "status text",
    "error_text": "error text",
    "note_text": "note text",
    "model_text": "model text",
    "results_text": "results text",
    "command_text": "command text",
    "progress": "progress",
    "progress_text": "progress text",
    "original_name": "original name",
    "original_length": "original length",
    "reference_name": "reference name",
    "reference_length": "reference length",
    "curve_original": "curve original",
    "curve_reference": "curve reference",
    "marks": "each mark",
    "checkpoints": "checkpoints",
    "prompt_text": "prompt",
    "control": "which control",
    "memory": "memory",
}


def script(patcher, text):
    patcher.section("The script: whatever is decided is decided here (src/main.js and its modules)")
    textfile = {"text": text, "filename": "none", "flags": 0, "embed": 1, "autowatch": 0}
    patcher.add("script", "v8", filename="none", textfile=textfile, saved_object_attributes={"parameter_enable": 0})
    patcher.row()
    patcher.add("said to panel", "route " + " ".join(PANEL))
    patcher.wire("script", 2, "said to panel")


def live(patcher):
    patcher.section("Live: the device is there, or goes")
    patcher.add("this device", "live.thisdevice")
    patcher.add("gone", "freebang")
    patcher.row()
    patcher.add("there", "t b b")
    patcher.add("forget", "message", text="forget")
    patcher.row()
    patcher.add("live_ready", "message", text="live_ready")
    patcher.chain("this device", "there", "live_ready", "script")
    patcher.chain("gone", "forget", "script")


def daemon(patcher):
    patcher.section("The daemon, over OSC")
    patcher.add("to daemon", f"udpsend 127.0.0.1 {FIRST_PORT}")
    patcher.add("from daemon", "udpreceive @quiet 1")
    patcher.wire("script", 0, "to daemon")
    patcher.wire("script", 1, "from daemon")
    patcher.wire("from daemon", 0, "script")


def marks(patcher):
    """Begin, equilibrium and end of the window, and the present position: boxes that are moved over the display.

    The numbers come as -1 where the pair was not measured; what would be drawn then is moved out of sight or hidden.
    """
    left, top, width, height = WINDOW
    hidden = -FACES["shade"][0]
    # An expr has as many inlets as it names arguments; each names all four, so that it takes the whole list.
    all_four = "int(0. * ($f1 + $f2 + $f3 + $f4))"

    def place(name, number):
        return f"expr (${name} >= 0.) * int({left}.5 + {number}) - (${name} < 0.) * {hidden} + {all_four}"

    patcher.section("Marks in the window, moved over it; the curves are hidden until the pair is measured")
    patcher.add("each mark", "t l l l l l")
    patcher.row()
    patcher.add("place of shade", place("f1", f"{width}. * $f1"))
    patcher.add("width of shade", f"expr int({width - 1}. * ($f3 - $f1) + 1.) + {all_four}")
    patcher.row()
    patcher.add("place of equilibrium", place("f2", f"{width - 1}. * $f2"))
    patcher.add("place of position", place("f4", f"{width - 2}. * $f4"))
    patcher.row()
    patcher.add("shade place and width", "pack 0 0")
    patcher.row()
    move = "script sendbox {} presentation_rect $1 {} {} {}"
    patcher.add("move shade", "message", text=move.format("window_shade", top, "$2", height))
    patcher.row()
    patcher.add("move equilibrium", "message", text=move.format("window_equilibrium", top, 1, height))
    patcher.row()
    patcher.add("move position", "message", text=move.format("window_position", top, 2, height))
    patcher.row()
    patcher.add("not measured", f"expr ($f2 < 0.) + {all_four}")
    for name in ("original", "reference"):
        patcher.row()
        patcher.add(f"hide {name}", "message", text=f"script sendbox curve_{name} hidden $1")
    patcher.row()
    patcher.add("this patcher", "thispatcher")
    patcher.wire("each mark", 4, "not measured")
    for name in ("original", "reference"):
        patcher.wire("not measured", 0, f"hide {name}")
        patcher.wire(f"hide {name}", 0, "this patcher")
    patcher.wire("each mark", 3, "width of shade")
    patcher.wire("width of shade", 0, "shade place and width", 1)
    patcher.wire("each mark", 2, "place of shade")
    patcher.chain("place of shade", "shade place and width", "move shade", "this patcher")
    patcher.wire("each mark", 1, "place of equilibrium")
    patcher.chain("place of equilibrium", "move equilibrium", "this patcher")
    patcher.wire("each mark", 0, "place of position")
    patcher.chain("place of position", "move position", "this patcher")


def light(patcher):
    patcher.section("The light: grey without the daemon, amber while waiting, green with it")
    patcher.add("which light", "sel 0 1 2")
    patcher.row()
    for number, (name, color) in enumerate(LIGHTS.items()):
        patcher.add(f"light {name}", "message", text="bgfillcolor " + " ".join(f"{part:g}" for part in color))
        patcher.row()
        patcher.wire("which light", number, f"light {name}")
        patcher.wire(f"light {name}", 0, "light")


def memory(patcher):
    """What the device remembers with the set: a parameter that Live stores and shows nowhere."""
    patcher.section("Memory, stored with the set")
    patcher.add(
        "memory", "pattr tertium_memory", varname="tertium_memory", saved_object_attributes={"parameter_enable": 1, "parameter_mappable": 0},
        parameter=parameter("Tertium Memory", "Memory", BLOB, visible=STORED),
    )  # fmt: skip
    patcher.add("memory to script", "prepend memory")
    patcher.chain("memory", "memory to script", "script")


def panel(patcher):
    """What the script says reaches its box."""
    for number, target in enumerate(PANEL.values()):
        patcher.wire("said to panel", number, target)


def width_of_fold(patcher, fold):
    """Folding out makes the device wider: ``setwidth`` of live.thisdevice is Max's means for it."""
    patcher.add("folded or not", "sel 0 1")
    patcher.row()
    patcher.wire(fold, 0, "folded or not")
    for number, width in enumerate((FOLDED, UNFOLDED)):
        name = f"width {width}"
        patcher.add(name, "message", text=f"setwidth {width}")
        patcher.wire("folded or not", number, name)
        patcher.wire(name, 0, "this device")
