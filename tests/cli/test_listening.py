"""A listening study without a daemon: pairs, the level and the encoding of stimuli, the page, and the command's errors."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile

from tertium.audio import files, levels
from tertium.audio.signal import true_peak_dbtp
from tertium.cli import connect, main
from tertium.cli.listening import page, pairs, stimuli
from tertium.errors import SoundError, TertiumError
from tests.sounds import tone

RATE = pairs.SAMPLE_RATE
NAMES = (*stimuli.PARENTS, *stimuli.METHODS)


def decoded(data: bytes) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(data), always_2d=True)
    assert rate == RATE
    return samples.T


def unlike_sounds() -> dict[str, np.ndarray]:
    """Sounds of very unlike levels and crests; one is a click in near-silence."""
    sounds = {name: tone(220 * (i + 1), seconds=1, peak=0.02 * 2**i) for i, name in enumerate(NAMES)}
    sounds["vocoder"] = 0.001 * tone(500, seconds=1)
    sounds["vocoder"][:, 20_000:20_050] = 0.9
    return sounds


@pytest.mark.parametrize("pair", [*pairs.PAIRS, pairs.PRACTICE_PAIR], ids=lambda pair: pair.kind)
def test_a_shipped_pair_has_two_sounds_of_the_same_length(pair):
    read = pairs.read(pair)
    assert read.original.shape == read.reference.shape == (2, round(pairs.SECONDS * RATE))
    assert read.original.dtype == np.float32
    assert np.abs(np.corrcoef(read.original[0], read.reference[0])[0, 1]) < 0.2


def test_the_shipped_pairs_are_what_their_kinds_say():
    read = {pair.kind: pairs.read(pair) for pair in pairs.PAIRS}
    assert len(read) == 5

    def centre(sound):
        spectrum = np.abs(np.fft.rfft(sound.mean(axis=0))) ** 2
        return float((spectrum * np.fft.rfftfreq(sound.shape[1], 1 / RATE)).sum() / spectrum.sum())

    def flatness(sound):
        spectrum = np.abs(np.fft.rfft(sound.mean(axis=0)))[200:20_000] ** 2 + 1e-12
        return float(np.exp(np.log(spectrum).mean()) / spectrum.mean())

    assert centre(read["highs"].original) > 5000 > 2 * centre(read["rhythm and drone"].reference)
    noise = flatness(read["melody and noise"].reference)
    assert noise > 10 * flatness(read["melody and noise"].original)
    space = read["rhythm and space"].reference
    assert flatness(space) > 0.5 * noise
    assert np.corrcoef(space)[0, 1] < 0.9 < np.corrcoef(read["melody and noise"].reference)[0, 1]


def test_an_own_pair_is_fitted_to_the_originals_length(tmp_path):
    files.write(tmp_path / "long.wav", tone(220, seconds=3), RATE, format="wav")
    files.write(tmp_path / "short.wav", tone(330, seconds=0.7, sample_rate=22_050, channels=1), 22_050, format="wav")
    given = [str(tmp_path / "long.wav"), str(tmp_path / "short.wav")]
    (pair,) = pairs.own_pairs([[*given, "drones"]])
    assert (pair.name, pair.kind) == ("long + short", "drones")
    read = pairs.read(pair, seconds=2)
    assert read.original.shape == read.reference.shape == (2, 2 * RATE)
    once = round(0.7 * RATE)
    assert np.allclose(read.reference[:, :once], read.reference[:, once : 2 * once], atol=1e-6)
    (other,) = pairs.own_pairs([given[::-1]])
    assert other.kind == pairs.OWN
    assert pairs.read(other, seconds=2).original.shape == (2, once), "an original is not repeated"


def test_pairs_of_one_name_and_odd_kinds_are_refused():
    with pytest.raises(TertiumError, match="Two pairs are called 'a \\+ b'. Give each pair once, and rename"):
        pairs.own_pairs([["a.wav", "b.wav"], ["x/a.wav", "b.wav"]])
    for kind in ("practice", "", "=1+1", "x" * 41):
        with pytest.raises(TertiumError, match="cannot be the kind of a pair. Give up to 40 letters"):
            pairs.own_pairs([["a.wav", "b.wav", kind]])


def test_all_sounds_of_a_set_have_one_loudness_and_safe_peaks():
    made = stimuli.finished("a + b", "own", unlike_sounds())
    assert set(made.sounds) == set(NAMES)
    heard = {name: decoded(data) for name, data in made.sounds.items()}
    for name, sound in heard.items():
        assert levels.loudness_lufs(sound, RATE) == pytest.approx(made.loudness, abs=0.1), name
        assert true_peak_dbtp(sound) <= levels.CEILING_DBTP, name
    assert made.loudness < stimuli.LOUDNESS_LUFS, "the click leaves no more"
    loudest = max(true_peak_dbtp(sound) for sound in heard.values())
    assert loudest == pytest.approx(levels.CEILING_DBTP - stimuli.MARGIN_DB, abs=0.05)
    calm = stimuli.finished("a + b", "own", {name: tone(300, seconds=1) for name in NAMES})
    assert calm.loudness == stimuli.LOUDNESS_LUFS


def test_the_files_of_a_set_tell_nothing_but_their_sound():
    made = stimuli.finished("a + b", "own", unlike_sounds())
    described = {str(soundfile.info(io.BytesIO(data))).split("\n", 1)[1] for data in made.sounds.values()}
    assert len(described) == 1, "length, rate, channels and format are the same"


def test_silence_and_unequal_lengths_are_refused():
    silent = unlike_sounds() | {"fusion": np.zeros((2, RATE), dtype=np.float32)}
    with pytest.raises(SoundError, match="The fusion of 'a \\+ b' is silent. Choose louder sounds"):
        stimuli.finished("a + b", "own", silent)
    short = unlike_sounds() | {"sum": tone(100, seconds=0.9)}
    with pytest.raises(SoundError, match="The sounds of 'a \\+ b' differ in length .*sum 39690"):
        stimuli.finished("a + b", "own", short)


def small_set(pair: str, kind: str) -> stimuli.StimulusSet:
    seed = sum(map(ord, pair))
    return stimuli.finished(pair, kind, {name: tone(100 + 37 * i + seed, seconds=0.5) for i, name in enumerate(NAMES)})


@pytest.fixture(scope="module")
def study() -> str:
    return page.build(small_set("p + q", "practice"), [small_set("a + b", "drones"), small_set("c + d", "noises")])


def test_nothing_that_is_seen_tells_the_method(study):
    plain = re.sub(r'<script type="text/plain".*?</script>', "", study, flags=re.DOTALL)
    for word in (*stimuli.METHODS, "a + b", "drones"):
        assert not re.search(rf"\b{re.escape(word)}\b", plain), word
    ids = re.findall(r'class="sound" id="(\w+)"', study)
    assert len(ids) == len(set(ids)) == 18
    assert ids == sorted(ids) and all(re.fullmatch("[0-9a-f]{16}", id) for id in ids)
    sets = json.loads(base64.b64decode(re.search(r'id="study">(.*?)<', study)[1]))["sets"]
    orders = [[one["method"] for one in each["stimuli"]] for each in sets]
    assert all(
        [one["sound"] for one in each["stimuli"]] == sorted(one["sound"] for one in each["stimuli"]) for each in sets
    )
    assert all(set(order) == set(stimuli.METHODS) for order in orders)


def test_the_page_holds_all_and_asks_the_network_for_nothing(study):
    assert "<!--" not in study.replace("<!doctype", "")
    assert not re.search(
        r"https?://|src=|@import|fetch\(|XMLHttpRequest", re.sub(r">[A-Za-z0-9+/=]{200,}<", "><", study)
    )
    assert "default-src 'none'" in study
    for data in re.findall(r'class="sound" id="\w+">([^<]*)<', study):
        assert decoded(base64.b64decode(data)).shape == (2, RATE // 2)


def test_another_sound_is_another_study(study):
    other = page.build(small_set("p + q", "practice"), [small_set("a + b", "drones"), small_set("c + e", "noises")])
    again = page.build(small_set("p + q", "practice"), [small_set("a + b", "drones"), small_set("c + d", "noises")])
    assert again == study != other
    ids = [json.loads(base64.b64decode(re.search(r'id="study">(.*?)<', one)[1]))["study"] for one in (study, other)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["OUT", "--pair", "CLIP", "gone.wav"], "There is no file"),
        (["OUT", "--pair", "CLIP"], "expected 2 arguments"),
        (["OUT", "--kind", "drones"], "--kind follows the --pair that it is of, once. See: tertium listen --help"),
        (["OUT", "--pair", "CLIP", "CLIP", "--kind", "a", "--kind", "b"], "--kind follows the --pair"),
        (["OUT", "--pair", "CLIP", "CLIP", "--pair", "CLIP", "CLIP"], "Two pairs are called 'clip + clip'."),
        (["OUT", "--seconds", "0.5"], "seconds must lie between 1 and 30; got 0.5. Give a number from 1 to 30."),
        (["OUT", "--seconds", "nan"], "seconds must lie between 1 and 30; got nan."),
        (["OUT", "--seconds", "long"], "must be a number; got long"),
        (["OUT", "--blend", "2"], "blend must lie between 0 and 1; got 2."),
        (["OUT", "--steps", "0"], "steps must lie between 1 and 500; got 0."),
        (["study.txt"], "'study.txt' does not end in .html. Give a name that ends in .html."),
        (["no/study.html"], "There is no folder"),
        (["CLIP.html"], "exists already. Choose another name, or replace a file with --force."),
        ([], "required: OUT.html"),
    ],
)
def test_an_invalid_study_is_refused_and_starts_nothing(capsys, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERTIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(connect.subprocess, "Popen", None)
    files.write(tmp_path / "clip.wav", tone(seconds=1), RATE, format="wav")
    (tmp_path / "clip.wav.html").write_text("")
    named = {"OUT": "study.html", "CLIP": "clip.wav", "CLIP.html": "clip.wav.html"}
    status = main(["listen", *(named.get(argument, argument) for argument in arguments)])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert text in err and "Traceback" not in err
    assert not (tmp_path / "study.html").exists()
