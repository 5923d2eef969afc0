"""The Quark has every word of the protocol, and no other: a new command or field in the daemon makes a test here fail."""

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from supercollider import quark
from tertium_protocol.commands import COMMANDS, specs
from tertium_protocol.errors import ERROR_CODES
from tertium_protocol.messages import events, replies
from tertium_protocol.messages.fields import Choice, Integer, Number
from tertium_protocol.messages.requests import PROTOCOL_VERSION
from tests.supercollider import sclang

ROOT = Path(__file__).parents[2]
OVER_OSC = {name: row for name, row in COMMANDS.items() if "osc" in row.transports}


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
        "~tell.(\\queued, TertiumCommandTable.queued);", "~tell.(\\guarded, TertiumCommandTable.guarded);", "~tell.(\\items, TertiumCommandTable.items);", "~tell.(\\lists, TertiumFields.lists.asArray);",
        "~tell.(\\events, TertiumReceiver.events);", "~tell.(\\own, TertiumError.ownCodes);", "~tell.(\\protocol, Tertium.protocol);",
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


def test_there_is_no_method_for_what_is_no_command(run):
    words = {f"{quark.camel(name)}Msg" for name in OVER_OSC} | {"sendMsg"}
    assert set(run.value("methods")) == words
    assert set(COMMANDS) - set(OVER_OSC) == {"sound_audio"}, "which only ZeroMQ carries"


def test_what_takes_time_what_is_a_list_and_what_is_said(run):
    assert run.value("guarded") == [name for name, row in COMMANDS.items() if row.guarded]
    assert run.value("queued") == [name for name, row in COMMANDS.items() if row.kind == "queued"]
    assert run.value("items") == {name: row.items for name, row in COMMANDS.items() if row.items}
    assert set(run.value("events")) == {*events.EVENT_NAMES, "item", "part"}
    assert run.value("protocol") == PROTOCOL_VERSION
    assert not set(run.value("own")) & set(ERROR_CODES)


def test_every_list_that_comes_as_text_is_known(run):
    items = {row.items for row in COMMANDS.values() if row.items}
    # choices come within parameters, which are JSON already
    assert set(run.value("lists")) == lists_of(events, replies) - items - {"choices"}


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


def test_what_is_made_from_the_table_is_up_to_date():
    run = subprocess.run([sys.executable, "supercollider/quark.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False,
                         env={"PYTHONPATH": "server:protocol"})  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
