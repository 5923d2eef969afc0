"""Every verdict follows from the rows it is given: an effect that is there is found, and none is found where there is none."""

import pytest

from evaluation.claims import ALGEBRA, HELD, NONE, NOT, OPEN, PART
from evaluation.figures import (
    baselines,
    dropout,
    initial_latent,
    noise_maps,
    noise_sampling,
    orders,
    prompt,
    reconstruction,
    variants,
    windows,
)
from tests.evaluation.planted import (
    SOUNDS,
    all_curves,
    answers,
    by_order,
    curve,
    dropouts,
    guided,
    initials,
    interventions,
    maps,
    reconstructions,
    ways,
)

UP, DOWN = [0.3, 0.4, 0.7, 0.8, 0.9], [0.9, 0.8, 0.7, 0.5, 0.4]
BACK = [0.3, 0.4, 0.7, 0.6, 0.9]
CASES = [
    (reconstruction, {"reconstruction": reconstructions(clean=0.52)}, [HELD]),
    (reconstruction, {"reconstruction": reconstructions(clean=0.52, forward=0.54)}, [NOT]),
    (reconstruction, {"reconstruction": reconstructions(clean=0.52, forward=0.52)}, [PART]),
    (reconstruction, {"reconstruction": reconstructions(clean=0.48)}, [NOT]),
    (reconstruction, {"reconstruction": reconstructions()}, [NONE]),
    (reconstruction, {"reconstruction": reconstructions(clean=0.52, scatter=0.3)}, [NONE]),
    (initial_latent, {"initial": initials(0.42, 0.41, 0.4)}, [HELD]),
    (initial_latent, {"initial": initials(0.42, 0.8, 0.4)}, [NOT]),
    (initial_latent, {"initial": initials(0.9, 0.8, 0.4)}, [NOT]),
    (initial_latent, {"initial": initials(0.42, 0.41, 0.4, scatter=0.4)}, [OPEN]),
    (prompt, {"prompt": answers(0.98, 0.1)}, [HELD]),
    (prompt, {"prompt": answers(0.8, 0.1)}, [NOT]),
    (prompt, {"prompt": answers(0.92, 0.1, scatter=0.04)}, [PART]),
    (prompt, {"prompt": answers(0.5, 0.8)}, [NOT]),
    (prompt, {"prompt": answers(0.92, 0.9, scatter=0.2)}, [OPEN]),
    (windows, {"windows": all_curves(UP, DOWN)}, [HELD]),
    (windows, {"windows": all_curves(BACK, DOWN)}, [NOT]),
    (windows, {"windows": curve("a", "b", UP, DOWN)}, [OPEN]),
    (windows, {"windows": all_curves(UP, DOWN, equilibrium=45.0)}, [HELD]),  # where it lies decides nothing
    (variants, by_order((10.0, 12.0, 15.0)), [HELD, NONE]),
    (variants, by_order((10.0, 15.0, 10.0)), [NONE, NONE]),
    (variants, by_order((15.0, 12.0, 10.0)), [NOT, NONE]),
    (variants, by_order((10.0, 10.0, 10.0)), [NONE, NONE]),
    (variants, by_order((10.0, 10.0, 10.0), (30.0, 30.0, 33.0)), [NONE, HELD]),
    (variants, by_order((10.0, 10.0, 10.0), (33.0, 31.0, 30.0)), [NONE, NOT]),
    (orders, {"orders": interventions(0.6, 0.6, 0.5)}, [HELD]),
    (orders, {"orders": interventions(0.5, 0.6, 0.5)}, [NONE]),
    (orders, {"orders": interventions(0.5, 0.5, 0.6)}, [NOT]),
    (orders, {"orders": interventions(0.5, 0.5, 0.5)}, [NONE]),
    (orders, {"orders": interventions(0.6, 0.6, 0.5, alone=(0.1, 0.1, 0.0))}, [NONE]),  # the prompts' sounds differ as much
    (noise_maps, {"noise_maps": maps(1.0, 0.0)}, [ALGEBRA]),
    (noise_maps, {"noise_maps": maps(1.0, 0.5)}, [NOT]),
    (noise_sampling, {"noise_sampling": guided(0.6, 0.6)}, [HELD]),
    (noise_sampling, {"noise_sampling": guided(0.6, 0.4)}, [NOT]),
    (noise_sampling, {"noise_sampling": guided(0.6, 0.5)}, [PART]),
    (noise_sampling, {"noise_sampling": guided(0.4, 0.4)}, [NOT]),
    (noise_sampling, {"noise_sampling": guided(0.5, 0.5)}, [NONE]),
    (baselines, {"baselines": ways(0.5, 0.4, latents=0.2, shrinker=0.2)}, [HELD, HELD, HELD]),
    (baselines, {"baselines": ways(0.5, 0.4, VOCODER=0.6, latents=0.2)}, [NOT, HELD, NONE]),
    (baselines, {"baselines": ways(0.5, 0.4, VOCODER=0.5)}, [PART, NONE, NONE]),
    (baselines, {"baselines": ways(0.4, 0.5, shrinker=0.2)}, [NOT, NONE, HELD]),
    (baselines, {"baselines": ways(0.5, 0.5, latents=0.01)}, [NONE, NOT, NONE]),
    (dropout, {"dropout": dropouts(0.4, 0.9)}, [HELD]),
    (dropout, {"dropout": dropouts(0.9, 0.4)}, [NOT]),
    (dropout, {"dropout": dropouts(0.9, 0.9)}, [NONE]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "rows", "verdicts"),
    CASES,
    ids=lambda value: getattr(value, "NAME", "-".join(value) if isinstance(value, list) else ""),
)
def test_a_verdict_follows_from_the_numbers(figure, rows, verdicts):
    assert [found.verdict for found in figure.verdicts(rows)] == verdicts


def test_seeds_do_not_count_as_sounds():
    """Ten seeds of one sound would give a narrow interval, if each counted."""
    one = [row | {"seed": seed} for seed in range(10) for row in reconstructions(clean=0.52) if row["sound"] == SOUNDS[0]]  # fmt: skip
    assert reconstruction.verdicts({"reconstruction": one})[0].verdict == OPEN


def test_the_sum_of_two_sounds_proves_nothing():
    rows = [row | {"unexplained": 0.0 if row["method"] == baselines.SUM else 0.5} for row in ways(0.4, 0.4)]
    verdicts = baselines.verdicts({"baselines": rows})
    assert not any("unexplained" in each.measured or "unexplained" in each.criterion for each in verdicts)
    assert verdicts[0].verdict == NONE


def test_the_equilibrium_proves_nothing():
    verdict = windows.verdicts({"windows": all_curves(UP, DOWN)})[0]
    assert "equilibrium" not in verdict.claim + verdict.measured + verdict.criterion


def test_a_measured_difference_has_its_interval():
    verdict = variants.verdicts(by_order((10.0, 12.0, 15.0), scatter=0.0))[0]
    assert "order 3 over order 1 +5.00 ± 0.00 steps" in verdict.measured


def test_the_best_dropout_is_that_of_the_widest_and_fullest_window():
    rising, falling = [0.2, 0.5, 0.9], [0.9, 0.5, 0.2]
    fuller = [min(1.0, value + 0.1) for value in rising], [min(1.0, value + 0.1) for value in falling]
    rows = all_curves(rising, falling, null_dropout=0.1) + all_curves(*fuller, null_dropout=0.5)
    assert dropout.best(rows) == 0.5 and "best window (width and likenesses) at 0.5" in dropout.choice(rows)
    same = all_curves(rising, falling, null_dropout=0.1) + all_curves(rising, falling, null_dropout=0.5)
    assert "same at every rate" in dropout.choice(same)
    assert dropout.best(rows + all_curves(rising, falling, null_dropout=0.3, begin=1.0, end=49.0)) == 0.3


def test_the_measures_beside_log_mel_are_counted():
    rows = reconstructions(clean=0.52)
    for row in rows:
        row["partials"] = 0.4 if row["anchor"] == "clean" else row["partials"]
    measured = reconstruction.verdicts({"reconstruction": rows})[0].measured
    assert "clean over forward by the measures beside log-mel: above 0 for 3 of 4, below for 1" in measured
