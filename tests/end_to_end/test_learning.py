"""Training jobs with the embedded model: checkpoints used in fusions, pauses that change nothing, cancellations that lose nothing."""

import json
import time
from pathlib import Path

import pytest

from tertium.storage.checkpoints import Checkpoints
from tertium_protocol.client import Client, JobCancelled, RemoteError
from tests.end_to_end.daemons import Osc, running

QUICK = {"prompt": "a test tone", "batch": 1, "rank": 2, "seed": 7}


@pytest.fixture(scope="module")
def pocket(tmp_path_factory):
    with running(tmp_path_factory.mktemp("home"), engine="tertium.worker.torch_engine", model="pocket") as daemon:
        yield daemon


@pytest.fixture
def client(pocket):
    with Client(pocket.home) as client:
        yield client


@pytest.fixture(scope="module")
def learned(pocket, clips):
    """The ``done`` of a training job named ``tone``, and its progress events."""
    events = []
    with Client(pocket.home) as client:
        done = client.submit(
            "learn", on_progress=events.append, reference=clips[1], name="tone", steps=6, **QUICK
        ).wait()
    return done, events


def test_a_training_job_ends_in_a_checkpoint_and_in_the_sound_of_its_prompt(learned, pocket):
    done, events = learned
    checkpoint = Checkpoints(Path(pocket.home) / "checkpoints").get("tone")
    assert (done.checkpoint, done.steps, done.loss, done.seed) == ("tone", 6, checkpoint.losses[-1], 7)
    assert Path(done.path).is_file() and done.seconds == pytest.approx(0.6)
    assert json.loads(Path(done.recall).read_text())["recall"]["checkpoint"]["settings"]["rank"] == 2
    assert (len(checkpoint.losses), checkpoint.steps, checkpoint.prompt, checkpoint.method) == (
        6,
        6,
        "a test tone",
        "lora",
    )
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert any(event.stage == "learn" and event.loss and event.seconds_left is not None for event in events)


def test_the_recipe_of_a_training_jobs_sound_reproduces_it(learned, client):
    done, _ = learned
    recall = json.loads(Path(done.recall).read_text())["recall"]
    assert (recall["command"], recall["fields"]["reference"]) == ("generate", "tone")
    again = client.submit(recall["command"], **recall["fields"]).wait()
    assert (again.sound, again.frames) == (done.sound, done.frames)


def test_a_generation_with_a_checkpoint_uses_the_settings_of_its_training_by_default(learned, pocket, client):
    done, _ = learned
    with Osc(pocket.osc) as osc:
        osc.send("generate", "tuned", reference="tone", steps=6, seed=1)
        tuned = osc.events("tuned")[-1].fields
    recall = json.loads(Path(tuned["recall"]).read_text())["recall"]
    assert (recall["fields"]["prompt"], recall["fields"]["guidance"]) == ("a test tone", 1.0)
    assert tuned["frames"] == done.frames and recall["checkpoint"]["name"] == "tone"
    asked = {"prompt": "a test tone", "seconds": done.seconds, "guidance": 1.0, "steps": 6, "seed": 1}
    base = client.submit("generate", **asked).wait()
    assert base.sound != tuned["sound"], "the checkpoint has an effect"
    assert client.submit("generate", **asked, reference="tone").wait().sound == tuned["sound"]
    other = client.submit("generate", reference="tone", prompt="a bell", seconds=1, guidance=2, steps=6, seed=1).wait()
    fields = json.loads(Path(other.recall).read_text())["recall"]["fields"]
    assert (fields["prompt"], fields["seconds"], fields["guidance"]) == ("a bell", 1.0, 2.0)
    assert other.frames == 44_100


def test_a_reference_that_generate_cannot_use_is_refused(learned, pocket, client, clips):
    sound = client.ask("add_sound", path=clips[1]).sound
    with Osc(pocket.osc) as osc:
        for reference in (clips[1], sound, sound[:8]):
            refused = osc.refused("generate", reference=reference)
            assert (refused["code"], refused["field"]) == ("unknown_checkpoint", "reference")
            assert refused["message"].endswith("names a sound, but generate takes the name of a checkpoint.")
            assert refused["remedy"].startswith("Learn the sound first")
        assert osc.refused("generate", reference="tones")["remedy"] == "Did you mean tone?"
        unknown = osc.refused("generate", reference="violin")
        assert unknown["message"] == "'violin' is not a usable checkpoint."
        assert unknown["remedy"] == "List them with checkpoints, or learn one."
        assert osc.refused("generate", steps=3)["message"].startswith("prompt is missing, and so is reference")


def test_a_fusion_with_a_checkpoint_uses_its_prompt(learned, client, clips):
    fused = client.submit("fuse", original=clips[0], reference="tone", blend=0.3, steps=6, seed=1).wait()
    recall = json.loads(Path(fused.recall).read_text())["recall"]
    assert (recall["checkpoint"]["name"], recall["fields"]["prompt"], recall["fields"]["reference"]) == (
        "tone",
        "a test tone",
        "tone",
    )
    assert recall["decided"]["reference"] == "checkpoint"
    base = client.submit("fuse", original=clips[0], prompt="a test tone", blend=0.3, steps=6, seed=1).wait()
    assert fused.sound != base.sound and fused.frames == base.frames
    again = client.submit("fuse", **recall["fields"]).wait()
    assert again.sound == fused.sound


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_fusion_preempts_a_training_job_without_changing_its_result(pocket, client, clips, method):
    request = {"reference": clips[1], "steps": 40, "method": method, **QUICK}
    stages = []
    job = client.submit(
        "learn", on_progress=lambda event: stages.append(event.stage), name=f"paused {method}", **request
    )
    for wanted in (0.05, 0.3):
        _until(lambda wanted=wanted: client.ask("job", job=job.id).fraction > wanted)
        client.submit("fuse", original=clips[0], reference=clips[1], steps=2, seed=1).wait()
        assert client.ask("job", job=job.id).state in ("queued", "running")
    paused = job.wait()
    undisturbed = client.submit("learn", name=f"undisturbed {method}", **request).wait()
    checkpoints = Checkpoints(Path(pocket.home) / "checkpoints")
    assert "paused" in stages
    assert checkpoints.get(paused.checkpoint).losses == checkpoints.get(undisturbed.checkpoint).losses
    assert paused.sound == undisturbed.sound


def test_cancelling_saves_a_checkpoint(pocket, client, clips):
    job = client.submit("learn", reference=clips[1], name="cut short", steps=5000, **QUICK)
    _until(lambda: client.ask("job", job=job.id).fraction > 0)
    job.cancel()
    with pytest.raises(JobCancelled, match="What was learned in [0-9]+ steps is kept as the checkpoint 'cut short'."):
        job.wait()
    checkpoint = Checkpoints(Path(pocket.home) / "checkpoints").get("cut short")
    assert 0 < checkpoint.steps == len(checkpoint.losses) < 5000
    client.submit("fuse", original=clips[0], reference="cut short", steps=2).wait()


def test_cancelling_a_paused_training_job_saves_a_checkpoint_too(pocket, client, clips):
    job = client.submit("learn", reference=clips[1], name="left", steps=5000, **QUICK)
    _until(lambda: client.ask("job", job=job.id).fraction > 0)
    first = client.submit("fuse", original=clips[0], reference=clips[1], steps=500, intervention=0)
    _until(lambda: client.ask("job", job=job.id).stage == "paused")
    job.cancel()
    with pytest.raises(JobCancelled):
        job.wait()
    first.cancel()
    _until(lambda: not Checkpoints(Path(pocket.home) / "checkpoints").is_free("left"))


def test_checkpoints_are_listed_renamed_exported_imported_and_deleted_over_osc(learned, pocket, tmp_path):
    path = str(tmp_path / "tone.safetensors")
    token = {"token": pocket.facts["token"]}
    with Osc(pocket.osc) as osc:
        unproven = osc.refused("delete_checkpoint", checkpoint="tone")
        assert (unproven["code"], unproven["field"]) == ("not_allowed", "token")
        assert unproven["message"] == "delete_checkpoint over OSC needs the daemon's token."
        assert "daemon.json holds" in unproven["remedy"]
        assert osc.refused("rename_checkpoint", checkpoint="tone", name="x", token="wrong")["code"] == "not_allowed"
        assert osc.ask("export_checkpoint", checkpoint="tone", path=path, **token)["path"] == path
        imported = osc.ask("import_checkpoint", path=path, name="copy")
        assert (imported["name"], imported["prompt"], imported["usable"]) == ("copy", "a test tone", 1)
        assert osc.ask("rename_checkpoint", checkpoint="copy", name="moved", **token)["name"] == "moved"
        refused = osc.refused("rename_checkpoint", checkpoint="moved", name="tone", **token)
        assert (refused["code"], refused["message"]) == ("conflict", "There is a checkpoint 'tone' already.")
        osc.send("checkpoints", "all")
        names = {one.fields["name"] for one in osc.events("all", last=("reply", "error")) if one.event == "item"}
        assert {"tone", "moved"} <= names and "copy" not in names
        assert osc.ask("delete_checkpoint", checkpoint="moved", **token)["name"] == "moved"
        assert osc.refused("delete_checkpoint", checkpoint="moved", **token)["code"] == "unknown_checkpoint"
        outside = osc.refused("export_checkpoint", checkpoint="tone", path="/etc/tone.safetensors", **token)
        assert outside["code"] == "path_refused"


def test_a_waiting_job_uses_its_checkpoint_even_if_it_is_renamed(learned, client, clips):
    asked = {"original": clips[0], "reference": "tone", "seed": 1}
    before = client.submit("fuse", steps=4, **asked).wait()
    running = client.submit("fuse", steps=200, **asked)
    waiting = client.submit("fuse", steps=4, **asked)
    client.ask("rename_checkpoint", checkpoint="tone", name="moved")
    try:
        assert waiting.wait().sound == before.sound
        recall = json.loads(Path(waiting.wait().recall).read_text())["recall"]
        assert client.submit("fuse", **recall["fields"]).wait().sound == before.sound
        assert recall["fields"]["reference"] == recall["checkpoint"]["name"] == "moved"
    finally:
        running.wait()
        client.ask("rename_checkpoint", checkpoint="moved", name="tone")


def test_a_window_with_a_checkpoint_says_so_in_its_recipe(learned, client, clips):
    done = client.submit("window", original=clips[0], reference="tone", steps=6, points=4, seed=1).wait()
    assert json.loads(Path(done.recall).read_text())["recall"]["decided"]["reference"] == "checkpoint"


def test_a_name_in_use_and_another_base_model_are_refused_at_once(learned, pocket, client, clips):
    with pytest.raises(RemoteError, match="There is a checkpoint 'tone' already. Choose another name") as caught:
        client.submit("learn", reference=clips[1], name="tone", steps=1, **QUICK).wait()
    assert (caught.value.code, caught.value.field) == ("conflict", "name")
    folder = Path(pocket.home) / "checkpoints"
    about = json.loads((folder / "tone" / "checkpoint.json").read_text())
    (folder / "foreign").mkdir()
    (folder / "foreign" / "checkpoint.json").write_text(json.dumps(about | {"model": "large", "fingerprint": "0" * 64}))
    with pytest.raises(
        RemoteError, match="'foreign' was learned on another model, large .* Start the daemon with --model large"
    ):
        client.submit("fuse", original=clips[0], reference="foreign", steps=2).wait()
    with pytest.raises(RemoteError, match="Did you mean tone?"):
        client.submit("fuse", original=clips[0], reference="tones", steps=2).wait()
    (folder / "foreign" / "checkpoint.json").unlink()


def _until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
