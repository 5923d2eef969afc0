"""The gate: its baselines, its verdicts, and a run on one short pair with the shipped model."""

import math

import pytest
import torch

from pocket import likeness
from pocket.gate import __main__ as command
from pocket.gate import baselines, measure, pairs, verdict
from pocket.material import instruments, recordings
from tertium.engine.models.loaded_model import load_model
from tertium.engine.sampling.schedule import edm

RATE = 44100
T = torch.arange(RATE) / RATE
TONE = 0.3 * torch.stack([torch.sin(2 * math.pi * 441 * T), torch.sin(2 * math.pi * 662 * T)])
BEAT = 0.3 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(0)) * torch.exp(-(T % 0.25) / 0.03)
PAIR = pairs.SoundPair("beat", "tone", "tone", (BEAT, TONE))
GOOD = {
    "parents alike": 0.62, "like the interpolation": 0.9, "own seeds differ": 0.02, "differs from the shrinker": 0.1,
    "like both parents": 0.8, "learned onsets": 0.7, "learned partials": 0.6,
}  # fmt: skip


def test_the_vocoder_has_the_rhythm_of_the_original_and_the_pitch_of_the_reference():
    sound = baselines.channel_vocoder(BEAT, TONE)
    assert likeness.onsets(sound, BEAT) > 0.5
    assert likeness.partials(sound, TONE) > likeness.partials(BEAT, TONE) + 0.2


def test_the_geometric_mean_averages_decibels():
    sound = baselines.geometric_mean(BEAT, TONE)
    assert sound.shape == BEAT.shape and torch.isfinite(sound).all()
    own = baselines.geometric_mean(TONE, TONE)
    torch.testing.assert_close(own[:, 4000:-4000], TONE[:, 4000:-4000], atol=1e-3, rtol=0)


def test_the_shrinker_is_the_best_guess_that_knows_mean_and_variance_only():
    schedule, generator = edm(10), torch.Generator().manual_seed(0)
    mean, variance = torch.tensor([[[2.0], [-1.0]]]), torch.tensor([[[4.0], [0.25]]])
    z = mean + variance.sqrt() * torch.randn(1, 2, 50_000, generator=generator)
    predict = baselines.shrinker(schedule, *baselines.statistics([z]))
    for step in (3, 8):
        alpha, sigma = schedule.alphas[step], schedule.sigmas[step]
        x = alpha * z + sigma * torch.randn(z.shape, generator=generator)
        best = (predict(x, step) - z).square().mean()
        expected = (variance * sigma**2 / (alpha**2 * variance + sigma**2)).mean()
        assert best == pytest.approx(float(expected), rel=0.03)
        assert (predict(x * 1.05, step) - z).square().mean() > best


def test_verdicts_judge_means_and_need_every_figure():
    assert all(each.passed for each in verdict.verdicts([GOOD, GOOD]))
    for key, bad in {
        "like the interpolation": 0.97,
        "own seeds differ": 0.2,
        "like both parents": 0.5,
        "learned onsets": 0.4,
        "learned partials": 0.2,
    }.items():
        found = verdict.verdicts([GOOD | {key: bad}] * 3)
        assert [each.passed for each in found].count(False) == 1
        assert sum(line.startswith("- NO") for line in verdict.sentences(found)) == 1
    assert verdict.verdicts([GOOD | {"learned onsets": math.nan}] * 2)[3].passed is False


def test_what_is_possible_at_all_is_said():
    assert "0.900 [0.900, 0.900] like both at most, and what is 0.93 like it 0.837" in verdict.bound([GOOD, GOOD])


def test_the_table_has_a_line_for_each_method_that_was_measured():
    columns = dict.fromkeys(verdict.COLUMNS, 0.5)
    text = verdict.table([{"fusion": columns, "sum": columns}, {"fusion": columns | {"onsets": 1.0}}])
    lines = text.splitlines()
    assert (
        len(lines) == 4
        and "0.750 [0.500, 1.000]" in lines[2]
        and lines[2].endswith("| 2 |")
        and lines[3].endswith("| 1 |")
    )


def test_a_pair_is_measured(monkeypatch):
    monkeypatch.setattr(measure, "BLENDS", (0.4, 0.6))
    monkeypatch.setattr(baselines, "WEIGHTS", (0.5,))
    model = load_model("pocket", device="cpu")
    spread = baselines.statistics([model.encode(sound) for sound in PAIR.sounds])
    rows, figures = measure.compare(model, PAIR, spread, measure.Options(steps=8), learn=False)
    assert set(rows) == set(measure.ROWS) - {measure.LEARNED}
    assert all(set(row) == set(verdict.COLUMNS) for row in rows.values())
    assert rows["fusion"]["fusion"] == pytest.approx(1) and rows["fusion"]["both"] == min(
        rows["fusion"][k] for k in ("original", "reference")
    )
    assert 0 < figures["own seeds differ"] < 1 and math.isnan(figures["learned onsets"])


@pytest.mark.skipif(
    not instruments.PATH.exists() or not recordings.FOLDER.exists(),
    reason="the recordings or the instruments are not installed",
)
def test_the_pairs_are_of_sounds_that_training_never_uses():
    names = {name for pair in pairs.PAIRS for name in pair}
    assert len(names) == 2 * len(pairs.PAIRS) == 24
    assert names <= {*recordings.HELD_OUT, *instruments.HELD_OUT}
    (first,) = pairs.load(1, seconds=0.5)
    assert all(sound.shape == (2, 22050) and sound.abs().max() == pytest.approx(0.5) for sound in first.sounds)
    assert torch.equal(pairs.sound("Kalimba", 0.5), pairs.sound("Kalimba", 0.5))


def test_the_command_judges_the_shipped_model_first(monkeypatch, capsys, tmp_path):
    seen = []

    def judge(name, options):
        seen.append(name)
        return name == "pocket", [[name, "a into b", "fusion", *[0.5] * len(verdict.COLUMNS)]]

    monkeypatch.setattr(command, "judge", judge)
    assert command.main([]) == 0 and seen == ["pocket"]
    assert command.main(["other", "--csv", str(tmp_path / "gate.csv")]) == 1 and seen[1:] == ["pocket", "other"]
    assert len((tmp_path / "gate.csv").read_text().splitlines()) == 3
