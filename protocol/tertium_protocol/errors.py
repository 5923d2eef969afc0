"""The error codes, and the exception that carries them."""

from __future__ import annotations

from typing import Any

ERROR_CODES: dict[str, str] = {
    "bad_message": "The bytes are not a message of this protocol, or its version is incompatible.",
    "unknown_command": "There is no such command, or this transport does not carry it.",
    "unknown_field": "The command has no such field.",
    "missing_field": "A required field is absent.",
    "bad_type": "A field holds a value of the wrong kind.",
    "out_of_range": "A field holds a value that is too small, too large or too long, or not one of the choices.",
    "conflict": "Two fields exclude each other, or a request id was used before for another request.",
    "unknown_sound": "No sound has this id, or the file does not exist.",
    "unknown_model": "No model has this name.",
    "unknown_checkpoint": "No checkpoint has this name.",
    "unknown_job": "No job has this id, or no request of the client that is being answered.",
    "bad_sound": "The file or buffer is not usable audio: it is unreadable, empty, silent, too short or too long.",
    "path_refused": "The path lies outside the folders that the daemon may read, or is not a regular file.",
    "model_unavailable": "The model is not loaded: weights are missing, gated or damaged, or it is still loading.",
    "deadline": "The job cannot be done, or was not done, within its deadline.",
    "busy": "The queue is full, or the daemon is stopping.",
    "out_of_memory": "The device or the computer ran out of memory.",
    "disk_full": "There is not enough disk space for the result.",
    "worker_died": "The worker process ended unexpectedly, twice.",
    "cancelled": "The client cancelled this request before it was answered.",
    "not_allowed": "The client may not do this: a wrong or missing token, or a command for local clients only.",
    "internal": "An internal error of the daemon; see its log.",
}
"""Code to meaning. Codes are never renamed; a later minor version may add codes."""

LONGEST_VALUE = 200
"""The most characters of a refused value that an error repeats."""


def shown(value: Any) -> Any:
    """Return a refused value in the form in which an error repeats it.

    Numbers and short strings are unchanged; anything else becomes text of at most 200 characters.
    """
    if value is None or (isinstance(value, bool | int) and abs(value) < 2**31):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return value
    if isinstance(value, int):
        return f"a whole number of {value.bit_length()} bits"
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


class ProtocolError(Exception):
    """A refused request, with a message for the user who sent it.

    Args:
        code: one of :data:`ERROR_CODES`.
        message: one or two sentences on what is wrong.
        field: the name of the invalid field, if there is one.
        value: the value of that field; long values are truncated to 200 characters.
        remedy: a sentence on what to do next.
        request_id: the id of the refused request, if it could be read.
        silent: whether no error may be sent back because the datagram was itself an answer (two daemons must not keep answering each other).
    """

    def __init__(
        self,
        code: str,
        message: str,
        field: str | None = None,
        value: Any = None,
        remedy: str | None = None,
        *,
        request_id: int | float | str | None = None,
        silent: bool = False,
    ):
        if code not in ERROR_CODES:
            raise ValueError(f"{code!r} is not one of the protocol's error codes: {', '.join(ERROR_CODES)}")
        super().__init__(message if not remedy else f"{message} {remedy}")
        self.code = code
        self.message = message
        self.field = field
        self.value = shown(value)
        self.remedy = remedy
        self.request_id = request_id
        self.silent = silent

    def fields(self) -> dict[str, Any]:
        """Return the fields of an ``error`` or ``failed`` event: code, message, field, value, remedy."""
        return {
            "code": self.code,
            "message": self.message,
            "field": self.field,
            "value": self.value,
            "remedy": self.remedy,
        }
