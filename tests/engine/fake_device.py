"""A simulated accelerator: tensors that know their device and refuse to be combined with tensors of another.

PyTorch's fake tensors have shapes, dtypes and devices but no values. In a build for the CPU alone they cannot be on
CUDA or MPS, so ``meta`` takes the accelerator's place: an operation on a tensor there and one on the CPU fails, as on a
GPU. Double precision fails there too, as on MPS, which does not have it.
"""

import contextlib

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tertium.engine.models import weights
from tertium.engine.models.device import place, text_encoders
from tertium.engine.models.loaded_model import LoadedModel, load_model

DEVICE = torch.device("meta")
DOUBLE = (torch.float64, torch.complex128)


class Accelerator(TorchDispatchMode):
    """Refuse double precision on the device.

    A value read back is 1; Tertium reads none that decides on a tensor's device.
    """

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if operator is torch.ops.aten._local_scalar_dense.default:
            return bool(1) if args[0].dtype is torch.bool else 1.0 if args[0].dtype.is_floating_point else 1
        result = operator(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == DEVICE.type:
                assert tensor.dtype not in DOUBLE, f"{operator} makes {tensor.dtype} on the device, which MPS has not"
        return result


def _replaced(module, convert, recurse=True):
    """``Module._apply`` by replacing each tensor, since fake tensors can be neither swapped nor written to."""
    for child in module.children():
        _replaced(child, convert)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = torch.nn.Parameter(convert(parameter.detach()), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = convert(buffer)
    return module


@contextlib.contextmanager
def on(monkeypatch, name, dtype):
    """Load a model by name or folder from its real files and yield it on the accelerator in ``dtype``."""
    loaded = load_model(name, device="cpu", precision="fp32")
    module, config, mode = loaded.model, weights.read_config(loaded._files.config), FakeTensorMode()
    make = torch.tensor
    monkeypatch.setattr(torch.nn.Module, "_apply", _replaced)
    monkeypatch.setattr(FakeTensorMode, "__deepcopy__", lambda self, memo: self, raising=False)
    # Autocast supports real devices only, and a tensor created on meta directly would not be a fake one.
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())
    monkeypatch.setattr(torch, "tensor", lambda data, dtype=None, device="cpu": make(data, dtype=dtype).to(device))
    for part in (module, *text_encoders(module)):
        _replaced(part, mode.from_tensor)
    with mode, Accelerator():
        place(module, DEVICE, dtype)
        yield LoadedModel(module, config, loaded._files)
