"""The golden messages of the protocol, encoded and decoded by the real sclang: its own encoder gives the bytes, its own socket takes the datagrams."""

import json
import socket
from pathlib import Path

import pytest

from supercollider import quark
from tests.supercollider import sclang

VECTORS = Path(__file__).parents[2] / "protocol/vectors"
REQUESTS = json.loads((VECTORS / "osc_requests.json").read_text(encoding="utf-8"))["cases"]
ANSWERS = json.loads((VECTORS / "osc_answers.json").read_text(encoding="utf-8"))["cases"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One sclang that encodes all requests, and tells what it reads of all answers, sent to its port by another program."""
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)
    lines = [
        f"~told.({n}, {encoded(case)});" if "arguments" in case else f"{encoded(case)};"
        for n, case in enumerate(REQUESTS)
    ]
    script = r"""
        var decoder = TertiumDecoder.new;
        ~told = { |number, bytes| ~tell.("request " ++ number, bytes.collect { |byte| (byte & 255).asHexString(2).toLower }.join) };
        %LINES%
        TertiumCommandTable.events.do { |event| OSCFunc({ |message|
            decoder.feed(message) !? { |answer|
                ~tell.(\read, [answer[\id], answer[\event], answer[\fields]]);
                ~tell.(\lists, TertiumFields.withLists(answer[\fields]))
            }
        }, "/tertium/" ++ event) };
        OSCFunc({ |message| ~tell.(\read, ["case", message[1]]) }, "/case");
        OSCFunc({ 0.exit }, "/end");
        ~tell.(\port, NetAddr.langPort);
    """.replace("%LINES%", "\n".join(lines))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(30)
        script = script.replace("%PORT%", str(other.getsockname()[1]))
        with sclang.running(script, tmp_path_factory.mktemp("vectors")) as running:
            to = ("127.0.0.1", int(running.wait_for("^TOLD port: (.*)$")[1]))
            bundles = [other.recv(65536).hex() for case in REQUESTS if "arguments" not in case]
            for number, case in enumerate(ANSWERS):
                other.sendto(b"/case\0\0\0,i\0\0" + number.to_bytes(4, "big"), to)
                for datagram in case["datagrams"]:
                    other.sendto(bytes.fromhex(datagram), to)
                running.wait_for(f'^TOLD read: \\["case", {number}\\]')
            other.sendto(b"/end\0\0\0\0,\0\0\0", to)
            return running.end().check(), bundles


def encoded(case):
    """Code that gives the bytes of a request, or sends them where sclang gives none: those of a bundle."""
    if "arguments" in case:
        return f"[{', '.join([sclang.scd_string(case['address']), *map(argument, case['arguments'])])}].asRawOSC"
    calls = ", ".join(
        f"[{sclang.scd_string('/tertium/' + call['command'])}, {argument({'type': kind(call['id']), 'value': call['id']})}]"
        for call in case["calls"]
    )
    return f'NetAddr("127.0.0.1", %PORT%).sendBundle(nil, {calls})'


def kind(value):
    return {int: "i", float: "f", str: "s"}[type(value)]


def argument(given):
    if given["type"] == "s":
        return sclang.scd_string(given["value"])
    return f"{given['value']!r}" if given["type"] == "i" else f"{given['value']!r}.asFloat"


@pytest.mark.parametrize("number", range(len(REQUESTS)), ids=[case["name"] for case in REQUESTS])
def test_requests_are_encoded_to_the_byte(run, number):
    told, bundles = run
    if "arguments" in REQUESTS[number]:
        assert told.value(f"request {number}") == REQUESTS[number]["hex"]
    else:
        assert REQUESTS[number]["hex"] in bundles


@pytest.mark.parametrize("number", range(len(ANSWERS)), ids=[case["name"] for case in ANSWERS])
def test_answers_are_read_as_they_were_meant(run, number):
    told = run[0].values("read")
    begin = told.index(["case", number]) + 1
    end = next((i for i in range(begin, len(told)) if told[i][0] == "case"), len(told))
    wanted = [[as_heard(read["id"]), read["event"], read["fields"]] for read in ANSWERS[number]["reads"]]
    assert told[begin:end] == wanted


def as_heard(id):
    """No id is empty text over OSC."""
    return "" if id is None else id


def test_lists_are_read_from_their_text(run):
    texts = [fields for _, _, fields in (read for read in run[0].values("read") if read[0] != "case")]
    for text, lists in zip(texts, run[0].values("lists"), strict=True):
        assert lists == without_text(text)


def without_text(fields):
    """The same fields with the lists that came as text read."""
    read = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            value = without_text(value)
        elif name in quark.list_fields() and isinstance(value, str):
            value = without_nothing(json.loads(value))
        read[name] = value
    return read


def without_nothing(value):
    """An Event holds no nil."""
    if isinstance(value, dict):
        return {name: without_nothing(each) for name, each in value.items() if each is not None}
    return [without_nothing(each) for each in value] if isinstance(value, list) else value
