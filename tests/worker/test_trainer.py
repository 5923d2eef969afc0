"""A learning that is written down: gone on with to the last bit, ignored where it does not fit, and never left behind."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tertium.errors import TertiumError
from tertium.job_spec import Preview
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.library import Library
from tertium.storage.training_states import TrainingState, TrainingStates, UnusableState
from tertium.storage.window_cache import WindowCache
from tertium.worker.renderer import Renderer
from tertium.worker.trainer import Paused, Trainer
from tertium_protocol import parse_request
from tests.sounds import tone
from tests.specs import spec
from tests.worker.fake_engine import FakeEngine


class Died(BaseException):
    """As when the process is killed: nothing of what it does afterwards counts."""


class School:
    """A folder in which one trainer follows another."""

    def __init__(self, folder):
        self.folder, self.library = folder, Library(folder)
        self.reference = self.library.add_samples(tone(seconds=0.5), 44_100, name="tone").id
        self.checkpoints, self.learnings = Checkpoints(folder / "checkpoints"), TrainingStates(folder / "cache")

    def trainer(self, *, write_every=0.0, model="fake"):
        engine = FakeEngine(model)
        engine.about["fingerprint"] = (model + "f" * 64)[:64]
        renderer = Renderer(engine, self.library, WindowCache(self.folder / "cache"), self.checkpoints)
        return Trainer(engine, self.library, self.checkpoints, self.learnings, renderer, write_every=write_every)

    def spec(self, prompt="a tone", *, name="kept", **more):
        return spec("learn", reference=self.reference, checkpoint=name, prompt=prompt, name="heard", **more)

    def learn(self, job="job", trainer=None, *, stop=None, end=Died, **fields):
        """Carry out a job; at the step ``stop`` it ends as ``end`` says."""

        def on_progress(stage, fraction, **facts):
            if stop is not None and stage == "learn" and fraction >= stop / 8 * 0.9:
                if end is Died:
                    self.killed = {path.name: path.read_bytes() for path in self.cache()}
                raise end

        return (trainer or self.trainer()).learn(job, self.spec(**fields), (), on_progress, lambda: False)

    def die_at(self, stop, job="job", **fields):
        """A process is killed before a step, with what it has written down until then."""
        with pytest.raises(Died):
            self.learn(job, stop=stop, **fields)
        self.checkpoints.delete("kept")  # a process that is killed does not get to that
        for name, content in self.killed.items():
            (self.folder / "cache" / name).write_bytes(content)

    def cache(self):
        return sorted((self.folder / "cache").glob("learning-*"))

    def weights(self, name="kept"):
        return load_file(self.folder / "checkpoints" / name / "weights.safetensors")["numbers"]


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch):
    monkeypatch.setattr("tertium.worker.trainer.WRITE_SHARE", 1e9)


@pytest.fixture
def school(tmp_path):
    return School(tmp_path)


@pytest.fixture
def undisturbed(tmp_path):
    """The losses and the weights of a learning that nothing befell."""
    other = School(tmp_path / "undisturbed")
    other.learn()
    return other.checkpoints.get("kept").losses, other.weights()


def test_a_learning_goes_on_where_it_was_written_down_and_ends_the_same(school, undisturbed):
    school.die_at(5)
    done = school.learn()
    kept = school.checkpoints.get(done["checkpoint"])
    assert (kept.name, kept.losses) == ("kept", undisturbed[0])
    assert np.array_equal(school.weights(), undisturbed[1])
    assert done["notes"][0] == "resumed at step 4"
    assert school.cache() == []


def test_nothing_is_noted_and_nothing_left_where_nothing_befell(school):
    assert said(school.learn()) == []
    assert school.cache() == []


def test_states_are_no_more_often_written_than_asked_for(school):
    with pytest.raises(Died):
        school.learn(trainer=school.trainer(write_every=60), stop=6)
    assert school.killed == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "the file is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "the file is damaged"),
        (lambda path: path.write_bytes(b"PK"), "the file is damaged"),
        (lambda path: rewritten(path, tertium="0.0.1"), "version 0.0.1 wrote it, and this is "),
        (lambda path: rewritten(path, reference="0" * 64), "it is of another reference"),
        (lambda path: rewritten(path, fingerprint="0" * 64), "it is of another model"),
        (lambda path: rewritten(path, settings={"steps": 9, "seed": 5}), "other settings"),
    ],
)
def test_what_does_not_fit_is_ignored_with_a_note_and_learned_anew(school, undisturbed, change, said):
    school.die_at(5)
    change(*school.cache())
    done = school.learn()
    assert done["notes"][0].startswith(f"learned anew: what was written down of it cannot be used ({said}")
    assert school.checkpoints.get("kept").losses == undisturbed[0]
    assert school.cache() == []
    unfinished = [one for one in school.checkpoints.list() if one.name == "kept unfinished"]
    if "damaged" in said:
        assert unfinished == []
    else:  # four steps are four steps, whoever goes on with them
        assert unfinished[0].losses == undisturbed[0][:4] and unfinished[0].steps == 4
        assert done["notes"][0].endswith("; its 4 steps are kept as 'kept unfinished'")


def rewritten(path, **facts):
    """Change what a file says, and nothing else of it."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["tertium_learning"] = json.dumps(
        json.loads(header["__metadata__"]["tertium_learning"]) | facts
    )
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def test_one_whose_process_died_after_it_was_kept_is_not_kept_twice(school):
    school.die_at(7)
    (path,) = school.cache()
    content = path.read_bytes()
    school.learn()
    path.write_bytes(content)
    assert school.learn()["checkpoint"] == "kept"
    assert [one.name for one in school.checkpoints.list()] == ["kept"]


def test_one_whose_process_died_while_its_sound_was_made_is_not_learned_again(school, undisturbed):
    def die(stage, fraction, **facts):
        if stage == "decode":
            raise Died

    with pytest.raises(Died):
        school.trainer().learn("job", school.spec(), (), die, lambda: False)
    stages = []
    done = school.trainer().learn("job", school.spec(), (), lambda stage, *_, **__: stages.append(stage), lambda: False)
    assert "learn" not in stages and "decode" in stages
    assert (done["checkpoint"], done["steps"], done["loss"]) == ("kept", 8, undisturbed[0][-1])
    assert said(done) == ["learned before the daemon or its worker was ended, and kept"]
    assert [one.name for one in school.checkpoints.list()] == ["kept"]


def test_one_that_was_done_but_not_told_of_is_told_of_with_the_sound_that_there_is(school):
    first = school.learn()
    again = school.learn()
    assert (again["sound"], again["path"], again["checkpoint"]) == (first["sound"], first["path"], "kept")
    assert again["elapsed"] is None, "how long it took is not known any more"
    other = school.learn(job="another")
    assert other["checkpoint"] == "kept-2", "another job learns for itself"


def test_what_another_model_learned_is_no_reason_not_to_learn(school):
    school.learn()
    assert school.learn(trainer=school.trainer(model="other"))["checkpoint"] == "kept-2"


def test_the_sound_is_named_after_what_was_kept(school):
    first, second = school.learn(name="tone"), school.learn(job="another", name="tone")
    assert (Path(first["path"]).stem, Path(second["path"]).stem) == ("heard", "tone-2 learned")
    assert "kept as 'tone-2': the name 'tone' was taken meanwhile" in said(second)
    recall = json.loads(Path(second["recall"]).read_text())["recall"]
    assert recall["fields"]["reference"] == "tone-2"


def test_the_recall_of_the_sound_is_a_request(school):
    recall = json.loads(Path(school.learn()["recall"]).read_text())["recall"]
    request = parse_request(recall["command"], recall["fields"])
    assert (request.reference, request.prompt, request.guidance, request.seed) == ("kept", "a tone", 1.0, 5)
    assert request.seconds == recall["checkpoint"]["seconds"] == 0.5


def test_a_learning_that_fails_keeps_what_it_had_learned_and_says_so(school):
    with pytest.raises(TertiumError, match="Learning went astray.") as caught:
        school.learn(prompt="astray=3")
    assert caught.value.__notes__ == ["What was learned in 3 steps is kept as the checkpoint 'kept'."]
    kept = school.checkpoints.get("kept")
    assert (kept.steps, len(kept.losses)) == (3, 3)
    assert school.cache() == []


def test_what_is_written_down_of_a_job_that_is_no_more_becomes_a_checkpoint(school, undisturbed):
    school.die_at(6)
    school.trainer().discard_ended(["job"])
    assert len(school.cache()) == 1, "a job that waits goes on with it"
    school.trainer().discard_ended([])
    kept = school.checkpoints.get("kept")
    assert (kept.losses, kept.steps, kept.settings) == (undisturbed[0][:5], 5, {"steps": 8, "seed": 5})
    assert school.cache() == []


def test_a_job_that_is_let_go_before_it_was_taken_up_again_is_kept(school):
    school.die_at(6)
    assert school.trainer().forget("job").steps == 5
    assert school.cache() == [] and school.trainer().forget("unknown") is None


def test_a_damaged_state_of_a_job_that_is_no_more_is_removed(school):
    school.die_at(6)
    (path,) = school.cache()
    path.write_bytes(b"broken")
    school.trainer().discard_ended([])
    assert (school.cache(), school.checkpoints.list()) == ([], [])


def test_what_cannot_be_written_down_does_not_stop_the_learning(school, undisturbed, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tertium.storage.training_states.save_file", full)
    school.learn()
    assert school.checkpoints.get("kept").losses == undisturbed[0]
    assert "could not be written down" in caplog.text
    assert list((school.folder / "cache").glob(".*")) == []


def test_a_paused_learning_is_heard_and_goes_on_undisturbed(school, undisturbed):
    trainer = school.trainer()
    with pytest.raises(Paused):
        school.learn(trainer=trainer, stop=5, end=Paused)
    done = trainer.preview(preview(school), ("said before",), lambda *_, **__: None)
    assert (done["learned"], done["loss"]) == (5, undisturbed[0][4])
    assert said(done) == ["said before", "the prompt after 5 of 8 steps of learning"]
    recall = json.loads(Path(done["recall"]).read_text())["recall"]
    assert (recall["command"], recall["fields"]) == (
        "preview", {"job": "job", "steps": 2, "seed": 5, "format": "wav", "name": "heard so far"},
    )  # fmt: skip
    assert (recall["learning"]["step"], recall["learning"]["fields"]["prompt"]) == (5, "a tone")
    school.learn(trainer=trainer)
    assert school.checkpoints.get("kept").losses == undisturbed[0]


def test_a_learning_that_a_new_process_has_not_come_to_is_heard_from_what_is_written_down(school, undisturbed):
    school.die_at(6)
    trainer = school.trainer()
    assert trainer.preview(preview(school), (), lambda *_, **__: None)["learned"] == 5
    assert said(school.learn(trainer=trainer)) == ["resumed at step 5"]
    assert school.checkpoints.get("kept").losses == undisturbed[0]


def test_there_is_nothing_to_hear_of_a_learning_that_has_ended_or_taken_no_step(school):
    with pytest.raises(TertiumError, match="The learning job is not under way any more.") as caught:
        school.trainer().preview(preview(school), (), lambda *_, **__: None)
    assert (caught.value.code, caught.value.field) == ("conflict", "job")
    trainer = school.trainer()
    with pytest.raises(Paused):
        school.learn(trainer=trainer, stop=0, end=Paused)
    with pytest.raises(TertiumError, match="The learning job has taken no step yet."):
        trainer.preview(preview(school), (), lambda *_, **__: None)


def said(result):
    """The notes of a result, but for that on its peak."""
    return [note for note in result["notes"] if "true peak" not in note]


def preview(school):
    return Preview(
        job="job", learning=school.spec(), prompt="a tone", seconds=0.5, steps=2, seed=5, name="heard so far"
    )


def test_a_running_average_is_what_becomes_the_checkpoint(tmp_path):
    learnings = TrainingStates(tmp_path)
    facts = {
        "settings": {}, "chosen": {"ema": 0.9}, "step": 1, "losses": [0.5], "seconds": 1.0, "name": "n", "prompt": "p", "reference": "r",
        "model": "m", "fingerprint": "f", "method": "lora", "rank": 2,
    }  # fmt: skip
    tensors = {"weights/a.lora_A": np.zeros(3, np.float32), "average/a.lora_A": np.ones(3, np.float32)}
    learnings.write("job", TrainingState(facts, tensors))
    checkpoint, weights = learnings.read("job").checkpoint()
    assert (checkpoint.losses, checkpoint.settings) == ((0.5,), {"ema": 0.9})
    (tmp_path / "w").write_bytes(weights)
    assert {name: one.tolist() for name, one in load_file(tmp_path / "w").items()} == {"a.lora_A": [1, 1, 1]}
    del facts["chosen"]
    with pytest.raises(UnusableState, match="chosen"):
        TrainingState(facts, tensors).checkpoint()
