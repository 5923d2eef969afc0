"""Warp markers, which map times in a file to times in the sound."""

from __future__ import annotations

import json
import math
from itertools import pairwise

MOST = 512
"""The most markers of a sound."""
REMEDY = "Send pairs of seconds in which both numbers rise, such as [[0.5, 0], [1.5, 1.2], [2.5, 2]]."


def parse(text: str) -> tuple[tuple[float, float], ...]:
    """Parse warp markers: 2 … 512 pairs of a time in the file and the time at which it sounds, in seconds. Both rise; the first sounds at 0.

    Args:
        text: a JSON list of pairs of numbers.

    Raises:
        ValueError: the text is anything else. The message continues a sentence that begins with the field's name.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("must be a list in JSON.") from None
    if not isinstance(given, list) or not all(map(_is_pair, given)):
        raise ValueError("must be a list of pairs of finite numbers.")
    if not 2 <= len(given) <= MOST:
        raise ValueError(f"must have 2 to {MOST} pairs; got {len(given)}.")
    if given[0][0] < 0 or given[0][1] != 0:
        raise ValueError(f"must begin within the file and sound from 0; the first pair is {given[0]}.")
    for before, after in pairwise(given):
        if after[0] <= before[0] or after[1] <= before[1]:
            raise ValueError(f"must rise from pair to pair; got {after} after {before}.")
    return tuple((float(of_file), float(sounding)) for of_file, sounding in given)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)
