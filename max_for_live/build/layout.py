"""Where everything lies on the panel, and in which of Live's colours.

The panel has two slots at the left, the window of the pair in the middle with blend below it, what one does at the right, and what
the device has to say below both. The column at the far right folds out what one sets rarely. All in whole pixels,
within the 169 that Live gives a device.
"""

HEIGHT = 169
MARGIN = 6
FOLDED, UNFOLDED = 638, 1026

# Live's own colours by their names in Max; they follow the theme.
TEXT = "live_control_fg"
DISPLAY = "live_lcd_bg"
ORIGINAL = "live_value_arc"
REFERENCE = "live_lcd_control_fg"

# Colours that are no theme's: the light, the shade of the window and the marks in it.
LIGHTS = {"off": (0.5, 0.5, 0.5, 1.0), "waiting": (1.0, 0.68, 0.2, 1.0), "there": (0.25, 0.8, 0.35, 1.0)}
SHADE = (0.5, 0.5, 0.5, 0.28)
MARK = (0.6, 0.6, 0.6, 0.9)
CLEAR = (0.0, 0.0, 0.0, 0.0)
DARK = (0.07, 0.07, 0.07, 1.0)

SLOT_TOPS = {"original": 6, "reference": 91}
SLOT = (6, 170)
WINDOW = (184, 20, 240, 58)


def slot(name):
    """The faces of a slot: label, length, name, waveform, where one drops, two buttons."""
    top, (left, width) = SLOT_TOPS[name], SLOT
    half = (width - 4) // 2
    return {
        "label": (left, top, 58, 13),
        "length": (left + 58, top, width - 58, 13),
        "name": (left, top + 13, width, 14),
        "wave": (left, top + 28, width, 29),
        "drop": (left, top + 28, width, 29),
        "clip": (left, top + 59, half, 15),
        "result": (left + half + 4, top + 59, half, 15),
    }


_x, _y, _w, _h = WINDOW
FACES = {
    # The window of the pair: likeness to the reference and to the original over blend.
    "reference end": (_x, 6, 74, 13),
    "original end": (_x + _w - 74, 6, 74, 13),
    "blend number": (_x + 74, 3, _w - 148, 16),
    "display": WINDOW,
    "shade": (-20, _y, 1, _h),
    "curve reference": WINDOW,
    "curve original": WINDOW,
    "equilibrium": (-20, _y, 1, _h),
    "position": (_x + _w // 2 - 1, _y, 2, _h),
    "blend": (_x, _y + _h, _w, 18),
    # What one does.
    "fuse": (432, 6, 184, 26),
    "morph": (432, 34, 66, 15),
    "count": (500, 34, 36, 15),
    "place": (538, 34, 78, 15),
    "destination": (432, 51, 91, 15),
    "by_next": (525, 51, 91, 15),
    "hold label": (432, 69, 28, 13),
    "hold": (460, 68, 38, 15),
    "window": (500, 68, 57, 15),
    "audition": (559, 68, 57, 15),
    "progress": (432, 87, 138, 11),
    "progress text": (432, 86, 138, 13),
    "cancel": (572, 85, 44, 15),
    # What the device says.
    "light": (184, 103, 8, 8),
    "status text": (194, 100, 422, 13),
    "error text": (184, 113, 432, 39),
    "copy_command": (184, 152, 92, 15),
    "command text": (280, 152, 262, 15),
    "again": (546, 152, 70, 15),
    "fold": (620, 6, 12, 161),
    # Folded out: what was learned, and how it is rendered.
    "learned title": (642, 6, 150, 13),
    "prompt": (642, 20, 150, 16),
    "learn": (642, 39, 46, 15),
    "checkpoints": (692, 39, 100, 15),
    "rendering title": (642, 63, 150, 13),
    "model text": (642, 76, 150, 13),
    "steps label": (642, 96, 36, 13),
    "steps": (680, 95, 38, 15),
    "seed label": (722, 96, 30, 13),
    "seed": (752, 95, 40, 15),
    "order label": (642, 114, 38, 13),
    "order": (680, 113, 112, 15),
    "solver label": (642, 132, 38, 13),
    "solver": (680, 131, 112, 15),
    "port label": (642, 153, 84, 13),
    "daemon": (752, 152, 40, 15),
    # Folded out: where results lie, and what was converted.
    "results title": (800, 6, 220, 13),
    "results text": (800, 19, 220, 23),
    "show_results": (800, 45, 70, 15),
    "choose_results": (874, 45, 72, 15),
    "default_results": (950, 45, 70, 15),
    "note title": (800, 69, 220, 13),
    "note text": (800, 82, 220, 84),
}
for _name in SLOT_TOPS:
    FACES |= {f"{_name} {part}": face for part, face in slot(_name).items()}

# Faces that lie upon another on purpose, and which.
LAYERS = {
    "shade": "display",
    "curve reference": "display",
    "curve original": "display",
    "equilibrium": "display",
    "position": "display",
    "progress text": "progress",
    "original drop": "original wave",
    "reference drop": "reference wave",
}
