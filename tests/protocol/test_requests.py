"""Requests: which are valid, and the messages with which the others are refused."""

import math

import pytest

from tertium_protocol import COMMANDS, ERROR_CODES, ProtocolError, describe, parse_request
from tertium_protocol.commands import specs
from tertium_protocol.messages import DEFAULT_BLEND, Fuse

FUSE = {"original": "/a.wav", "reference": "/b.wav"}


def refused(command, fields, **how):
    with pytest.raises(ProtocolError) as caught:
        parse_request(command, fields, **how)
    assert caught.value.code in ERROR_CODES
    return caught.value


def test_a_fusion_has_the_documented_defaults():
    request = parse_request("fuse", FUSE)
    assert (request.steps, request.order, request.eta, request.anchor, request.guidance) == (50, 3, 1.0, "clean", 1.0)
    assert (request.blend, request.intervention, request.hold, request.format) == (DEFAULT_BLEND, None, None, "wav")


def test_a_sound_of_a_prompt_lasts_six_seconds_and_one_of_a_reference_as_long_as_that_was_learned():
    assert parse_request("generate", {"prompt": "rain"}).seconds == 6.0
    request = parse_request("generate", {"reference": "hum"})
    assert (request.prompt, request.seconds, request.guidance) == (None, None, None)
    assert parse_request("generate", {"reference": "hum", "seconds": 2}).seconds == 2.0
    for one in (request, parse_request("generate", {"prompt": "rain"})):
        assert parse_request("generate", one.model_dump(exclude_none=True)) == one


def test_blend_gives_way_to_intervention():
    request = parse_request("fuse", {**FUSE, "intervention": 20})
    assert (request.blend, request.intervention) == (None, 20)


def test_a_dumped_request_is_the_same_request():
    for fields in (FUSE, {**FUSE, "intervention": 3, "steps": 9}, {"original": "/a", "prompt": "rain", "blend": 0.1}):
        request = parse_request("fuse", fields)
        assert Fuse.model_validate(request.model_dump()) == request
        assert parse_request("fuse", request.model_dump(exclude_none=True)) == request


def test_requests_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse_request("fuse", FUSE).steps = 3


def test_whole_floats_count_as_integers_because_some_clients_send_only_floats():
    request = parse_request("fuse", {**FUSE, "steps": 20.0, "seed": 16777216.0})
    assert (request.steps, request.seed) == (20, 16777216)
    assert type(request.steps) is int


def test_none_counts_as_absent():
    assert parse_request("fuse", {**FUSE, "steps": None, "blend": None}).steps == 50


@pytest.mark.parametrize(
    ("field", "value", "code", "text"),
    [
        ("steps", 1.5, "bad_type", "steps must be a whole number; got 1.5. Give it a whole number from 1 to 500."),
        ("steps", True, "bad_type", "steps must be a whole number; got true or false."),
        ("steps", "many", "bad_type", "steps must be a whole number; got the text “many”."),
        ("steps", math.nan, "bad_type", "steps must be a whole number; got nan."),
        ("steps", 0, "out_of_range", "steps must lie between 1 and 500; got 0."),
        ("seed", 2**31, "out_of_range", "seed must lie between 0 and 2147483647; got 2147483648."),
        ("blend", math.nan, "bad_type", "blend must be a finite number; got nan. Give it a number from 0 to 1."),
        ("blend", -math.inf, "bad_type", "blend must be a finite number; got -inf."),
        ("blend", False, "bad_type", "blend must be a number; got true or false."),
        ("blend", [0.5], "bad_type", "blend must be a number; got a list."),
        ("blend", 1.7, "out_of_range", "blend must lie between 0 and 1; got 1.7. Give it a number from 0 to 1."),
        ("eta", 10**400, "out_of_range", "eta must lie between 0 and 1; got a far larger number."),
        ("anchor", "claen", "out_of_range", "anchor must be one of clean, predicted, forward, stochastic; got “claen”. Did you mean clean?"),
        ("format", 16, "bad_type", "format must be one of wav, flac; got the number 16. Choose one of wav, flac."),
        ("prompt", 7, "bad_type", "prompt must be text; got the number 7."),
        ("prompt", " ", "out_of_range", "prompt must not be empty."),
        ("prompt", "x" * 2001, "out_of_range", "prompt must have at most 2000 characters; got 2001."),
        ("prompt", "a\0b", "bad_type", "prompt must be Unicode text without NUL characters."),
        ("anchor", "\ud800", "out_of_range", "anchor must be one of"),
        ("prompt", "\ud800", "bad_type", "prompt must be Unicode text without NUL characters."),
        ("name", "../up", "out_of_range", "name must be usable as a file name"),
        ("intervention", 51, "out_of_range", "intervention must lie between 0 and steps, which is 50; got 51. Lower it, or raise steps."),
    ],
    ids=lambda value: None if isinstance(value, str) and len(value) < 60 else "",
)  # fmt: skip
def test_a_bad_value_is_refused_with_field_value_and_remedy(field, value, code, text):
    error = refused("fuse", {**FUSE, field: value})
    assert (error.code, error.field) == (code, field)
    assert str(error).startswith(text)
    assert error.remedy


def test_values_in_errors_are_short_and_can_be_sent():
    assert len(refused("fuse", {**FUSE, "blend": "x" * 9999}).value) == 200
    assert refused("fuse", {**FUSE, "blend": math.nan}).value == "nan"
    assert refused("fuse", {**FUSE, "blend": 3}).value == 3


def test_blend_and_intervention_exclude_each_other():
    error = refused("fuse", {**FUSE, "blend": 0.5, "intervention": 3})
    assert (error.code, error.field) == ("conflict", "blend")
    assert "both" in str(error) and error.remedy == "Send one of the two."


def test_a_deadline_excludes_intervention_whose_steps_it_would_change():
    assert refused("fuse", {**FUSE, "deadline": 2, "intervention": 3}).code == "conflict"
    assert parse_request("fuse", {**FUSE, "deadline": 2, "blend": 0.5}).deadline == 2


def test_a_fusion_needs_an_original_and_a_reference_or_prompt():
    assert refused("fuse", {"reference": "/b", "steps": "x"}).field == "original"
    error = refused("fuse", {"original": "/a"})
    assert (error.code, error.field) == ("missing_field", "reference")
    assert parse_request("fuse", {"original": "/a", "prompt": "rain"}).reference is None


def test_unknown_names_get_the_nearest_valid_one():
    error = refused("fues", {})
    assert (error.code, error.remedy) == ("unknown_command", "Did you mean fuse?")
    error = refused("fuse", {**FUSE, "blnd": 0.5})
    assert (error.code, error.field, error.remedy) == ("unknown_field", "blnd", "Did you mean blend?")
    assert "The commands are hello, status" in str(refused("xyzzy", {}))
    assert refused("status", {"verbose": 1}).remedy == "It takes none."


def test_reconstruction_begins_within_the_schedule():
    assert refused("invert", {"original": "/a", "steps": 10, "reconstruct_from": 11}).field == "reconstruct_from"
    assert parse_request("invert", {"original": "/a", "steps": 10, "reconstruct_from": 10}).reconstruct_from == 10


def test_another_major_version_is_refused_and_another_minor_one_is_not():
    assert refused("hello", {"protocol": "2.0"}).field == "protocol"
    assert parse_request("hello", {"protocol": "1.9"}).protocol == "1.9"


def test_audio_goes_over_zeromq_and_only_where_it_belongs():
    assert refused("sound_audio", {"sound": "abcdef01"}, transport="osc").remedy == "Send it over ZeroMQ."
    assert refused("add_sound", {}).code == "missing_field"
    assert refused("add_sound", {"path": "/a"}, buffers=1).code == "conflict"
    assert refused("add_sound", {}, buffers=2).code == "conflict"
    assert refused("fuse", FUSE, buffers=1).code == "conflict"
    assert parse_request("add_sound", {"name": "hum"}, buffers=1).name == "hum"


def test_the_description_tells_a_panel_all_it_needs():
    (info,) = describe("fuse").commands
    blend, seed = (next(p for p in info.parameters if p.name == name) for name in ("blend", "seed"))
    assert (blend.type, blend.minimum, blend.maximum, blend.default, blend.required) == ("number", 0, 1, 0.5, False)
    assert (seed.default, seed.absent) == (None, "chosen and reported")
    assert [c.name for c in describe().commands] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_is_described_and_its_default_is_valid(name):
    for parameter in describe(name).commands[0].parameters:
        spec = specs(COMMANDS[name].request)[parameter.name]
        assert parameter.help
        assert spec.check(parameter.default) == parameter.default
        assert parameter.required or parameter.default is not None or parameter.absent


def test_there_are_the_commands_that_the_protocol_names():
    queued = {name for name, command in COMMANDS.items() if command.kind == "queued"}
    assert queued == {"generate", "vary", "invert", "fuse", "morph", "window", "learn", "preview"}
    assert {command.name for command in COMMANDS.values() if command.transports == ("zeromq",)} == {"sound_audio"}


def test_an_error_code_that_is_not_listed_cannot_be_raised():
    with pytest.raises(ValueError, match="not one of the protocol's error codes"):
        ProtocolError("oops", "…")
