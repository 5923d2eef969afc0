"""The golden vectors: the code agrees with them, encoding and decoding."""

import json
from pathlib import Path

import pytest
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from tertium_protocol import COMMANDS, ERROR_CODES, PROTOCOL_VERSION, Answer, ProtocolError, parse_request
from tertium_protocol.codecs import osc_requests, zeromq
from tertium_protocol.codecs.osc_answers import Assembler, encode_answer
from tertium_protocol.messages import EVENT_NAMES, EVENTS

VECTORS = Path(__file__).parents[2] / "protocol" / "vectors"
FILES = sorted(path.stem for path in VECTORS.glob("*.json"))


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["cases"]


def cases(name):
    return pytest.mark.parametrize("case", load(name), ids=lambda case: case["name"])


def raw(case):
    return [case["header"].encode(), *map(bytes.fromhex, case["buffers"])]


def assert_same(got, expected):
    """Compare in value and kind: 7 is not 7.0."""
    assert json.dumps(got, sort_keys=True) == json.dumps(expected, sort_keys=True)


@cases("osc_requests")
def test_osc_requests_are_read_and_valid(case):
    calls = osc_requests.decode(bytes.fromhex(case["hex"]))
    assert_same([{"command": c.command, "id": c.id, "fields": c.fields} for c in calls], case["calls"])
    for call in calls:
        parse_request(call.command, call.fields, transport="osc")


@pytest.mark.parametrize("case", [c for c in load("osc_requests") if "address" in c], ids=lambda case: case["name"])
def test_osc_requests_are_written_and_another_library_agrees(case):
    (call,) = case["calls"]
    assert osc_requests.encode_call(call["command"], call["id"], call["fields"]).hex() == case["hex"]
    theirs = OscMessage(bytes.fromhex(case["hex"]))
    assert (theirs.address, theirs.params) == (case["address"], [a["value"] for a in case["arguments"]])
    assert [type(value) for value in theirs.params] == [
        {"i": int, "f": float, "s": str}[a["type"]] for a in case["arguments"]
    ]


def test_the_bundle_is_one_for_another_library_too():
    (case,) = (c for c in load("osc_requests") if "address" not in c)
    theirs = OscBundle(bytes.fromhex(case["hex"]))
    assert [theirs.content(n).address for n in range(theirs.num_contents)] == ["/tertium/status", "/tertium/jobs"]


@cases("osc_answers")
def test_osc_answers_are_written_and_read(case):
    assert [datagram.hex() for datagram in encode_answer(Answer(**case["answer"]))] == case["datagrams"]
    assembler = Assembler()
    answers = [a for hex in case["datagrams"] if (a := assembler.feed(bytes.fromhex(hex))) is not None]
    assert_same([a.model_dump(include={"id", "event", "fields"}) for a in answers], case["reads"])
    assert all(OscMessage(bytes.fromhex(hex)).address.startswith("/tertium/") for hex in case["datagrams"])


@cases("osc_refused")
def test_bad_datagrams_are_refused_with_their_code(case):
    with pytest.raises(ProtocolError) as caught:
        osc_requests.decode(bytes.fromhex(case["hex"]))
    error = caught.value
    assert_same(
        [error.code, error.request_id, error.field, not error.silent],
        [case[k] for k in ("code", "id", "field", "answered")],
    )


@cases("zeromq_requests")
def test_zeromq_requests_are_read_and_valid(case):
    call = zeromq.decode_call(raw(case))
    assert_same({"command": call.command, "id": call.id, "fields": call.fields, "token": call.token}, case["call"])
    assert_same([{**b.description(), "samples": b.to_array().tolist()} for b in call.buffers], case["audio"])
    parse_request(call.command, call.fields, transport="zeromq", buffers=len(call.buffers))
    assert zeromq.decode_call(zeromq.encode_call(call)) == call


@cases("zeromq_answers")
def test_zeromq_answers_are_written_and_read(case):
    answer, message = Answer(**case["answer"]), raw(case)
    if "topic" in case:
        published = [case["topic"].encode(), *message]
        assert zeromq.encode_event(answer, case["sequence"]) == published
        assert zeromq.decode_event(published) == (answer, case["sequence"])
    else:
        decoded, buffers = zeromq.decode_answer(message)
        assert decoded == answer
        assert zeromq.encode_answer(answer, buffers) == message


@cases("zeromq_refused")
def test_bad_frames_are_refused_with_their_code(case):
    with pytest.raises(ProtocolError) as caught:
        zeromq.decode_call(raw(case))
    assert_same(
        [caught.value.code, caught.value.request_id, caught.value.field], [case[k] for k in ("code", "id", "field")]
    )


@cases("requests_refused")
def test_bad_requests_are_refused_in_these_words(case):
    with pytest.raises(ProtocolError) as caught:
        parse_request(case["command"], case["fields"])
    error = caught.value
    assert [error.code, error.field, error.message, error.remedy] == [
        case[k] for k in ("code", "field", "message", "remedy")
    ]


@pytest.mark.parametrize("name", FILES)
def test_every_file_has_the_version_and_unique_names(name):
    file = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    names = [case["name"] for case in file["cases"]]
    assert file["protocol"] == PROTOCOL_VERSION
    assert file["about"] and names and len(set(names)) == len(names)
    assert f"`{name}.json`" in (VECTORS / "README.md").read_text(encoding="utf-8")


def test_the_vectors_agree_with_the_tables():
    refused = [case["code"] for name in FILES if name.endswith("refused") for case in load(name)]
    assert set(refused) <= set(ERROR_CODES)
    assert {
        "bad_message",
        "unknown_command",
        "unknown_field",
        "missing_field",
        "bad_type",
        "out_of_range",
        "conflict",
    } <= set(refused)
    assert {call["command"] for case in load("osc_requests") for call in case["calls"]} <= set(COMMANDS)
    answers = [case["answer"] for case in load("osc_answers")]
    assert {answer["event"] for answer in answers} == set(EVENT_NAMES)
    for answer in answers:
        if answer["event"] in EVENTS and "large" not in answer["fields"]:
            EVENTS[answer["event"]].model_validate(answer["fields"])
