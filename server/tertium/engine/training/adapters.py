"""Fine-tuned models beside their base: a view of the model that shares every weight it does not train.

A view is used like any model. Under a LoRA (Hu et al., arXiv 2106.09685; ``peft``'s layers) it shares every weight of
the base and adds two thin matrices to each linear layer of the diffusion transformer; a fully fine-tuned view has a
transformer of its own. The base never changes, so several views can exist beside it, and switching between them means
using another object.
"""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import torch

from tertium.engine.models import stable_audio
from tertium.engine.models.device import PreciseTimesteps
from tertium.engine.models.loaded_model import LoadedModel

_ADAPTER = "reference"


@dataclass(frozen=True)
class Weights:
    """The trained weights.

    Args:
        method: ``lora`` or ``full``.
        tensors: by name within the diffusion transformer: ``<layer>.lora_A`` (rank, in) and ``<layer>.lora_B`` (out,
            rank), or all its weights.
        rank: of a LoRA; 0 for full weights.
    """

    method: str
    tensors: Mapping[str, torch.Tensor]
    rank: int = 0


def lora_view(model: LoadedModel, *, rank: int, generator: torch.Generator | None = None) -> LoadedModel:
    """Return a view with a LoRA on every linear layer of the transformer, in float32.

    Before training it computes the same as the base.

    Args:
        rank: 1 or greater. The scale is 1 (alpha is the rank).
        generator: draws the first factors, uniformly within 1 / sqrt(in); the second factors are 0. None leaves peft's
            draw, which :func:`apply` overwrites.
    """
    view = _view(model)
    transformer = view.model.model.model
    peft = stable_audio.load("peft")
    linears = [name for name, layer in transformer.named_modules() if isinstance(layer, torch.nn.Linear)]
    config = peft.LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=linears)
    with torch.random.fork_rng(devices=[]):  # peft draws from the global generator; its draws are replaced
        peft.inject_adapter_in_model(config, transformer, adapter_name=_ADAPTER)
    for layer in _lora_layers(transformer).values():
        first, second = layer.lora_A[_ADAPTER].weight, layer.lora_B[_ADAPTER].weight
        first.data, second.data = first.data.float(), torch.zeros_like(second.data, dtype=torch.float32)
        if generator is not None:
            drawn = torch.rand(first.shape, generator=generator) * 2 - 1
            first.data.copy_(drawn / math.sqrt(first.shape[1]))
    transformer.eval()
    return view


def full_view(model: LoadedModel) -> LoadedModel:
    """Return a view with its own transformer, in float32, equal to the base's."""
    view = _view(model, own_transformer=True)
    transformer = view.model.model.model.float()
    if isinstance(transformer.timestep_features, PreciseTimesteps):
        transformer.timestep_features.dtype = torch.float32
    view.dtype = torch.float32
    return view


def learned_parameters(view: LoadedModel, method: str) -> dict[str, torch.nn.Parameter]:
    """Return the trainable parameters of a view by name; see :class:`Weights`."""
    transformer = view.model.model.model
    if method == "full":
        return dict(transformer.named_parameters())
    found = {}
    for name, layer in _lora_layers(transformer).items():
        found[f"{name}.lora_A"] = layer.lora_A[_ADAPTER].weight
        found[f"{name}.lora_B"] = layer.lora_B[_ADAPTER].weight
    return found


def apply(model: LoadedModel, weights: Weights) -> LoadedModel:
    """Return the fine-tuned model, frozen, beside its base and in its precision.

    Raises:
        ValueError: the weights do not fit this model; the message names the first that does not.
    """
    view = lora_view(model, rank=weights.rank) if weights.method == "lora" else _view(model, own_transformer=True)
    parameters = learned_parameters(view, weights.method)
    for name, tensor in weights.tensors.items():
        if name not in parameters or parameters[name].shape != tensor.shape:
            raise ValueError(f"{name} {tuple(tensor.shape)} does not fit into {model.name}")
    if missing := parameters.keys() - weights.tensors.keys():
        raise ValueError(f"{min(missing)} is missing")
    for name, parameter in parameters.items():
        parameter.data = weights.tensors[name].to(model.device, model.dtype, copy=True)
        parameter.requires_grad_(False)
    return view


def _lora_layers(transformer: torch.nn.Module) -> dict[str, torch.nn.Module]:
    return {name: layer for name, layer in transformer.named_modules() if _ADAPTER in getattr(layer, "lora_A", ())}


def _view(model: LoadedModel, *, own_transformer: bool = False) -> LoadedModel:
    """Return a copy of the model that shares its weights; the transformer's are copied if it is to have its own."""
    module = model.model
    shared = [module.conditioner, module.pretransform]
    if not own_transformer:
        shared += [*module.parameters(), *module.buffers()]
    view = copy.copy(model)
    view.model = copy.deepcopy(module, {id(part): part for part in shared if part is not None})
    return view


class Residents:
    """Fine-tuned models kept in memory beside their base, as many as fit; the least recently used is evicted first.

    Args:
        model: the base.
        budget: memory for what they add to the base, in bytes. A single model above the budget stays until the next is
            loaded.
    """

    def __init__(self, model: LoadedModel, *, budget: int):
        self._model, self.budget = model, budget
        self._models: OrderedDict[Hashable, tuple[LoadedModel, int]] = OrderedDict()

    @property
    def bytes(self) -> int:
        """Memory that the models in the cache add to the base."""
        return sum(size for _, size in self._models.values())

    def get(self, key: Hashable, load: Callable[[], Weights]) -> LoadedModel:
        """Return the fine-tuned model of a key; load it if it is not in memory.

        Raises:
            ValueError: the loaded weights do not fit the base.
        """
        if key in self._models:
            self._models.move_to_end(key)
            return self._models[key][0]
        weights = load()
        view = apply(self._model, weights)
        size = sum(p.numel() * p.element_size() for p in learned_parameters(view, weights.method).values())
        self._evict(size)
        self._models[key] = (view, size)
        return view

    def clear(self) -> None:
        """Evict all models."""
        self._models.clear()

    def _evict(self, size: int) -> None:
        while self._models and self.bytes + size > self.budget:
            self._models.popitem(last=False)
