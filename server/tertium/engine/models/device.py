"""Selection of a model's device and precision, and the parts of a model that must stay precise."""

import math

import torch

from tertium.engine.models.errors import DeviceUnavailable

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
ALIGNMENT = 64
"""Alignment, in bytes, of every tensor that PyTorch's own allocator places on the CPU."""


def choose_device(device: str = "auto") -> torch.device:
    """Return the device of a name: ``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises:
        DeviceUnavailable: unknown, or not on this machine.
    """
    mps = torch.backends.mps.is_available()
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda", "mps"):
        raise _unavailable("device", device, f"There is no device {device!r}.", "Use auto, cpu, cuda, cuda:1 or mps.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        message = f"PyTorch cannot use {device!r}; available CUDA devices: {torch.cuda.device_count()}."
        raise _unavailable("device", device, message, "Use auto, or install a PyTorch built for your driver.")
    if chosen.type == "mps" and not mps:
        raise _unavailable("device", device, "PyTorch cannot use 'mps' on this machine.", "Use auto or cpu.")
    return chosen


def choose_dtype(device: torch.device, precision: str = "auto") -> torch.dtype:
    """Return the data type that the diffusion network computes in.

    Args:
        precision: ``fp32``, ``fp16``, ``bf16``, or ``auto``: fp32 on the CPU, fp16 on MPS, on CUDA bf16 where the
            device supports it and else fp16.

    Raises:
        DeviceUnavailable: an unknown precision.
    """
    if precision in PRECISIONS:
        return PRECISIONS[precision]
    if precision != "auto":
        raise _unavailable(
            "precision", precision, f"There is no precision {precision!r}.", f"Use auto, {', '.join(PRECISIONS)}."
        )
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16
    return torch.float16


def place(model: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move stable-audio-tools' model to a device, its diffusion network in ``dtype``.

    The autoencoder and the conditioners stay in float32: they run once a sound, and their rounding would be audible. So
    do two constants in the network: the frequencies of positions, whose products with hundreds of positions would be
    off by whole radians in bfloat16, and those of the noise level, where neighbouring steps would coincide. Values
    derived from them are rounded last, so that the network receives a single precision throughout; see
    :func:`keep_precision`.
    """
    transformer = model.model.model
    positions = {name: tensor for name, tensor in transformer.named_buffers() if name.endswith("inv_freq")}
    # A copy, before the conversion: PyTorch rounds a parameter in place, in the same object.
    timesteps = transformer.timestep_features.weight.detach().to(torch.float32, copy=True)
    model.to(device)
    model.float()
    model.model.to(dtype)
    for name, frequencies in positions.items():
        transformer.get_submodule(name.rpartition(".")[0]).inv_freq = frequencies.to(device, torch.float32)
    if dtype is not torch.float32:
        keep_precision(transformer)
        transformer.timestep_features = PreciseTimesteps(timesteps.to(device, torch.float32), dtype)
    for text_encoder in text_encoders(model):
        text_encoder.to(device)
        if device.type == "cpu":
            text_encoder.float()  # upstream loads it in half precision, which CPUs emulate
        align(text_encoder)
    align(model)


@torch.no_grad()
def align(module: torch.nn.Module) -> None:
    """Move every weight on the CPU that is not aligned to :data:`ALIGNMENT` bytes to memory that is.

    Weights mapped from a file have arbitrary alignment, and alignment decides how kernels split their sums: without
    this, the same weights behind a header of another length would give other samples.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % ALIGNMENT:
            tensor.data = tensor.data.clone()


def keep_precision(network: torch.nn.Module) -> None:
    """Make every upstream module in a network return its output in the precision of its input.

    Some modules compute in float32 internally (positional embeddings, some norms) and return that; the next layer, in
    half precision, then fails. PyTorch's own layers keep the precision themselves, and under autocast they must be left
    alone. Outputs that are not tensors (the pair of rotary angles and scale) pass unchanged.
    """
    for module in network.modules():
        if not type(module).__module__.startswith("torch."):
            module.register_forward_hook(_rounded_like_input)


def _rounded_like_input(module: torch.nn.Module, inputs: tuple, output: object) -> object:
    given = inputs[0] if inputs else None
    if not (torch.is_tensor(given) and torch.is_tensor(output)):
        return output
    if not (given.is_floating_point() and output.is_floating_point()):
        return output
    return output.to(given.dtype)


def text_encoders(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the language models of the conditioners.

    Upstream hides them from their parents, so they are not part of the weights.
    """
    conditioners = model.conditioner.conditioners.values() if model.conditioner is not None else ()
    return [conditioner.__dict__["model"] for conditioner in conditioners if "model" in conditioner.__dict__]


class PreciseTimesteps(torch.nn.Module):
    """Random Fourier features of the noise level, cos and sin of 2 pi t w, computed in float32 and rounded last.

    Args:
        weight: (features / 2, 1).
        dtype: of the result.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype):
        super().__init__()
        self.register_buffer("weight", weight)
        self.dtype = dtype

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """Map (batch, 1) to (batch, features)."""
        angle = t.float() * self.weight.T * (2 * math.pi)
        return torch.cat([angle.cos(), angle.sin()], dim=-1).to(self.dtype)


def _unavailable(field: str, value: str, message: str, remedy: str) -> DeviceUnavailable:
    return DeviceUnavailable(message, field=field, value=value, remedy=remedy)
