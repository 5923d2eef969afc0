"""Live's controls as boxes: buttons, numbers, choices, with the names, the ranges and the info texts of ``interface.json``."""

from .layout import CLEAR, DARK, DISPLAY, FACES, LAYERS, ORIGINAL, TEXT

FLOAT, INT, ENUM, BLOB, FILE = 0, 1, 2, 3, 4
AUTOMATED, STORED, HIDDEN = 0, 1, 2
AS_INT, AS_FLOAT, AS_NATIVE = 0, 1, 9
MODULATION_ADDS = 3
BUTTON, TOGGLE = 0, 1
ON_MOUSE_UP = 1
TEXT_LCD, TAB_LCD, NUMBER_LCD = 2, 1, 4
FONT = "Ableton Sans Medium"  # for Max's own boxes; Live's have it by themselves


def at(name):
    """Where a box lies on the panel, as arguments for ``Patcher.add``."""
    found = {"face": FACES[name]}
    return found | ({"layer": LAYERS[name]} if name in LAYERS else {})


def parameter(long, short, kind, *, visible, initial=None, minimum=0.0, maximum=1.0, items=None, unit=None):
    """A parameter as Max saves it. ``visible``: automated, stored only, or hidden."""
    saved = {
        "parameter_longname": long,
        "parameter_shortname": short,
        "parameter_type": kind,
        "parameter_invisible": visible,
        "parameter_modmode": MODULATION_ADDS if visible == AUTOMATED and kind == FLOAT else 0,
    }
    if kind in (FLOAT, INT):
        saved |= {"parameter_mmin": minimum, "parameter_mmax": maximum, "parameter_unitstyle": unit}
    if kind == ENUM:
        saved |= {"parameter_enum": items, "parameter_mmax": len(items) - 1, "parameter_unitstyle": AS_NATIVE}
    if initial is not None:
        saved |= {"parameter_initial_enable": 1, "parameter_initial": [initial]}
    return dict(sorted(saved.items()))


def info(title, text):
    """What Live's Info View shows."""
    return {"annotation_name": title, "annotation": text}


def words(patcher, name, text=" ", *, color=TEXT, size=9.5, justify=0, **more):
    """A text, as ``set`` changes it."""
    patcher.add(
        name, "live.comment", text=text, fontsize=size, textjustification=justify, colors={"textcolor": color},
        **at(name), **more,
    )  # fmt: skip


def button(patcher, name, text, about, *, long, big=False):
    """A button; hidden from Live, since a press is no value to store or to undo."""
    colors, looks = {}, {"appearance": TEXT_LCD}
    if big:
        colors = {"activebgcolor": ORIGINAL}
        looks = {"activetextcolor": DARK, "fontsize": 15.0, "fontface": 1, "rounded": 4.0}
    patcher.add(
        name, "live.text", text=text, texton=text, mode=BUTTON, outputmode=ON_MOUSE_UP, **at(name), **looks,
        **info(text, about), colors=colors,
        parameter=parameter(long, text[:12], ENUM, visible=HIDDEN, items=["off", "on"]),
    )  # fmt: skip


def toggle(patcher, name, text, title, about, long, *, visible, texton=None, off_on, colors=None):
    """A switch between off and on, 0 and 1."""
    patcher.add(
        name, "live.text", text=text, texton=texton or text, mode=TOGGLE, outputmode=ON_MOUSE_UP, appearance=TEXT_LCD,
        automation=off_on[0], automationon=off_on[1], colors=colors or {}, **at(name), **info(title, about),
        parameter=parameter(long, title[:12], ENUM, visible=visible, items=list(off_on), initial=0),
    )  # fmt: skip


def named(control):
    """Long and short name and visibility of a control of the table that is a parameter."""
    names = control["parameter"]
    return names["long"], names["short"], AUTOMATED if names["automated"] else STORED


def number(patcher, name, control, *, kind="live.numbox", **looks):
    """A number in its range."""
    long, short, visible = named(control)
    whole = control["type"] == "int" or control["maximum"] > 1
    if kind == "live.numbox":
        looks["appearance"] = NUMBER_LCD
    patcher.add(
        name, kind, **at(name), **looks, **info(short, control["info"]),
        parameter=parameter(
            long, short, INT if control["type"] == "int" else FLOAT, visible=visible, initial=control["default"],
            minimum=float(control["minimum"]), maximum=float(control["maximum"]), unit=AS_INT if whole else AS_FLOAT,
        ),
    )  # fmt: skip


def choice(patcher, name, control, shown, *, kind):
    """One of a few words; ``shown`` is what stands for the table's items on the panel."""
    if len(shown) != len(control["items"]):
        raise ValueError(f"{name} has the items {control['items']}; shown as {shown}.")
    long, short, visible = named(control)
    looks = {"appearance": TAB_LCD}
    if kind == "live.tab":
        looks |= {"num_lines_patching": 1, "num_lines_presentation": 1, "multiline": 0}
    patcher.add(
        name, kind, **at(name), **looks, **info(short, control["info"]),
        parameter=parameter(
            long, short, ENUM, visible=visible, items=shown, initial=control["items"].index(control["default"])
        ),
    )  # fmt: skip


def drop(patcher, name, control, long):
    """A place to drop a file on: nothing of it is seen, since it lies on the waveform."""
    patcher.add(
        name, "live.drop", decodemode=1, legend=" ", textcolor=CLEAR, bordercolor=CLEAR, focusbordercolor=CLEAR,
        **at(name), **info("Drop a sound", control["info"]),
        parameter=parameter(long, "Drop", FILE, visible=HIDDEN),
    )  # fmt: skip


def field(patcher, name, text, title, about):
    """A line of text that one can select and type into. What is ``set`` is one symbol, and is to be seen without the quotes of one."""
    patcher.add(
        name, "textedit", text=text, fontname=FONT, fontsize=9.0, keymode=1, nosymquotes=1, outputmode=1, lines=1, rounded=2.0,
        border=0.0, wordwrap=0, colors={"bgcolor": DISPLAY, "textcolor": TEXT}, **at(name), **info(title, about),
    )  # fmt: skip
