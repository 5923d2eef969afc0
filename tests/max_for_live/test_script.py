"""The linker of the device's script, the rooms of its modules, and the module that is made from the command table."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from max_for_live.build import protocol_table, script
from max_for_live.build.device import sources

ROOT = Path(__file__).parents[2]
ROOMS = ["lib", "daemon live", "device", "main"]
MODULES = sorted(path.relative_to(script.SOURCES).with_suffix("").as_posix() for path in script.SOURCES.rglob("*.js"))


@pytest.fixture
def room(tmp_path):
    """Writes modules, given as names and what they require, and gives their folder."""

    def write(**modules):
        for name, wanted in modules.items():
            path = tmp_path / f"{name.replace('__', '/')}.js"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(f'require("{one}");\n' for one in wanted) + f"{name};\n", encoding="utf-8")
        return tmp_path

    return write


class TestLinker:
    def test_each_module_comes_once_after_what_it_requires_and_main_last(self, room):
        folder = room(main=["./a/one", "./b/two"], a__one=["../b/two", "./three"], a__three=["../b/two"], b__two=[])
        assert script.order(folder) == ["b/two", "a/three", "a/one", "main"]

    def test_a_module_is_a_function_and_main_is_not(self, room):
        folder = room(main=["./a/one"], a__one=["./two"], a__two=[])
        assert script.linked(folder) == (
            "// Linked from src/ by max_for_live/build/script.py: edit the modules there.\n\nconst linked = {};\n\n"
            '// ===== a/two.js =====\nlinked["a/two"] = (function (module) {\na__two;\nreturn module.exports;\n})({ exports: {} });\n\n'
            '// ===== a/one.js =====\nlinked["a/one"] = (function (module) {\nlinked["a/two"];\na__one;\nreturn module.exports;\n})({ exports: {} });\n\n'
            '// ===== main.js =====\nlinked["a/one"];\nmain;\n'
        )

    def test_a_circle_is_refused_with_its_modules(self, room):
        folder = room(main=["./a"], a=["./lib/b"], lib__b=["./c"], lib__c=["./b"])
        with pytest.raises(ValueError, match=r"in a circle: lib/b → lib/c → lib/b\.$"):
            script.linked(folder)

    def test_a_module_that_requires_itself_is_refused(self, room):
        with pytest.raises(ValueError, match=r"in a circle: a → a\.$"):
            script.linked(room(main=["./a"], a=["./a"]))

    @pytest.mark.parametrize(("path", "name"), [("./lib/txt", "lib/txt"), ("fs", "fs"), ("../main", "../main")])
    def test_a_module_that_is_not_there_is_refused_with_its_name(self, room, path, name):
        with pytest.raises(ValueError, match=rf"^main\.js requires {name}, which is not in "):
            script.linked(room(main=[path]))

    def test_linking_again_gives_the_same_text(self):
        command = [sys.executable, "-m", "max_for_live.build.script"]
        printed = [
            subprocess.run(
                command, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
            ).stdout
            for seed in ("1", "2")
        ]
        assert printed == [script.linked().encode()] * 2 == [sources()[1].encode()] * 2


class TestScript:
    def test_every_module_is_in_it(self):
        assert sorted(script.order()) == MODULES

    def test_max_finds_what_it_calls_at_the_top_level(self):
        main = script.linked().split("// ===== main.js =====\n")[1]
        for entry in (
            "inlets = 1;",
            "outlets = 4;",
            "autowatch = 0;",
            "function anything() {",
            "function notifydeleted() {",
        ):
            assert f"\n{entry}\n" in main, entry
        assert re.findall(r"^(?:async )?function\*? (\w+)", main, re.MULTILINE) == ["anything", "notifydeleted"]

    def test_no_require_is_left_for_max(self):
        assert not re.search(r"\brequire\b\(", script.linked())

    @pytest.mark.parametrize("name", MODULES)
    def test_rooms_and_data_flow_one_way(self, name):
        rank = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms.split()}
        own = name.split("/")[0]
        for wanted in script.requires(script.SOURCES, name):
            other = wanted.split("/")[0]
            assert other == own or rank[other] < rank[own], f"{name}.js requires {wanted}"


class TestProtocolTable:
    def test_the_module_is_that_of_the_command_table(self, capsys):
        assert protocol_table.MODULE.read_text(encoding="utf-8") == protocol_table.module(), "run: make docs"
        assert protocol_table.main(["--check"]) == 0
        assert capsys.readouterr().out == "protocol.js is up to date.\n"

    def test_one_that_is_not_up_to_date_is_said_and_written(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(protocol_table, "MODULE", tmp_path / "protocol.js")
        assert protocol_table.main(["--check"]) == 1
        assert capsys.readouterr().out == "protocol.js is not up to date: make docs.\n"
        assert protocol_table.main([]) == 0
        assert protocol_table.main(["--check"]) == 0
