"""The client's exceptions."""

from __future__ import annotations

from tertium_protocol.messages.events import ErrorInfo


class RemoteError(Exception):
    """The daemon refused a request, or a job failed.

    Args:
        error: the error that the daemon sent: code, message, field, value, remedy.
    """

    def __init__(self, error: ErrorInfo):
        super().__init__(error.message if not error.remedy else f"{error.message} {error.remedy}")
        self.code = error.code
        self.message = error.message
        self.field = error.field
        self.value = error.value
        self.remedy = error.remedy


class JobCancelled(Exception):
    """A job was cancelled. The message says by whom or why."""


class NoAnswer(TimeoutError):
    """No answer arrived from the daemon in time. The message says what to do."""
