"""The requests, except those about sounds and training: one frozen model per command, with kind, range, default, unit and help for each field.

An absent optional field is None. Unknown fields are refused. :func:`tertium_protocol.commands.parse_request` raises refusals as
:class:`~tertium_protocol.errors.ProtocolError`, with the nearest valid name.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, model_validator

from tertium_protocol.messages.fields import INT32, LONGEST_PATH, LONGEST_PROMPT, Choice, Integer, Number, Text
from tertium_protocol.messages.refusals import (
    SOUND_REFERENCE,
    refuse,
    require_reference_or_prompt,
    require_step_in_schedule,
)
from tertium_protocol.messages.shared_fields import (
    ANCHORS,
    GUIDANCE,
    Align,
    Anchor,
    CompletionPrompt,
    Hold,
    Level,
    Loop,
    Negative,
    Original,
    Prompt,
    Reference,
    Spread,
    Strength,
)

PROTOCOL_VERSION = "1.7"
"""Major.minor. A minor version only adds to the protocol; messages of another major version are refused."""

NULLS = ("unconditional", "empty")
FORMATS = ("wav", "flac")
JOB_STATES = ("queued", "running", "done", "failed", "cancelled")
DEFAULT_BLEND = 0.5
DEFAULT_SECONDS = 6.0


class Request(BaseModel):
    """A request's fields; frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Hello(Request):
    client: Annotated[str | None, Text("the client's name in the daemon's log", longest=64, absent="none")] = None
    protocol: Annotated[
        str | None, Text("protocol version that the client speaks", longest=16, absent="the daemon's")
    ] = None
    reply_port: Annotated[
        int | None,
        Integer("OSC only: port at the sender's address to which all answers go", 1, 65535, absent="the sender's port"),
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
    command: Annotated[str | None, Text("the only command to describe", longest=64, absent="all")] = None


class Subscribe(Request):
    seconds: Annotated[
        float, Number("time for which events are sent; send subscribe again to renew it; 0 ends it", 0, 86400, "s")
    ] = 600.0


class Page(Request):
    limit: Annotated[int, Integer("largest number of entries to list, newest first", 1, 500)] = 100
    offset: Annotated[int, Integer("number of the newest entries to skip", 0, INT32[1])] = 0


class Models(Request):
    pass


class Jobs(Page):
    state: Annotated[str | None, Choice("list only jobs in this state", JOB_STATES, absent="all")] = None


class Job(Request):
    job: Annotated[str, Text("the job's id, from accepted", longest=64)]


class Cancel(Request):
    """Either ``job`` or ``request`` is set."""

    job: Annotated[str | None, Text("the job's id, from accepted", longest=64, absent="none")] = None
    request: Annotated[
        str | None,
        Text(
            "instead of a job, the id of one of the client's own requests that is not answered yet; a number as text",
            longest=64,
            absent="none",
        ),
    ] = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Cancel:
        if self.job is None and self.request is None:
            problem = "is missing, and so is request: one of them is cancelled."
            raise refuse("missing_field", "job", problem, "Send job, the job's id, from accepted.")
        if self.job is not None and self.request is not None:
            problem = "and job exclude each other; got both."
            raise refuse("conflict", "request", problem, "Send one of the two.", self.request)
        return self


class Allow(Request):
    path: Annotated[
        str, Text("absolute path of a folder whose files clients may name from now on", longest=LONGEST_PATH)
    ]


class Shutdown(Request):
    pass


class Making(Request):
    """The fields of every command that makes a sound."""

    steps: Annotated[int, Integer("sampling steps; with a deadline, at most so many", 1, 500)] = 50
    order: Annotated[int, Integer("order of the solver", 1, 3)] = 3
    eta: Annotated[float, Number("fresh noise at each step: 0 none (ODE), 1 full (SDE)", 0, 1)] = 1.0
    null: Annotated[
        str,
        Choice("the null prompt: the model's own unconditional branch or, for comparison, an empty text", NULLS),
    ] = "unconditional"
    seed: Annotated[
        int | None,
        Integer(
            "random seed; the same seed gives the same sound on the same machine",
            0,
            INT32[1],
            absent="chosen and reported",
        ),
    ] = None
    format: Annotated[str, Choice("file format of the result", FORMATS)] = "wav"
    sample_rate: Annotated[
        int | None, Integer("sample rate of the result", 8000, 192000, "Hz", absent="the original's, else the model's")
    ] = None
    name: Annotated[
        str | None,
        Text(
            "file name of the result, without extension", longest=100, file_stem=True, absent="derived from the request"
        ),
    ] = None
    slot: Annotated[
        str | None,
        Text("name of a slot: a newer job of the slot cancels one that is still queued", longest=64, absent="none"),
    ] = None
    deadline: Annotated[
        float | None,
        Number(
            "time until the result is needed: the daemon takes as many steps as fit, or refuses at once",
            0.05,
            3600,
            "s",
            absent="none",
        ),
    ] = None


class Generate(Making):
    """With a ``reference``, absent fields take the values that it was trained with. Without one a prompt is required, and seconds default to 6."""

    prompt: Annotated[
        str | None,
        Text(
            "text that describes the sound; required without a reference",
            longest=LONGEST_PROMPT,
            absent="the reference's own",
        ),
    ] = None
    reference: Annotated[
        str | None,
        Text("name of a checkpoint, which generates the sound", longest=LONGEST_PATH, absent="none"),
    ] = None
    seconds: Annotated[
        float | None,
        Number(
            "length of the result",
            0.5,
            47.5,
            "s",
            absent=f"the reference's training length, else {DEFAULT_SECONDS:g}",
        ),
    ] = None
    guidance: Annotated[float | None, Number(GUIDANCE, 0, 30, absent="1 with a reference, else the model's own")] = None
    negative: Negative = None

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
    prompt: Annotated[str | None, Text("text that describes the variation", longest=LONGEST_PROMPT, absent="none")] = (
        None
    )
    strength: Annotated[
        float, Number("distance from the original: 0 leaves it as it is, 1 starts from pure noise", 0, 1)
    ] = 0.5
    guidance: Annotated[float | None, Number(GUIDANCE, 0, 30, absent="the model's own")] = None
    loop: Loop = "auto"
    level: Level = "line"
    negative: Negative = None


class Invert(Making):
    original: Annotated[str, Text("the sound to invert, " + SOUND_REFERENCE, longest=LONGEST_PATH)]
    anchor: Annotated[str, Choice("noise that the inversion assumes at its least noisy step", ANCHORS)] = "clean"
    reconstruct_from: Annotated[
        int | None,
        Integer(
            "step from which to reconstruct the sound: 0 is the noisiest, at most steps",
            0,
            500,
            absent="nine tenths of steps",
        ),
    ] = None
    level: Level = "line"

    @model_validator(mode="after")
    def _within_steps(self) -> Invert:
        if self.reconstruct_from is not None:
            require_step_in_schedule("reconstruct_from", self.reconstruct_from, self.steps)
        return self


class Fuse(Making):
    """Either ``blend`` or ``intervention`` is set, never both. If the request has neither, blend is 0.5."""

    original: Original
    reference: Reference = None
    prompt: Prompt = None
    blend: Annotated[
        float | None, Number("0 is the reference, 1 the original; excludes intervention", 0, 1, absent=DEFAULT_BLEND)
    ] = None
    intervention: Annotated[
        float | None,
        Number(
            "step at which the original enters, a fraction between two: 0 is the noisiest, at most steps; excludes blend",
            0,
            500,
            "steps",
            absent="from blend",
        ),
    ] = None
    hold: Hold = None
    anchor: Anchor = "clean"
    guidance: Annotated[float, Number(GUIDANCE, 0, 30)] = 1.0
    loop: Loop = "auto"
    level: Level = "line"
    spread: Spread = 1.0
    place: Annotated[
        float | None,
        Number(
            "place between the two sounds to which the result and its level go: 0 is the reference, 1 the original",
            0,
            1,
            absent="the blend, or that of the intervention",
        ),
    ] = None
    strength: Strength = "even"
    completion_prompt: CompletionPrompt = None
    completion_guidance: Annotated[float, Number(f"the same for completion_prompt: {GUIDANCE}", 0, 30)] = 1.0
    negative: Negative = None
    align: Align = "off"

    @model_validator(mode="before")
    @classmethod
    def _blend_unless_intervention(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("blend") is None and data.get("intervention") is None:
            return {**data, "blend": DEFAULT_BLEND}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Fuse:
        if self.blend is not None and self.intervention is not None:
            problem = "and intervention say the same thing in two ways; got both."
            raise refuse("conflict", "blend", problem, "Send one of the two.", self.blend)
        if self.intervention is not None and self.deadline is not None:
            problem = "counts steps, and a deadline lets the daemon choose how many there are; got both."
            raise refuse("conflict", "intervention", problem, "With a deadline send blend instead.", self.intervention)
        require_reference_or_prompt(self.reference, self.prompt)
        if self.intervention is not None:
            require_step_in_schedule("intervention", self.intervention, self.steps)
        return self


class Morph(Making):
    """A series of ``count`` takes at evenly spaced blends, including both ends."""

    original: Original
    reference: Reference = None
    prompt: Prompt = None
    count: Annotated[int, Integer("number of takes, from the reference's end to the original's", 2, 32)] = 5
    hold: Hold = None
    anchor: Anchor = "clean"
    guidance: Annotated[float, Number(GUIDANCE, 0, 30)] = 1.0
    loop: Loop = "auto"
    level: Level = "line"
    spread: Spread = 1.0
    strength: Strength = "even"
    completion_prompt: CompletionPrompt = None
    completion_guidance: Annotated[float, Number(f"the same for completion_prompt: {GUIDANCE}", 0, 30)] = 1.0
    negative: Negative = None
    align: Align = "off"

    @model_validator(mode="after")
    def _has_reference_or_prompt(self) -> Morph:
        require_reference_or_prompt(self.reference, self.prompt)
        return self


class Window(Making):
    """A measurement at several interventions, which is saved for the pair."""

    original: Original
    reference: Reference = None
    prompt: Prompt = None
    points: Annotated[int, Integer("largest number of interventions to measure", 4, 64)] = 12
    hold: Hold = None
    anchor: Anchor = "clean"
    guidance: Annotated[float, Number(GUIDANCE, 0, 30)] = 1.0
    level: Level = "line"
    spread: Spread = 1.0
    strength: Strength = "even"
    completion_prompt: CompletionPrompt = None
    completion_guidance: Annotated[float, Number(f"the same for completion_prompt: {GUIDANCE}", 0, 30)] = 1.0
    negative: Negative = None
    align: Align = "off"

    @model_validator(mode="after")
    def _has_reference_or_prompt(self) -> Window:
        require_reference_or_prompt(self.reference, self.prompt)
        return self
