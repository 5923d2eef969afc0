"""A patcher as boxes and wires, written down in the form that Max reads.

Boxes are made by name and found by it; what stands beside a box here (its inlets, its outlets) is what Max saves
with it. Where boxes lie in the patching view is worked out from the order in which they are added, section by
section, so that who presses Edit finds a patch to read.
"""

import itertools
import re
from dataclasses import dataclass, field

from .amxd import kind_number

ROW, GAP, MARGIN = 22.0, 12.0, 30.0
COLUMN_HEIGHT = 1500.0

# Inlets and the types of the outlets, of the classes whose ports do not follow from their arguments.
PORTS = {
    "buffer~": (1, ["float", "bang"]),
    "clip": (3, [""]),
    "clip~": (3, ["signal"]),
    "freebang": (0, ["bang"]),
    "line~": (2, ["signal", "bang"]),
    "live.comment": (1, []),
    "live.drop": (1, ["", ""]),
    "live.menu": (1, ["", "", "float"]),
    "live.numbox": (1, ["", "float"]),
    "live.slider": (1, ["", "float"]),
    "live.tab": (1, ["", "", "float"]),
    "live.text": (1, ["", ""]),
    "live.thisdevice": (1, ["bang", "int", "int"]),
    "message": (2, [""]),
    "multislider": (1, ["", ""]),
    "opendialog": (1, ["", "bang"]),
    "panel": (1, []),
    "pattr": (1, ["", "", ""]),
    "phasor~": (2, ["signal"]),
    "plugin~": (2, ["signal", "signal"]),
    "plugout~": (2, ["signal", "signal"]),
    "prepend": (1, [""]),
    "sprintf": (1, [""]),
    "thispatcher": (1, ["", ""]),
    "textedit": (1, ["", "int", "", ""]),
    "tosymbol": (1, [""]),
    "udpreceive": (1, [""]),
    "udpsend": (1, []),
    "umenu": (1, ["int", "", ""]),
    "v8": (1, ["", "", "", ""]),
    "waveform~": (5, ["float", "float", "float", "float", "list", ""]),
    "*~": (2, ["signal"]),
}
BOXES_WITH_FACES = re.compile(r"live\.(?!thisdevice)|message$|comment$|multislider$|panel$|textedit$|umenu$|waveform~$")


@dataclass
class Box:
    """A box of a patcher; ``face`` is where it lies on the panel, ``layer`` names what it lies upon on purpose."""

    id: str
    name: str
    kind: str
    inlets: int
    outlets: list
    patching: tuple
    attributes: dict = field(default_factory=dict)
    face: tuple | None = None
    layer: str | None = None
    colors: dict = field(default_factory=dict)
    parameter: dict | None = None

    def dictionary(self):
        """What Max saves of it."""
        saved = dict(self.attributes)
        saved |= {"id": self.id, "numinlets": self.inlets, "numoutlets": len(self.outlets)}
        saved["maxclass"] = self.kind if BOXES_WITH_FACES.match(self.kind) else "newobj"
        if self.outlets:
            saved["outlettype"] = self.outlets
        saved["patching_rect"] = [float(number) for number in self.patching]
        if self.face:
            saved |= {"presentation": 1, "presentation_rect": [float(number) for number in self.face]}
        dynamic = {attribute: {"expression": f"themecolor.{token}"} for attribute, token in self.colors.items()}
        if self.parameter is not None:
            linked = "varname" not in saved
            saved.setdefault("varname", self.parameter["parameter_longname"])
            saved["parameter_enable"] = 1
            about = {"parameter_annotation_name": "annotation_name", "parameter_info": "annotation"}
            told = {key: saved[attribute] for key, attribute in about.items() if attribute in saved}
            dynamic["valueof"] = dict(sorted((self.parameter | told | {"parameter_linknames": int(linked)}).items()))
        elif self.face:
            saved.setdefault("varname", self.name.replace(" ", "_"))
            if self.kind in ("multislider", "textedit", "umenu"):
                saved["parameter_enable"] = 0
        if dynamic:
            saved["saved_attribute_attributes"] = dynamic
        return {"box": dict(sorted(saved.items()))}


class Patcher:
    """Boxes by name, and the wires between them."""

    def __init__(self):
        self.boxes = {}
        self.wires = []
        self._at = [MARGIN, MARGIN]
        self._column = 0.0

    def section(self, title):
        """Begin a group of boxes, under its title."""
        if self._at[1] > COLUMN_HEIGHT:
            self._at = [self._column + 3 * GAP, MARGIN]
        else:
            self._at[1] += GAP
        self._left = self._at[0]
        self.add(f"about {title}", "comment", 1, [], text=title, fontface=1)
        self.row()

    def row(self):
        """Begin a row of boxes below the last."""
        self._at = [self._left, self._at[1] + self._tallest + GAP]
        self._tallest = ROW

    _left, _tallest = MARGIN, ROW

    def add(self, name, kind, inlets=None, outlets=None, **more):
        """Add a box. ``kind`` is what is typed into it, or the class of a box with a face of its own.

        ``face``, ``layer``, ``colors`` and ``parameter`` are those of :class:`Box`; all else becomes attributes.
        """
        if name in self.boxes:
            raise ValueError(f"Two boxes are named {name!r}.")
        own = {key: more.pop(key) for key in ("face", "layer", "colors", "parameter") if key in more}
        if not BOXES_WITH_FACES.match(kind):
            more["text"] = kind
        if inlets is None:
            inlets, outlets = ports(kind, more.get("text", ""))
        text = str(more.get("text", kind))
        size = own["face"][2:] if own.get("face") else (max(40.0, 7.0 * min(len(text), 60) + 16.0), ROW)
        rect = (*self._at, *size)
        self._at[0] += size[0] + GAP
        self._tallest = max(self._tallest, size[1])
        self._column = max(self._column, self._at[0])
        self.boxes[name] = Box(f"obj-{len(self.boxes) + 1}", name, kind, inlets, outlets, rect, more, **own)
        return name

    def wire(self, source, outlet, target, inlet=0):
        """Connect an outlet of one box to an inlet of another."""
        for name, number, there in ((source, outlet, "outlets"), (target, inlet, "inlets")):
            box = self.boxes[name]
            count = box.inlets if there == "inlets" else len(box.outlets)
            if number >= count:
                raise ValueError(f"{name!r} has {count} {there}; got {number}.")
        if (source, outlet, target, inlet) in self.wires:
            raise ValueError(f"{source!r} is wired twice to {target!r}.")
        self.wires.append((source, outlet, target, inlet))

    def chain(self, *names):
        """Wire first outlets to first inlets, in a row."""
        for source, target in itertools.pairwise(names):
            self.wire(source, 0, target)

    def dictionary(self, *, width, banks, kind="aaaa"):
        """The whole patcher in Max's form.

        Args:
            width: of the device, in pixels, when it is inserted.
            banks: for Push: names of banks, each with at most eight long names of parameters.
        """
        window = (self._column + MARGIN, max(box.patching[1] + box.patching[3] for box in self.boxes.values()) + MARGIN)
        return {
            "patcher": {
                "fileversion": 1,
                "appversion": {"major": 9, "minor": 0, "revision": 5, "architecture": "x64", "modernui": 1},
                "classnamespace": "box",
                "rect": [40.0, 90.0, *window],
                "openrect": [0.0, 0.0, float(width), 169.0],
                "openinpresentation": 1,
                "default_fontsize": 10.0,
                "default_fontface": 0,
                "default_fontname": "Ableton Sans Medium",
                "gridsize": [8.0, 8.0],
                "integercoordinates": 1,
                "enablehscroll": 0,
                "enablevscroll": 0,
                "devicewidth": float(width),
                "description": "Two sounds in, a third out.",
                "digest": "Fuses clips, with the Tertium daemon.",
                "tags": "Tertium",
                "style": "",
                "subpatcher_template": "",
                "assistshowspatchername": 0,
                # Max draws the first box of a file last, on top of the others.
                "boxes": [box.dictionary() for box in reversed(self.boxes.values())],
                "lines": [self._line(*wire) for wire in self.wires],
                "parameters": self._parameters(banks),
                "dependency_cache": [],
                "latency": 0,
                "is_mpe": 0,
                "external_mpe_tuning_enabled": 0,
                "minimum_live_version": "12.2",
                "minimum_max_version": "9.0",
                "platform_compatibility": 0,
                "project": _project(kind),
                "autosave": 0,
            }
        }

    def _line(self, source, outlet, target, inlet):
        return {
            "patchline": {
                "destination": [self.boxes[target].id, inlet],
                "source": [self.boxes[source].id, outlet],
            }
        }

    def _parameters(self, banks):
        with_one = [box for box in self.boxes.values() if box.parameter is not None]
        names = {box.parameter["parameter_longname"] for box in with_one}
        if len(names) < len(with_one):
            raise ValueError("Two parameters have the same long name.")
        for bank, wanted in banks.items():
            unknown = set(wanted) - names
            if unknown or len(wanted) > 8:
                raise ValueError(f"Bank {bank!r} must have at most eight parameters that exist; got {wanted}.")
        saved = {
            box.id: [box.parameter["parameter_longname"], box.parameter["parameter_shortname"], 0] for box in with_one
        }
        saved["parameterbanks"] = {
            str(index): {"index": index, "name": name, "parameters": wanted + ["-"] * (8 - len(wanted))}
            for index, (name, wanted) in enumerate(banks.items())
        }
        saved["inherited_shortname"] = 1
        return saved


def ports(kind, text=""):
    """How many inlets a box has, and the types of its outlets."""
    word, *arguments = (text if BOXES_WITH_FACES.match(kind) is None and text else kind).split()
    if word in ("route", "sel"):
        return 1 + len(arguments), ["bang" if word == "sel" else ""] * len(arguments) + [""]
    if word == "expr":
        return max(int(number) for number in re.findall(r"\$[fi](\d)", text)), [""]
    if word == "t":
        kinds = {"b": "bang", "i": "int", "f": "float", "l": "", "s": ""}
        return 1, [kinds.get(argument, "int") for argument in arguments]
    if word == "unpack":
        return 1, [{"i": "int", "f": "float", "0": "int", "0.": "float", "s": ""}[argument] for argument in arguments]
    if word == "pack":
        return len(arguments), [""]
    if word == "play~":
        return 1, ["signal"] * int(arguments[1]) + ["bang"]
    return PORTS[word]


def _project(kind):
    # The dates are Max's own for a project that never was a file: the same sources must give the same bytes.
    return {
        "version": 1,
        "creationdate": 3590052493,
        "modificationdate": 3590052493,
        "viewrect": [0.0, 0.0, 300.0, 500.0],
        "autoorganize": 1,
        "hideprojectwindow": 1,
        "showdependencies": 1,
        "autolocalize": 0,
        "contents": {"patchers": {}},
        "layout": {},
        "searchpath": {},
        "detailsvisible": 0,
        "amxdtype": kind_number(kind),
        "readonly": 0,
        "devpathtype": 0,
        "devpath": ".",
        "sortmode": 0,
        "viewmode": 0,
        "includepackages": 0,
    }
