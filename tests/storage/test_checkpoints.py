"""Checkpoints on disk: saved atomically, never overwritten, and tied to one base model."""

import io
import json
import os
import re
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save

from tertium import safe_files
from tertium.storage import safetensors_files
from tertium.storage.checkpoint_format import Checkpoint, CheckpointError
from tertium.storage.checkpoints import Checkpoints
from tertium.storage.safetensors_files import copy_with_metadata, not_finite

FINGERPRINT = "ab" * 32


def a_checkpoint(name="hum", **more):
    about = {
        "prompt": "a haunted hum", "reference": "cd" * 32, "model": "pocket", "fingerprint": FINGERPRINT, "method": "lora", "rank": 4, "steps": 150,
        "seconds": 6.0, "settings": {"rate": 0.003}, "losses": (1.0, 0.5),
    }  # fmt: skip
    return Checkpoint(name=name, **about | more)


@pytest.fixture
def tensors():
    return {"layer.lora_A": np.arange(12, dtype=np.float32).reshape(4, 3)}


@pytest.fixture
def checkpoints(tmp_path, tensors):
    """A folder of checkpoints with one checkpoint, ``hum``."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(a_checkpoint(), save(tensors))
    return checkpoints


def imported(checkpoints, path, **more):
    """Import an exported file."""
    with safe_files.open_allowed(path, None) as source:
        return checkpoints.import_file(source, **more)


def names(checkpoints):
    return [checkpoint.name for checkpoint in checkpoints.list()]


def test_what_is_saved_is_found_again(checkpoints, tensors):
    found = checkpoints.get("hum")
    assert found == checkpoints.list()[0]
    assert (found.prompt, found.method, found.rank, found.losses) == ("a haunted hum", "lora", 4, (1.0, 0.5))
    assert found.created.endswith("+00:00") and found.bytes > 48
    np.testing.assert_equal(load_file(checkpoints.weights(found, fingerprint=FINGERPRINT)), tensors)


def test_a_taken_name_gets_a_number_and_nothing_is_overwritten(checkpoints, tensors):
    before = checkpoints.get("hum")
    saved = [checkpoints.save(a_checkpoint(prompt=str(n)), save(tensors)).name for n in range(2)]
    assert saved == ["hum-2", "hum-3"] and names(checkpoints) == ["hum", "hum-2", "hum-3"]
    assert checkpoints.get("hum") == before and checkpoints.get("hum-3").prompt == "1"
    assert len({checkpoint.key for checkpoint in checkpoints.list()}) == 3


def test_an_interrupted_save_leaves_nothing(checkpoints, tensors, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safe_files.os, "fsync", full)
    with pytest.raises(safe_files.SoundError, match="the disk is full"):
        checkpoints.save(a_checkpoint("other"), save(tensors))
    assert names(checkpoints) == ["hum"] and [path.name for path in checkpoints.folder.iterdir()] == ["hum"]


def test_another_base_model_is_refused_in_clear_words(checkpoints):
    with pytest.raises(CheckpointError) as caught:
        checkpoints.weights(checkpoints.get("hum"), fingerprint="ef" * 32)
    error = caught.value
    assert (error.code, error.field) == ("conflict", "reference")
    assert str(error) == (
        "The checkpoint 'hum' was learned on another model, pocket (abababab); the one that is loaded is efefefef. "
        "Start the daemon with --model pocket as it was then, or learn the reference on this one."
    )


def test_renaming_keeps_all_but_the_name(checkpoints, tensors):
    before = checkpoints.get("hum")
    renamed = checkpoints.rename("hum", "drone")
    assert names(checkpoints) == ["drone"] and renamed.key == before.key and renamed.prompt == before.prompt
    checkpoints.save(a_checkpoint("hum"), save(tensors))
    with pytest.raises(CheckpointError, match="There is a checkpoint 'hum' already. Choose another name") as caught:
        checkpoints.rename("drone", "hum")
    assert caught.value.code == "conflict"


def test_a_request_gets_the_checkpoint_that_it_named_even_if_renamed_since(checkpoints, tensors):
    first = checkpoints.get("hum")
    checkpoints.rename("hum", "drone")
    checkpoints.save(a_checkpoint(prompt="another"), save(tensors))
    assert checkpoints.resolve("hum", first.created).name == "drone"
    assert checkpoints.resolve("hum", None).prompt == "another"
    checkpoints.delete("drone")
    with pytest.raises(CheckpointError, match="'hum' was deleted after the request was accepted") as caught:
        checkpoints.resolve("hum", first.created)
    assert caught.value.code == "unknown_checkpoint"


def test_deleting_removes_it_for_good(checkpoints):
    assert checkpoints.delete("hum").name == "hum"
    assert list(checkpoints.folder.iterdir()) == []
    with pytest.raises(
        CheckpointError, match="There is no checkpoint 'hum'. List them with checkpoints, or learn one."
    ):
        checkpoints.delete("hum")


@pytest.mark.parametrize("name", ["", ".hidden", "../hum", "a/b", "a\\b", "nul\0", "x" * 101])
def test_names_that_lead_elsewhere_are_refused(checkpoints, tensors, name):
    with pytest.raises(CheckpointError) as caught:
        checkpoints.get(name)
    assert caught.value.code == "unknown_checkpoint"
    for attempt in (
        lambda: checkpoints.save(a_checkpoint(name), save(tensors)),
        lambda: checkpoints.rename("hum", name),
    ):
        with pytest.raises(CheckpointError, match=re.escape(f"{name!r} cannot be the name of a checkpoint.")):
            attempt()


def test_an_exported_checkpoint_comes_back_under_any_name(checkpoints, tmp_path, tensors):
    checkpoints.rename("hum", "drone")
    path = checkpoints.export("drone", tmp_path / "drone.safetensors")
    assert load_file(path)["layer.lora_A"].tolist() == tensors["layer.lora_A"].tolist()
    other = Checkpoints(tmp_path / "elsewhere")
    back, again = imported(other, path), imported(other, path, name="mine")
    assert (back.name, again.name) == ("drone", "mine")
    assert (back.prompt, back.fingerprint, back.losses) == ("a haunted hum", FINGERPRINT, (1.0, 0.5))
    np.testing.assert_equal(load_file(other.weights(again, fingerprint=FINGERPRINT)), tensors)
    assert imported(other, path).name == "drone-2"


def test_exporting_overwrites_nothing_and_names_its_kind(checkpoints, tmp_path):
    (tmp_path / "taken.safetensors").write_text("mine")
    with pytest.raises(CheckpointError, match="exists already. Choose another name."):
        checkpoints.export("hum", tmp_path / "taken.safetensors")
    assert (tmp_path / "taken.safetensors").read_text() == "mine"
    with pytest.raises(CheckpointError, match="'hum.bin' does not end in .safetensors."):
        checkpoints.export("hum", tmp_path / "hum.bin")


def test_a_file_that_is_not_an_exported_checkpoint_is_refused(checkpoints, tmp_path, tensors):
    plain, cut = tmp_path / "plain.safetensors", tmp_path / "cut.safetensors"
    plain.write_bytes(save(tensors))
    whole = checkpoints.export("hum", tmp_path / "whole.safetensors").read_bytes()
    cut.write_bytes(whole[:-5])
    for path in (plain, cut):
        with pytest.raises(CheckpointError, match=f"'{path.name}' is not a checkpoint exported by Tertium."):
            imported(checkpoints, path)
    assert names(checkpoints) == ["hum"]


HEADER = b"{}".ljust(64)


@pytest.mark.parametrize(
    "size, start, free, code, says",
    [
        (
            500 * 10**9,
            len(HEADER).to_bytes(8, "little") + HEADER,
            10**13,
            "out_of_range",
            "has 500.00 GB; a checkpoint has at most 17.2 GB",
        ),
        (
            10**9,
            len(HEADER).to_bytes(8, "little") + HEADER,
            12 * 10**8,
            "disk_full",
            "has 1.00 GB, but only 1.20 GB are free",
        ),
        (500 * 10**9, b"ftypisom" * 4, 10**13, "bad_message", "not a checkpoint exported"),
        (100, (101).to_bytes(8, "little") + HEADER, 10**13, "bad_message", "not a checkpoint exported"),
    ],
)
def test_what_is_too_large_or_no_checkpoint_is_refused_before_it_is_copied(
    checkpoints, tmp_path, monkeypatch, size, start, free, code, says
):
    path = tmp_path / "large.safetensors"
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(size)  # takes no room on the disk
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**13, 0, free))
    monkeypatch.setattr(safetensors_files, "copy", lambda *_: pytest.fail("copied"))
    with pytest.raises(CheckpointError, match=says) as caught:
        imported(checkpoints, path)
    assert (caught.value.code, caught.value.field, caught.value.value) == (code, "path", str(path))
    assert caught.value.remedy
    assert names(checkpoints) == ["hum"] and not list(checkpoints.folder.glob(".*"))


def test_a_file_that_grows_is_copied_no_further_than_it_was(checkpoints, tmp_path):
    path = checkpoints.export("hum", tmp_path / "grows.safetensors")

    class Growing(io.BytesIO):
        def fileno(self):
            return source.file.fileno()

    with safe_files.open_allowed(path, None) as source:
        copy = checkpoints.import_file(safe_files.OpenFile(Growing(path.read_bytes() + bytes(10**6)), path))
    assert (copy.folder / "weights.safetensors").stat().st_size == path.stat().st_size


def test_the_checked_copy_is_imported_even_if_the_file_is_replaced_meanwhile(checkpoints, tmp_path, tensors):
    path = checkpoints.export("hum", tmp_path / "hum.safetensors")
    with safe_files.open_allowed(path, [tmp_path]) as source:
        path.unlink()
        path.write_bytes(b"something else")
        back = checkpoints.import_file(source)
    np.testing.assert_equal(load_file(checkpoints.weights(back, fingerprint=FINGERPRINT)), tensors)


def test_metadata_nested_beyond_every_limit_are_refused_like_any_other(checkpoints, tmp_path, tensors):
    path = tmp_path / "deep.safetensors"
    path.write_bytes(save(tensors, {"tertium_checkpoint": "[" * 100_000}))
    with pytest.raises(CheckpointError, match="is not a checkpoint exported by Tertium"):
        imported(checkpoints, path)


@pytest.mark.parametrize(
    "lie",
    [
        {"seconds": float("nan")}, {"seconds": 0}, {"losses": [float("nan")]}, {"losses": ["x"]}, {"steps": 0}, {"steps": 2**31}, {"rank": 8},
        {"rank": 0}, {"rank": -1}, {"method": "full", "rank": 0}, {"method": "full"}, {"prompt": " "}, {"prompt": "x" * 5000}, {"prompt": "\ud800"},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_with_wrong_metadata_is_refused(checkpoints, tmp_path, lie):
    path = checkpoints.export("hum", tmp_path / "hum.safetensors")
    about = json.loads(safe_open(path, framework="numpy").metadata()["tertium_checkpoint"]) | lie
    other = io.BytesIO()
    copy_with_metadata(io.BytesIO(path.read_bytes()), other, {"tertium_checkpoint": json.dumps(about)})
    path.write_bytes(other.getvalue())
    with pytest.raises(CheckpointError, match="is not a checkpoint exported by Tertium"):
        imported(checkpoints, path)
    assert names(checkpoints) == ["hum"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_weights_that_are_not_finite_are_not_imported(checkpoints, tmp_path, kind, value):
    numbers = np.full((4, 3), 60000, kind)  # near the largest finite float16
    checkpoints.save(a_checkpoint("whole"), save({"a.lora_A": numbers}))
    assert imported(checkpoints, checkpoints.export("whole", tmp_path / "whole.safetensors")).name == "whole-2"
    numbers[2, 1] = value
    checkpoints.save(a_checkpoint("broken"), save({"a.lora_A": np.ones((4, 3), kind), "b.lora_A": numbers}))
    with pytest.raises(
        CheckpointError, match="in 'broken.safetensors' are not all finite: b.lora_A is damaged. Export it again"
    ) as caught:
        imported(checkpoints, checkpoints.export("broken", tmp_path / "broken.safetensors"))
    assert (caught.value.code, caught.value.field) == ("bad_message", "path")
    assert "broken-2" not in names(checkpoints)


def test_bfloat16_weights_are_checked_too(tmp_path):
    path = tmp_path / "weights.safetensors"
    for last, found in ((1.0, None), (float("nan"), "b"), (float("-inf"), "b")):
        safetensors.torch.save_file({"a": torch.tensor([1, 2]), "b": torch.tensor([3e38, last]).bfloat16()}, path)
        assert not_finite(path) == found


def test_a_jobs_checkpoint_is_found_under_any_name_and_an_import_has_no_job(checkpoints, tmp_path, tensors):
    checkpoints.save(a_checkpoint("trained", job="7", steps=3), save(tensors))
    checkpoints.rename("trained", "renamed")
    assert checkpoints.learned_by("7", 3).name == "renamed"
    assert checkpoints.learned_by("7", 4) is None and checkpoints.learned_by("8", 3) is None
    path = checkpoints.export("renamed", tmp_path / "it.safetensors")
    checkpoints.delete("renamed")
    assert imported(checkpoints, path).job is None and checkpoints.learned_by("7", 3) is None


def test_an_invalid_checkpoint_does_not_hide_the_others(checkpoints, tensors):
    checkpoints.save(a_checkpoint("drum"), save(tensors))
    about = checkpoints.get("hum").folder / "checkpoint.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"losses": [float("inf")]}))
    assert names(checkpoints) == ["drum"]


def test_a_name_of_more_bytes_than_file_systems_take_is_refused_before_anything_is_done(checkpoints, tensors):
    for do in (
        lambda name: checkpoints.rename("hum", name),
        lambda name: checkpoints.save(a_checkpoint(name), save(tensors)),
    ):
        with pytest.raises(CheckpointError, match="Choose a shorter name") as caught:
            do("🥁" * 46)
        assert caught.value.code == "out_of_range"
    assert checkpoints.rename("hum", "🥁" * 45).name == "🥁" * 45


def test_damage_is_reported_and_skipped_in_lists(checkpoints, tensors):
    found = checkpoints.get("hum")
    (found.folder / "weights.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="The weights of the checkpoint 'hum' cannot be read"):
        checkpoints.weights(found, fingerprint=FINGERPRINT)
    about = json.loads((found.folder / "checkpoint.json").read_text())
    for damage in ("[]", "{", json.dumps(about | {"rank": "four"}), json.dumps(about | {"method": "dora"})):
        (found.folder / "checkpoint.json").write_text(damage)
        assert checkpoints.list() == []


def test_what_crashes_left_is_cleaned_away_and_what_others_write_stays(checkpoints):
    left, written = (
        checkpoints.folder / f".hum.{2**22 + 1}.abc.part",
        checkpoints.folder / f".hum.{os.getpid()}.abc.part",
    )
    for folder in (
        left,
        written,
    ):  # one of a process beyond the greatest process id of Linux, and one of a process that runs
        folder.mkdir()
        (folder / "weights.safetensors").write_bytes(b"half")
    checkpoints.clean()
    assert names(checkpoints) == ["hum"] and not left.exists() and written.exists()
