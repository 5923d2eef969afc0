"""The Quark has every name of the protocol and no other: a command or field that is new in the daemon makes a test here fail."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from supercollider import quark
from tertium.daemon.config import DEFAULT_OSC
from tertium.storage.library import SHORTEST_PREFIX
from tertium_protocol.client import discovery
from tertium_protocol.codecs import osc_answers
from tertium_protocol.commands import COMMANDS, specs
from tertium_protocol.errors import ERROR_CODES
from tertium_protocol.messages import events, replies
from tertium_protocol.messages.fields import Choice, Integer, Number
from tertium_protocol.messages.requests import PROTOCOL_VERSION
from tests.supercollider import sclang

ROOT = Path(__file__).parents[2]
CLASSES = sorted((sclang.QUARK / "Classes").rglob("*.sc"))
OVER_OSC = {name: row for name, row in COMMANDS.items() if "osc" in row.transports}
TABLE = (
    "protocol", "prefix", "port", "events", "queued", "guarded", "once", "items", "soundReplies", "soundItems", "lists", "sharedByTakes",
    "mostTakes", "mostParts", "mostIncomplete",
)  # fmt: skip
CODES = re.compile(r"TertiumError\(\\(\w+)")
KNOWLEDGE = re.compile(r"#\[\\\w+, |/tertium/(?!ring)|\b(?:7700|1024)\b")
"""A list of names, an address or a limit: what a class should take from the generated command table. ``/tertium/ring`` is not of the protocol."""
GENERATED = {"TertiumCommands", "TertiumCommandTable"}
OWN_LISTS = {"TertiumError": "ownCodes", "TertiumLiveTake": "isUnderway"}
"""Classes with a list of names that are the Quark's own."""


def value(name, spec, number):
    """A value of its own for a field."""
    if isinstance(spec, Integer):
        return spec.minimum + number
    if isinstance(spec, Number):
        return 0.25 + number
    return spec.choices[-1] if isinstance(spec, Choice) else f"/{name}{number}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)
    lines = ["t = Tertium(port: 9);"]
    for name, row in OVER_OSC.items():
        word = quark.camel(name)
        lines.append(f'~tell.("{name} arguments", Tertium.findMethod(\\{word}).argNames.drop(1) ? []);')
        given = [
            f"{quark.camel(field)}: {literal(value(field, spec, n))}"
            for n, (field, spec) in enumerate(specs(row.request).items())
        ]
        lines.append(f'~tell.("{name} message", t.{word}Msg({", ".join(given)}));')
    lines += [
        *(f"~tell.(\\{name}, TertiumCommandTable.{name});" for name in TABLE), "~tell.(\\used, [Tertium.protocol, Tertium.port, TertiumMorph.maxTakes]);",
        *(f"~tell.(\"kind {name} {field}\", TertiumCommandTable.kind(\\{name}, \\{field}));" for name, row in OVER_OSC.items() for field in specs(row.request)),
        "~tell.(\"kind of an unknown command\", TertiumCommandTable.kind(\\fuze, \\original));", "~tell.(\\own, TertiumError.ownCodes);",
        "~tell.(\\file, TertiumHome.file);", f"~tell.(\\ids, [{SHORTEST_PREFIX - 1}, {SHORTEST_PREFIX}, 64, 65].collect {{ |digits| TertiumEncoder.isId(String.fill(digits, $a)) }});",
        "~tell.(\\methods, Tertium.methods.collect(_.name).select { |name| name.asString.endsWith(\"Msg\") });", "0.exit;",
    ]  # fmt: skip
    return sclang.run("\n".join(lines), tmp_path_factory.mktemp("parity")).check()


def literal(value):
    return sclang.scd_string(value) if isinstance(value, str) else repr(value)


@pytest.mark.parametrize("name", OVER_OSC)
def test_every_field_is_an_argument_by_the_same_word(run, name):
    row = OVER_OSC[name]
    told = run.value(f"{name} arguments")
    callbacks = (
        {"action", "onError", "timeout"}
        | ({"onProgress"} if row.kind == "queued" else set())
        | ({"onTake"} if name == "morph" else set())
    )
    assert set(told) - callbacks == {quark.camel(field) for field in specs(row.request)}
    assert callbacks <= set(told)
    assert told.index("action") == len(told) - len(callbacks), "the fields first"


@pytest.mark.parametrize("name", OVER_OSC)
def test_every_argument_is_sent_as_its_field(run, name):
    address, id, *pairs = run.value(f"{name} message")
    assert address == COMMANDS[name].address and 1 <= len(id) <= 64
    sent = dict(zip(pairs[::2], pairs[1::2], strict=True))
    wanted = {field: value(field, spec, n) for n, (field, spec) in enumerate(specs(COMMANDS[name].request).items())}
    assert sent == wanted


def test_there_is_no_method_that_is_no_command(run):
    words = {f"{quark.camel(name)}Msg" for name in OVER_OSC} | {"sendMsg"}
    assert set(run.value("methods")) == words
    assert set(COMMANDS) - set(OVER_OSC) == {"sound_audio"}, "which only ZeroMQ carries"


def test_the_command_table_has_the_properties_of_the_commands(run):
    assert run.value("guarded") == [name for name, row in COMMANDS.items() if row.guarded]
    assert run.value("queued") == [name for name, row in COMMANDS.items() if row.kind == "queued"]
    assert run.value("items") == {name: row.items for name, row in COMMANDS.items() if row.items}
    assert run.value("soundReplies") == ["add_sound", "sound", "keep"] and run.value("soundItems") == ["sounds"]
    assert not set(run.value("once")) & set(run.value("queued")), "a job can always be asked for again"
    assert set(run.value("sharedByTakes")) <= set(events.Done.model_fields) - set(events.TakeInfo.model_fields)


def test_the_command_table_has_the_limits_of_the_protocol(run):
    assert set(run.value("events")) == {*events.EVENT_NAMES, "item", "part"}
    assert run.value("protocol") == PROTOCOL_VERSION
    assert all(row.address == run.value("prefix") + name for name, row in COMMANDS.items())
    assert f"127.0.0.1:{run.value('port')}" == DEFAULT_OSC
    assert run.value("mostTakes") == specs(COMMANDS["morph"].request)["count"].maximum
    assert (run.value("mostParts"), run.value("mostIncomplete")) == (
        osc_answers.MOST_PARTS,
        osc_answers.MOST_INCOMPLETE,
    )
    assert run.value("used") == [run.value("protocol"), run.value("port"), run.value("mostTakes")]


@pytest.mark.parametrize("name", OVER_OSC)
def test_the_command_table_has_the_kind_of_every_field(run, name):
    kinds = {field: run.value(f"kind {name} {field}") for field in specs(OVER_OSC[name].request)}
    sounds = {field for field, spec in specs(OVER_OSC[name].request).items() if "id of a sound" in spec.help}
    if OVER_OSC[name].buffers:
        sounds.add("path")
    assert {field for field, kind in kinds.items() if kind == "sound"} == sounds
    assert {field for field, kind in kinds.items() if kind == "path"} == {"path"} & set(kinds) - sounds
    assert {field for field, kind in kinds.items() if kind == "job"} == {"job"} & set(kinds)


def test_a_daemon_and_a_sound_are_found_by_the_same_names(run):
    assert run.value("file") == discovery.FILE
    assert run.value("ids") == [False, True, True, False], "the digits of a sound's id"


def test_a_command_that_is_unknown_has_the_usual_kinds(run):
    assert run.value("kind of an unknown command") == "sound"


def test_every_list_that_comes_as_text_is_known(run):
    items = {row.items for row in COMMANDS.values() if row.items}
    # choices come within parameters, which are JSON already
    assert set(run.value("lists")) == lists_of(events, replies) - items - {"choices"}


def test_no_class_repeats_what_the_command_table_has():
    for path in CLASSES:
        if path.stem not in GENERATED:
            found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if KNOWLEDGE.search(line)]
            assert [line for line in found if OWN_LISTS.get(path.stem, line) not in line] == [], path.name


def test_every_error_code_is_the_protocols_or_the_quarks_own(run):
    own = set(run.value("own"))
    used = {code for path in CLASSES for code in CODES.findall(path.read_text(encoding="utf-8"))}
    assert not own & set(ERROR_CODES)
    assert used <= own | set(ERROR_CODES) and own <= used


def test_a_hand_kept_list_of_quark_py_that_names_what_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(quark, "SENT_ONCE", (*quark.SENT_ONCE, "fuse"))
    monkeypatch.setattr(quark, "SHARED_BY_TAKES", (*quark.SHARED_BY_TAKES, "pitch"))
    with pytest.raises(ValueError, match="fuse, pitch"):
        quark.table()


@pytest.mark.parametrize("path", quark.generated(), ids=lambda path: path.name)
def test_a_generated_file_that_was_changed_by_hand_is_noticed(path, monkeypatch, capsys):
    wanted = quark.generated()
    monkeypatch.setattr(quark, "generated", lambda: wanted | {path: wanted[path] + "// changed"})
    assert quark.main(["--check"]) == 1
    assert f"{path} is not up to date" in capsys.readouterr().out


def test_a_new_command_makes_the_command_table_stale(monkeypatch):
    """As would a field, a limit or a flag: each is read from the protocol when the files are generated."""
    row = dataclasses.replace(COMMANDS["fuse"], name="braid", guarded=True)
    before = quark.generated()
    monkeypatch.setattr(quark, "ROWS", [*quark.ROWS, row])
    after = quark.generated()
    assert all(before[path] != after[path] for path in before)
    assert (
        "\\braid" in after[quark.TABLE] and "braidMsg" in after[quark.METHODS] and "METHOD:: braid" in after[quark.HELP]
    )


def lists_of(*modules) -> set[str]:
    """Names of the fields of payloads that are lists."""
    found = set()
    for module in modules:
        for payload in vars(module).values():
            if isinstance(payload, type) and issubclass(payload, BaseModel):
                found |= {name for name, field in payload.model_fields.items() if is_list(field.annotation)}
    return found


def is_list(annotation: Any) -> bool:
    return tuple in {get_origin(part) or part for part in (annotation, *get_args(annotation))}


def test_the_generated_files_are_up_to_date():
    run = subprocess.run([sys.executable, "supercollider/quark.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False,
                         env={"PYTHONPATH": "server:protocol"})  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
