"""Saved training states: resumed bit-exactly, ignored if they do not fit, and never left behind."""

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
    """Simulates a killed process; the test reverts whatever the trainer does after it."""


class Harness:
    """A home folder, trainers that work in it, and a training job for them."""

    def __init__(self, folder):
        self.folder, self.library = folder, Library(folder)
        self.reference = self.library.add_samples(tone(seconds=0.5), 44_100, name="tone").id
        self.checkpoints, self.states = Checkpoints(folder / "checkpoints"), TrainingStates(folder / "cache")

    def trainer(self, *, write_every=0.0, model="fake"):
        engine = FakeEngine(model)
        engine.about["fingerprint"] = (model + "f" * 64)[:64]
        renderer = Renderer(engine, self.library, WindowCache(self.folder / "cache"), self.checkpoints)
        return Trainer(engine, self.library, self.checkpoints, self.states, renderer, write_every=write_every)

    def spec(self, prompt="a tone", *, name="kept", **more):
        return spec("learn", reference=self.reference, checkpoint=name, prompt=prompt, name="heard", **more)

    def learn(self, job="job", trainer=None, *, stop=None, end=Died, **fields):
        """Run a training job; raise ``end`` at the step ``stop``."""

        def on_progress(stage, fraction, **facts):
            if stop is not None and stage == "learn" and fraction >= stop / 8 * 0.9:
                if end is Died:
                    self.killed = {path.name: path.read_bytes() for path in self.cache()}
                raise end

        return (trainer or self.trainer()).learn(job, self.spec(**fields), (), on_progress, lambda: False)

    def die_at(self, stop, job="job", **fields):
        """Simulate a process that is killed before a step, leaving the state saved until then."""
        with pytest.raises(Died):
            self.learn(job, stop=stop, **fields)
        self.checkpoints.delete("kept")  # a killed process would not have saved it
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
def harness(tmp_path):
    return Harness(tmp_path)


@pytest.fixture
def undisturbed(tmp_path):
    """The losses and weights of an uninterrupted training job."""
    other = Harness(tmp_path / "undisturbed")
    other.learn()
    return other.checkpoints.get("kept").losses, other.weights()


def test_a_training_job_resumes_its_saved_state_and_ends_the_same(harness, undisturbed):
    harness.die_at(5)
    done = harness.learn()
    checkpoint = harness.checkpoints.get(done["checkpoint"])
    assert (checkpoint.name, checkpoint.losses) == ("kept", undisturbed[0])
    assert np.array_equal(harness.weights(), undisturbed[1])
    assert done["notes"][0] == "resumed at step 4"
    assert harness.cache() == []


def test_an_uninterrupted_job_has_no_notes_and_leaves_no_state(harness):
    assert notes_of(harness.learn()) == []
    assert harness.cache() == []


def test_states_are_saved_no_more_often_than_requested(harness):
    with pytest.raises(Died):
        harness.learn(trainer=harness.trainer(write_every=60), stop=6)
    assert harness.killed == {}


@pytest.mark.parametrize(
    ("change", "reason"),
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
def test_an_unusable_state_is_ignored_with_a_note_and_training_starts_again(harness, undisturbed, change, reason):
    harness.die_at(5)
    change(*harness.cache())
    done = harness.learn()
    assert done["notes"][0].startswith(f"started again: the saved training state cannot be resumed ({reason}")
    assert harness.checkpoints.get("kept").losses == undisturbed[0]
    assert harness.cache() == []
    unfinished = [one for one in harness.checkpoints.list() if one.name == "kept unfinished"]
    if "damaged" in reason:
        assert unfinished == []
    else:  # the steps are valid, although this process cannot resume them
        assert unfinished[0].losses == undisturbed[0][:4] and unfinished[0].steps == 4
        assert done["notes"][0].endswith("; its 4 steps are kept as 'kept unfinished'")


def rewritten(path, **facts):
    """Change facts in the metadata of a saved state."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["tertium_learning"] = json.dumps(
        json.loads(header["__metadata__"]["tertium_learning"]) | facts
    )
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def test_a_job_whose_process_died_after_saving_its_checkpoint_does_not_save_it_twice(harness):
    harness.die_at(7)
    (path,) = harness.cache()
    content = path.read_bytes()
    harness.learn()
    path.write_bytes(content)
    assert harness.learn()["checkpoint"] == "kept"
    assert [one.name for one in harness.checkpoints.list()] == ["kept"]


def test_a_job_whose_process_died_while_sampling_is_not_trained_again(harness, undisturbed):
    def die(stage, fraction, **facts):
        if stage == "decode":
            raise Died

    with pytest.raises(Died):
        harness.trainer().learn("job", harness.spec(), (), die, lambda: False)
    stages = []
    done = harness.trainer().learn(
        "job", harness.spec(), (), lambda stage, *_, **__: stages.append(stage), lambda: False
    )
    assert "learn" not in stages and "decode" in stages
    assert (done["checkpoint"], done["steps"], done["loss"]) == ("kept", 8, undisturbed[0][-1])
    assert notes_of(done) == ["checkpoint saved before the daemon or its worker was stopped"]
    assert [one.name for one in harness.checkpoints.list()] == ["kept"]


def test_a_job_that_is_done_returns_its_stored_sound(harness):
    first = harness.learn()
    again = harness.learn()
    assert (again["sound"], again["path"], again["checkpoint"]) == (first["sound"], first["path"], "kept")
    assert again["elapsed"] is None, "the time of an earlier process is unknown"
    other = harness.learn(job="another")
    assert other["checkpoint"] == "kept-2", "another job trains its own checkpoint"


def test_a_checkpoint_of_another_model_does_not_count_as_done(harness):
    harness.learn()
    assert harness.learn(trainer=harness.trainer(model="other"))["checkpoint"] == "kept-2"


def test_the_sound_is_named_after_the_checkpoint(harness):
    first, second = harness.learn(name="tone"), harness.learn(job="another", name="tone")
    assert (Path(first["path"]).stem, Path(second["path"]).stem) == ("heard", "tone-2 learned")
    assert "kept as 'tone-2': the name 'tone' was taken meanwhile" in notes_of(second)
    recall = json.loads(Path(second["recall"]).read_text())["recall"]
    assert recall["fields"]["reference"] == "tone-2"


def test_the_recall_of_the_sound_is_a_request(harness):
    recall = json.loads(Path(harness.learn()["recall"]).read_text())["recall"]
    request = parse_request(recall["command"], recall["fields"])
    assert (request.reference, request.prompt, request.guidance, request.seed) == ("kept", "a tone", 1.0, 5)
    assert request.seconds == recall["checkpoint"]["seconds"] == 0.5


def test_a_training_job_that_fails_saves_a_checkpoint_and_says_so(harness):
    with pytest.raises(TertiumError, match="Learning went astray.") as caught:
        harness.learn(prompt="astray=3")
    assert caught.value.__notes__ == ["What was learned in 3 steps is kept as the checkpoint 'kept'."]
    checkpoint = harness.checkpoints.get("kept")
    assert (checkpoint.steps, len(checkpoint.losses)) == (3, 3)
    assert harness.cache() == []


def test_the_state_of_a_job_that_has_ended_becomes_a_checkpoint(harness, undisturbed):
    harness.die_at(6)
    harness.trainer().discard_ended(["job"])
    assert len(harness.cache()) == 1, "a waiting job resumes it"
    harness.trainer().discard_ended([])
    checkpoint = harness.checkpoints.get("kept")
    assert (checkpoint.losses, checkpoint.steps, checkpoint.settings) == (
        undisturbed[0][:5],
        5,
        {"steps": 8, "seed": 5},
    )
    assert harness.cache() == []


def test_the_state_of_a_job_that_is_forgotten_before_it_resumed_becomes_a_checkpoint(harness):
    harness.die_at(6)
    assert harness.trainer().forget("job").steps == 5
    assert harness.cache() == [] and harness.trainer().forget("unknown") is None


def test_a_damaged_state_of_a_job_that_has_ended_is_removed(harness):
    harness.die_at(6)
    (path,) = harness.cache()
    path.write_bytes(b"broken")
    harness.trainer().discard_ended([])
    assert (harness.cache(), harness.checkpoints.list()) == ([], [])


def test_a_state_that_cannot_be_saved_does_not_stop_the_training(harness, undisturbed, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tertium.storage.training_states.save_file", full)
    harness.learn()
    assert harness.checkpoints.get("kept").losses == undisturbed[0]
    assert "could not be saved" in caplog.text
    assert list((harness.folder / "cache").glob(".*")) == []


def test_a_paused_training_job_is_previewed_and_resumes_unaffected(harness, undisturbed):
    trainer = harness.trainer()
    with pytest.raises(Paused):
        harness.learn(trainer=trainer, stop=5, end=Paused)
    done = trainer.preview(preview(harness), ("noted before",), lambda *_, **__: None)
    assert (done["learned"], done["loss"]) == (5, undisturbed[0][4])
    assert notes_of(done) == ["noted before", "the prompt after 5 of 8 steps of learning"]
    recall = json.loads(Path(done["recall"]).read_text())["recall"]
    assert (recall["command"], recall["fields"]) == (
        "preview", {"job": "job", "steps": 2, "seed": 5, "format": "wav", "name": "heard so far"},
    )  # fmt: skip
    assert (recall["learning"]["step"], recall["learning"]["fields"]["prompt"]) == (5, "a tone")
    harness.learn(trainer=trainer)
    assert harness.checkpoints.get("kept").losses == undisturbed[0]


def test_a_job_that_a_new_process_has_not_resumed_is_previewed_from_its_saved_state(harness, undisturbed):
    harness.die_at(6)
    trainer = harness.trainer()
    assert trainer.preview(preview(harness), (), lambda *_, **__: None)["learned"] == 5
    assert notes_of(harness.learn(trainer=trainer)) == ["resumed at step 5"]
    assert harness.checkpoints.get("kept").losses == undisturbed[0]


def test_a_job_that_has_ended_or_completed_no_step_has_no_preview(harness):
    with pytest.raises(TertiumError, match="The training job job is not in progress.") as caught:
        harness.trainer().preview(preview(harness), (), lambda *_, **__: None)
    assert (caught.value.code, caught.value.field) == ("conflict", "job")
    trainer = harness.trainer()
    with pytest.raises(Paused):
        harness.learn(trainer=trainer, stop=0, end=Paused)
    with pytest.raises(TertiumError, match="The training job job has not completed a step yet."):
        trainer.preview(preview(harness), (), lambda *_, **__: None)


def notes_of(result):
    """Return the notes of a result, except that on its peak."""
    return [note for note in result["notes"] if "true peak" not in note]


def preview(harness):
    return Preview(
        job="job", learning=harness.spec(), prompt="a tone", seconds=0.5, steps=2, seed=5, name="heard so far"
    )


def test_the_running_average_becomes_the_checkpoint(tmp_path):
    states = TrainingStates(tmp_path)
    facts = {
        "settings": {}, "chosen": {"ema": 0.9}, "step": 1, "losses": [0.5], "seconds": 1.0, "name": "n", "prompt": "p", "reference": "r",
        "model": "m", "fingerprint": "f", "method": "lora", "rank": 2,
    }  # fmt: skip
    tensors = {"weights/a.lora_A": np.zeros(3, np.float32), "average/a.lora_A": np.ones(3, np.float32)}
    states.write("job", TrainingState(facts, tensors))
    checkpoint, weights = states.read("job").checkpoint()
    assert (checkpoint.losses, checkpoint.settings) == ((0.5,), {"ema": 0.9})
    (tmp_path / "w").write_bytes(weights)
    assert {name: one.tolist() for name, one in load_file(tmp_path / "w").items()} == {"a.lora_A": [1, 1, 1]}
    del facts["chosen"]
    with pytest.raises(UnusableState, match="chosen"):
        TrainingState(facts, tensors).checkpoint()
