"""Errors that are shown to the user: a code from a closed list, a sentence, and a remedy."""


class TertiumError(Exception):
    """A request was refused or a job failed, for a reason that the user can understand.

    Attributes:
        code: from the protocol's closed list, such as ``"bad_sound"``.
        message: one sentence that says what is wrong.
        field: name of the field at fault, or None.
        value: the value given in that field, unchanged, or None.
        remedy: one sentence that says what to do next, or None.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        value: object = None,
        remedy: str | None = None,
    ):
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.field = field
        self.value = value
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message


class SoundError(TertiumError):
    """A sound cannot be read, found or written."""
