import itertools
import math
from dataclasses import replace

import pytest
import torch

from tertium.engine import operations
from tertium.engine.fusion.knob import WINDOW, blend_to_intervention, lam_at
from tertium.engine.fusion.reference_phase import Memory
from tertium.engine.operations import FuseSettings, MorphSettings
from tertium.engine.pair import prepare
from tertium.engine.sampling.schedule import edm, rectified_flow
from tertium.engine.settings import SettingError, WindowSettings
from tertium.engine.window import Point, calibration, candidates, coarsely, measure, positions, refine, window_of
from tests.engine.test_operations import round_trip, sound


def points_of(schedule, curve, steps=tuple(range(20, 50))):
    """Points with a given similarity to the original at each step, and the complementary similarity to the reference."""
    named = [(None, 0.0), *((k, curve(k)) for k in steps), (schedule.steps, 1.0)]
    along = positions([s for _, s in named], [1 - s for _, s in named])
    return [
        Point(
            k, schedule.noise_to_signal(k) if k not in (None, schedule.steps) else None, s, 1 - s, s, 1 - s, 0.0, place
        )
        for (k, s), place in zip(named, along, strict=True)
    ]


def steep(k):
    return min(max((k - 38) / 8, 0.0), 1.0)


def test_the_ends_and_the_equilibrium_of_a_known_curve():
    window = window_of(points_of(edm(50), steep), edm(50))
    assert window.ratios[10] == pytest.approx(edm(50).noise_to_signal(42), rel=0.01)  # blend 0.5
    assert (window.begin, window.equilibrium, window.end) == pytest.approx((38.8, 42.0, 45.2))


def test_equal_turns_are_equal_steps_of_similarity():
    schedule = edm(200)
    window = window_of(points_of(schedule, lambda k: steep(k / 4), range(80, 200)), schedule)
    reached = [steep(blend_to_intervention(b / 10, schedule, window=window.ratios) / 4) for b in range(1, 10)]
    assert reached == pytest.approx([b / 10 for b in range(1, 10)], abs=0.04)
    by_default = [steep(blend_to_intervention(b / 10, schedule) / 4) for b in range(1, 10)]
    spread = [max(b - a for a, b in itertools.pairwise(curve)) for curve in (reached, by_default)]
    assert spread[0] < spread[1]


def test_the_knob_has_no_dead_ends():
    """Where the first intervention is already some way from the reference, the knob covers the rest of the way."""
    schedule = edm(200)
    window = window_of(points_of(schedule, lambda k: 0.3 + 0.5 * steep(k / 4), range(80, 200)), schedule)
    reached = [steep(blend_to_intervention(b / 10, schedule, window=window.ratios) / 4) for b in range(1, 10)]
    # Position and equilibrium are at 0.4 of the curve; the turns on either side of it are equal.
    assert reached == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4, 0.52, 0.64, 0.76, 0.88], abs=0.04)
    assert (window.begin, window.end) == pytest.approx((4 * 39.1, 199 + 0.05), abs=1.0)


def test_one_calibration_serves_every_number_of_steps():
    ratios = window_of(points_of(edm(50), steep), edm(50)).ratios
    for steps in (20, 50, 200):
        schedule = edm(steps)
        k = blend_to_intervention(0.5, schedule, window=ratios)
        assert schedule.noise_to_signal(k) == pytest.approx(edm(50).noise_to_signal(42), rel=30 / steps)
        assert blend_to_intervention(0.0, schedule, window=ratios) is None
        assert blend_to_intervention(1.0, schedule, window=ratios) == steps


def test_positions_never_fall_and_run_from_0_to_1():
    assert positions([0.0, 0.3, 0.1, 0.8, 1.0], [1.0, 0.7, 0.9, 0.2, 0.0]) == pytest.approx([0, 0.2, 0.2, 0.8, 1.0])
    assert positions([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]) == [0.0, 0.5, 1.0]


def test_a_pair_that_never_moves_keeps_the_default():
    flat = [replace(p, position=0.3) if p.noise_to_signal else p for p in points_of(edm(50), steep)]
    assert calibration(flat) == WINDOW


@pytest.mark.parametrize("strength", ["even", "paper"])
@pytest.mark.parametrize("make", [edm, rectified_flow])
@pytest.mark.parametrize("steps", [1, 2, 4, 50, 200])
def test_what_may_be_measured_lies_in_order_within_the_schedule(steps, make, strength):
    turns = candidates(make(steps), WindowSettings(steps=steps, strength=strength))
    assert [turn.place for turn in turns] == sorted(turn.place for turn in turns)
    assert [turn.intervention for turn in turns] == sorted(turn.intervention for turn in turns)
    assert turns[0].intervention >= 0 and turns[-1].intervention <= steps - 1
    if strength == "paper" and steps > 2:
        assert steps - 2 not in {turn.intervention for turn in turns}


def test_coarse_points_are_even():
    assert coarsely(101, 5, inner=False) == [0, 25, 50, 75, 100]
    assert coarsely(127, 7, inner=True) == [15, 31, 47, 63, 79, 95, 111]
    assert coarsely(1, 6, inner=False) == [0]


def test_more_is_tried_where_the_move_is():
    assert refine([10, 20, 30, 40], [0.1, 0.1, 0.9, 1.0], 3) == [22, 25, 27]
    assert refine([3, 6, 7], [0.8, 0.9, 1.0], 9) == [4, 5]
    assert refine([0, 1], [0.0, 1.0], 2) == []


def test_a_window_is_measured_against_the_round_trips(tiny_model):
    settings = WindowSettings(steps=12, points=5, hold=0.8)
    stages = []
    window = measure(
        tiny_model, sound(1), sound(2), settings, memory=Memory(1 << 20), on_progress=lambda *said: stages.append(said)
    )
    first, *inner, last = window.points
    assert (first.intervention, last.intervention, len(inner)) == (None, 12, 5)
    assert [point.intervention for point in inner] == sorted({point.intervention for point in inner})
    assert (first.reference, last.original) == (pytest.approx(1.0), pytest.approx(1.0))
    assert (first.latent_reference, last.latent_original) == (pytest.approx(1.0), pytest.approx(1.0))
    assert (first.unexplained, last.unexplained) == (pytest.approx(0.0, abs=1e-6),) * 2
    assert 0 <= window.begin <= window.end <= 12
    assert all(ratio > 0 for ratio in window.ratios)
    order = list(dict.fromkeys(stage for stage, _ in stages))
    assert order == ["encode", "completion", "decode", "completion of more", "decode of more"]
    assert [f for _, f in stages] == sorted(f for _, f in stages)
    assert measure(tiny_model, sound(1), sound(2), settings) == window


def test_a_morph_runs_from_round_trip_to_round_trip(tiny_model):
    original, reference = sound(1), sound(2)
    settings = MorphSettings(steps=12, count=5, hold=0.5)
    said = []
    takes = list(
        operations.morph(
            tiny_model, original, reference, settings, memory=Memory(1 << 20), on_progress=lambda *now: said.append(now)
        )
    )
    assert [f for _, f in said] == sorted(f for _, f in said)
    assert said[-1] == ("decode", pytest.approx(1.0))
    assert [take.index for take in takes] == [1, 5, 2, 3, 4]
    by_index = {take.index: take for take in takes}
    assert torch.equal(by_index[1].audio, round_trip(tiny_model, reference))
    assert torch.equal(by_index[5].audio, round_trip(tiny_model, original))
    for take in takes:
        alone = operations.fuse(tiny_model, original, reference, FuseSettings(blend=take.blend, steps=12, hold=0.5))
        assert take.audio.shape == (2, original.shape[1])
        assert torch.allclose(take.audio, alone, atol=1e-5)


def test_a_morph_follows_the_measured_window(tiny_model):
    settings = MorphSettings(steps=50, count=3, window=(1.0, 0.9, 0.5))
    steps = [take.intervention for take in operations.morph(tiny_model, sound(1), sound(2), settings)]
    schedule = tiny_model.schedule(50)
    assert steps[:2] == [None, 50]
    assert math.exp(-lam_at(steps[2], schedule)) == pytest.approx(0.9)


def test_a_report_that_raises_stops_a_morph(tiny_model):
    def report(stage, fraction):
        if stage == "decode":
            raise KeyboardInterrupt

    takes = operations.morph(tiny_model, sound(1), sound(2), MorphSettings(steps=6, count=4), on_progress=report)
    assert [next(takes).index, next(takes).index] == [1, 4]
    with pytest.raises(KeyboardInterrupt):
        next(takes)


@pytest.mark.parametrize("strength", ["even", "paper"])
@pytest.mark.parametrize("interventions", [(None, 10), (None, 3, 9, 10), (9,), (3, 7), (10,), (2.5, 6.1, 8.7)])
@pytest.mark.parametrize("prompt", [None, "drum"])
def test_the_steps_of_a_morph_are_counted_in_advance(prompt, interventions, strength, prompted_model):
    settings = FuseSettings(blend=0, steps=10, prompt=prompt, strength=strength)
    pair = prepare(prompted_model, sound(1), None if prompt else sound(2), settings)
    led, completed = [], []
    pair.lead_to(interventions, on_step=led.append)
    pair.morphed(interventions, on_step=completed.append)
    assert len(completed) == pair.steps_of(interventions)
    assert len(led) == (max(settings.lead_steps(k) for k in interventions) if prompt else 0)


@pytest.mark.parametrize("prompt", [None, "drum"])
@pytest.mark.parametrize("steps", [2, 8])
def test_every_blend_is_a_sound_of_its_own(steps, prompt, prompted_model):
    settings = FuseSettings(blend=0, steps=steps, prompt=prompt, hold=0.2)
    schedule = prompted_model.schedule(steps)
    pair = prepare(prompted_model, sound(1), None if prompt else sound(2), settings)
    turns = [settings.turn_at(blend / 100, schedule) for blend in range(101)]
    latents = pair.morphed([turn.intervention for turn in turns])
    made = [pair.finished(latents[turn.intervention], turn) for turn in turns]
    whole = float((made[-1] - made[0]).norm())
    ways = [float((b - a).norm()) / whole for a, b in itertools.pairwise(made)]
    assert min(ways) > 0.001
    assert max(ways) < 0.3  # a jump would be a change of about the whole


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MorphSettings(count=1), "count must be a whole number from 2 to 32; it is 1."),
        (lambda: WindowSettings(points=3), "points must be a whole number from 4 to 64; it is 3."),
        (lambda: FuseSettings(blend=0.5, window=(1.0,)), "window must be two or more ratios above 0; it is (1.0,)."),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(SettingError) as caught:
        make()
    assert caught.value.message == message
