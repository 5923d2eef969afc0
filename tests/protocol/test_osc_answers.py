"""Answers over OSC: small datagrams and no loss, for any length of text and any alphabet."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_message import OscMessage

from tertium_protocol import Answer, ProtocolError, describe
from tertium_protocol.codecs.osc_answers import LARGEST_ANSWER, Assembler, decode_answer, encode_answer
from tertium_protocol.codecs.osc_requests import encode_call
from tertium_protocol.messages import CommandInfo, Done, ErrorInfo, Failed, JobInfo, JobsReply, Progress, Result

RESULT = {
    "sound": "ab" * 32,
    "path": "/home/ü/results/drums.wav",
    "frames": 264600,
    "channels": 2,
    "sample_rate": 44100,
    "seconds": 6.0,
    "peak_dbtp": -1.5,
    "notes": ["Mono was made stereo.", "It was 48 kHz."],
}


def put_together(datagrams):
    assembler = Assembler()
    return [answer for datagram in datagrams if (answer := assembler.feed(datagram)) is not None]


def test_an_event_is_one_message_with_the_request_id_and_pairs():
    answer = Answer.of(Progress(job="j1", stage="fusing", fraction=0.5, seconds_left=1.5), id=7, command="fuse")
    (datagram,) = encode_answer(answer)
    theirs = OscMessage(datagram)
    assert theirs.address == "/tertium/progress"
    assert theirs.params == [7, "job", "j1", "stage", "fusing", "fraction", 0.5, "seconds_left", 1.5]


def test_a_result_is_read_back_with_its_notes():
    (datagram,) = encode_answer(Answer.of(Done(job="j1", **RESULT), id=0.5, command="fuse"))
    answer = decode_answer(datagram)
    assert answer.id == 0.5
    assert Done.model_validate(answer.fields) == Done(job="j1", **RESULT)


def test_an_unknown_id_is_empty_text():
    (datagram,) = encode_answer(Answer(id=None, event="error", fields={"code": "bad_message", "message": "…"}))
    assert OscMessage(datagram).params[0] == ""
    assert decode_answer(datagram).id is None


def test_a_list_is_its_items_and_then_the_reply():
    jobs = tuple(JobInfo(job=f"j{n}", command="fuse", state="done", result=Result(**RESULT)) for n in range(3))
    answers = put_together(encode_answer(Answer.of(JobsReply(total=9, jobs=jobs), id="r", command="jobs")))
    assert [answer.event for answer in answers] == ["item"] * 3 + ["reply"]
    assert [(a.fields["index"], a.fields["count"]) for a in answers[:3]] == [(0, 3), (1, 3), (2, 3)]
    assert [JobInfo.model_validate(a.fields) for a in answers[:3]] == list(jobs)
    assert answers[-1].fields == {"count": 3, "total": 9}
    (empty,) = put_together(encode_answer(Answer.of(JobsReply(total=0), id="r", command="jobs")))
    assert empty.fields == {"count": 0, "total": 0}


def test_the_description_of_all_commands_survives_in_small_datagrams():
    datagrams = encode_answer(Answer.of(describe(), id="x" * 64, command="commands"))
    assert max(map(len, datagrams)) < 1400
    answers = put_together(datagrams)
    assert tuple(CommandInfo.model_validate(a.fields) for a in answers[:-1]) == describe().commands


def test_parts_may_come_in_any_order_twice_and_mixed_with_others():
    first, second = (
        Failed(job=job, code="internal", message=f"{job} " + "ä€😀" * 900, value="x" * 200, remedy="r" * 1500)
        for job in ("j1", "j2")
    )
    datagrams = [d for p in (first, second) for d in encode_answer(Answer.of(p, id=1, command="fuse"))]
    assert len(datagrams) > 10 and all(OscMessage(d).address == "/tertium/part" for d in datagrams)
    datagrams += datagrams[:3]
    random.Random(1).shuffle(datagrams)
    whole = {a.fields["job"]: Failed.model_validate(a.fields) for a in put_together(datagrams)}
    assert whole == {"j1": first, "j2": second}


def test_nothing_comes_out_while_a_part_is_missing():
    datagrams = encode_answer(Answer.of(ErrorInfo(code="internal", message="m" * 5000), id=1, command="fuse"))
    assert put_together(datagrams[:-1]) == []


@settings(max_examples=150, deadline=None)
@given(
    id=st.one_of(st.integers(-(2**31), 2**31 - 1), st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=64)),
    fields=st.dictionaries(
        st.from_regex(r"[a-z_]{1,20}", fullmatch=True),
        st.one_of(
            st.integers(-(2**31), 2**31 - 1), st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=2500),
        ),
        max_size=8,
    ),
)  # fmt: skip
def test_any_fields_come_back_whole_in_datagrams_below_the_limit(id, fields):
    datagrams = encode_answer(Answer(id=id, event="done", command="fuse", fields=fields))
    assert all(len(d) <= LARGEST_ANSWER for d in datagrams)
    (answer,) = put_together(datagrams)
    assert (answer.id, answer.event, answer.fields) == (id, "done", fields)


def test_what_osc_has_no_type_for_goes_as_text_or_number():
    fields = {"size": 2**40, "yes": True, "none": None, "far": 1e300, "path": "/a\udcff", "list": [{"ä": 1}]}
    (datagram,) = encode_answer(Answer(id=1, event="done", fields=fields))
    expected = {"size": str(2**40), "yes": 1, "far": "1e+300", "path": "/a?", "list": '[{"ä":1}]'}
    assert decode_answer(datagram).fields == expected


def test_what_is_no_answer_is_refused():
    assembler = Assembler()
    for datagram in (b"", b"/tertium/status\0", encode_call("status", 1, {}), encode_call("part", 1, {"part": 0})):
        with pytest.raises(ProtocolError):
            assembler.feed(datagram)
    for part, parts in ((-1, 2), (2, 2), (0, 10**6), ("a", 2)):
        with pytest.raises(ProtocolError, match="numbered"):
            assembler.feed(encode_call("part", 1, {"event": "done", "key": "k", "part": part, "parts": parts}))
