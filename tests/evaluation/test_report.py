"""The evidence: a tiny report is report_folder for real, and every verdict follows from the numbers it is given."""

import csv
import json

import pytest
import torch
from PIL import Image

from evaluation import __main__ as command  # fmt: skip
from evaluation import curves, figures, fine_tunes, plan, report, sounds, tables
from evaluation.claims import HELD, NOT, PART
from evaluation.figures import baselines, dropout, initial_latent, noise_maps, prompt, reconstruction, variants, windows
from pocket.material import recordings
from tertium.engine import settings
from tertium.engine.sampling.schedule import edm

pytestmark = pytest.mark.timeout(900)  # half a minute on an idle machine
PAIRS = [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]


@pytest.fixture(scope="module")
def report_folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    assert command.main(["--quick", "--jobs", "1", "--out", str(out)]) == 0
    return out


def test_a_report_is_whole(report_folder):
    page = (report_folder / report.PAGE).read_text()
    for figure in figures.ALL:
        with (report_folder / f"{figure.NAME}.csv").open(newline="") as file:
            assert tuple(next(csv.reader(file))) == figure.COLUMNS
        assert tables.read(report_folder / f"{figure.NAME}.csv")
        assert f"## {figure.TITLE}" in page
        for file in figure.FILES:
            assert Image.open(report_folder / file).width > 300
            assert (report_folder / file).stat().st_size < 300_000
            assert f"]({file})" in page
    assert sum(path.stat().st_size for path in report_folder.iterdir()) < 3e6
    assert "Failed" not in page and "other weights" not in page and "tiny version" in page


def test_a_page_begins_with_the_verdicts_and_their_criteria(report_folder):
    page = (report_folder / report.PAGE).read_text()
    verdicts = [v for figure in figures.ALL for v in figure.verdicts(report.load_rows(report_folder, figure))]
    assert 7 <= len(verdicts) <= 9
    assert report.table(verdicts) in page.split("\n## ")[0]
    for verdict in verdicts:
        assert verdict.verdict in (HELD, PART, NOT)
        assert f"{verdict.claim}: {verdict.criterion}" in page


def test_the_settings_say_what_was_measured(report_folder):
    about = json.loads((report_folder / report.SETTINGS).read_text())
    assert len(about["weights"]["sha256"]) == 64
    assert set(about["sounds"]) == {"drums", "hum"} and all(
        len(facts["sha256"]) == 64 for facts in about["sounds"].values()
    )
    assert about["settings"]["seed"] == 0 and about["versions"]["torch"]
    assert set(about["figures"]) == set(figures.BY_NAME)


def test_a_page_is_composed_from_the_tables_alone(report_folder):
    page = report_folder / report.PAGE
    before = page.read_text()
    page.unlink()
    assert command.main(["--compose", "--out", str(report_folder)]) == 0
    assert page.read_text() == before


def test_a_figure_that_fails_is_named_and_takes_no_other_with_it(report_folder, monkeypatch, capsys):
    def broken(bench, *, name):
        raise RuntimeError("no such noise")

    monkeypatch.setattr(noise_maps, "derive", broken)
    before = (report_folder / "noise_maps.csv").read_text()
    assert command.main(["--quick", "--jobs", "1", "--out", str(report_folder), "--only", "noise_maps", "initial"]) == 1
    page = (report_folder / report.PAGE).read_text()
    assert "noise_maps: SDE: RuntimeError: no such noise" in page
    assert (report_folder / "noise_maps.csv").read_text() == before
    assert "initial is drawn" in capsys.readouterr().err


def test_missing_recordings_are_named_with_the_remedy(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(recordings, "FOLDER", tmp_path / "none")
    assert command.main(["--out", str(tmp_path / "report")]) == 2
    assert "apt install sonic-pi-samples" in capsys.readouterr().err


def test_a_figure_that_reads_another_says_so(tmp_path, capsys):
    assert command.main(["--quick", "--out", str(tmp_path), "--only", "variants"]) == 2
    assert "--only windows variants" in capsys.readouterr().err


def test_settings_are_recorded_under_their_names_and_read_back():
    tiny = plan.quick("pocket")
    record = json.loads(json.dumps(tiny.record()))
    assert {"taught", "taught_pairs", "taught_fully", "lesson_steps"} <= set(record)
    assert plan.Plan.of(record) == tiny


def test_the_recordings_were_not_trained_on():
    full = plan.Plan(model="pocket")
    assert len(full.pairs) >= 10 and len(full.sounds) >= 10 and len(full.trained_pairs) >= 3
    assert all(sounds.SOUNDS[name].held_out for name in report.sound_names(full))


def test_the_summary_goes_between_the_marks_and_nowhere_else(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    verdicts = reconstruction.verdicts({"reconstruction": reconstructions(clean=0.9, forward=0.5, stochastic=0.4)})
    assert report.splice(page, verdicts)
    assert page.read_text() == f"before\n{report.BEGIN}\n{report.table(verdicts)}\n{report.END}\nafter\n"
    page.write_text("no marks\n")
    assert not report.splice(page, verdicts)
    assert page.read_text() == "no marks\n"


def test_tables_come_back_as_they_were(tmp_path):
    rows = [{"a": "x, y", "b": 3, "c": 0.5, "d": None}, {"a": "z", "b": -1, "c": 1e-9, "d": 2}]
    tables.write(tmp_path / "t.csv", rows, ("a", "b", "c", "d"))
    assert tables.read(tmp_path / "t.csv") == rows
    with pytest.raises(ValueError, match="columns"):
        tables.write(tmp_path / "t.csv", rows, ("a", "b"))


def test_a_curve_is_read():
    rows = curve("a", "b", [0.6, 0.4, 0.7, 0.6, 0.9], [1.0, 0.9, 0.7, 0.65, 0.4])
    reading = curves.read(rows)
    assert reading.step_back == pytest.approx(0.1) and reading.at == 30
    assert reading.step_back_anywhere == pytest.approx(0.2)  # before the window, which begins at 15
    assert reading.both == pytest.approx(1.4)  # at the equilibrium, 20, where both are 0.7
    assert reading.width == 20 and reading.inside


def test_the_file_of_a_fine_tune_depends_on_all_settings(tmp_path, monkeypatch):
    class Model:
        fingerprint = "a"

    def path(**more):
        return fine_tunes.FineTune("hum", **more).path(tmp_path, Model, torch.zeros(2, 8))

    assert fine_tunes.FineTune("hum").prompt == "ambient texture haunted hum drone"
    assert path() == path() and path() != path(null_dropout=0.1)
    assert path() != fine_tunes.FineTune("hum").path(tmp_path, Model, torch.ones(2, 8))
    before = path()
    monkeypatch.setitem(settings.RATES, "lora", 1e-4)  # a default rate counts too
    assert path() != before


def test_the_equations_step_by_step_are_the_closed_form():
    z_o, schedule = torch.randn(1, 2, 8, generator=torch.Generator().manual_seed(0)), edm(12)
    boundary = z_o + schedule.sigmas[schedule.last_noisy] * 0.7
    for eta, power in ((1.0, 1.0), (0.0, 0.0)):
        maps = noise_maps.recursed(z_o, boundary, schedule, eta=eta)
        for k, found in maps.items():
            wanted = 0.7 * (schedule.sigmas[k] / schedule.sigmas[schedule.last_noisy]) ** power
            assert torch.allclose(found, torch.full_like(found, wanted), rtol=1e-4), (eta, k)


# rows for each claim, from the numbers that decide it


def reconstructions(**likeness):
    every = {"clean": 0.5, "forward": 0.5, "stochastic": 0.5, "predicted": 0.5} | likeness
    return [
        {"sound": s, "anchor": a, "intervention": 30, "log_mel": value} for s in "abcd" for a, value in every.items()
    ]


def initials(inverted, varied, scratch):
    methods = {
        initial_latent.INVERTED: inverted,
        initial_latent.VARIED: varied,
        initial_latent.SCRATCH: scratch,
        initial_latent.OTHER: scratch,
    }
    return [{"method": m, "to_original": value, "to_scratch_same_noise": 0.5} for m, value in methods.items()]


def answers(*likeness):
    return [
        {"reference": str(i), "method": "lora", "answer_to": prompt.LEARNED, "log_mel": value} for i, value in enumerate(likeness)
    ]  # fmt: skip


def curve(original, reference, to_original, to_reference, **about):
    shared = {
        "original": original, "reference": reference, "led_by": "instant", "null_dropout": 0.3, "order": 3, "eta": 1, "anchor": "clean", "steps": 50,
        "begin": 15.0, "end": 35.0, "equilibrium": 20.0, "unexplained": 0.1,
    } | about  # fmt: skip
    steps = [None, *range(10, 10 * len(to_original), 10)]
    return [
        shared | {"intervention": k, "to_original": o, "to_reference": r}
        for k, o, r in zip(steps, to_original, to_reference, strict=True)
    ]


def all_curves(to_original, to_reference, **about):
    return [row for pair in PAIRS for row in curve(*pair, to_original, to_reference, **about)]


def by_order(*widths):
    rising, falling = [0.2, 0.5, 0.9], [0.9, 0.5, 0.2]
    rows = {
        o: all_curves(rising, falling, order=o, begin=20.0, end=20.0 + w)
        for o, w in zip((1, 2, 3), widths, strict=True)
    }
    return {"variants": rows[1] + rows[2], "windows": rows[3]}


def maps(sde, ode):
    return [
        {"solver": s, "anchor": "predicted", "phase": noise_maps.RECURSION, "step": i, "noise_to_signal": 2.0**i, "rms": 0.7 * 2.0 ** (power * i)}
        for s, power in (("SDE", sde), ("ODE", ode)) for i in range(5)
    ]  # fmt: skip


def ways(fusion, summed, latents):
    methods = {baselines.FUSION: fusion, baselines.SUM: summed, baselines.LATENTS: latents}
    return [
        {"original": o, "reference": r, "method": m, "to_original": 0.5, "to_reference": 0.5, "unexplained": value}
        for o, r in PAIRS for m, value in methods.items()
    ]  # fmt: skip


def dropouts(null_at_none, null_at_half):
    rising, falling = [0.2, 0.5, 0.9], [0.9, 0.5, 0.2]
    return [
        row | {"null_alone": null, "prompt_alone": 0.9}
        for rate, null in ((0.0, null_at_none), (0.5, null_at_half)) for row in all_curves(rising, falling, null_dropout=rate)
    ]  # fmt: skip


UP, DOWN = [0.3, 0.4, 0.7, 0.8, 0.9], [0.9, 0.8, 0.7, 0.5, 0.4]
CASES = [
    (reconstruction, {"reconstruction": reconstructions(clean=0.9)}, HELD),
    (reconstruction, {"reconstruction": reconstructions(clean=0.9, forward=0.95)}, PART),
    (reconstruction, {"reconstruction": reconstructions(clean=0.4)}, NOT),
    (initial_latent, {"initial": initials(0.42, 0.41, 0.4)}, HELD),
    (initial_latent, {"initial": initials(0.42, 0.8, 0.4)}, PART),
    (initial_latent, {"initial": initials(0.9, 0.8, 0.4)}, NOT),
    (prompt, {"prompt": answers(0.98, 0.99)}, HELD),
    (prompt, {"prompt": answers(0.98, 0.6)}, PART),
    (prompt, {"prompt": answers(0.6, 0.5)}, NOT),
    (windows, {"windows": all_curves(UP, DOWN)}, HELD),
    (windows, {"windows": all_curves(DOWN, UP)}, NOT),
    (windows, {"windows": all_curves(UP, DOWN, equilibrium=45.0)}, NOT),
    (variants, by_order(10.0, 12.0, 15.0), HELD),
    (variants, by_order(10.0, 17.0, 15.0), PART),
    (variants, by_order(15.0, 12.0, 10.0), NOT),
    (noise_maps, {"noise_maps": maps(1.0, 0.0)}, HELD),
    (noise_maps, {"noise_maps": maps(1.0, 0.5)}, PART),
    (noise_maps, {"noise_maps": maps(0.0, 1.0)}, NOT),
    (baselines, {"baselines": ways(0.5, 0.1, 0.2)}, HELD),
    (baselines, {"baselines": ways(0.5, 0.1, 0.8)}, PART),
    (baselines, {"baselines": ways(0.1, 0.5, 0.5)}, NOT),
    (dropout, {"dropout": dropouts(0.4, 0.9)}, HELD),
    (dropout, {"dropout": dropouts(0.9, 0.4)}, NOT),
]


@pytest.mark.parametrize(
    ("figure", "rows", "verdict"),
    CASES,
    ids=lambda value: getattr(value, "NAME", value if isinstance(value, str) else ""),
)
def test_a_verdict_follows_from_the_numbers(figure, rows, verdict):
    assert [found.verdict for found in figure.verdicts(rows)] == [verdict]


def test_the_best_dropout_is_that_of_the_widest_and_fullest_window():
    rising, falling = [0.2, 0.5, 0.9], [0.9, 0.5, 0.2]
    fuller = [min(1.0, value + 0.1) for value in rising], [min(1.0, value + 0.1) for value in falling]
    rows = all_curves(rising, falling, null_dropout=0.1) + all_curves(*fuller, null_dropout=0.5)
    assert dropout.best(rows) == 0.5 and "best window (width and likenesses) at 0.5" in dropout.choice(rows)
    same = all_curves(rising, falling, null_dropout=0.1) + all_curves(rising, falling, null_dropout=0.5)
    assert "same at every rate" in dropout.choice(same)
    assert dropout.best(rows + all_curves(rising, falling, null_dropout=0.3, begin=1.0, end=49.0)) == 0.3
