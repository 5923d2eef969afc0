"""An accelerator where there is none: tensors that know where they would lie, and refuse to be mixed.

PyTorch's fake tensors carry shapes, dtypes and devices without numbers. A build for the CPU alone does not let them name CUDA or MPS, so
``meta`` stands for the accelerator: whatever joins a tensor there with one on the CPU fails, as it would on a GPU. Whatever is in double
precision there fails too, as on MPS, which has none.
"""

import contextlib

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tertium.engine.models import phase_retrieval, weights
from tertium.engine.models.device import place, text_encoders
from tertium.engine.models.loaded_model import LoadedModel, load_model

DEVICE = torch.device("meta")
DOUBLE = (torch.float64, torch.complex128)


class Accelerator(TorchDispatchMode):
    """Refuses double precision on the device. A number that is read back is 1: none of those that Tertium asks for chooses where a tensor lies."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if operator is torch.ops.aten._local_scalar_dense.default:
            return bool(1) if args[0].dtype is torch.bool else 1.0 if args[0].dtype.is_floating_point else 1
        result = operator(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == DEVICE.type:
                assert tensor.dtype not in DOUBLE, f"{operator} makes {tensor.dtype} on the device, which MPS has not"
        return result


def _replaced(module, convert, recurse=True):
    """``Module._apply`` by replacing each tensor: fake ones can be neither swapped nor written into."""
    for child in module.children():
        _replaced(child, convert)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = torch.nn.Parameter(convert(parameter.detach()), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = convert(buffer)
    return module


def _phases(magnitudes, **_):
    """In place of the search for phases, which reads every number, on the CPU, and gives back doubles there."""
    assert magnitudes.device.type == "cpu"
    return torch.empty(magnitudes.shape[1:], dtype=torch.float64)


@contextlib.contextmanager
def on(monkeypatch, name, dtype):
    """A model of this name or folder, read from its real files and put on the accelerator in ``dtype``, for as long as the context lasts."""
    loaded = load_model(name, device="cpu", precision="fp32")
    module, config, mode = loaded.model, weights.read_config(loaded._files.config), FakeTensorMode()
    make = torch.tensor
    monkeypatch.setattr(torch.nn.Module, "_apply", _replaced)
    monkeypatch.setattr(FakeTensorMode, "__deepcopy__", lambda self, memo: self, raising=False)
    monkeypatch.setattr(phase_retrieval, "_row", _phases)
    monkeypatch.setattr(
        torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext()
    )  # it knows real devices only
    monkeypatch.setattr(
        torch, "tensor", lambda data, dtype=None, device="cpu": make(data, dtype=dtype).to(device)
    )  # what is made on meta is no fake tensor
    for part in (module, *text_encoders(module)):
        _replaced(part, mode.from_tensor)
    with mode, Accelerator():
        place(module, DEVICE, dtype)
        yield LoadedModel(module, config, loaded._files)
