"""PROTOCOL.md agrees with the command table, its examples are valid, and the package depends on nothing else here."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tertium_protocol
from tertium_protocol import COMMANDS, ERROR_CODES, PROTOCOL_VERSION, document, parse_request
from tertium_protocol.codecs import osc_requests, zeromq
from tertium_protocol.codecs.osc_answers import decode_answer
from tertium_protocol.messages import EVENTS, Failed

FOLDER = Path(__file__).parents[2] / "protocol"
TEXT = (FOLDER / "PROTOCOL.md").read_text(encoding="utf-8")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


def words(line):
    """Return the address, id and fields of an example, with numbers as numbers."""
    tokens = [json.loads(t) if t[0] in '"-0123456789' else t for t in re.findall(r'"(?:[^"\\]|\\.)*"|\S+', line)]
    address, id, *rest = tokens
    return address, id, dict(zip(rest[::2], rest[1::2], strict=True))


def test_the_generated_parts_are_up_to_date():
    assert document.document(TEXT) == TEXT, "run: python -m tertium_protocol.document"
    assert document.main(["--check"]) == 0


def test_a_missing_part_is_noticed():
    with pytest.raises(ValueError, match="must have each of these parts once"):
        document.document(TEXT.replace("<!-- begin errors -->", ""))


def test_the_document_names_every_command_event_and_code():
    assert f"version **{PROTOCOL_VERSION}**" in TEXT
    for name in (*COMMANDS, *EVENTS):
        assert f"### `{name}`" in TEXT
    for code in ERROR_CODES:
        assert f"| `{code}` |" in TEXT


def test_links_within_the_document_lead_somewhere():
    heads = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
    targets = set(re.findall(r"\]\(#([^)]*)\)", TEXT))
    assert targets <= set(anchors)
    assert all(anchors.count(target) == 1 for target in targets)


def test_the_examples_of_osc_requests_are_valid():
    lines = [line for block in blocks("osc") for line in block.splitlines()]
    assert len(lines) >= 5
    for line in lines:
        address, id, fields = words(line)
        (call,) = osc_requests.decode(osc_requests.encode_call(address.removeprefix(osc_requests.PREFIX), id, fields))
        parse_request(call.command, call.fields, transport="osc")


def test_the_examples_of_osc_answers_are_valid():
    lines = [line for block in blocks("answers") for line in block.splitlines()]
    assert len(lines) >= 7
    for line in lines:
        address, id, fields = words(line)
        flat = [part for pair in fields.items() for part in pair]
        answer = decode_answer(osc_requests.encode_message(address, [id, *flat]))
        if answer.event in EVENTS and answer.event != "done":
            EVENTS[answer.event].model_validate(answer.fields)


def test_the_examples_of_headers_are_valid():
    for header in blocks("json request"):
        described = json.loads(header).get("buffers", [])
        call = zeromq.decode_call([header.encode(), *(b"\0" * (8 * b["frames"]) for b in described)])
        parse_request(call.command, call.fields, transport="zeromq", buffers=len(call.buffers))
    for header in blocks("json answer"):
        answer, _ = zeromq.decode_answer([header.encode()])
        EVENTS[answer.event].model_validate(answer.fields)
    for header in blocks("json event"):
        answer, sequence = zeromq.decode_event([b"tertium." + json.loads(header)["event"].encode(), header.encode()])
        assert sequence == 12 and answer.event == "cancelled"
    (daemon,) = blocks("json daemon")
    assert {"pid", "osc", "zmq", "events", "token", "model", "version"} == set(json.loads(daemon))


def test_the_error_example_says_what_the_code_says():
    line = next(line for block in blocks("answers") for line in block.splitlines() if "/error" in line)
    fields = words(line)[2]
    with pytest.raises(tertium_protocol.ProtocolError) as caught:
        parse_request("fuse", {"original": "/a", "reference": "/b", "blend": 1.7})
    assert fields == caught.value.fields()
    assert Failed(job="j", **fields).code == "out_of_range"


def test_the_package_needs_neither_torch_nor_the_daemon_nor_numpy():
    program = """
import importlib, pkgutil, sys
for name in ("torch", "tertium", "numpy", "soundfile"):
    sys.modules[name] = None
import tertium_protocol
for module in pkgutil.walk_packages(tertium_protocol.__path__, "tertium_protocol."):
    importlib.import_module(module.name)
print("alone")
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": str(FOLDER)}, timeout=60
    )
    assert run.stdout == "alone\n", run.stderr


def test_importing_the_package_loads_no_transport():
    program = "import sys, tertium_protocol; print(sorted({'zmq', 'asyncio', 'pythonosc'} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": str(FOLDER)}, timeout=60
    )
    assert run.stdout == "[]\n", run.stderr


def test_the_wheel_holds_the_package_alone(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling is needed to build the wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("tertium_protocol-*.whl")
    assert wheel.name.startswith(f"tertium_protocol-{PROTOCOL_VERSION}.")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(archive.read(n).decode() for n in names if n.endswith("METADATA"))
    assert {n.split("/")[0] for n in names} == {
        "tertium_protocol",
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    assert "torch" not in metadata.split("\n\n")[0]
    assert {Path(n).stem for n in names if n.startswith("tertium_protocol/")} >= {
        "commands",
        "osc_requests",
        "zeromq",
        "blocking",
        "py",
    }
