"""The requests about the library of sounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import field_validator, model_validator

from tertium_protocol.messages import warp_markers
from tertium_protocol.messages.fields import LONGEST_PATH, Integer, Number, Text
from tertium_protocol.messages.refusals import SOUND_REFERENCE, refuse
from tertium_protocol.messages.requests import Page, Request

SHORTEST_SOUND = 0.02  # seconds
LONGEST_MARKERS = 16000  # characters of JSON
LONGEST_FILE = 86400.0  # seconds: the bound of start and end


class AddSound(Request):
    path: Annotated[
        str | None,
        Text(
            "absolute path of an audio file; over ZeroMQ a buffer may be sent instead",
            longest=LONGEST_PATH,
            absent="the buffer",
        ),
    ] = None
    name: Annotated[str | None, Text("the sound's name", longest=100, file_stem=True, absent="the file's name")] = None
    start: Annotated[
        float, Number("beginning of the part to use, counted from the beginning of the file", 0, LONGEST_FILE, "s")
    ] = 0.0
    end: Annotated[
        float | None,
        Number(
            "end of the part to use, counted from the beginning of the file",
            0,
            LONGEST_FILE,
            "s",
            absent="the file's end",
        ),
    ] = None
    seconds: Annotated[
        float | None,
        Number(
            "length to which the part is stretched, at the same pitch",
            SHORTEST_SOUND,
            600,
            "s",
            absent="the part's own length",
        ),
    ] = None
    markers: Annotated[
        str | None,
        Text(
            "warp markers instead of start, end and seconds: a JSON list of pairs, each a time in the file and the time at which it sounds, the first at 0",
            longest=LONGEST_MARKERS,
            absent="none",
        ),
    ] = None

    @property
    def pairs(self) -> tuple[tuple[float, float], ...]:
        """The warp markers as pairs of seconds, in the file and in the sound; empty without ``markers``."""
        return () if self.markers is None else warp_markers.parse(self.markers)

    @field_validator("markers")
    @classmethod
    def _valid_markers(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                warp_markers.parse(value)
            except ValueError as error:
                raise refuse("out_of_range", "markers", str(error), warp_markers.REMEDY, value) from error
        return value

    @model_validator(mode="after")
    def _one_valid_part(self) -> AddSound:
        if self.markers is not None and (self.start or self.end is not None or self.seconds is not None):
            problem = "says which part is taken and how long it sounds; got start, end or seconds beside it."
            raise refuse(
                "conflict", "markers", problem, "Send either markers, or start, end and seconds.", self.markers
            )
        if self.end is not None and self.end <= self.start:
            problem = f"must come after start; got {self.end:g}, and start is {self.start:g}."
            raise refuse("out_of_range", "end", problem, "Give it a greater number of seconds than start.", self.end)
        return self


class Sound(Request):
    sound: Annotated[str, Text("the sound, " + SOUND_REFERENCE, longest=LONGEST_PATH)]


class SoundAudio(Request):
    sound: Annotated[str, Text("the sound, " + SOUND_REFERENCE, longest=LONGEST_PATH)]


class Sounds(Page):
    pass


class Keep(Request):
    sound: Annotated[str, Text("the sound, " + SOUND_REFERENCE, longest=LONGEST_PATH)]
    kept: Annotated[int, Integer("1 to keep it, 0 to keep it no longer", 0, 1)] = 1


class DeleteSound(Request):
    sound: Annotated[str, Text("the sound, " + SOUND_REFERENCE, longest=LONGEST_PATH)]


class Clean(Request):
    dry_run: Annotated[int, Integer("1 to remove nothing and only say what would be removed", 0, 1)] = 0
