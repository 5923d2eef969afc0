"""A short form of ``make soak``: everything at once for a while; nothing is lost, doubled or left half done. No time is asserted: see benchmarks/soak."""

import os
import subprocess
import sys
import time

import pytest

from benchmarks.soak.fates import BAD, fates
from benchmarks.soak.notes import Notes, tally
from benchmarks.soak.processes import WARM_UP, Usage
from benchmarks.soak.report import failures, figures, table
from benchmarks.soak.stage import Stage
from tests.end_to_end.daemons import ROOT

SECONDS = 14.0


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_under_everything_at_once_nothing_is_lost_doubled_or_partial(tmp_path):
    with Stage(tmp_path, engine="fake") as stage:
        stage.play(SECONDS)
        made = figures(stage, settling=stage.settle())
    assert failures(made) == [], table(made)
    assert made["jobs"]["accepted"] > 20 and made["troubles"]["daemon killed"] >= 2
    assert all(one["asked"] for one in made["status"].values()), "each probe has asked"
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False).stdout.split()
    assert [pid for pid in left if int(pid) != os.getpid()] == [], "nothing that it started outlives it"


def test_what_is_noted_is_added_up_and_a_cut_line_does_not_count(tmp_path):
    notes = Notes(tmp_path / "one.notes")
    notes.tried("a", 3)
    notes.passed("a", 2)
    notes.broken("a", "said\nsomething else")
    notes.accepted("job")
    notes.latency("osc", 0.25)
    with open(tmp_path / "two.notes", "w") as file:
        file.write("tried a 1\ntried a 1")
    made = tally(tmp_path)
    assert made.loads["a"] == {"tried": 4, "passed": 2, "broken": 1} and made.examples == ["a: said something else"]
    assert made.accepted == {"job"} and made.latencies["osc"] == [0.25]


def test_jobs_that_are_lost_doubled_or_without_a_file_are_found(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    for number, job in enumerate(["twice", "twice", "once"]):
        (results / f"{number}.json").write_text(f'{{"job": "{job}", "take": null}}')
    (results / ".cut.1.0.part").touch()
    known = {"twice": "done", "once": "done", "bare": "done", "waits": "queued", "ended": "cancelled"}
    found = fates(tmp_path, {"gone", "once"}, known)
    assert {name: found[name] for name in BAD} == {
        "lost": 1,
        "not ended": 1,
        "doubled": 1,
        "without a file": 1,
        "left unfinished": 1,
    }
    assert (found["accepted"], found["done"], found["cancelled"]) == (6, 3, 1)


def test_growth_is_what_the_last_third_has_more_than_the_first():
    def usage(*memory):
        flat = {"descriptors": 30, "threads": 9}
        return Usage(samples={"daemon": [(WARM_UP + 1, {"memory_mib": mib} | flat) for mib in memory]})

    assert usage(100, 101, 110).growing() == []
    assert usage(100, 150, 200).growing() == ["memory_mib"]
    assert usage(100).growing() == [], "too short to say"


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_after_an_interrupt_nothing_is_left(tmp_path):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "server", ROOT / "protocol"))),
        "TMPDIR": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak", "5"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        while not list(tmp_path.glob("*/probe-osc.notes")):
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        assert process.wait(60) != 0
    finally:
        process.kill()
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False).stdout == b""
    assert list(tmp_path.glob("tertium-soak-*")) == []
