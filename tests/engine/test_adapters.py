"""Fine-tuned models beside their base: their predictions, the weights that they share, and their eviction from memory."""

import pytest
import torch

from tertium.engine.sampling.denoiser import Denoiser
from tertium.engine.settings import RATES, LearnSettings
from tertium.engine.training import adapters
from tertium.engine.training.fine_tune import Learner


def prediction(model, prompt="drum"):
    schedule = model.schedule(4)
    x = torch.randn(1, model.latent_channels, 20, generator=torch.Generator().manual_seed(0))
    return Denoiser(model.model, schedule)(x, 1, model.condition(prompt, seconds=1.0))


def size(weights):
    """Return the bytes of all tensors."""
    return sum(tensor.nbytes for tensor in weights.tensors.values())


@pytest.fixture(scope="module")
def learners(prompted_model):
    """One learner for each method, after a few steps."""
    noise = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1)) * 0.1
    learners = {
        method: Learner(prompted_model, noise, LearnSettings(prompt="drum", method=method, steps=5, rank=3, rate=1e-2))
        for method in RATES
    }
    for learner in learners.values():
        learner.run()
    return learners


@pytest.mark.parametrize("method", RATES)
def test_what_was_learned_predicts_the_same_when_applied(prompted_model, learners, method):
    base, learner = prediction(prompted_model), learners[method]
    applied = adapters.apply(prompted_model, learner.weights())
    # Trainable and frozen weights may be multiplied by different kernels: equal except for rounding.
    torch.testing.assert_close(prediction(applied), prediction(learner.model), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(prediction(applied), base, atol=1e-3)
    assert torch.equal(prediction(prompted_model), base)


def test_a_lora_that_learned_nothing_changes_nothing_and_shares_all_weights(prompted_model):
    view = adapters.lora_view(prompted_model, rank=2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(prediction(view), prediction(prompted_model))
    base = {tensor.data_ptr() for tensor in prompted_model.model.parameters()}
    own = [tensor for tensor in view.model.parameters() if tensor.data_ptr() not in base]
    assert sum(t.numel() for t in own) == sum(p.numel() for p in adapters.learned_parameters(view, "lora").values())
    assert view.model.conditioner is prompted_model.model.conditioner


def test_every_linear_layer_of_the_transformer_learns(prompted_model):
    view = adapters.lora_view(prompted_model, rank=2)
    transformer = prompted_model.model.model.model
    linears = {name for name, layer in transformer.named_modules() if isinstance(layer, torch.nn.Linear)}
    assert {name.rpartition(".")[0] for name in adapters.learned_parameters(view, "lora")} == linears


def test_weights_of_another_shape_are_refused(prompted_model, learners):
    weights = learners["lora"].weights()
    name = min(weights.tensors)
    wrong = adapters.Weights("lora", {**weights.tensors, name: torch.zeros(3, 5)}, 3)
    with pytest.raises(ValueError, match="does not fit into prompted"):
        adapters.apply(prompted_model, wrong)
    fewer = {key: tensor for key, tensor in weights.tensors.items() if key != name}
    with pytest.raises(ValueError, match=f"{name} is missing"):
        adapters.apply(prompted_model, adapters.Weights("lora", fewer, 3))


def test_the_one_used_longest_ago_goes_first_and_the_budget_holds(prompted_model, learners):
    weights = learners["lora"].weights()
    residents = adapters.Residents(prompted_model, budget=2 * size(weights))
    loads = []

    def load(key):
        return lambda: loads.append(key) or weights

    a = residents.get("a", load("a"))
    residents.get("b", load("b"))
    assert residents.get("a", load("a")) is a
    residents.get("c", load("c"))  # evicts b
    assert residents.get("a", load("a")) is a
    assert loads == ["a", "b", "c"] and residents.bytes == 2 * size(weights)
    residents.get("b", load("b"))  # evicts c
    residents.get("a", load("a")), residents.get("b", load("b"))
    assert loads == ["a", "b", "c", "b"]
    full = learners["full"].weights()
    residents.get("full", lambda: full)  # larger than the budget: it stays alone
    assert residents.bytes == size(full)
    residents.clear()
    assert residents.bytes == 0


def test_switching_between_residents_loads_nothing(prompted_model, learners):
    weights = learners["lora"].weights()
    residents = adapters.Residents(prompted_model, budget=10**9)
    views = {key: residents.get(key, lambda: weights) for key in "ab"}
    for key in "abab":
        assert residents.get(key, None) is views[key]
