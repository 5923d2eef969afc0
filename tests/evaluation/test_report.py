"""The evidence: a tiny report is report_folder for real, and every verdict follows from the numbers it is given."""

import csv
import json

import pytest
import torch
from PIL import Image

from evaluation import __main__ as command  # fmt: skip
from evaluation import curves, figures, fine_tunes, plan, report, sounds, tables
from evaluation.claims import ALGEBRA, HELD, NONE, NOT, OPEN, PART
from evaluation.figures import noise_maps, noise_sampling, orders, reconstruction
from evaluation.workbench import Bench
from pocket.material import recordings
from tertium.engine import settings
from tertium.engine.fusion.inversion import invert
from tertium.engine.inputs import noise_of
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import edm
from tests.evaluation.planted import curve, reconstructions

pytestmark = pytest.mark.timeout(900)  # half a minute on an idle machine


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


def test_a_page_begins_with_what_the_model_can_test(report_folder):
    page = (report_folder / report.PAGE).read_text()
    assert page.startswith(f"# The evidence\n\n{report.LIMITS}")
    assert "Stable Audio Open 1.0" in report.LIMITS and "CC0" in report.LIMITS


def test_a_page_says_when_the_embedding_was_not_installed(report_folder):
    page, about = report_folder / report.PAGE, report_folder / report.SETTINGS
    before = about.read_text()
    settings = json.loads(before)
    try:
        for version, said in ((None, "aisfx, which is optional, was not installed"), ("0.1.2", "that of aisfx 0.1.2")):
            about.write_text(json.dumps(settings | {"embedding": version}))
            assert command.main(["--compose", "--out", str(report_folder)]) == 0
            assert said in page.read_text()
    finally:
        about.write_text(before)
        command.main(["--compose", "--out", str(report_folder)])


def test_a_page_begins_with_the_verdicts_and_their_criteria(report_folder):
    page = (report_folder / report.PAGE).read_text()
    verdicts = [v for figure in figures.ALL for v in figure.verdicts(report.load_rows(report_folder, figure))]
    assert len(verdicts) == 14
    assert report.table(verdicts) in page.split("\n## ")[2]
    for verdict in verdicts:
        assert verdict.verdict in (HELD, PART, NOT, NONE, OPEN, ALGEBRA)
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


def test_a_table_of_an_earlier_version_is_named_with_the_remedy(report_folder):
    table, page = report_folder / "prompt.csv", report_folder / report.PAGE
    before = table.read_text()
    try:
        table.write_text(before.replace("answer_to", "answered", 1))
        assert command.main(["--compose", "--out", str(report_folder)]) == 0
        assert (
            "The table prompt.csv has other columns than this version measures. Measure it again: make report ARGS='--only prompt'"
            in page.read_text()
        )
    finally:
        table.write_text(before)
        command.main(["--compose", "--out", str(report_folder)])


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
    assert full.paper_steps == 200 and len(full.seeds) == 3
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


def test_the_noise_map_at_every_step_leads_back_to_the_original():
    """Along the ODE exactly; along the SDE only with the inverted latents, since nothing removes the noise that the solver adds."""
    schedule = edm(20)
    z_o, boundary = (torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(s)).double() for s in (0, 1))
    last = schedule.last_noisy

    def null(x, step):  # at the last noisy point it finds the boundary's noise map; elsewhere nothing of the original
        return x - schedule.sigmas[step] * boundary if step == last else torch.zeros_like(x)

    noise = StepNoise(0, (2, 4, 8), dtype=torch.float64)
    ends = {}
    for eta in (0.0, 1.0):
        inversion = invert(z_o, schedule, eta=eta, anchor="predicted", null=null)
        for method in noise_sampling.METHODS:
            states = noise_sampling.sampled(inversion, method, null=null, noise=noise, eta=eta, start=5, rows=2)
            assert len(states) == schedule.steps - 5 + 1 and states[-1].shape == (2, 4, 8)
            ends[eta, method] = float((states[-1] - z_o).square().mean().sqrt())
    assert ends[0.0, noise_sampling.MAP] < 1e-9 and ends[0.0, noise_sampling.BOTH] < 1e-9
    assert ends[1.0, noise_sampling.BOTH] < 1e-9
    assert ends[1.0, noise_sampling.MAP] > 1.0
    assert ends[0.0, noise_sampling.FREE] > 0.1


def test_appendix_c_counts_timesteps_both_ways(report_folder):
    rows = tables.read(report_folder / "orders.csv")
    steps = plan.quick("pocket").paper_steps
    counted = {
        drawn: [row["intervention"] for row in tables.where(rows, drawn=drawn, order=1, original="drums")]
        for drawn in (1, 0)
    }
    assert counted[1] == [round(steps * step / 200) for step in orders.PAPER]
    assert counted[0] == [steps - k for k in counted[1]]
    whole = tables.where(rows, intervention=steps)
    assert whole and all(
        row["log_mel"] == pytest.approx(1.0) for row in whole
    )  # timestep 0 from the end is the original itself


def test_a_batch_of_seeds_has_the_noise_of_each(tmp_path):
    bench = Bench(plan.quick("pocket"), tmp_path)
    drawn = bench.noise_of_seeds((3, 5), 13, each=2)(4)
    for row, seed in enumerate((3, 3, 5, 5)):
        assert torch.equal(drawn[row], noise_of(bench.model, settings.InvertSettings(seed=seed), 13)(4)[0])
    assert not torch.equal(drawn[0], drawn[2])
    starts = bench.initial_of_seeds((3, 5), 13)
    assert torch.equal(starts[1], noise_of(bench.model, settings.InvertSettings(seed=5), 13).initial()[0])
    with pytest.raises(ValueError, match="seeds is empty; give one or more"):
        bench.noise_of_seeds((), 13, each=1)
