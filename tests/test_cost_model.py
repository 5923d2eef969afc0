"""What is promised of time."""

import pytest

from tertium import cost_model
from tertium.cost_model import Pace

FUSION = {
    "reference": "r",
    "seconds": 6.0,
    "steps": 50,
    "blend": 0.5,
    "intervention": None,
    "prompt": None,
    "guidance": 1.0,
    "hold": 0.0,
}
ABOUT = {"completion_shares": [0.4, 0.2, 0.0]}


def test_the_pace_is_found_from_two_runs():
    true = Pace(fixed=0.2, forward=0.01)
    found = cost_model.measured(2.0, (1, true.estimate(2.0, 1)), (5, true.estimate(2.0, 5)))
    assert found.fixed == pytest.approx(0.2)
    assert found.forward == pytest.approx(0.01)


def test_it_is_corrected_by_what_jobs_took_until_it_is_right():
    true, found = Pace(0.2, 0.01), Pace(0.1, 0.0001)
    for number in range(60):
        seconds, forwards = 2.0 + number % 5, (3, 50, 20)[number % 3]
        found = found.corrected(seconds, forwards, true.estimate(seconds, forwards))
    for forwards in (3, 20, 50):
        assert found.estimate(6.0, forwards) == pytest.approx(true.estimate(6.0, forwards), rel=0.1)


def test_a_wrong_measurement_never_makes_work_free():
    found = Pace(0.1, 0.01)
    for _ in range(10):
        found = found.corrected(1.0, 50, 0.0)
    assert found.fixed > 0
    assert found.forward > 0


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({}, 0.2),
        ({"blend": 0.49}, 0.4),  # never less than it will be
        ({"blend": None, "intervention": 40}, 0.2),
        ({"reference": None, "prompt": "p"}, 1),
        ({"reference": None, "prompt": "p", "guidance": 6.0}, 2),
        ({"reference": None, "prompt": "p", "hold": 0.5}, 2),
        ({"reference": None, "prompt": None}, 1),
    ],
)
def test_calls_of_the_model_a_step(changes, calls):
    assert cost_model.forwards_per_step(FUSION | changes, ABOUT) == pytest.approx(calls)


def test_the_steps_that_are_promised_fit_and_one_more_would_not():
    speed = Pace(0.02, 0.01)
    fields = FUSION | {"reference": None, "prompt": "p", "steps": 500}
    steps = cost_model.steps_within(speed, fields, {}, 2.0)
    assert cost_model.MARGIN * cost_model.estimate(speed, fields | {"steps": steps}, {}) <= 2.0
    assert cost_model.MARGIN * cost_model.estimate(speed, fields | {"steps": steps + 1}, {}) > 2.0
    assert cost_model.steps_within(speed, fields | {"steps": 5}, {}, 100.0) == 5
    assert cost_model.steps_within(speed, fields, {}, 0.3) == 0  # fewer than make music
    assert cost_model.steps_within(speed, fields | {"steps": 2}, {}, 0.35) == 2  # unless no more were asked for


def test_a_morph_and_a_window_take_as_long_as_their_sounds():
    speed, about = Pace(0.5, 0.01), {"completion_shares": [0.6, 0.4, 0.2]}
    pair = {"seconds": 2.0, "steps": 50, "reference": "b", "guidance": 1.0, "hold": 0.0}
    one = cost_model.estimate(speed, pair | {"count": 1}, about)
    assert one == pytest.approx(2.0 * (0.5 + 0.01 * 50 * 0.4))
    assert cost_model.estimate(speed, pair | {"count": 5}, about) == pytest.approx(5 * one)
    assert cost_model.estimate(speed, pair | {"points": 8}, about) == pytest.approx(10 * one)
    assert cost_model.steps_within(speed, pair | {"count": 5}, about, 8.0) < cost_model.steps_within(
        speed, pair | {"count": 2}, about, 8.0
    )


def test_a_step_of_learning_costs_three_forwards_a_row():
    learning = {"null_dropout": 0.3, "batch": 4, "prompt": "p", "reference": "r", "seconds": 6.0, "steps": 10}
    assert cost_model.forwards_per_step(learning, {}) == 12
