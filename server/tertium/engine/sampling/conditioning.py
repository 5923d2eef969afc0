"""What a stable-audio-tools model is told beside the latents: a prompt and timing, as tensors."""

import warnings
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

KNOWN = ("prompt", "seconds_start", "seconds_total")
"""The conditionings that Tertium can give; a model that asks for others is refused when it is loaded."""

Null = Literal["unconditional", "empty"]
"""What stands for no prompt.

``unconditional``: the model's own unconditional branch, the one that it was trained with and that guidance subtracts.
``empty``: the embedding of an empty text, to compare; a reference is not learned under it.
"""
NULLS: tuple[Null, ...] = get_args(Null)


@dataclass(frozen=True)
class Conditioning:
    """Tensors for the inputs of a diffusion transformer; None where it has no such input.

    Args:
        cross_attention: (batch, tokens, channels), what its cross-attention reads.
        global_embedding: (batch, channels), timing mostly.
        prepend: (batch, tokens, channels), tokens put before the latents, with ``prepend_mask`` (batch, tokens).
        is_null: whether this is the unconditional branch: then guidance has nothing to lead away from.
    """

    cross_attention: torch.Tensor | None = None
    global_embedding: torch.Tensor | None = None
    prepend: torch.Tensor | None = None
    prepend_mask: torch.Tensor | None = None
    is_null: bool = False

    def null(self) -> "Conditioning":
        """The model's own unconditional branch, which guidance subtracts: zeros for what is attended to, the timing kept."""
        return replace(
            self,
            cross_attention=None if self.cross_attention is None else torch.zeros_like(self.cross_attention),
            prepend=None if self.prepend is None else torch.zeros_like(self.prepend),
            is_null=True,
        )

    def as_null(self) -> "Conditioning":
        """The same, as what guidance subtracts: for that of an empty text."""
        return replace(self, is_null=True)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Conditioning":
        """The same on a device and in a precision."""

        def moved(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.to(device=device, dtype=dtype)

        mask = None if self.prepend_mask is None else self.prepend_mask.to(device=device, dtype=torch.bool)
        return Conditioning(
            moved(self.cross_attention), moved(self.global_embedding), moved(self.prepend), mask, self.is_null
        )

    def expand(self, batch: int) -> "Conditioning":
        """The same for ``batch`` rows, from one."""

        def rows(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.expand(batch, *tensor.shape[1:])

        return Conditioning(
            rows(self.cross_attention), rows(self.global_embedding), rows(self.prepend), rows(self.prepend_mask), self.is_null
        )  # fmt: skip

    def beside(self, other: "Conditioning") -> "Conditioning":
        """The rows of both in one batch, these first."""

        def joined(a: torch.Tensor | None, b: torch.Tensor | None) -> torch.Tensor | None:
            return None if a is None else torch.cat([a, b])

        return Conditioning(
            joined(self.cross_attention, other.cross_attention),
            joined(self.global_embedding, other.global_embedding),
            joined(self.prepend, other.prepend),
            joined(self.prepend_mask, other.prepend_mask),
        )


@torch.no_grad()
def condition(model: torch.nn.Module, prompt: str, *, seconds: float, device: torch.device | str) -> Conditioning:
    """The conditioning of one row.

    Args:
        model: stable-audio-tools' conditioned diffusion model.
        prompt: text; for models without a prompt it goes unused.
        seconds: how long the sound is.
    """
    if model.conditioner is None:
        return Conditioning()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # upstream enters CUDA's mixed precision, by a deprecated name, on every device
        given = {"prompt": prompt, "seconds_start": 0.0, "seconds_total": float(seconds)}
        tensors = model.conditioner([given], device)
    inputs = model.get_conditioning_inputs(tensors)
    return Conditioning(
        inputs["cross_attn_cond"], inputs["global_cond"], inputs["prepend_cond"], inputs["prepend_cond_mask"]
    )
