"""Errors that reach a musician: a code from one closed list, one sentence, and what to do next."""


class TertiumError(Exception):
    """Something was refused or failed, for a reason that can be told.

    Attributes:
        code: from the protocol's closed list, such as ``"bad_sound"``.
        message: one sentence that says what is wrong.
        field: name of the field at fault, or None.
        value: what was given there, as it was given, or None.
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
    """A sound cannot be read, found, kept or written."""
