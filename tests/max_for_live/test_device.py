"""The built device: its file, read by others too; its panel, measured; its boxes and wires, in the simulator (Node)."""

import itertools
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import matplotlib
import pytest
from PIL import ImageFont

from max_for_live.build import amxd
from max_for_live.build.controls import HIDDEN
from max_for_live.build.device import DEVICE, Controls, device, patcher, sources
from max_for_live.build.layout import FOLDED, HEIGHT, LAYERS, MARGIN, UNFOLDED
from max_for_live.build.patcher import Patcher
from max_for_live.build.screenshot import PICTURES

NODE = shutil.which("node")
FOLDER = Path(DEVICE).parents[1]
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@pytest.fixture(scope="module")
def built():
    return amxd.unpack(DEVICE.read_bytes())[1]["patcher"]


@pytest.fixture(scope="module")
def boxes(built):
    return [entry["box"] for entry in built["boxes"]]


@pytest.fixture(scope="module")
def faces():
    return [box for box in patcher().boxes.values() if box.face]


class TestFile:
    def test_it_is_built_from_what_is_here(self):
        assert DEVICE.read_bytes() == device(), "the built device is stale: make device"

    def test_building_again_gives_the_same_bytes(self):
        assert device() == device()

    @pytest.mark.parametrize("kind", amxd.KINDS)
    def test_what_is_packed_is_unpacked(self, kind):
        given = {"patcher": {"boxes": [], "description": "Größe: ∞\n\0 and a tab\t"}}
        assert amxd.unpack(amxd.pack(given, kind)) == (kind, given)

    def test_its_bytes_are_those_of_the_format(self):
        data = DEVICE.read_bytes()
        assert data[:24] == b"ampf" + struct.pack("<I", 4) + b"aaaa" + b"meta" + struct.pack("<II", 4, 0)
        assert data[24:28] == b"ptch" and struct.unpack("<I", data[28:32])[0] == len(data) - 32
        assert data.endswith(b"}\n\0") and data.count(b"\0", 32) == 1

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda data: data[:-1], "ends within chunk 'ptch'"),
            (lambda data: data + b"pt", "ends within the head of a chunk"),
            (lambda data: data.replace(b"aaaa", b"zzzz", 1), "got 'zzzz'"),
            (lambda data: data[:24], "has no ptch chunk"),
            (lambda data: b"", "has no ampf and no ptch chunk"),
            (lambda data: amxd._chunk("ampf", b"aaaa") + amxd._chunk("ptch", b"mx@c..."), "is frozen"),
        ],
    )
    def test_what_is_no_device_is_said(self, change, message):
        with pytest.raises(ValueError, match=message):
            amxd.unpack(change(DEVICE.read_bytes()))

    def test_a_kind_that_is_none_is_said(self):
        with pytest.raises(ValueError, match=r"kind must be one of aaaa, mmmm, iiii; got 'audio'\."):
            amxd.pack({}, "audio")

    def test_it_has_what_max_expects(self, built):
        for key in ("fileversion", "appversion", "classnamespace", "rect", "openinpresentation", "boxes", "lines"):
            assert key in built
        assert built["appversion"]["major"] == 9
        assert built["openinpresentation"] == 1
        assert built["project"]["amxdtype"] == 0x61616161
        assert built["dependency_cache"] == [] and built["autosave"] == 0
        assert built["devicewidth"] == FOLDED
        assert built["minimum_live_version"] == "12.2" and built["latency"] == 0

    def test_the_script_lies_in_it(self, boxes):
        (script,) = [box for box in boxes if box.get("text") == "v8"]
        assert script["textfile"] == {
            "text": sources()[1], "filename": "none", "flags": 0, "embed": 1, "autowatch": 0
        }  # fmt: skip

    def test_every_parameter_is_listed(self, built, boxes):
        listed = {id: names for id, names in built["parameters"].items() if id.startswith("obj-")}
        with_one = {box["id"] for box in boxes if "valueof" in box.get("saved_attribute_attributes", {})}
        assert set(listed) == with_one
        assert len({long for long, _, _ in listed.values()}) == len(listed)


class TestInterface:
    def test_whatever_the_script_says_has_a_box(self):
        interface, _ = sources()
        said = {
            outlet: {row["selector"] for row in interface["from_script"] if row["outlet"] == outlet}
            for outlet in (2, 3)
        }
        made = patcher().boxes
        for outlet, name in ((2, "said to panel"), (3, "said to audio")):
            assert set(made[name].attributes["text"].split()[1:]) == said[outlet]

    def test_a_control_that_the_device_lacks_is_said(self):
        controls = Controls([{"name": "reverse"}])
        with pytest.raises(ValueError, match="controls that the device lacks: reverse"):
            controls.all_taken()


class TestOtherReaders:
    def test_lint_of_py2max_finds_nothing(self, built, tmp_path):
        lint = pytest.importorskip("py2max.lint", reason="py2max is not installed (pip install py2max)")
        assert self._findings(lint, built, tmp_path) == []

    def test_that_lint_would_find_a_wire_to_nowhere(self, built, tmp_path):
        lint = pytest.importorskip("py2max.lint", reason="py2max is not installed (pip install py2max)")
        wrong = json.loads(json.dumps(built))
        wrong["lines"][0]["patchline"]["source"][1] = 99
        assert [finding.code for finding in self._findings(lint, wrong, tmp_path)] == ["E-OUTLET-RANGE"]

    def _findings(self, lint, built, folder):
        from py2max import Patcher as Other

        path = folder / "device.maxpat"
        path.write_text(json.dumps({"patcher": built}), encoding="utf-8")
        return lint.lint(Other.from_file(path))

    def test_another_writer_gives_the_same_bytes(self, built):
        container = pytest.importorskip("m4l_builder.container", reason="m4l-builder is not installed")
        theirs = container.build_amxd({"patcher": built}, b"aaaa")
        ours = DEVICE.read_bytes()
        assert theirs[:28] == ours[:28]
        assert amxd.unpack(theirs) == amxd.unpack(ours)


class TestPatcher:
    def test_a_wire_to_no_port_is_refused(self):
        made = Patcher()
        made.section("wires")
        made.add("a", "prepend a")
        made.add("b", "prepend b")
        with pytest.raises(ValueError, match="'a' has 1 outlets; got 1"):
            made.wire("a", 1, "b")
        made.wire("a", 0, "b")
        with pytest.raises(ValueError, match="wired twice"):
            made.wire("a", 0, "b")

    def test_two_boxes_of_one_name_are_refused(self):
        made = Patcher()
        made.section("boxes")
        made.add("a", "prepend a")
        with pytest.raises(ValueError, match="Two boxes are named 'a'"):
            made.add("a", "prepend b")

    def test_who_presses_edit_finds_a_patch_to_read(self, boxes):
        placed = {box["id"]: box["patching_rect"] for box in boxes}
        for (one, first), (other, second) in itertools.combinations(placed.items(), 2):
            assert not _overlap(first, second), f"{one} and {other} overlap in the patching view"

    def test_a_bank_of_push_has_room_for_eight(self):
        with pytest.raises(ValueError, match="at most eight parameters that exist"):
            patcher().dictionary(width=1, banks={"All": ["Tertium Blend", "Tertium Nothing"]})


# What a text may be at most, as interface.json and the script have it; the other texts never change.
SENTENCE = "The original is 52.4 s long; the model takes at most 47.5 s. Take a shorter part of the clip. "
LONGEST = {
    "status text": "drums + hum 50 % is in slot 12 of Drums and percussion · 50 steps",
    "error text": (SENTENCE * 4)[:300],
    "note text": (SENTENCE * 4)[:300],
    "model text": "stable-audio-open-1.0 · cuda",
    "results text": "/Users/somebody/Library/Application Support/tertium/results",
    "progress text": "completion · 12.4 s",
    "original name": "Amen break, second half",
    "original length": "16 beats · 12.00 s",
    "reference name": "Amen break, second half",
    "reference length": "16 beats · 12.00 s",
    "blend number": "0.00",
    "command text": "tertium serve",
    "prompt": "a haunted hum in a hall",
    "checkpoints": "a haunted hum",
}


class TestPanel:
    def test_it_lies_within_the_device(self, faces):
        for box in faces:
            left, top, width, height = box.face
            assert all(isinstance(number, int) for number in box.face), f"{box.name} lies between pixels"
            assert top >= 2 and top + height <= HEIGHT - 2, box.name
            assert left + width <= UNFOLDED - MARGIN, box.name
            assert left >= MARGIN or left + width <= 0, box.name

    def test_the_margins_are_equal(self, faces):
        seen = [box.face for box in faces if box.face[0] >= 0]
        assert min(left for left, *_ in seen) == MARGIN
        folded = [left + width for left, _, width, _ in seen if left + width <= FOLDED]
        assert max(folded) == FOLDED - MARGIN
        assert max(left + width for left, _, width, _ in seen) == UNFOLDED - MARGIN

    def test_nothing_is_cut_by_the_fold(self, faces):
        for box in faces:
            left, _, width, _ = box.face
            assert left + width <= FOLDED or left >= FOLDED, box.name

    def test_nothing_overlaps_but_what_is_meant_to(self, faces):
        for one, other in itertools.combinations(faces, 2):
            meant = {LAYERS.get(one.name, one.name), LAYERS.get(other.name, other.name)}
            if len(meant) > 1 and _overlap(one.face, other.face):
                pytest.fail(f"{one.name} lies on {other.name}")

    def test_a_layer_lies_above_what_it_lies_on(self, boxes):
        order = {box.get("varname"): index for index, box in enumerate(boxes)}  # the first is the topmost
        for above, below in LAYERS.items():
            assert order[_scripting(above)] < order[_scripting(below)], f"{above} lies under {below}"

    def test_every_text_fits(self, faces):
        for box in faces:
            for text in _texts(box):
                assert _fits(box, text), f"{text!r} does not fit {box.name}"

    def test_a_text_that_is_too_long_would_be_found(self, faces):
        (fuse,) = [box for box in faces if box.name == "fuse"]
        assert not _fits(fuse, "Fuse" * 10)
        (error,) = [box for box in faces if box.name == "error text"]
        assert not _fits(error, SENTENCE * 6)

    def test_the_picture_shows_what_is_on_the_panel(self, faces):
        names = {_scripting(box.name) for box in faces}
        for picture, moment in PICTURES.items():
            found = json.loads(moment.read_text(encoding="utf-8"))
            shown = [set(found[part]) for part in ("texts", "parameters", "curves", "waves", "faces")]
            assert set().union(*shown) | {"light", "progress", "checkpoints", "display"} == names
            assert picture.stat().st_size > 20_000

    def test_every_control_says_what_it_does(self, faces):
        for box in faces:
            if box.parameter is not None or box.kind in ("textedit", "umenu"):
                assert box.attributes["annotation"].endswith("."), box.name
                assert box.attributes["annotation_name"], box.name

    def test_colours_are_lives(self, faces):
        for box in faces:
            for token in box.colors.values():
                assert token.startswith("live_")
            if box.kind == "live.comment":
                assert "textcolor" in box.colors, box.name

    def test_the_script_moves_or_sets_no_stored_parameter_but_audition(self):
        made = patcher()
        inside = {target for source, _, target, _ in made.wires if source not in ("blend",)}
        stored = [made.boxes[name] for name in inside if made.boxes[name].parameter is not None]
        not_hidden = {box.name for box in stored if box.parameter["parameter_invisible"] != HIDDEN}
        assert not_hidden == {"audition", "memory"}


def _overlap(one, other):
    (left, top, width, height), (x, y, w, h) = one, other
    return left < x + w and x < left + width and top < y + h and y < top + height


def _scripting(name):
    made = patcher().boxes[name]
    if made.parameter is not None:
        return made.parameter["parameter_longname"]
    return made.attributes.get("varname", name.replace(" ", "_"))


def _texts(box):
    if box.name in LONGEST:
        return [LONGEST[box.name]]
    if box.kind == "live.text":
        return [box.attributes["text"], box.attributes["texton"]]
    if box.kind in ("live.menu", "live.tab"):
        return box.parameter["parameter_enum"]
    if box.kind == "live.numbox":
        places = 0 if box.parameter["parameter_unitstyle"] == 0 else 2
        return [f"{box.parameter[end]:.{places}f}" for end in ("parameter_mmin", "parameter_mmax")]
    return [box.attributes["text"]] if box.kind == "live.comment" else []


def _fits(box, text):
    """Whether a text fits its box, in DejaVu Sans, which is wider than Live's own font."""
    size = box.attributes.get("fontsize", 9.5)
    bold = "-Bold" if box.attributes.get("fontface") else ""
    font = ImageFont.truetype(FONTS / f"DejaVuSans{bold}.ttf", 100)
    _, _, width, height = box.face
    room = width - {"live.comment": 2, "live.menu": 14, "umenu": 16, "textedit": 6}.get(box.kind, 4)
    if box.kind == "live.tab":
        room = width / len(box.parameter["parameter_enum"]) - 4
    lines = [""]
    for word in re.split(r"(?<=[ /])", text):
        if lines[-1] and font.getlength((lines[-1] + word).rstrip()) * size / 100 > room:
            lines.append("")
        lines[-1] += word
    wide = all(font.getlength(line.rstrip()) * size / 100 <= room for line in lines)
    most = box.attributes.get("linecount", 1)
    return wide and len(lines) <= most and 1.16 * size * len(lines) <= height + 1


@pytest.fixture(scope="session")
def packages():
    """The packages of the Node tests, installed from their lock."""
    if NODE is None:
        pytest.skip("Node is not installed: it runs the simulator (Debian: apt install nodejs npm)")
    if not (FOLDER / "node_modules/osc-min").exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed (Debian: apt install npm), and max_for_live/node_modules is not there")
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=FOLDER, check=True, capture_output=True, timeout=120)


class TestSimulator:
    @pytest.mark.timeout(600)
    @pytest.mark.parametrize("name", sorted(path.name for path in (FOLDER / "test").glob("device*.test.mjs")))
    def test_it(self, packages, name):
        command = [NODE, "--test", "--test-reporter=tap", f"test/{name}"]
        ran = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=580)
        assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
        assert re.search(r"^# pass [1-9]", ran.stdout, re.M), "no test was run"
