"""Refusals that concern several fields of a request together, reported under the name of one of them."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticCustomError

SOUND_REFERENCE = (
    "given as the id of a sound (64 hex digits, or its first 8 or more), or the absolute path of an audio file"
)


def refuse(code: str, field: str, problem: str, remedy: str, value: Any = None) -> PydanticCustomError:
    """Return an error that concerns several fields together, reported under one of them."""
    return PydanticCustomError(
        code, "{problem}", {"field": field, "problem": problem, "remedy": remedy, "value": value}
    )


def require_reference_or_prompt(reference: str | None, prompt: str | None) -> None:
    """Refuse a fusion without a reference and without a prompt."""
    if reference is None and prompt is None:
        problem = "is missing, and so is prompt: a fusion needs one of them."
        raise refuse("missing_field", "reference", problem, f"Send reference, {SOUND_REFERENCE}; or send prompt.")


def require_step_in_schedule(field: str, value: float, steps: int) -> None:
    """Refuse a step beyond the last one of the schedule."""
    if value > steps:
        problem = f"must lie between 0 and steps, which is {steps}; got {value:g}."
        raise refuse("out_of_range", field, problem, "Lower it, or raise steps.", value)
