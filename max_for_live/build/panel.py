"""Where everything lies on the panel, and in which of Live's colours.

The panel has two slots at the left, the window of the pair in the middle with blend below it, what one does at the right, and what
the device has to say below both. The column at the far right folds out what one sets rarely. All in whole pixels,
within the 169 that Live gives a device.
"""

HEIGHT = 169
MARGIN = 6
FOLDED, UNFOLDED = 614, 982

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

SLOT_TOPS = {"original": 6, "reference": 88}
SLOT = (6, 170)
WINDOW = (184, 19, 240, 50)
ACTIONS = (432, 160)
STRIP = (184, 408)
FOLD_A, FOLD_B = (616, 158), (786, 190)


def slot(name):
    """The faces of a slot: label, length, name, waveform, where one drops, two buttons."""
    top, (left, width) = SLOT_TOPS[name], SLOT
    half = (width - 4) // 2
    return {
        "label": (left, top, 58, 13),
        "length": (left + 58, top, width - 58, 13),
        "name": (left, top + 13, width, 14),
        "wave": (left, top + 28, width, 28),
        "drop": (left, top + 28, width, 28),
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
    "hold label": (_x, 89, 28, 13),
    "hold": (_x + 28, 88, 46, 15),
    "window": (_x + 82, 88, 78, 15),
    "audition": (_x + 164, 88, 76, 15),
    # What one does.
    "fuse": (432, 6, 160, 30),
    "morph": (432, 39, 62, 15),
    "count": (497, 39, 31, 15),
    "place": (531, 39, 61, 15),
    "destination": (432, 57, 160, 15),
    "by_next": (432, 75, 160, 15),
    "progress": (432, 93, 112, 12),
    "progress text": (432, 92, 112, 13),
    "cancel": (548, 91, 44, 15),
    # What the device says.
    "light": (184, 110, 8, 8),
    "status text": (194, 107, 398, 13),
    "error text": (184, 119, 408, 30),
    "copy_command": (184, 149, 92, 15),
    "command text": (280, 149, 238, 15),
    "again": (522, 149, 70, 15),
    "fold": (596, 6, 12, 158),
    # Folded out: what was learned, and how it is rendered.
    "learned title": (616, 6, 158, 13),
    "prompt": (616, 20, 158, 16),
    "learn": (616, 39, 50, 15),
    "checkpoints": (670, 39, 104, 15),
    "rendering title": (616, 62, 60, 13),
    "model text": (616, 75, 158, 13),
    "steps label": (616, 93, 40, 13),
    "steps": (656, 92, 40, 15),
    "seed label": (700, 93, 32, 13),
    "seed": (732, 92, 42, 15),
    "order label": (616, 112, 40, 13),
    "order": (656, 111, 118, 15),
    "solver label": (616, 131, 40, 13),
    "solver": (656, 130, 118, 15),
    "port label": (616, 150, 76, 13),
    "daemon": (732, 149, 42, 15),
    # Folded out: where results lie, and what was converted.
    "results title": (786, 6, 190, 13),
    "results text": (786, 19, 190, 24),
    "show_results": (786, 46, 58, 15),
    "choose_results": (848, 46, 66, 15),
    "default_results": (918, 46, 58, 15),
    "note title": (786, 69, 190, 13),
    "note text": (786, 82, 190, 82),
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
