"""The envelope: one request as any transport carries it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tertium_protocol.codecs.audio_buffer import AudioBuffer
from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages.events import RequestId
from tertium_protocol.messages.fields import INT32, storable

LONGEST_ID = 64


@dataclass(frozen=True)
class Call:
    """A request whose fields have not been validated yet.

    Args:
        command: the command's name.
        id: request id, unchanged.
        fields: name to value, in the order sent.
        buffers: audio that came with it.
        token: what the client gave to prove that it may ask.
    """

    command: str
    id: RequestId
    fields: Mapping[str, Any] = field(default_factory=dict)
    buffers: tuple[AudioBuffer, ...] = ()
    token: str | None = None


def check_id(id: Any) -> RequestId:
    """A request id as it came.

    Raises:
        ProtocolError: bad_message unless it is a 32-bit int, a finite float, or 1 … 64 characters of text.
    """
    if isinstance(id, str):
        good = 1 <= len(id) <= LONGEST_ID and storable(id)
    elif isinstance(id, bool) or not isinstance(id, int | float):
        good = False
    else:
        good = math.isfinite(id) if isinstance(id, float) else INT32[0] <= id <= INT32[1]
    if not good:
        remedy = f"Send a 32-bit whole number, a finite number, or text of 1 to {LONGEST_ID} characters."
        raise ProtocolError("bad_message", "The request id cannot be used.", "id", id, remedy)
    return id
