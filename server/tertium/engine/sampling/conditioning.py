"""Conditioning of a stable-audio-tools model: the prompt and the timing, as tensors."""

import warnings
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

KNOWN = ("prompt", "seconds_start", "seconds_total")
"""The conditionings that Tertium can supply. Loading a model that needs any other fails."""

Null = Literal["unconditional", "empty"]
"""The null prompt, which takes the place of a prompt where there is none.

``unconditional``: the model's own unconditional branch, which it was trained with and which guidance subtracts.
``empty``: the embedding of an empty text, for comparison; training on a reference does not use it.
"""
NULLS: tuple[Null, ...] = get_args(Null)


@dataclass(frozen=True)
class Conditioning:
    """The input tensors of a diffusion transformer; None where the transformer lacks that input.

    Args:
        cross_attention: (batch, tokens, channels), what the cross-attention reads.
        global_embedding: (batch, channels), mostly the timing.
        prepend: (batch, tokens, channels), tokens prepended to the latents, with ``prepend_mask`` (batch, tokens).
        is_null: whether this is the null conditioning, from which guidance has no direction.
    """

    cross_attention: torch.Tensor | None = None
    global_embedding: torch.Tensor | None = None
    prepend: torch.Tensor | None = None
    prepend_mask: torch.Tensor | None = None
    is_null: bool = False

    def null(self) -> "Conditioning":
        """Return the model's own unconditional branch, which guidance subtracts.

        Attended tokens are zero; the timing is unchanged.
        """
        return replace(
            self,
            cross_attention=None if self.cross_attention is None else torch.zeros_like(self.cross_attention),
            prepend=None if self.prepend is None else torch.zeros_like(self.prepend),
            is_null=True,
        )

    def as_null(self) -> "Conditioning":
        """Return the same tensors marked as null, for the embedding of an empty text."""
        return replace(self, is_null=True)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Conditioning":
        """Return a copy on a device and in a precision."""

        def moved(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.to(device=device, dtype=dtype)

        mask = None if self.prepend_mask is None else self.prepend_mask.to(device=device, dtype=torch.bool)
        return Conditioning(
            moved(self.cross_attention), moved(self.global_embedding), moved(self.prepend), mask, self.is_null
        )

    def expand(self, batch: int) -> "Conditioning":
        """Return this single row expanded to ``batch`` rows."""

        def rows(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.expand(batch, *tensor.shape[1:])

        return Conditioning(
            rows(self.cross_attention), rows(self.global_embedding), rows(self.prepend), rows(self.prepend_mask), self.is_null
        )  # fmt: skip

    def beside(self, other: "Conditioning") -> "Conditioning":
        """Concatenate the rows of both into one batch, these first."""

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
    """Return the conditioning of one row.

    Args:
        model: stable-audio-tools' conditioned diffusion model.
        prompt: text; ignored by models without a prompt.
        seconds: length of the sound.
    """
    if model.conditioner is None:
        return Conditioning()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # upstream enters CUDA autocast by a deprecated name, on every device
        given = {"prompt": prompt, "seconds_start": 0.0, "seconds_total": float(seconds)}
        tensors = model.conditioner([given], device)
    inputs = model.get_conditioning_inputs(tensors)
    return Conditioning(
        inputs["cross_attn_cond"], inputs["global_cond"], inputs["prepend_cond"], inputs["prepend_cond_mask"]
    )
