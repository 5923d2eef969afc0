"""What can go wrong between a client and a daemon."""

from __future__ import annotations

from tertium_protocol.messages.events import ErrorInfo


class RemoteError(Exception):
    """The daemon refused a request, or a job failed.

    Args:
        error: what it said: code, message, field, value, remedy.
    """

    def __init__(self, error: ErrorInfo):
        super().__init__(error.message if not error.remedy else f"{error.message} {error.remedy}")
        self.code = error.code
        self.message = error.message
        self.field = error.field
        self.value = error.value
        self.remedy = error.remedy


class JobCancelled(Exception):
    """A job was cancelled; the text says by whom or what."""


class NoAnswer(TimeoutError):
    """Nothing came from the daemon in time; the text says what to do."""
