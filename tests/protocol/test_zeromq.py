"""ZeroMQ frames: header and audio, strict and bounded."""

import json
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tertium_protocol import Answer, ProtocolError
from tertium_protocol.codecs import zeromq
from tertium_protocol.codecs.audio_buffer import AudioBuffer
from tertium_protocol.codecs.envelope import Call

GOOD = {"tertium": "1.0", "id": 7, "command": "status", "fields": {}}


def refused(message):
    with pytest.raises(ProtocolError) as caught:
        zeromq.decode_call(message)
    return caught.value


def header(**changes):
    return json.dumps({**GOOD, **changes}).encode()


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=50),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    id=st.one_of(st.integers(-(2**31), 2**31 - 1), st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=64)),
    fields=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=20), st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=6),
    token=st.one_of(st.none(), st.text("abc", min_size=1)),
)  # fmt: skip
def test_any_call_comes_back(id, fields, token):
    call = Call("fuse", id, fields, (), token)
    assert zeromq.decode_call(zeromq.encode_call(call)) == call


@settings(max_examples=300, deadline=None)
@given(message=st.lists(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)), max_size=4))
@example([b"POST / HTTP/1.1\r\n"])
@example([b'{"tertium":"1.0","id":1,"command":"status","fields":{}}', b"1234"])
def test_whatever_comes_nothing_but_protocol_errors_is_raised(message):
    for decode in (zeromq.decode_call, zeromq.decode_answer, zeromq.decode_event):
        try:
            decode(message)
        except ProtocolError as error:
            assert error.message and error.remedy


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_header_is_refused_or_read(data):
    good = zeromq.encode_call(Call("fuse", "ü", {"prompt": 'a"\\', "blend": 0.5}, token="t"))[0]
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 5)) :]
    try:
        zeromq.decode_call([damaged])
    except ProtocolError as error:
        assert error.message


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        ([], "bad_message", "has no header"),
        ([b"\xff"], "bad_message", "not UTF-8"),
        ([b"[]"], "bad_message", "not a JSON object"),
        ([b'{"a":1,"a":2}'], "bad_message", "given twice"),
        ([b'{"a":NaN}'], "bad_message", "NaN is not a JSON number"),
        ([b'{"a":1e999}'], "bad_message", "1e999 is too large"),
        ([b'{"a":' + b"9" * 5000 + b"}"], "bad_message", "not JSON"),
        ([b"[" * 60000], "bad_message", "nested more than 12 deep"),
        ([b'{"a":"\\ud800"}'], "bad_message", "unpaired surrogate"),
        ([b" " * 70000], "bad_message", "70000 bytes; the limit is 65536"),
        ([header(tertium=None)], "bad_message", "does not state its protocol version"),
        ([header(tertium="2.0")], "bad_message", "protocol 2.0; this side speaks 1.7"),
        ([header(id=None)], "bad_message", "request id cannot be used"),
        ([header(id=2**31)], "bad_message", "request id cannot be used"),
        ([header(id=[1])], "bad_message", "request id cannot be used"),
        ([header(command=None)], "missing_field", "has no command"),
        ([header(fields=[])], "bad_type", "fields must be an object"),
        ([header(token=1)], "bad_type", "token must be text"),
        ([header(feilds={})], "unknown_field", "Did you mean fields?"),
        ([header(), b"x"], "bad_message", "describes 0 buffers, but 1 arrived"),
        ([header(), *[b""] * 9], "bad_message", "9 buffers; the limit is 8"),
        ([header(buffers=[{}]), b"x"], "bad_message", "described by format, channels, frames and sample_rate"),
    ],
)
def test_bad_headers_are_refused_in_words(message, code, text):
    error = refused(message)
    assert error.code == code and text in str(error)


def test_an_error_carries_the_id_when_it_could_be_read():
    assert refused([header(tertium="2.0")]).request_id == 7
    assert refused([header(id=True)]).request_id is None


def test_hostile_strings_are_searched_in_linear_time():
    def seconds(count):
        """Return the shortest processor time of three runs."""
        durations = []
        for _ in range(3):
            began = time.process_time()
            for hostile in (b'"' + b'\\"' * count, b'"' + b'\\"' * count + b"\\", b'"' * 2 * count):
                refused([hostile])
            durations.append(time.process_time() - began)
        return min(durations)

    assert seconds(32_000) < 8 * (seconds(8_000) + 0.01), "quadratic time would take 16 times as long"


def test_what_json_cannot_carry_is_not_sent():
    for value in (float("nan"), object(), b"x"):
        with pytest.raises(ProtocolError, match="cannot be sent"):
            zeromq.encode_call(Call("fuse", 1, {"prompt": value}))


@pytest.mark.parametrize(("format", "type", "scale"), [("f32le", "<f4", 1), ("f64le", "<f8", 1), ("s16le", "<i2", 2**15), ("s32le", "<i4", 2**31)])  # fmt: skip
def test_audio_comes_back(format, type, scale):
    samples = np.array([[0.0, 0.5, -0.5], [0.25, -0.25, -1.0]], dtype=np.float32)
    data = np.ascontiguousarray(samples.T * scale).astype(type).tobytes()
    sent = AudioBuffer(format, 2, 3, 44100, data)
    call = zeromq.decode_call(zeromq.encode_call(Call("add_sound", 1, {"name": "a"}, (sent,))))
    assert call.buffers == (sent,)
    np.testing.assert_array_equal(call.buffers[0].to_array(), samples)


def test_24_bit_audio_has_its_sign():
    data = bytes([0, 0, 0x40, 0, 0, 0xC0, 0xFF, 0xFF, 0xFF])
    np.testing.assert_array_equal(AudioBuffer("s24le", 1, 3, 8000, data).to_array(), [[0.5, -0.5, -(2.0**-23)]])


def test_an_array_becomes_interleaved_floats():
    buffer = AudioBuffer.from_array(np.array([[1, 2], [3, 4]]), 48000)
    assert (buffer.channels, buffer.frames) == (2, 2)
    assert np.frombuffer(buffer.data, "<f4").tolist() == [1, 3, 2, 4]
    assert AudioBuffer.from_array(np.zeros(5), 48000).channels == 1


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"format": "f32"}, "out_of_range", "Did you mean f32le?"),
        ({"format": ["f32le"]}, "out_of_range", "no sample format"),
        ({"channels": 0}, "out_of_range", "channels must lie between 1 and 64; got 0"),
        ({"frames": 1.0}, "bad_type", "frames must be a whole number"),
        ({"frames": True}, "bad_type", "frames must be a whole number"),
        ({"sample_rate": 10}, "out_of_range", "sample_rate must lie between"),
        ({"frames": 3}, "bad_message", "has 24 bytes; got 16"),
        ({"frames": 2**30}, "out_of_range", "too large"),
    ],
)
def test_a_buffer_is_what_its_description_says(change, code, text):
    description = {"format": "f32le", "channels": 2, "frames": 2, "sample_rate": 44100} | change
    error = refused([header(command="add_sound", buffers=[description]), b"\0" * 16])
    assert error.code == code and text in str(error) and error.request_id == 7


def test_answers_and_events_come_back():
    answer = Answer(id="r", event="progress", command="fuse", fields={"job": "j1", "fraction": 0.1})
    buffer = AudioBuffer("s16le", 1, 1, 8000, b"\0\1")
    assert zeromq.decode_answer(zeromq.encode_answer(answer, [buffer])) == (answer, (buffer,))
    topic, _ = published = zeromq.encode_event(answer, 12)
    assert topic == b"tertium.progress"
    assert zeromq.decode_event(published) == (answer, 12)
    with pytest.raises(ProtocolError, match="topic"):
        zeromq.decode_event([b"tertium.done", published[1]])
    nameless = Answer(id=None, event="error", fields={"code": "bad_message", "message": "…"})
    assert zeromq.decode_answer(zeromq.encode_answer(nameless))[0] == nameless


def test_an_answer_of_a_newer_minor_version_is_read():
    newer = json.dumps(
        {"tertium": "1.7", "id": 1, "event": "reply", "command": "status", "fields": {"new": 1}, "extra": 2}
    )
    assert zeromq.decode_answer([newer.encode()])[0].fields == {"new": 1}
