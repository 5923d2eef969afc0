"""Field specifications: kind, range, unit and help of a request's fields, used for both validation and documentation."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from tertium_protocol.errors import shown

INT32 = (-(2**31), 2**31 - 1)
LONGEST_PATH = 4096
NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]')
"""Characters that are refused in file names: those that some operating system forbids, and those that make two names look alike (control and
bidirectional formatting characters)."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
LONGEST_PROMPT = 2000


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the valid word most similar to ``word``, or None if none is similar."""
    found = difflib.get_close_matches(word.lower()[:100], list(words), n=1, cutoff=0.7)
    return found[0] if found else None


def _plain(value: float) -> str:
    """Format a number for a sentence, in a few characters."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if abs(value) >= 2**53:
        return "a far larger number" if value > 0 else "a far smaller number"
    return str(int(value)) if value == int(value) else f"{value:g}"


def _refuse(code: str, problem: str, value: Any, remedy: str) -> PydanticCustomError:
    problem = problem.encode("utf-8", "replace").decode("utf-8")
    return PydanticCustomError(code, "{problem}", {"problem": problem, "value": shown(value), "remedy": remedy})


@dataclass(frozen=True)
class Integer:
    """A whole number between two inclusive bounds. A float with a whole value is accepted, since some clients send only floats."""

    help: str
    minimum: int
    maximum: int
    unit: str = ""
    absent: str | float | None = None

    kind = "integer"

    @property
    def range(self) -> str:
        return f"{self.minimum} … {self.maximum}"

    def check(self, value: Any) -> Any:
        wanted = f"Give it a whole number from {self.minimum} to {self.maximum}."
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _refuse("bad_type", f"must be a whole number; got {_kind_of(value)}.", value, wanted)
        if isinstance(value, float) and not value.is_integer():
            raise _refuse("bad_type", f"must be a whole number; got {_plain(value)}.", value, wanted)
        if not self.minimum <= value <= self.maximum:
            problem = f"must lie between {self.minimum} and {self.maximum}; got {_plain(value)}."
            raise _refuse("out_of_range", problem, value, wanted)
        return int(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler):
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler):
        return handler(schema) | {"minimum": self.minimum, "maximum": self.maximum, "description": self.help}


@dataclass(frozen=True)
class Number:
    """A finite number between two inclusive bounds."""

    help: str
    minimum: float
    maximum: float
    unit: str = ""
    absent: str | float | None = None

    kind = "number"

    @property
    def range(self) -> str:
        return f"{_plain(self.minimum)} … {_plain(self.maximum)}"

    def check(self, value: Any) -> Any:
        wanted = f"Give it a number from {_plain(self.minimum)} to {_plain(self.maximum)}."
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _refuse("bad_type", f"must be a number; got {_kind_of(value)}.", value, wanted)
        if isinstance(value, float) and not math.isfinite(value):
            raise _refuse("bad_type", f"must be a finite number; got {value}.", str(value), wanted)
        if not self.minimum <= value <= self.maximum:
            problem = f"must lie between {_plain(self.minimum)} and {_plain(self.maximum)}; got {_plain(value)}."
            raise _refuse("out_of_range", problem, value, wanted)
        return float(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler):
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler):
        return handler(schema) | {"minimum": self.minimum, "maximum": self.maximum, "description": self.help}


@dataclass(frozen=True)
class Text:
    """A string of 1 … ``longest`` characters without NUL. ``file_stem`` also refuses what cannot be part of a file name."""

    help: str
    longest: int = 200
    file_stem: bool = False
    unit: str = ""
    absent: str | float | None = None

    kind = "text"

    @property
    def range(self) -> str:
        return f"1 … {self.longest} characters"

    def check(self, value: Any) -> Any:
        wanted = f"Give it text of at most {self.longest} characters."
        if value is None:
            return None
        if not isinstance(value, str):
            raise _refuse("bad_type", f"must be text; got {_kind_of(value)}.", value, wanted)
        if not value.strip():
            raise _refuse("out_of_range", "must not be empty.", value, wanted)
        if len(value) > self.longest:
            problem = f"must have at most {self.longest} characters; got {len(value)}."
            raise _refuse("out_of_range", problem, value, wanted)
        if not storable(value):
            raise _refuse("bad_type", "must be Unicode text without NUL characters.", value, wanted)
        if self.file_stem and (value[0] in ". " or NOT_IN_FILE_NAMES.search(value)):
            problem = (
                'must be usable as a file name: no / \\ : * ? " < > |, nothing invisible, no dot or space in front.'
            )
            raise _refuse("out_of_range", problem, value, "Choose a plain name without folder and extension.")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler):
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler):
        return handler(schema) | {"maxLength": self.longest, "description": self.help}


@dataclass(frozen=True)
class Choice:
    """One of several words."""

    help: str
    choices: tuple[str, ...]
    unit: str = ""
    absent: str | float | None = None

    kind = "choice"

    @property
    def range(self) -> str:
        return ", ".join(self.choices)

    def check(self, value: Any) -> Any:
        if value is None:
            return None
        words = ", ".join(self.choices)
        if not isinstance(value, str):
            raise _refuse(
                "bad_type", f"must be one of {words}; got {_kind_of(value)}.", value, f"Choose one of {words}."
            )
        if value not in self.choices:
            near = nearest(value, self.choices)
            remedy = f"Did you mean {near}?" if near else f"Choose one of {words}."
            raise _refuse("out_of_range", f"must be one of {words}; got “{value[:60]}”.", value, remedy)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler):
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler):
        return handler(schema) | {"enum": list(self.choices), "description": self.help}


Spec = Integer | Number | Text | Choice


def about(help: str, unit: str = "") -> Any:
    """Return the help and unit of an answer's field, for use in ``Annotated``."""
    return Field(description=help, json_schema_extra={"unit": unit} if unit else None)


def storable(text: str) -> bool:
    """Return whether every transport can carry the text: it has no NUL and no unpaired surrogate."""
    return _UNSTORABLE.search(text) is None


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return f"the number {_plain(value)}"
    if isinstance(value, str):
        return f"the text “{value[:60]}”"
    if isinstance(value, list | tuple):
        return "a list"
    return "an object" if isinstance(value, dict) else type(value).__name__
