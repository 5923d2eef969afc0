"""The panel as a picture: every box that lies on it, drawn where it lies, with the values of a moment that really was.

Max does not run where this is made, so the boxes are drawn by a browser, in shapes and colours close to those of Live. What is
exact are places, sizes, texts and values; ``fusing.json`` holds the values as the simulator saw them while a real daemon
fused the sounds of the demo, ``absent.json`` those without a daemon.
"""

import html
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from .device import patcher
from .layout import FOLDED, HEIGHT, UNFOLDED

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
# Each picture, and the moment that it shows.
PICTURES = {
    DOCS / "max_for_live.png": HERE / "fusing.json",
    DOCS / "max_for_live_absent.png": HERE / "absent.json",
}
SCALE = 2
EDGE, TITLE, GAP = 18, 18, 22

# About what Live's themes look like; the device itself names Live's colours and has none of these in it.
THEMES = {
    "dark": {
        "surface": "#3d3d3d", "title": "#565656", "control": "#2a2a2a", "border": "#1c1c1c",
        "live_control_fg": "#d6d6d6", "live_lcd_bg": "#1d1d1d", "live_value_arc": "#10c7d8",
        "live_lcd_control_fg": "#ffb532",
    },
    "light": {
        "surface": "#c7c7c7", "title": "#adadad", "control": "#dfdfdf", "border": "#9a9a9a",
        "live_control_fg": "#161616", "live_lcd_bg": "#ececec", "live_value_arc": "#0093b3",
        "live_lcd_control_fg": "#b86700",
    },
}  # fmt: skip


def draw():
    """Draw the panel while it fuses, folded and folded out, in a dark and a light theme; and without a daemon."""
    whole, absent = PICTURES
    both = [(theme, width) for theme in THEMES for width in (FOLDED, UNFOLDED)]
    _draw(whole, both)
    _draw(absent, [("dark", FOLDED)])
    return [whole, absent]


def _draw(picture, panels):
    moment = json.loads(PICTURES[picture].read_text(encoding="utf-8"))
    page = "".join(f"<section>{_panel(theme, width, moment)}</section>" for theme, width in panels)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise RuntimeError("No chromium is installed: it draws the picture. On Debian, apt install chromium.")
    height = len(panels) * (HEIGHT + TITLE + GAP) - GAP + 2 * EDGE
    width = max(width for _, width in panels) + 2 * EDGE
    with tempfile.TemporaryDirectory() as folder:
        html_file = Path(folder) / "panel.html"
        html_file.write_text(f"<meta charset=utf-8><style>{_style()}</style>{page}", encoding="utf-8")
        subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--no-first-run", "--hide-scrollbars", f"--force-device-scale-factor={SCALE}",
             f"--user-data-dir={folder}/user", f"--window-size={width},{height}",
             f"--screenshot={picture}", f"file://{html_file}"],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip


def _style():
    return f"""
        body {{ margin: {EDGE}px; background: #808080; font-family: 'DejaVu Sans Condensed', 'DejaVu Sans', sans-serif; }}
        section {{ margin-bottom: {GAP}px; }}
        .title {{ height: {TITLE}px; font-size: 10px; line-height: {TITLE}px; padding-left: 22px; border-radius: 4px 4px 0 0;
                  position: relative; }}
        .title::before {{ content: ''; position: absolute; left: 6px; top: 5px; width: 9px; height: 9px;
                          border-radius: 5px; background: #ffb532; }}
        .panel {{ position: relative; height: {HEIGHT}px; overflow: hidden; border-radius: 0 0 4px 4px; }}
        .panel > * {{ position: absolute; box-sizing: border-box; overflow: hidden; }}
        .text {{ padding: 0 1px; }}
        .control {{ border-radius: 2px; text-align: center; white-space: nowrap; }}
        .tabs {{ display: flex; gap: 1px; }} .tabs > * {{ flex: 1; }}
    """


def _panel(theme, width, moment):
    colors = THEMES[theme]
    boxes = [box for box in patcher().boxes.values() if box.face]
    faces = moment["faces"]
    if width == UNFOLDED:
        moment = moment | {"parameters": moment["parameters"] | {"Tertium Fold-out": 1}}
    drawn = "".join(_box(box, colors, moment, faces.get(_scripting(box), box.face)) for box in boxes)
    return (
        f'<div class=title style="width:{width - 22}px;background:{colors["title"]};color:{colors["live_control_fg"]}">'
        f'Tertium</div><div class=panel style="width:{width}px;background:{colors["surface"]}">{drawn}</div>'
    )


def _box(box, colors, moment, face):
    left, top, width, height = face
    look = {"left": f"{left}px", "top": f"{top}px", "width": f"{width}px", "height": f"{height}px"}
    draw_kind = KINDS.get(box.kind)
    if draw_kind is None:
        raise ValueError(f"No picture of {box.kind!r} is known.")
    return draw_kind(box, colors, moment, look, (width, height))


def _div(look, inner="", kind=""):
    style = ";".join(f"{key}:{value}" for key, value in look.items())
    return f'<div class="{kind}" style="{style}">{inner}</div>'


def _color(box, attribute, colors, default=None):
    if attribute in box.colors:
        return colors[box.colors[attribute]]
    if attribute in box.attributes:
        red, green, blue, alpha = box.attributes[attribute]
        return f"rgba({red * 255:.0f},{green * 255:.0f},{blue * 255:.0f},{alpha:g})"
    return default


def _value(box, moment):
    name = box.parameter["parameter_longname"]
    return moment["parameters"].get(name, box.parameter.get("parameter_initial", [0])[0])


def _said(box, moment):
    return moment["texts"].get(_scripting(box), box.attributes.get("text", ""))


def _scripting(box):
    return box.attributes.get("varname", box.name.replace(" ", "_"))


def _text(box, colors, moment, look, size):
    lines = box.attributes.get("linecount", 1)
    font = box.attributes["fontsize"]
    line = 1.16 * font if lines > 1 else size[1]
    look |= {
        "color": colors[box.colors["textcolor"]], "font-size": f"{font}px", "line-height": f"{line}px",
        "text-align": ("left", "center", "right")[box.attributes["textjustification"]],
        "font-weight": "bold" if box.attributes.get("fontface") else "normal",
        "white-space": "normal" if lines > 1 else "nowrap",
    }  # fmt: skip
    return _div(look, html.escape(str(_said(box, moment))), "text")


def _surface(box, colors, moment, look, size):
    lit = moment["light"] if box.name == "light" else None
    look["background"] = lit or _color(box, "bgfillcolor", colors) or _color(box, "bgcolor", colors)
    look["border-radius"] = "50%" if box.attributes.get("shape") else f"{box.attributes.get('rounded', 0)}px"
    return _div(look)


def _button(box, colors, moment, look, size):
    on = box.attributes["mode"] == 1 and _value(box, moment)
    words = box.attributes["texton" if on else "text"]
    fill = _color(box, "activebgcolor", colors) or colors["control"]
    if on:
        fill = _color(box, "activebgoncolor", colors) or colors["live_value_arc"]
    text = "#121212" if (on or box.name == "fuse") else colors["live_control_fg"]
    text = _color(box, "activetextoncolor", colors) or text
    size_of_text = box.attributes.get("fontsize", 9.5)
    look |= {"background": fill, "color": text, "font-size": f"{size_of_text}px", "line-height": f"{size[1]}px",
             "font-weight": "bold" if box.attributes.get("fontface") else "normal",
             "border-radius": f"{box.attributes.get('rounded', 2)}px"}  # fmt: skip
    return _div(look, words, "control")


def _field(box, colors, look, size, words, *, arrow=False, centre=False, color=None):
    look |= {"background": colors["live_lcd_bg"], "color": color or colors["live_control_fg"], "font-size": "9.5px",
             "line-height": f"{size[1]}px", "text-align": "center" if centre else "left",
             "padding": "0 4px"}  # fmt: skip
    inner = html.escape(str(words))
    if arrow:
        inner += '<span style="position:absolute;right:4px;opacity:.6">▾</span>'
    return _div(look, inner, "control")


def _number(box, colors, moment, look, size):
    value = float(_value(box, moment))
    words = f"{value:.0f}" if box.parameter["parameter_unitstyle"] == 0 else f"{value:.2f}"
    return _field(box, colors, look, size, words, centre=True)


def _menu(box, colors, moment, look, size):
    return _field(box, colors, look, size, box.parameter["parameter_enum"][int(_value(box, moment))], arrow=True)


def _list(box, colors, moment, look, size):
    return _field(box, colors, look, size, moment["checkpoint"], arrow=True)


def _edit(box, colors, moment, look, size):
    return _field(box, colors, look, size, _said(box, moment))


def _tabs(box, colors, moment, look, size):
    chosen = int(_value(box, moment))
    parts = "".join(
        _div({"background": colors["live_value_arc" if index == chosen else "control"], "font-size": "9.5px",
              "line-height": f"{size[1]}px", "color": "#121212" if index == chosen else colors["live_control_fg"]},
             item, "control")
        for index, item in enumerate(box.parameter["parameter_enum"])
    )  # fmt: skip
    return _div(look, parts, "tabs")


def _slider(box, colors, moment, look, size):
    at, arc = float(_value(box, moment)) * size[0], colors["live_value_arc"]
    at = min(max(at, 4), size[0] - 4)
    shape = (
        f'<svg width={size[0]} height={size[1]}><path d="M0 6h{size[0]}" stroke="{colors["border"]}" stroke-width=2 />'
        f'<path d="M0 6h{at}" stroke="{arc}" stroke-width=2 />'
        f'<path d="M{at} 5l-6 11h12z" fill="{colors["live_control_fg"]}"/></svg>'
    )
    return _div(look, shape)


def _sliders(box, colors, moment, look, size):
    color = _color(box, "slidercolor", colors)
    width, height = size
    if box.attributes["size"] == 1:
        look |= {"background": _color(box, "bgcolor", colors), "border-radius": "2px"}
        return _div(
            look,
            _div({"width": f"{moment['progress'] * width}px", "height": "100%", "background": color, "opacity": 0.55}),
        )
    values = moment["curves"][_scripting(box)]
    step = width / max(len(values), 1)
    dashes = "".join(
        f"M{index * step:.2f} {(1 - value) * (height - 3) + 1.5:.2f}h{step:.2f}" for index, value in enumerate(values)
    )
    return _div(look, f'<svg width={width} height={height}><path d="{dashes}" stroke="{color}" stroke-width=2 /></svg>')


def _wave(box, colors, moment, look, size):
    width, height = size
    peaks = moment["waves"][_scripting(box)]
    look |= {"background": _color(box, "bgcolor", colors), "border-radius": "2px"}
    step = width / max(len(peaks), 1)
    strokes = "".join(
        f"M{(index + 0.5) * step:.2f} {(1 - high) / 2 * height:.2f}V{(1 - low) / 2 * height + 0.5:.2f}"
        for index, (low, high) in enumerate(peaks)
    )
    stroke = _color(box, "waveformcolor", colors)
    return _div(
        look,
        f'<svg width={width} height={height}><path d="{strokes}" stroke="{stroke}" stroke-width={step:.2f} /></svg>',
    )


def _unseen(box, colors, moment, look, size):
    return ""


KINDS = {
    "live.comment": _text,
    "live.drop": _unseen,
    "live.menu": _menu,
    "live.numbox": _number,
    "live.slider": _slider,
    "live.tab": _tabs,
    "live.text": _button,
    "multislider": _sliders,
    "panel": _surface,
    "textedit": _edit,
    "umenu": _list,
    "waveform~": _wave,
}
