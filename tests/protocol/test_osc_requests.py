"""OSC requests: strict and bounded decoding, which raises only ProtocolError for any input."""

import random
import struct
import time

import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from tertium_protocol import ProtocolError
from tertium_protocol.codecs import osc_requests
from tertium_protocol.codecs.envelope import Call


def message(address="/tertium/status", arguments=((7, "i"),)):
    builder = OscMessageBuilder(address)
    for value, kind in arguments:
        builder.add_arg(value, kind)
    return builder.build()


def bundle(*contents, timetag=IMMEDIATELY):
    builder = OscBundleBuilder(timetag)
    for content in contents:
        builder.add_content(content)
    return builder.build()


def refused(datagram):
    with pytest.raises(ProtocolError) as caught:
        osc_requests.decode(datagram)
    assert caught.value.message and caught.value.remedy
    return caught.value


def test_a_message_of_another_library_is_read():
    arguments = (
        ("r1", "s"),
        ("original", "s"),
        ("/ä/é.wav", "s"),
        ("blend", "s"),
        (0.25, "f"),
        ("steps", "s"),
        (20, "i"),
    )
    (call,) = osc_requests.decode(message("/tertium/fuse", arguments).dgram)
    assert call == Call("fuse", "r1", {"original": "/ä/é.wav", "blend": 0.25, "steps": 20})


def test_our_message_is_read_by_another_library():
    datagram = osc_requests.encode_call("fuse", 3, {"prompt": "rain", "steps": 20, "eta": 0.5, "seed": None})
    theirs = OscMessage(datagram)
    assert theirs.address == "/tertium/fuse"
    assert theirs.params == [3, "prompt", "rain", "steps", 20, "eta", 0.5]


@pytest.mark.parametrize("id", [0, -(2**31), 2**31 - 1, 0.5, "a", "ü" * 64])
def test_ids_come_back_unchanged(id):
    (call,) = osc_requests.decode(osc_requests.encode_call("status", id, {}))
    assert call.id == id and type(call.id) is type(id)


def test_a_bundle_of_one_level_is_several_calls():
    datagram = bundle(message(), message("/tertium/jobs", (("x", "s"),))).dgram
    assert [(call.command, call.id) for call in osc_requests.decode(datagram)] == [("status", 7), ("jobs", "x")]


def test_nested_dated_and_empty_bundles_are_refused():
    assert "within a bundle" in str(refused(bundle(bundle(message())).dgram))
    assert "time tag" in str(refused(bundle(message(), timetag=time.time() + 3600).dgram))
    assert "empty" in str(refused(bundle().dgram))
    assert "more than 16" in str(refused(bundle(*[message()] * 17).dgram))


def test_element_sizes_are_checked():
    head = b"#bundle\0\0\0\0\0\0\0\0\1"
    for size in (-1, -(2**31), 0, 3, 8, 2**31 - 1):
        error = refused(head + struct.pack(">i", size) + b"\0" * 4)
        assert error.code == "bad_message" and f"element of {size} bytes" in str(error)


def test_one_bad_message_spoils_its_bundle():
    assert refused(bundle(message(), message("/tertium/status", ((8, "i"), ("x", "s")))).dgram).request_id == 8


@pytest.mark.parametrize("kind", ["h", "d", "T", "F", "N", "b"])
def test_other_types_are_refused_with_the_field_and_the_id(kind):
    value = {"h": 2**40, "d": 0.5, "T": True, "F": False, "N": None, "b": b"blob"}[kind]
    error = refused(message("/tertium/fuse", ((7, "i"), ("blend", "s"), (value, kind))).dgram)
    assert (error.code, error.field, error.request_id) == ("bad_type", "blend", 7)
    assert (
        str(error)
        == f"blend has the OSC type '{kind}'; only i, f and s are accepted. Send whole numbers as i, other numbers as f, text as s."
    )


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), "missing_field", "has no request id"),
        (((float("nan"), "f"),), "bad_message", "request id cannot be used"),
        ((("", "s"),), "bad_message", "request id cannot be used"),
        ((("x" * 65, "s"),), "bad_message", "text of 1 to 64 characters"),
        (((7, "i"), ("blend", "s")), "bad_message", "blend has no value"),
        (((7, "i"), (3, "i"), (4, "i")), "bad_message", "A field's name must be text; got the number 3"),
        (((7, "i"), ("a", "s"), (1, "i"), ("a", "s"), (2, "i")), "bad_message", "a is given twice"),
        (((7, "i"), *((("n", "s"),) * 129)), "bad_message", "129 arguments"),
    ],
)
def test_arguments_are_an_id_and_pairs(arguments, code, text):
    error = refused(message("/tertium/fuse", arguments).dgram)
    assert error.code == code and text in str(error)


@pytest.mark.parametrize(
    "address", ["/status", "/tertium/*", "/tertium/" + "*" * 30, "/tertium/{a,b}", "/tertium/a/b", "/tertium/"]
)
def test_addresses_are_exact(address):
    error = refused(message(address).dgram)
    assert (error.code, error.request_id) == ("unknown_command", 7)


@pytest.mark.parametrize("event", osc_requests.ANSWERS)
def test_answers_of_another_daemon_are_never_answered(event):
    assert refused(message(f"/tertium/{event}").dgram).silent
    assert refused(message(f"/tertium/{event}", ((7, "i"), (8, "i"))).dgram).silent
    assert refused(message(f"/tertium/{event}", (("", "s"),)).dgram).silent


def test_bytes_are_checked():
    good = message("/tertium/fuse", ((7, "i"), ("prompt", "s"), ("rain", "s"))).dgram
    assert osc_requests.decode(good)
    assert "neither" in str(refused(b""))
    assert "neither" in str(refused(b"GET / HTTP/1.1\r\n\r\n"))
    assert "multiple of 4" in str(refused(good + b"\0"))
    assert "4 bytes too many" in str(refused(good + b"\0" * 4))
    assert "ends within a string" in str(refused(good[:-4]))
    assert "padded with zeros" in str(refused(good[:-1] + b"x"))
    assert "not UTF-8" in str(refused(good.replace(b"rain", b"r\xffin")))
    assert "no type tags" in str(refused(b"/tertium/status\0abc\0"))
    assert "ends within a string" in str(refused(b"/tertium/status\0"))
    assert "before its last argument" in str(refused(b"/tertium/status\0,i\0\0"))


def test_an_oversized_message_is_refused_with_its_id():
    error = refused(message("/tertium/fuse", ((7, "i"), ("prompt", "s"), ("x" * 40000, "s"))).dgram)
    assert error.request_id == 7 and "the limit is 32768" in str(error)
    assert "the limit is 32768" in str(refused(bundle(message("/a", (("x" * 40000, "s"),))).dgram))
    with pytest.raises(ProtocolError, match="the limit is 32768"):
        osc_requests.encode_call("fuse", 7, {"prompt": "x" * 40000})


def test_what_osc_cannot_carry_is_not_sent():
    for value in (True, 2**31, 1e300, float("nan"), [1], "a\0b", "\udc80"):
        with pytest.raises(ProtocolError) as caught:
            osc_requests.encode_call("fuse", 1, {"prompt": value})
        assert caught.value.code == "bad_type"


def test_ten_thousand_mutated_datagrams_raise_nothing_else_and_take_no_time():
    seeds = [
        message("/tertium/fuse", ((7, "i"), ("original", "s"), ("/a/ü.wav", "s"), ("blend", "s"), (0.25, "f"))).dgram,
        bundle(message(), message("/tertium/jobs", (("x", "s"), ("limit", "s"), (3, "i")))).dgram,
        bundle(bundle(message())).dgram,
        osc_requests.encode_call("generate", "id", {"prompt": "rain " * 100, "seconds": 3.0}),
    ]
    chance = random.Random(20)
    outcomes = {"accepted": 0, "refused": 0}
    for _ in range(10_000):
        try:
            osc_requests.decode(mutated(chance, chance.choice(seeds)))
            outcomes["accepted"] += 1
        except ProtocolError as error:
            assert error.message
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 500, outcomes


def mutated(chance, datagram):
    data = bytearray(datagram)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.choice((1, 4, 8))]
            case 2:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 4, 8))))
            case 3:
                data[at // 4 * 4 : at // 4 * 4 + 4] = struct.pack(">i", chance.choice((-1, 0, 4, 2**31 - 1, -(2**31))))
            case 4:
                data[at:at] = data[: chance.choice((4, 8, 16, 20))]
            case 5:
                data[at : at + 1] = chance.choice((b"*", b"#", b"\0", b",", b"\xff"))
    return bytes(data)
