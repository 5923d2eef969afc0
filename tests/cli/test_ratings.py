"""What listeners saved, read and summarised: differences that are there are found, and none where there is none."""

import csv
import json

import numpy as np
import pytest

from tertium.cli import main
from tertium.cli.listening import results, statistics
from tertium.cli.listening.results import Rating
from tertium.cli.listening.stimuli import METHODS
from tertium.errors import SoundError, TertiumError

COLUMNS = ("study", "listener", "pair", "kind", "method", "one", "like_original", "like_reference")
KINDS = {"a + b": "drones", "c + d": "noises"}


def answers(listener: str, *, study: str = "s1", one=lambda method: 4, pairs=KINDS) -> list[dict[str, str]]:
    """Return the rows of a listener who finished all pairs."""
    return [
        {
            "study": study, "listener": listener, "pair": pair, "kind": kind, "method": method, "one": str(one(method)),
            "like_original": "3", "like_reference": "5",
        }
        for pair, kind in pairs.items() for method in METHODS
    ]  # fmt: skip


def write(path, rows) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def drawn(seed: int, *, effect: float, listeners: int = 12, pairs: int = 5) -> list[Rating]:
    """Return ratings in which the fusion is heard as ``effect`` more of one sound than the baselines are.

    Listeners differ in how they use the scale by more than the effect.
    """
    rng = np.random.default_rng([31, seed])
    found = []
    for listener in range(listeners):
        own = rng.normal(0, 1.0)
        for pair in range(pairs):
            for method in METHODS:
                mean = 4 - effect / 2 + own + (effect if method == "fusion" else 0.0)
                one, original, reference = np.clip(np.rint(rng.normal((mean, 4, 4), 0.8)), 1, 7).astype(int)
                found.append(
                    Rating(f"l{listener}", f"p{pair}", f"k{pair}", method, int(one), int(original), int(reference))
                )
    return found


def overall(ratings) -> statistics.KindSummary:
    return statistics.summaries(ratings, resamples=2000)[-1]


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_difference_is_found(seed):
    summary = overall(drawn(seed, effect=1.0))
    assert (summary.kind, summary.listeners, summary.pairs) == (statistics.ALL, 12, 5)
    for name in ("interpolation", "sum", "vocoder"):
        difference = summary.differences[name]["one"]
        assert difference.low > 0
        assert difference.low < 1.0 < difference.high + 0.25, "scales have ends, which shorten a difference"
        assert difference.mean == pytest.approx(1.0, abs=0.35)


def test_where_there_is_no_difference_the_interval_holds_0_as_often_as_it_should():
    kept = [
        difference.low <= 0 <= difference.high
        for seed in range(60)
        for difference in overall(drawn(seed, effect=0.0)).differences["sum"].values()
    ]
    assert np.mean(kept) == pytest.approx(0.95, abs=0.04)


def test_differences_are_paired():
    summary = overall(drawn(3, effect=1.0))
    means, difference = summary.means, summary.differences["sum"]["one"]
    assert difference.mean == pytest.approx(means["fusion"]["one"].mean - means["sum"]["one"].mean)
    apart = means["fusion"]["one"].high - means["fusion"]["one"].low
    assert difference.high - difference.low < apart, "a listener's own use of the scale drops out"


def test_a_listener_counts_once_however_many_pairs():
    """Three listeners say 7, one says 1 but about more pairs."""
    many = {f"p{i}": "drones" for i in range(9)}
    ratings = [
        Rating(name, pair, "drones", method, value, 1, 1)
        for name, value, pairs in (("a", 7, ["p0"]), ("b", 7, ["p0"]), ("c", 7, ["p0"]), ("d", 1, many))
        for pair in pairs
        for method in METHODS
    ]
    (summary,) = statistics.summaries(ratings)
    assert summary.means["sum"]["one"].mean == pytest.approx((7 + 7 + 7 + 1) / 4)


def test_both_is_the_lesser_likeness_of_each_rating():
    ratings = [
        Rating("a", pair, "drones", method, 4, original, 8 - original)
        for pair, original in (("p", 1), ("q", 7))
        for method in METHODS
    ]
    (summary,) = statistics.summaries(ratings)
    row = summary.means["fusion"]
    assert (row["original"].mean, row["reference"].mean, row["both"].mean) == (4, 4, 1)
    assert row["one"].low is None and row["one"].high is None, "one listener is no sample"


def test_the_interval_is_that_of_the_mean():
    """Against the normal interval, with so many listeners that the two agree."""
    rng = np.random.default_rng(5)
    values = rng.normal(3, 2, 400)
    draws = rng.integers(400, size=(10_000, 400))
    found = statistics.estimate(values, draws)
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_files_are_read_without_practice_and_without_unfinished_sets(tmp_path):
    whole = answers("p1") + answers("p1", pairs={"x + y": "practice"})
    part = answers("p2")
    part[-1]["one"] = ""
    practice = write(tmp_path / "3.csv", answers("p3", pairs={"x + y": "practice"}))
    read = results.read([write(tmp_path / "1.csv", whole), write(tmp_path / "2.csv", part), practice])
    assert (read.study, read.listeners) == ("s1", ["p1", "p2"])
    assert {(rating.listener, rating.kind) for rating in read.ratings} == {
        ("p1", "drones"),
        ("p1", "noises"),
        ("p2", "drones"),
    }
    assert read.notes == (
        f"'{practice}' holds no set but the practice: left out.",
        "p2 did not finish 1 of the sets seen: left out.",
    )


def change(column: str, value: str):
    def changed(rows):
        rows[0][column] = value
        return rows

    return changed


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (change("one", "8"), "has the answer '8' to one of 'a + b', fusion. Answers are whole numbers from 1 to 7"),
        (change("like_original", "3.5"), "has the answer '3.5' to like_original"),
        (change("method", "mix"), "the method 'mix' which is none of fusion, interpolation, sum, vocoder"),
        (change("method", "sum"), "the method 'sum' twice"),
        (lambda rows: [], "is no file of results: it has no rows. Give the CSV files that the page"),
        (lambda rows: [row | {"one": ""} for row in rows], "There is no complete set in these results. Save the results again"),
    ],
)  # fmt: skip
def test_what_cannot_be_results_is_refused(tmp_path, spoil, text):
    path = write(tmp_path / "bad.csv", spoil(answers("p1")))
    with pytest.raises(TertiumError) as refused:
        results.read([path])
    assert text in str(refused.value)


def test_results_of_two_studies_are_refused(tmp_path):
    paths = [write(tmp_path / f"{study}.csv", answers(study, study=study)) for study in ("s1", "s2")]
    with pytest.raises(
        TertiumError, match="s1.csv' is of study s1, '.*s2.csv' of study s2: .* Give the results of one page"
    ):
        results.read(paths)


def test_other_files_and_the_same_listener_twice_are_refused(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        TertiumError, match="it lacks study, listener, pair, kind, method, one, like_original, like_reference"
    ):
        results.read([tmp_path / "other.csv"])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TertiumError, match="is no file of results"):
        results.read([tmp_path / "binary.csv"])
    with pytest.raises(SoundError, match="There is no file"):
        results.read([tmp_path / "gone.csv"])
    twice = [write(tmp_path / f"{name}.csv", answers("p1")) for name in "ab"]
    with pytest.raises(TertiumError, match="The listener 'p1' is in '.*a.csv' and in '.*b.csv'. Give the latest file"):
        results.read(twice)


def test_the_command_prints_a_table_and_an_object(tmp_path, capsys):
    paths = [
        str(write(tmp_path / f"{i}.csv", answers(f"p{i}", one=lambda method, i=i: 6 if method == "fusion" else 2 + i % 2)))
        for i in range(4)
    ]  # fmt: skip
    assert main(["ratings", *paths]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Study s1, 4 listeners. Means and 95 % intervals over listeners.")
    for line in ("drones (1 pair, 4 listeners)", "noises (1 pair, 4 listeners)", "all (2 pairs, 4 listeners)"):
        assert line in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "fusion 6.00 [6.00, 6.00] 3.00 [3.00, 3.00] 5.00 [5.00, 5.00] 3.00 [3.00, 3.00]" in lines
    assert any(line.startswith("fusion - sum +3.50 [+") for line in lines)
    assert max(map(len, out.splitlines())) <= 120
    assert main(["ratings", *paths, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kinds"][-1]["differences"]["vocoder"]["one"]["mean"] == 3.5
    assert main(["ratings", paths[0]]) == 0
    out = capsys.readouterr().out
    assert "Means; intervals need a second listener." in out and "[" not in out
    assert main(["ratings", str(tmp_path / "gone.csv")]) == 2
