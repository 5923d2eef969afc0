"""Training on one reference: it learns, it can be interrupted, and it changes neither the base nor any global state."""

import json
import math

import pytest
import safetensors.torch
import torch

from tertium.engine import operations
from tertium.engine.settings import GenerateSettings, LearnSettings, SettingError
from tertium.engine.training import adapters, fine_tune
from tertium.engine.training.fine_tune import Learner, TrainingFailed
from tertium.errors import SoundError

METHODS = ("lora", "full")


class Interrupted(Exception):
    pass


@pytest.fixture
def reference():
    """One second of two tones, stereo, at the tiny models' 8 kHz."""
    t = torch.arange(8000) / 8000
    return torch.stack([torch.sin(2 * math.pi * 220 * t), torch.sin(2 * math.pi * 330 * t)]) * 0.5


def settings(**more):
    return LearnSettings(**{"prompt": "drum loop", "steps": 8, "rank": 4, "seed": 3} | more)


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_falls_and_the_base_stays_as_it_was(prompted_model, reference, method):
    before = {name: tensor.clone() for name, tensor in prompted_model.model.state_dict().items()}
    learner = Learner(prompted_model, reference, settings(method=method, steps=60, rate=5e-3))
    learner.run()
    assert learner.step == len(learner.losses) == 60
    assert sum(learner.losses[-10:]) < 0.7 * sum(learner.losses[:10])
    after = prompted_model.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in prompted_model.model.parameters())


def on_disk(state, path):
    """Return a state after a round trip through a file."""
    safetensors.torch.save_file(state["tensors"], path, {"facts": json.dumps(state["facts"])})
    with safetensors.safe_open(path, "pt") as file:
        return {"facts": json.loads(file.metadata()["facts"]), "tensors": safetensors.torch.load_file(path)}


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("method", METHODS)
def test_interrupted_and_resumed_is_bit_for_bit_as_undisturbed(tiny_model, reference, method, ema, tmp_path):
    undisturbed = Learner(tiny_model, reference, settings(method=method, ema=ema))
    undisturbed.run()

    def stop_at_three(step, loss):
        if step == 3:
            raise Interrupted

    interrupted = Learner(tiny_model, reference, settings(method=method, ema=ema))
    with pytest.raises(Interrupted):
        interrupted.run(stop_at_three)
    saved = on_disk(interrupted.state_dict(), tmp_path / "state.safetensors")
    resumed = Learner(tiny_model, reference, settings(method=method, ema=ema))
    resumed.load_state_dict(saved)
    assert resumed.step == 3
    resumed.run()
    assert saved["facts"]["step"] == 3, "the saved state is unchanged"
    assert resumed.losses == undisturbed.losses
    same = undisturbed.weights().tensors
    assert all(torch.equal(tensor, same[name]) for name, tensor in resumed.weights().tensors.items())


def test_run_goes_on_where_a_callback_stopped_it(tiny_model, reference):
    undisturbed, learner = (Learner(tiny_model, reference, settings()) for _ in range(2))
    undisturbed.run()
    reports = []

    def stop_often(step, loss):
        reports.append((step, loss))
        if reports.count((step, loss)) == 1:
            raise Interrupted

    while learner.step < 8:
        try:
            learner.run(stop_often)
        except Interrupted:
            continue
    assert learner.losses == undisturbed.losses
    assert reports[0] == (0, None) and reports[-1] == (7, learner.losses[6])


def test_a_state_may_be_of_before_the_first_step(tiny_model, reference):
    learner, other = (Learner(tiny_model, reference, settings()) for _ in range(2))
    other.load_state_dict(learner.state_dict())
    assert other.take_step() == learner.take_step()


@pytest.mark.parametrize("part", ["weights", "exp_avg"])
def test_a_state_of_another_model_is_refused_and_changes_nothing(tiny_model, reference, part):
    learner, other = (Learner(tiny_model, reference, settings()) for _ in range(2))
    learner.take_step()
    state, before = learner.state_dict(), other.weights().tensors
    name = next(name for name in state["tensors"] if name.startswith(f"{part}/"))
    state["tensors"][name] = torch.zeros(3, 3)
    with pytest.raises(ValueError, match=f"of another model: {part}/.* is missing or of another shape"):
        other.load_state_dict(state)
    assert other.step == 0 and all(
        torch.equal(tensor, before[name]) for name, tensor in other.weights().tensors.items()
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_result_is_the_running_average_and_training_is_the_same_without_it(tiny_model, reference, method):
    plain, averaged = (Learner(tiny_model, reference, settings(method=method, ema=ema)) for ema in (0.0, 0.9))
    average = {name: tensor.clone() for name, tensor in plain.weights().tensors.items()}
    for step in range(1, 5):
        plain.take_step(), averaged.take_step()
        decay = (1 + step) / (20 + step)  # below 0.9 so early
        for name, tensor in plain.weights().tensors.items():
            average[name] = average[name] * decay + tensor * (1 - decay)
    assert plain.losses == averaged.losses
    for name, tensor in averaged.weights().tensors.items():
        torch.testing.assert_close(tensor, average[name])
    assert any(not torch.equal(tensor, average[name]) for name, tensor in plain.weights().tensors.items())


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_preview_does_not_disturb_training(tiny_model, reference, ema):
    undisturbed, learner = (Learner(tiny_model, reference, settings(ema=ema)) for _ in range(2))
    undisturbed.run()
    for _ in range(4):
        learner.take_step()
    with learner.with_learned_weights() as model:
        name = next(iter(learner.weights().tensors))
        assert torch.equal(adapters.learned_parameters(model, "lora")[name], learner.weights().tensors[name])
        preview = operations.generate(model, GenerateSettings(prompt="drum loop", seconds=1.0, steps=2))
    applied = adapters.apply(tiny_model, learner.weights())
    again = operations.generate(applied, GenerateSettings(prompt="drum loop", seconds=1.0, steps=2))
    # Trainable and frozen weights may be multiplied by different kernels: equal except for rounding.
    torch.testing.assert_close(preview, again, rtol=1e-4, atol=1e-4)
    learner.run()
    assert learner.losses == undisturbed.losses


def test_a_state_of_other_settings_is_refused(tiny_model, reference):
    state = Learner(tiny_model, reference, settings(seed=4)).state_dict()
    with pytest.raises(ValueError, match="with other settings: seed"):
        Learner(tiny_model, reference, settings()).load_state_dict(state)


def test_nothing_global_is_drawn_from(tiny_model, reference):
    def losses(global_seed):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        learner = Learner(tiny_model, reference, settings(steps=2))
        learner.run()
        assert torch.equal(before, torch.get_rng_state())
        return learner.losses

    assert losses(1) == losses(2)


@pytest.mark.parametrize("method", METHODS)
def test_half_the_precision_learns_nearly_the_same_in_float32_weights(tiny_model, reference, method):
    exact, lower = (
        Learner(tiny_model, reference, settings(method=method, precision=precision)) for precision in ("fp32", "bf16")
    )
    exact.run(), lower.run()
    assert exact.losses != lower.losses
    assert lower.losses == pytest.approx(exact.losses, rel=0.03)
    assert {tensor.dtype for tensor in lower.weights().tensors.values()} == {torch.float32}


def test_checkpointed_gradients_are_the_same(tiny_model, reference):
    plain, checkpointed = (Learner(tiny_model, reference, settings(checkpointing=given)) for given in (False, True))
    assert [plain.take_step() for _ in range(3)] == pytest.approx(
        [checkpointed.take_step() for _ in range(3)], rel=1e-5
    )


def test_a_nan_loss_stops_and_keeps_the_weights(tiny_model, reference):
    learner = Learner(tiny_model, reference, settings(rate=1e-3))
    learner.take_step()
    before = learner.weights().tensors
    learner._latents[0, 0, 0] = math.nan
    with pytest.raises(
        TrainingFailed, match="Training diverged at step 1: the loss is not finite. Give a lower rate than 0.001."
    ):
        learner.run()
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.weights().tensors.items())
    assert learner.step == 1


@pytest.mark.parametrize(("seconds", "frames", "encoded"), [(None, 500, 500), (0.5, 250, 500), (2.0, 1000, 1000)])
def test_pieces_come_from_longer_references_and_shorter_ones_are_repeated(
    tiny_model, reference, seconds, frames, encoded
):
    learner = Learner(tiny_model, reference, settings(seconds=seconds))
    assert learner._latents.shape[-1] == encoded
    crops = learner._crops(6)
    assert crops.shape == (6, 4, frames)
    assert all(torch.equal(crops[0], crop) for crop in crops[1:]) == (frames == encoded)


def test_null_dropout_decides_what_learns_under_the_null_prompt(prompted_model, reference):
    learner = Learner(prompted_model, reference, settings(batch=2))
    mixed = learner._conditioning(torch.tensor([True, False])).cross_attention
    assert not mixed[0].any() and mixed[1].any()


def test_noise_levels_are_those_of_the_objective():
    for objective, first in (("v", 0.15), ("rectified_flow", 0.0), ("rf_denoiser", 0.0)):
        alpha, sigma, times = fine_tune.noise_levels(objective, 1000, torch.Generator().manual_seed(0))
        assert first <= times.min() < first + 0.01 and 0.99 < times.max() <= 1
        assert times.median() == pytest.approx(1 - (1 - first) * 0.5**1.5, abs=0.01), "denser towards noise"
        whole = alpha**2 + sigma**2 if objective == "v" else alpha + sigma
        torch.testing.assert_close(whole, torch.ones(1000))


def test_the_rate_rises_stays_and_falls():
    rates = [fine_tune.learning_rate(step, 100, peak=1.0) for step in range(100)]
    assert rates[0] == 0.1 and set(rates[9:60]) == {1.0} and rates[-1] < 0.01
    assert rates[60:] == sorted(rates[60:], reverse=True)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("prompt", " ", "prompt must be text that the reference shall answer to; it is ' '."),
        ("method", "dora", "method must be one of lora, full; it is 'dora'."),
        ("steps", 0, "steps must be a whole number from 1 to 100000; it is 0."),
        ("rank", 0, "rank must be a whole number from 1 to 256; it is 0."),
        ("rate", 1.0, "rate must be a number from 1e-07 to 0.1; it is 1.0."),
        ("precision", "fp16", "precision must be one of auto, fp32, bf16; it is 'fp16'."),
        ("ema", 1.0, "ema must be a number from 0 to 0.9999; it is 1.0."),
        ("null_dropout", 1.5, "null_dropout must be a number from 0 to 1; it is 1.5."),
    ],
)
def test_settings_out_of_range_are_refused(field, value, said):
    with pytest.raises(SettingError) as caught:
        settings(**{field: value})
    assert caught.value.message == said and caught.value.field == field


def test_what_cannot_be_learned_is_refused(tiny_model, reference):
    with pytest.raises(
        SettingError, match="tiny trains on pieces of 0.5 to 2.0 seconds; seconds is 3. Give a number from 0.5 to 2.0."
    ):
        Learner(tiny_model, reference, settings(seconds=3))
    with pytest.raises(SoundError, match="reference is 0.250 seconds long"):
        Learner(tiny_model, reference[:, :2000], settings())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_models_in_half_precision_learn(tiny_folder, reference, method, precision, dtype):
    from tertium.engine.models.loaded_model import load_model

    model = load_model(str(tiny_folder), device="cpu", precision=precision)
    learner = Learner(model, reference, settings(method=method, rate=1e-4))
    learner.run()
    assert all(math.isfinite(loss) for loss in learner.losses)
    applied = adapters.apply(model, learner.weights())
    assert {p.dtype for p in adapters.learned_parameters(applied, method).values()} == {dtype}
