"""What a client may ask: one frozen model for each command, its fields with kind, range, default, unit and help.

An absent optional field is None. Unknown fields are refused; use :func:`tertium_protocol.commands.parse_request` to get refusals as
:class:`~tertium_protocol.errors.ProtocolError` with the nearest valid name.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from tertium_protocol.messages import warp_markers
from tertium_protocol.messages.fields import INT32, LONGEST_PATH, LONGEST_PROMPT, Choice, Integer, Number, Text
from tertium_protocol.messages.refusals import SOUND_REFERENCE, must_be_led, refuse, within_steps

PROTOCOL_VERSION = "1.4"
"""Major.minor. A minor step only adds; messages of another major version are refused."""

NULLS = ("unconditional", "empty")
ANCHORS = ("clean", "predicted", "forward", "stochastic")
LOOPS = ("auto", "on", "off")
FORMATS = ("wav", "flac")
JOB_STATES = ("queued", "running", "done", "failed", "cancelled")
DEFAULT_BLEND = 0.5
DEFAULT_SECONDS = 6.0
SHORTEST_SOUND = 0.02  # seconds
LONGEST_MARKERS = 16000  # characters, of JSON
LONGEST_FILE = 86400.0  # seconds: of a longer file, no part can be named
DEFAULT_HOLD = 0.2
"""Of a sound that leads: nothing learned holds it. What was learned, or a prompt, needs no hold."""


class Request(BaseModel):
    """A request's fields; frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Hello(Request):
    client: Annotated[str | None, Text("name of the client, for the log", longest=64, absent="none")] = None
    protocol: Annotated[
        str | None, Text("protocol version that the client speaks", longest=16, absent="the daemon's")
    ] = None
    reply_port: Annotated[
        int | None,
        Integer(
            "OSC only: the port on the sender's address that all answers go to", 1, 65535, absent="the sender's port"
        ),
    ] = None

    @model_validator(mode="after")
    def _same_major(self) -> Hello:
        if self.protocol is not None and self.protocol.split(".")[0] != PROTOCOL_VERSION.split(".")[0]:
            problem = f"{self.protocol[:16]} is not spoken here; this side speaks {PROTOCOL_VERSION}."
            raise refuse("out_of_range", "protocol", problem, "Update the older of the two.", self.protocol)
        return self


class Status(Request):
    pass


class Commands(Request):
    command: Annotated[str | None, Text("describe this command alone", longest=64, absent="all")] = None


class Subscribe(Request):
    seconds: Annotated[
        float, Number("how long events of all jobs are sent; send again to renew, 0 ends", 0, 86400, "s")
    ] = 600.0


class AddSound(Request):
    path: Annotated[
        str | None,
        Text(
            "absolute path of an audio file; over ZeroMQ a buffer may come instead",
            longest=LONGEST_PATH,
            absent="the buffer",
        ),
    ] = None
    name: Annotated[
        str | None, Text("what to call the sound", longest=100, file_stem=True, absent="the file's name")
    ] = None
    start: Annotated[float, Number("where the part to take begins, from the beginning", 0, LONGEST_FILE, "s")] = 0.0
    end: Annotated[
        float | None, Number("where the part to take ends, from the beginning", 0, LONGEST_FILE, "s", absent="its end")
    ] = None
    seconds: Annotated[
        float | None,
        Number(
            "length that the part is stretched to, its pitch kept", SHORTEST_SOUND, 600, "s", absent="as long as it is"
        ),
    ] = None
    markers: Annotated[
        str | None,
        Text(
            "warp markers instead of start, end and seconds: JSON, pairs of a second of the file and the second at which it sounds, from 0",
            longest=LONGEST_MARKERS,
            absent="none",
        ),
    ] = None

    @property
    def pairs(self) -> tuple[tuple[float, float], ...]:
        """The warp markers, seconds of the file and of the sound; none where there are no ``markers``."""
        return () if self.markers is None else warp_markers.parse(self.markers)

    @field_validator("markers")
    @classmethod
    def _markers(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                warp_markers.parse(value)
            except ValueError as error:
                raise refuse("out_of_range", "markers", str(error), warp_markers.REMEDY, value) from error
        return value

    @model_validator(mode="after")
    def _forwards(self) -> AddSound:
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


class Page(Request):
    limit: Annotated[int, Integer("how many to list at most, newest first", 1, 500)] = 100
    offset: Annotated[int, Integer("how many of the newest to leave out", 0, INT32[1])] = 0


class Sounds(Page):
    pass


class Models(Request):
    pass


class Jobs(Page):
    state: Annotated[str | None, Choice("only jobs in this state", JOB_STATES, absent="all")] = None


class Job(Request):
    job: Annotated[str, Text("the job's id, as accepted gave it", longest=64)]


class Cancel(Request):
    job: Annotated[str, Text("the job's id, as accepted gave it", longest=64)]


class Allow(Request):
    path: Annotated[str, Text("folder whose files clients may name from now on, its whole path", longest=LONGEST_PATH)]


class Shutdown(Request):
    pass


class Making(Request):
    """What every command that makes a sound has in common."""

    steps: Annotated[int, Integer("sampling steps; with a deadline, at most so many", 1, 500)] = 50
    order: Annotated[int, Integer("order of the solver", 1, 3)] = 3
    eta: Annotated[float, Number("fresh noise at each step: 0 none (ODE), 1 full (SDE)", 0, 1)] = 1.0
    null: Annotated[
        str,
        Choice("what stands for no prompt: the model's own unconditional branch, or, to compare, an empty text", NULLS),
    ] = "unconditional"
    seed: Annotated[
        int | None,
        Integer("the same seed gives the same sound on the same machine", 0, INT32[1], absent="chosen and reported"),
    ] = None
    format: Annotated[str, Choice("file format of the result", FORMATS)] = "wav"
    sample_rate: Annotated[
        int | None, Integer("sample rate of the result", 8000, 192000, "Hz", absent="the original's, else the model's")
    ] = None
    name: Annotated[
        str | None,
        Text("file name of the result, without extension", longest=100, file_stem=True, absent="made from the request"),
    ] = None
    slot: Annotated[
        str | None,
        Text("latest wins: a queued job of the same slot gives way to a newer one", longest=64, absent="none"),
    ] = None
    deadline: Annotated[
        float | None,
        Number(
            "seconds from now: the daemon takes the steps that fit, or refuses at once", 0.05, 3600, "s", absent="none"
        ),
    ] = None


Loop = Annotated[
    str,
    Choice(
        "whether the result closes on itself when it is repeated: on, off, or auto, where the original's own ends meet",
        LOOPS,
    ),
]
GUIDANCE = "classifier-free guidance scale; 1 is none and twice as fast"


class Generate(Making):
    """Under a ``reference``, what it was learned with stands in for what is absent; without one there is a prompt, and seconds are 6 when the request gives none."""

    prompt: Annotated[
        str | None,
        Text("what to sound like; needed without a reference", longest=LONGEST_PROMPT, absent="the reference's own"),
    ] = None
    reference: Annotated[
        str | None,
        Text(
            "a checkpoint's name: the sound is made by the model that learned it", longest=LONGEST_PATH, absent="none"
        ),
    ] = None
    seconds: Annotated[
        float | None,
        Number(
            "length of the result",
            0.5,
            47.5,
            "s",
            absent=f"what the reference was learned at, else {DEFAULT_SECONDS:g}",
        ),
    ] = None
    guidance: Annotated[float | None, Number(GUIDANCE, 0, 30, absent="1 under a reference, else the model's own")] = (
        None
    )

    @model_validator(mode="before")
    @classmethod
    def _some_seconds_without_reference(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("seconds") is None and data.get("reference") is None:
            return {**data, "seconds": DEFAULT_SECONDS}
        return data

    @model_validator(mode="after")
    def _has_a_prompt(self) -> Generate:
        if self.prompt is None and self.reference is None:
            problem = "is missing, and so is reference: a sound is made from one of them."
            raise refuse(
                "missing_field",
                "prompt",
                problem,
                "Send prompt, what to sound like; or reference, a checkpoint's name.",
            )
        return self


class Vary(Making):
    original: Annotated[str, Text("the sound to start from, " + SOUND_REFERENCE, longest=LONGEST_PATH)]
    prompt: Annotated[str | None, Text("what to move towards", longest=LONGEST_PROMPT, absent="none")] = None
    strength: Annotated[float, Number("how far from the original: 0 not at all, 1 from pure noise", 0, 1)] = 0.5
    guidance: Annotated[float | None, Number(GUIDANCE, 0, 30, absent="the model's own")] = None
    loop: Loop = "auto"


class Invert(Making):
    original: Annotated[str, Text("the sound to invert, " + SOUND_REFERENCE, longest=LONGEST_PATH)]
    anchor: Annotated[str, Choice("what the inversion ends in at its least noisy step", ANCHORS)] = "clean"
    reconstruct_from: Annotated[
        int | None,
        Integer(
            "step to reconstruct the sound from, 0 the noisiest, at most steps", 0, 500, absent="nine tenths of steps"
        ),
    ] = None

    @model_validator(mode="after")
    def _within_steps(self) -> Invert:
        if self.reconstruct_from is not None:
            within_steps("reconstruct_from", self.reconstruct_from, self.steps)
        return self


Original = Annotated[str, Text("the sound to keep the shape of, " + SOUND_REFERENCE, longest=LONGEST_PATH)]
Reference = Annotated[
    str | None,
    Text(
        "the sound to fuse it with, " + SOUND_REFERENCE + ", or a checkpoint's name",
        longest=LONGEST_PATH,
        absent="the prompt alone",
    ),
]
Prompt = Annotated[str | None, Text("text that the reference answers to", longest=LONGEST_PROMPT, absent="none")]
Hold = Annotated[
    float | None,
    Number(
        "weight of the reference while the fusion is completed",
        0,
        1,
        absent=f"{DEFAULT_HOLD} where a sound leads, else 0",
    ),
]
Anchor = Annotated[str, Choice("what the original's inversion ends in at its least noisy step", ANCHORS)]


class Fuse(Making):
    """``blend`` or ``intervention`` is set, never both: blend 0.5 when the request gives neither."""

    original: Original
    reference: Reference = None
    prompt: Prompt = None
    blend: Annotated[
        float | None, Number("0 is the reference, 1 the original; excludes intervention", 0, 1, absent=DEFAULT_BLEND)
    ] = None
    intervention: Annotated[
        int | None,
        Integer(
            "step at which the original enters, 0 the noisiest, at most steps; excludes blend",
            0,
            500,
            "steps",
            absent="by blend",
        ),
    ] = None
    hold: Hold = None
    anchor: Anchor = "clean"
    guidance: Annotated[float, Number(GUIDANCE, 0, 30)] = 1.0
    loop: Loop = "auto"

    @model_validator(mode="before")
    @classmethod
    def _blend_unless_intervention(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("blend") is None and data.get("intervention") is None:
            return {**data, "blend": DEFAULT_BLEND}
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> Fuse:
        if self.blend is not None and self.intervention is not None:
            problem = "and intervention say the same thing in two ways; got both."
            raise refuse("conflict", "blend", problem, "Send one of the two.", self.blend)
        if self.intervention is not None and self.deadline is not None:
            problem = "counts steps, and a deadline lets the daemon choose how many there are; got both."
            raise refuse("conflict", "intervention", problem, "With a deadline send blend instead.", self.intervention)
        must_be_led(self.reference, self.prompt)
        if self.intervention is not None:
            within_steps("intervention", self.intervention, self.steps)
        return self


class Morph(Making):
    """The takes of ``count`` evenly spaced blends, the two ends among them."""

    original: Original
    reference: Reference = None
    prompt: Prompt = None
    count: Annotated[int, Integer("how many takes, from the reference's end to the original's", 2, 32)] = 5
    hold: Hold = None
    anchor: Anchor = "clean"
    guidance: Annotated[float, Number(GUIDANCE, 0, 30)] = 1.0
    loop: Loop = "auto"

    @model_validator(mode="after")
    def _is_led(self) -> Morph:
        must_be_led(self.reference, self.prompt)
        return self


class Window(Making):
    """Measured on a few interventions, and kept for the pair."""

    original: Original
    reference: Reference = None
    prompt: Prompt = None
    points: Annotated[int, Integer("how many interventions are tried at most", 4, 64)] = 12
    hold: Hold = None
    anchor: Anchor = "clean"
    guidance: Annotated[float, Number(GUIDANCE, 0, 30)] = 1.0

    @model_validator(mode="after")
    def _is_led(self) -> Window:
        must_be_led(self.reference, self.prompt)
        return self
