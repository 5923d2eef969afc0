"""The tools that train the embedded model: material is repeatable, and the projection has the properties that are claimed."""

import math
import re
import shlex
from pathlib import Path

import numpy
import pytest
import torch
from safetensors import safe_open

from pocket import __main__ as command
from pocket.codec.fit import projection as fit_projection
from pocket.material import effects, origin, piece, provenance, recordings, synthesis
from pocket.material.dataset import Item
from pocket.model import config, export, import_shipped, train


@pytest.mark.parametrize("maker", synthesis.MAKERS, ids=lambda maker: maker.__name__)
def test_a_sound_is_decided_by_its_seed(maker):
    one, words = maker(numpy.random.default_rng(3), 22050)
    again, _ = maker(numpy.random.default_rng(3), 22050)
    other, _ = maker(numpy.random.default_rng(4), 22050)
    assert one.shape == (22050,) and numpy.isfinite(one).all() and words
    assert numpy.array_equal(one, again) and not numpy.array_equal(one, other)


@pytest.mark.parametrize(
    "effect", [effects.reverberate, effects.place, effects.colour], ids=lambda effect: effect.__name__
)
def test_effects_keep_the_length(effect):
    for seed in range(6):
        sound, words = effect(numpy.random.default_rng(seed), numpy.random.default_rng(0).standard_normal((2, 8000)))
        assert sound.shape == (2, 8000) and numpy.isfinite(sound).all() and isinstance(words, list)


@pytest.mark.parametrize("seed", range(4))
def test_pieces_need_no_recordings_where_none_are_wanted(seed, monkeypatch, tmp_path):
    monkeypatch.setattr(recordings, "FOLDER", tmp_path)
    audio, caption, kind = piece.piece(seed, with_recordings=False)
    assert audio.shape == (2, 12 * 44100) and numpy.isfinite(audio).all() and caption
    assert kind in {"synthesised", "grains", "mix", "fused"}


def test_missing_recordings_are_named_with_the_remedy(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(recordings, "FOLDER", tmp_path / "none")
    assert command.main([str(tmp_path / "work")]) == 2
    said = capsys.readouterr().err
    assert "sonic-pi-samples" in said and "--no-recordings" in said


def test_a_working_folder_keeps_to_one_kind_of_material(tmp_path):
    origin.begin(tmp_path / "work", with_recordings=False)
    origin.begin(tmp_path / "work", with_recordings=False)
    with pytest.raises(SystemExit, match="begun with --no-recordings"):
        origin.begin(tmp_path / "work", with_recordings=True)
    (tmp_path / "codec.safetensors").touch()  # a folder from before there was a record
    with pytest.raises(SystemExit, match="begun with recordings"):
        origin.begin(tmp_path, with_recordings=False)


def test_provenance_without_recordings_names_none():
    page = provenance.page(steps=1200, minutes=3.2, with_recordings=False)
    assert "1,200 steps in 3 minutes" in page and "freesound" not in page and "model.safetensors" in page


@pytest.mark.skipif(not recordings.FOLDER.exists(), reason="sonic-pi-samples is not installed")
def test_provenance_names_every_source_and_what_is_held_out():
    page = provenance.page(steps=1, minutes=1.0)
    assert all(
        name in page
        for name in ("freesound.org", "MuseScore General", "MIT", "Frank Wen", "hydrogen-drumkits", "Vibraphone")
    )
    assert page.count("no: held out") == len(recordings.HELD_OUT)


def test_the_makefile_gives_every_argument_that_training_needs():
    text = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    work = re.search(r"^WORK \?= (\S+)$", text, re.MULTILINE)[1]
    recipe = re.search(r"^pocket:.*\n((?:\t.*\n)+)", text, re.MULTILINE)[1]
    line = recipe.replace("$(WORK)", work).replace("$(ARGS)", "--minutes 5 --no-recordings").strip()
    program, *words = shlex.split(line)
    assert program == "@$(VENV)/python" and words[:2] == ["-m", "pocket"]
    options = command.arguments().parse_args(words[2:])  # exits where one is missing
    assert (str(options.work), options.minutes, options.to) == (work, 5, None)


def test_names_become_words():
    assert recordings.words("drum_tom_hi_hard") == ["acoustic drum hit", "tom drum", "high", "hard"]
    assert recordings.words("glitch_perc3") == ["glitch digital", "percussion"]


def test_the_projection_decorrelates_and_keeps_silence():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4000, 20, generator=generator, dtype=torch.float64) * torch.linspace(10, 0.1, 20) + 5
    silence = torch.full((20,), -90.0, dtype=torch.float64)
    projection = fit_projection(features.sum(0), features.T @ features, len(features), silence, size=6)
    latents = (features.float() - projection["mean"]) @ projection["encoder"].T
    spread = latents.square().mean(0)
    torch.testing.assert_close(latents.T @ latents / len(latents), torch.diag(spread), atol=2e-3, rtol=0)
    assert spread.mean().item() == pytest.approx(1, abs=1e-3)
    # an error in a latent is weighted by the spread of its dimension: the squared lengths of the decoder's columns are proportional to it
    torch.testing.assert_close(
        projection["decoder"].square().sum(0) / spread,
        torch.full((6,), (projection["decoder"].square().sum(0) / spread).mean().item()),
        rtol=1e-3,
        atol=0,
    )
    back = projection["decoder"] @ (projection["encoder"] @ (silence.float() - projection["mean"])) + projection["mean"]
    torch.testing.assert_close(back, silence.float(), atol=1e-2, rtol=0)


def test_batches_hold_crops_of_one_length_with_their_captions():
    short = [Item(torch.randn(256, 517), f"short {i}", "x") for i in range(3)]
    long = [Item(torch.randn(256, 2046), "long", "x")]
    generator = torch.Generator().manual_seed(0)
    lengths = set()
    for _ in range(60):
        latents, about = train.crops(short, long, generator)
        assert latents.shape[0] == len(about) and latents.shape[0] * latents.shape[2] <= max(train.TOKENS_A_BATCH, 2046)
        assert latents.shape[2] == math.ceil(about[0]["seconds_total"] * train.FRAMES_A_SECOND)
        assert about[0]["seconds_total"] <= 12 or all(entry["prompt"] == "long" for entry in about)
        lengths.add(latents.shape[2])
    assert len(lengths) > 4


def test_without_long_pieces_no_crop_is_longer_than_the_short_ones():
    short, generator = [Item(torch.randn(256, 517), "short", "x")], torch.Generator().manual_seed(0)
    assert all(train.crops(short, [], generator)[0].shape[2] <= 517 for _ in range(200))


def test_training_state_is_restored_from_its_checkpoint(tmp_path):
    def run():
        model = torch.nn.Linear(2, 2)
        return train.Run(
            model,
            {name: t.detach().clone() for name, t in model.state_dict().items()},
            torch.optim.AdamW(model.parameters()),
        )

    first = run()
    first.model(torch.ones(1, 2)).sum().backward()
    first.optimiser.step()
    first.step, first.seconds = 7, 60.0
    first.update_average()
    first.save(tmp_path / "checkpoint.pt")
    second = run()
    second.restore(tmp_path / "checkpoint.pt")
    assert (second.step, second.seconds) == (7, 60.0)
    for restored, saved in ((second.model.state_dict(), first.model.state_dict()), (second.average, first.average)):
        assert all(torch.equal(restored[name], saved[name]) for name in saved)


def test_the_learning_rate_rises_holds_and_falls_to_zero():
    assert train.learning_rate(0, 0.0, peak=1.0) < 0.01
    assert train.learning_rate(500, 0.5, peak=1.0) == 1.0
    assert train.learning_rate(5000, 1.0, peak=1.0) == pytest.approx(0.0)


def test_any_text_has_a_tokenization(tmp_path):
    from transformers import AutoTokenizer

    config.train_tokenizer(["drum loop fast", "bell metallic"], tmp_path / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    tokens = tokenizer(["Drum LOOP", "žvýkačka 日本"], padding="max_length", max_length=config.TOKENS, truncation=True)
    assert all(len(row) == config.TOKENS for row in tokens["input_ids"])
    assert (
        tokens["input_ids"][0]
        == tokenizer(["drum loop"], padding="max_length", max_length=config.TOKENS)["input_ids"][0]
    )
    assert sum(tokens["attention_mask"][1]) > 3


def test_what_is_shipped_can_be_trained_on(tmp_path):
    run = import_shipped.unpack(tmp_path)
    run.save(tmp_path / "checkpoint.pt")
    again = train.start(tmp_path, torch.device("cpu"), resume=True)
    assert (again.step, again.seconds) == (run.step, run.seconds) and again.step > 0
    assert not config.positions(again.model).scale.requires_grad and config.positions(again.model).scale.item() == 1
    tensors, steps, _ = export.weights(tmp_path)
    with safe_open(export.SHIPPED / "model.safetensors", "pt") as file:
        assert set(tensors) == set(file.keys()) and str(steps) == file.metadata()["steps"]
        for name, tensor in tensors.items():
            assert torch.equal(tensor, file.get_tensor(name)), name
