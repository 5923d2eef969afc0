"""Rules that are written in two packages, because neither may import the other, and must be equal."""

import dataclasses

import pytest

from tertium import file_names
from tertium.audio.alignment import ALIGNS
from tertium.engine import settings
from tertium.engine.fusion.inversion import ANCHORS
from tertium.engine.fusion.knob import STRENGTHS
from tertium.engine.sampling.conditioning import NULLS
from tertium_protocol.commands import COMMANDS, specs
from tertium_protocol.messages import fields, requests, shared_fields, training_requests

ENGINE = {
    "generate": (settings.GenerateSettings, {"prompt": "x", "seconds": 1.0}),
    "vary": (settings.VarySettings, {}),
    "invert": (settings.InvertSettings, {}),
    "fuse": (settings.FuseSettings, {"blend": 0.5}),
    "morph": (settings.MorphSettings, {"count": 5}),
    "window": (settings.WindowSettings, {}),
    "learn": (settings.LearnSettings, {"prompt": "x"}),
}
"""By command: the engine's settings, with the fields that these require."""
DIFFERENT = {"seconds": "the engine uses the model's own limit", "loop": "the engine gets the loop's position"}
SHARED = [
    (command, name)
    for command, (kind, _) in ENGINE.items()
    for name in specs(COMMANDS[command].request)
    if name in {one.name for one in dataclasses.fields(kind)} and name not in DIFFERENT
]


def test_a_file_name_that_one_side_takes_the_other_takes():
    assert file_names.FORBIDDEN.pattern == fields.NOT_IN_FILE_NAMES.pattern


def test_words_to_choose_from_are_the_same():
    assert (NULLS, ANCHORS, tuple(settings.RATES)) == (requests.NULLS, shared_fields.ANCHORS, training_requests.METHODS)
    assert (STRENGTHS, ALIGNS) == (shared_fields.STRENGTHS, shared_fields.ALIGNS)


@pytest.mark.parametrize(("command", "name"), SHARED)
def test_ranges_are_the_same(command, name):
    spec, (kind, needed) = specs(COMMANDS[command].request)[name], ENGINE[command]
    if isinstance(spec, fields.Text):
        return
    if name in ("intervention", "reconstruct_from"):
        needed = {"steps": spec.maximum} | {key: value for key, value in needed.items() if key != "blend"}
    if isinstance(spec, fields.Choice):
        good, bad = spec.choices, ("another",)
    else:
        step = 1 if isinstance(spec, fields.Integer) else 1e-9
        good, bad = (spec.minimum, spec.maximum), (spec.minimum - step, spec.maximum + step)
    for value in good:
        kind(**needed | {name: value})
    for value in bad:
        with pytest.raises(settings.SettingError) as refused:
            kind(**needed | {name: value})
        assert refused.value.field == name


@pytest.mark.parametrize(("command", "name"), [one for one in SHARED if one[1] != "seed"])
def test_defaults_are_the_same(command, name):
    of_protocol = COMMANDS[command].request.model_fields[name].get_default()
    of_engine = {one.name: one for one in dataclasses.fields(ENGINE[command][0])}[name].default
    if of_protocol is None or of_engine is dataclasses.MISSING:  # chosen by the request's handler
        return
    assert of_protocol == of_engine
