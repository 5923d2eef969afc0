"""The envelope: a request in the form that all transports share."""

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
        id: the request id as the client sent it.
        fields: name to value, in the order sent.
        buffers: the audio sent with the request.
        token: the token sent with the request, which authorises the client.
    """

    command: str
    id: RequestId
    fields: Mapping[str, Any] = field(default_factory=dict)
    buffers: tuple[AudioBuffer, ...] = ()
    token: str | None = None


def check_id(id: Any) -> RequestId:
    """Return a request id unchanged if it is valid.

    Raises:
        ProtocolError: bad_message unless the id is a 32-bit int, a finite float, or text of 1 … 64 characters.
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
