"""The cost model: estimates, corrections and promised steps."""

import pytest

from tertium import cost_model
from tertium.cost_model import CostModel
from tests.specs import spec

FUSION = {"reference": "r", "seconds": 6.0, "steps": 50}
ABOUT = {"completion_shares": [0.4, 0.2, 0.0]}


def test_the_pace_is_found_from_two_runs():
    true = CostModel(fixed=0.2, forward=0.01)
    found = cost_model.measured(2.0, (1, true.estimate(2.0, 1)), (5, true.estimate(2.0, 5)))
    assert found.fixed == pytest.approx(0.2)
    assert found.forward == pytest.approx(0.01)


def test_it_is_corrected_by_what_jobs_took_until_it_is_right():
    true, found = CostModel(0.2, 0.01), CostModel(0.1, 0.0001)
    for number in range(60):
        seconds, forwards = 2.0 + number % 5, (3, 50, 20)[number % 3]
        found = found.corrected(seconds, forwards, true.estimate(seconds, forwards))
    for forwards in (3, 20, 50):
        assert found.estimate(6.0, forwards) == pytest.approx(true.estimate(6.0, forwards), rel=0.1)


def test_a_wrong_measurement_never_makes_work_free():
    found = CostModel(0.1, 0.01)
    for _ in range(10):
        found = found.corrected(1.0, 50, 0.0)
    assert found.fixed > 0
    assert found.forward > 0


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({}, 0.2),
        ({"blend": 0.49}, 0.4),  # an estimate is never too low
        ({"blend": None, "intervention": 40}, 0.2),
        ({"reference": None, "prompt": "p"}, 1),
        ({"reference": None, "prompt": "p", "guidance": 6.0}, 2),
        ({"reference": None, "prompt": "p", "hold": 0.5}, 2),
        ({"reference": None, "prompt": None}, 1),
        (
            {"reference": None, "prompt": "p", "strength": "even"},
            1.2,
        ),  # the reference phase to its end, and the completion
        ({"reference": None, "prompt": "p", "hold": 0.5, "strength": "even"}, 1.4),
    ],
)
def test_calls_of_the_model_a_step(changes, calls):
    assert cost_model.forwards_per_step(spec("fuse", **FUSION | changes), ABOUT) == pytest.approx(calls)


@pytest.mark.parametrize("strength", ["even", "paper"])
def test_the_steps_that_are_promised_fit_and_one_more_would_not(strength):
    speed = CostModel(0.02, 0.01)
    fusion = spec("fuse", **FUSION | {"reference": None, "prompt": "p", "steps": 500, "strength": strength})
    steps = cost_model.steps_within(speed, fusion, {}, 2.0)
    assert cost_model.MARGIN * cost_model.estimate(speed, fusion.with_steps(steps), {}) <= 2.0
    assert cost_model.MARGIN * cost_model.estimate(speed, fusion.with_steps(steps + 1), {}) > 2.0
    assert cost_model.steps_within(speed, fusion.with_steps(5), {}, 100.0) == 5
    assert cost_model.steps_within(speed, fusion, {}, 0.2) == 0  # fewer than FEWEST_STEPS
    assert cost_model.steps_within(speed, fusion.with_steps(2), {}, 0.5) == 2  # unless that few were requested


def test_an_alignment_takes_its_time_once_for_all_takes():
    speed, about = CostModel(0.02, 0.01), {"completion_shares": [0.4, 0.2, 0.0]}
    off, both = (spec("morph", **FUSION, align=align, count=5) for align in ("off", "both"))
    more = cost_model.estimate(speed, both, about) - cost_model.estimate(speed, off, about)
    assert more == pytest.approx(6.0 * cost_model.ALIGNING)
    steps = cost_model.steps_within(speed, both.with_steps(500), about, 3.0)
    assert 4 < steps < cost_model.steps_within(speed, off.with_steps(500), about, 3.0)
    assert cost_model.MARGIN * cost_model.estimate(speed, both.with_steps(steps), about) <= 3.0


def test_a_morph_and_a_window_take_as_long_as_their_sounds():
    speed, about = CostModel(0.5, 0.01), {"completion_shares": [0.6, 0.4, 0.2]}
    pair = {"seconds": 2.0, "steps": 50, "reference": "b"}
    one = cost_model.estimate(speed, spec("morph", **pair, count=1), about)
    assert one == pytest.approx(2.0 * (0.5 + 0.01 * 50 * 0.4))
    assert cost_model.estimate(speed, spec("morph", **pair, count=5), about) == pytest.approx(5 * one)
    assert cost_model.estimate(speed, spec("window", **pair, points=8), about) == pytest.approx(10 * one)
    few, many = (cost_model.steps_within(speed, spec("morph", **pair, count=count), about, 8.0) for count in (2, 5))
    assert many < few


@pytest.mark.parametrize("command", ["vary", "fuse", "morph"])
def test_a_sound_that_may_be_a_loop_is_longer_while_it_is_computed(command):
    off, auto = (cost_model.seconds_computed(spec(command, loop=loop)) for loop in ("off", "auto"))
    assert (off, auto) == (0.5, pytest.approx(0.5 + 2 * cost_model.LOOP_CONTEXT))


def test_a_step_of_learning_costs_three_forwards_a_row():
    assert cost_model.forwards_per_step(spec("learn", batch=4), {}) == 12
