"""The page of a listening study in a real Chromium: a whole session with sounds that are played, its results, and their summary."""

import csv
import json

import pytest

from tertium.cli import main
from tertium.cli.listening import page, results, statistics, stimuli
from tests import chromium
from tests.sounds import tone

NAMES = (*stimuli.PARENTS, *stimuli.METHODS)
SECONDS = 0.5
KINDS = {"p + q": "practice", "a, b + c": "drones", "d + e": "noises"}
SOUNDS = ("A", "B", "1", "2", "3", "4")


def stimulus_set(pair: str, kind: str) -> stimuli.StimulusSet:
    lowest = 100 + 10 * sum(map(ord, pair)) % 400
    sounds = {name: tone(lowest * (1 + 0.1 * i), seconds=SECONDS) for i, name in enumerate(NAMES)}
    return stimuli.finished(pair, kind, sounds)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.html"
    practice, *sets = (stimulus_set(pair, kind) for pair, kind in KINDS.items())
    path.write_text(page.build(practice, sets), encoding="utf-8")
    return path


@pytest.fixture
def opened(study, tmp_path):
    with chromium.page(tmp_path) as opened:
        opened.open(study)
        yield opened
        assert opened.errors == []


def enter(opened: chromium.Page, name: str) -> None:
    opened.run("document.getElementById('listener').focus()")
    for letter in name:
        opened.press(letter)
    opened.press("Enter")


def title(opened: chromium.Page) -> str:
    return opened.run("document.querySelector('h2').textContent")


def click(opened: chromium.Page, id: str) -> None:
    opened.run(f"document.getElementById('{id}').click()")


def state(opened: chromium.Page, sound: str) -> str:
    return opened.run(f"document.getElementById('state-{sound}').textContent")


def listen(opened: chromium.Page, sound: str) -> None:
    click(opened, f"play-{sound}")
    opened.until(f"document.getElementById('state-{sound}').textContent.startsWith('heard')")


def answer(opened: chromium.Page, place: int, values: dict[str, int]) -> None:
    for question, value in values.items():
        click(opened, f"answer-{place}-{question}-{value}")


def finish_set(opened: chromium.Page, value=lambda place, question: 4) -> None:
    for sound in SOUNDS:
        listen(opened, sound)
    for place in (1, 2, 3, 4):
        answer(opened, place, {question: value(place, question) for question in ("one", "first", "second")})
    click(opened, "next")


def saved(opened: chromium.Page, folder, button: str):
    """Press a button that saves, and return the rows of the file."""
    path = (
        folder
        / f"listening-{opened.run('JSON.parse(localStorage.getItem(Object.keys(localStorage).find((key) => key.endsWith(`:last`))))')}.csv"
    )
    path.unlink(missing_ok=True)
    click(opened, button)
    for _ in range(500):
        if path.exists() and not list(folder.glob("*.crdownload")):
            break
        opened.run("new Promise((done) => setTimeout(done, 20))")
    with path.open(encoding="utf-8", newline="") as file:
        return path, list(csv.DictReader(file))


def test_a_whole_session_is_saved_and_summarised(opened, tmp_path, capsys):
    assert title(opened) == "Welcome"
    enter(opened, "p01")
    assert title(opened) == "Practice"
    finish_set(opened)
    finish_set(opened, lambda place, question: {"one": place, "first": 2, "second": 6}[question])
    assert title(opened) == "Set 2 of 2"
    finish_set(opened, lambda place, question: {"one": 8 - place, "first": 7, "second": 1}[question])
    assert title(opened) == "Thank you"
    path, rows = saved(opened, tmp_path, "download")
    assert len(rows) == 12
    assert {row["listener"] for row in rows} == {"p01"}
    assert {(row["pair"], row["kind"]) for row in rows} == set(KINDS.items())
    for number in (0, 1, 2):
        own = [row for row in rows if row["set"] == str(number)]
        assert {row["method"] for row in own} == set(stimuli.METHODS)
        assert [row["order"] for row in own] == ["1", "2", "3", "4"]
        likeness = {"0": ("4", "4"), "1": ("2", "6"), "2": ("7", "1")}[str(number)]
        for row in own:
            given = (row["like_original"], row["like_reference"])
            assert given == (likeness if row["first_sound"] == "original" else likeness[::-1])
            assert row["plays"] == row["plays_original"] == row["plays_reference"] == "1"
            assert row["set_began"] <= row["answered"]
    assert [row["one"] for row in rows] == [*"4444", *"1234", *"7654"]
    read = results.read([path])
    assert (read.listeners, len(read.ratings), read.notes) == (["p01"], 8, ())
    last = statistics.summaries(read.ratings)[-1]
    expected = {row["method"]: [] for row in rows}
    for row in rows[4:]:
        expected[row["method"]].append(int(row["one"]))
    for method, values in expected.items():
        assert last.means[method]["one"].mean == sum(values) / 2
    capsys.readouterr()
    assert main(["ratings", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["listeners"] == ["p01"]


def test_nobody_goes_on_before_everything_is_heard_and_answered(opened):
    enter(opened, "p02")
    click(opened, "next")
    assert title(opened) == "Practice"
    problem = "document.getElementById('problem').textContent"
    assert opened.run(problem) == "Still to hear to the end: 6 sounds. Still to answer: 12 questions."
    assert opened.run("document.activeElement.id") == "play-A"
    assert opened.run("document.querySelectorAll('.lacking').length") == 18
    for sound in SOUNDS[:-1]:
        listen(opened, sound)
    click(opened, "play-4")
    opened.until("document.getElementById('play-4').classList.contains('playing')")
    click(opened, "play-4")  # stopped before its end
    assert state(opened, "4") == "not yet heard"
    for place in (1, 2, 3, 4):
        answer(opened, place, {"one": 1, "first": 2, "second": 3})
    click(opened, "next")
    assert title(opened) == "Practice"
    assert opened.run(problem) == "Still to hear to the end: 1 sound."
    listen(opened, "4")
    assert state(opened, "4") == "heard, played 2×"
    click(opened, "next")
    assert title(opened) == "Set 1 of 2"


def test_a_reload_loses_nothing_and_another_listener_begins_anew(opened, tmp_path):
    enter(opened, "p03")
    finish_set(opened)
    listen(opened, "B")
    answer(opened, 3, {"one": 6, "second": 2})
    before = saved(opened, tmp_path, "save")[1]
    opened.reload()
    assert title(opened) == "Set 1 of 2"
    assert (state(opened, "B"), state(opened, "A")) == ("heard, played 1×", "not yet heard")
    checked = "[...document.querySelectorAll('input:checked')].map((each) => each.id)"
    assert opened.run(checked) == ["answer-3-one-6", "answer-3-second-2"]
    assert saved(opened, tmp_path, "save")[1] == before
    assert [row["one"] for row in before] == [*"4444", "", "", "6", ""]
    opened.run(
        "Object.keys(localStorage).filter((key) => key.endsWith(':last')).forEach((key) => localStorage.removeItem(key))"
    )
    opened.reload()
    enter(opened, "p04")
    assert title(opened) == "Practice" and opened.run(checked) == []
    opened.run(
        "Object.keys(localStorage).filter((key) => key.endsWith(':last')).forEach((key) => localStorage.removeItem(key))"
    )
    opened.reload()
    enter(opened, "p03")
    assert title(opened) == "Set 1 of 2" and opened.run(checked) == ["answer-3-one-6", "answer-3-second-2"]


@pytest.mark.parametrize("name", ["", "a b", "=1", "ä"])
def test_a_name_that_results_could_not_bear_is_refused(opened, name):
    opened.run(f"document.getElementById('listener').value = {json.dumps(name)}")
    click(opened, "begin")
    assert title(opened) == "Welcome"
    assert ("cannot be a listener name. Use letters" if name else "Please enter the name") in opened.run(
        "document.getElementById('problem').textContent"
    )


def test_the_keyboard_alone_is_enough(opened):
    enter(opened, "p05")
    assert opened.run("document.activeElement.id") == "title"
    visited = []
    for _ in range(40):
        opened.press("Tab")
        visited.append(opened.run("document.activeElement.id"))
        if visited[-1].startswith("play-"):
            opened.press("Space")
            sound = visited[-1].removeprefix("play-")
            opened.until(f"document.getElementById('state-{sound}').textContent.startsWith('heard')")
        elif visited[-1].startswith("answer-"):
            opened.press("Space")
            opened.press("ArrowRight")
        elif visited[-1] == "next":
            opened.press("Enter")
            break
    assert [each for each in visited if each.startswith("play-")] == [f"play-{sound}" for sound in SOUNDS]
    assert len([each for each in visited if each.startswith("answer-")]) == 12
    assert title(opened) == "Set 1 of 2"


def test_every_control_has_a_name_and_none_is_hidden_from_a_narrow_page(opened):
    opened.ask("Emulation.setDeviceMetricsOverride", width=320, height=640, deviceScaleFactor=1, mobile=True)
    enter(opened, "p06")
    tree = opened.ask("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in tree if node.get("role", {}).get("value") in ("button", "radio", "textbox")]
    names = [node["name"]["value"] for node in controls]
    assert len(names) == 1 + 6 + 4 * 3 * 7 + 1 and all(names)
    assert "1 of 7, two separate sounds" in names and "Sound A" in names
    groups = [node["name"]["value"] for node in tree if node.get("role", {}).get("value") == "group"]
    assert groups.count("How much is it like sound A?") == 4
    assert opened.run("document.documentElement.scrollWidth <= window.innerWidth")


def test_methods_cannot_be_told_from_the_page(opened):
    enter(opened, "p07")
    shown = opened.run("document.querySelector('main').outerHTML + document.querySelector('header').outerHTML")
    for word in (*stimuli.METHODS, "original", "reference", *KINDS):
        assert word not in shown
    lengths = []
    for sound in SOUNDS:
        opened.run(
            "window.length = null; HTMLMediaElement.prototype.play = ((play) => function () { window.length = this; return play.call(this); })(HTMLMediaElement.prototype.play)"
        )
        listen(opened, sound)
        lengths.append(opened.run("window.length.duration"))
    assert set(lengths) == {SECONDS}
