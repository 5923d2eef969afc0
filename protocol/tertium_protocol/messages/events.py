"""The daemon's answers: the events of jobs as frozen models, and the envelope of all answers.

Fields that a newer daemon adds are ignored. Fields that are None are not sent.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tertium_protocol.messages.fields import about

RequestId = int | float | str


def _kinds(annotation: Any) -> set[Any]:
    """Return the classes in an annotation such as ``tuple[str, ...] | None``."""
    return {get_origin(part) or part for part in (annotation, *get_args(annotation))}


class Payload(BaseModel):
    """The fields of an answer; frozen, unknown fields ignored. A list may be given as JSON text, which is how OSC carries lists."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    event: ClassVar[str] = "reply"

    @model_validator(mode="before")
    @classmethod
    def _lists_from_text(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        lists = [name for name, field in cls.model_fields.items() if tuple in _kinds(field.annotation)]
        return data | {name: json.loads(data[name]) for name in lists if isinstance(data.get(name), str)}

    def wire(self) -> dict[str, Any]:
        """Return the fields as they are sent: plain values, without those that are None."""
        return self.model_dump(mode="json", exclude_none=True)


class Answer(BaseModel):
    """The envelope of every answer.

    Args:
        id: the request's id, unchanged; None if the id of a refused message could not be read.
        event: accepted, progress, take, done, failed, cancelled, reply or error.
        command: the command that is answered; None if it could not be read.
        fields: the fields of the payload, without those that are None.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: RequestId | None
    event: str
    command: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, payload: Payload, *, id: RequestId | None, command: str | None) -> Answer:
        """Return the envelope of a payload, whose class determines the event."""
        return cls(id=id, event=payload.event, command=command, fields=payload.wire())


class Accepted(Payload):
    """The job is saved: from now on it would survive a crash of the daemon."""

    event: ClassVar[str] = "accepted"
    job: Annotated[str, about("the job's id")]
    position: Annotated[int, about("number of jobs before it in the queue")] = 0
    seed: Annotated[int | None, about("the seed that will be used")] = None
    steps: Annotated[int | None, about("number of steps that will be taken, given the deadline")] = None


class Progress(Payload):
    event: ClassVar[str] = "progress"
    job: Annotated[str, about("the job's id")]
    stage: Annotated[str, about("what is being done, in a word or two")]
    fraction: Annotated[float, about("share of the job that is done, 0 … 1, never decreasing")]
    seconds_left: Annotated[float | None, about("estimate of the remaining time", "s")] = None
    loss: Annotated[float | None, about("learn: loss of the last step")] = None


class TakeInfo(Payload):
    """A summary of one take of a morph."""

    index: Annotated[
        int, about("number of the take, from 1 at the reference's end to the morph's count at the original's")
    ]
    blend: Annotated[float, about("0 is the reference, 1 the original")]
    intervention: Annotated[
        float | None, about("step at which the original entered, a fraction between two; absent if it did not")
    ] = None
    sound: Annotated[str, about("the sound's id")]
    path: Annotated[str, about("absolute path of the file, which is complete")]


class WindowPoint(Payload):
    """One fusion of a measured window, compared with the two sounds after a round trip through the codec."""

    intervention: Annotated[
        float | None,
        about("step at which the original entered, a fraction between two; absent for the reference alone"),
    ] = None
    noise_to_signal: Annotated[float | None, about("sigma / alpha there; absent at the two ends")] = None
    position: Annotated[float, about("position between reference (0) and original (1), never decreasing")]
    original: Annotated[float, about("log-mel correlation with the original, -1 … 1")]
    reference: Annotated[float, about("log-mel correlation with the reference, -1 … 1")]
    latent_original: Annotated[float, about("correlation of the latents with the original's, -1 … 1")]
    latent_reference: Annotated[float, about("correlation of the latents with the reference's, -1 … 1")]
    unexplained: Annotated[float, about("share that no mix of the two sounds explains, 0 … 1")]


class WindowInfo(Payload):
    """The measured window of a pair: the range of interventions in which the result moves from one sound to the other."""

    steps: Annotated[int, about("number of steps that it was measured with")]
    begin: Annotated[float, about("intervention at which the result has moved a tenth of the way, fractional")]
    equilibrium: Annotated[
        float, about("intervention at which the result is equally similar to both sounds, fractional")
    ]
    end: Annotated[float, about("intervention at which the result has moved nine tenths of the way, fractional")]
    points: Annotated[tuple[WindowPoint, ...], about("the curve, from the reference alone to the original alone")]
    ratios: Annotated[
        tuple[float, ...],
        about("sigma / alpha at evenly spaced blends from 0 to 1: the calibration of blend from now on"),
    ]
    path: Annotated[str, about("absolute path of the curve as a JSON file")]


class Result(Payload):
    """A sound that a job made, and the values needed to make it again."""

    sound: Annotated[str, about("the sound's id")]
    path: Annotated[str, about("absolute path of the file, which is complete")]
    frames: Annotated[int, about("length", "samples per channel")]
    channels: Annotated[int, about("number of channels")]
    sample_rate: Annotated[int, about("sample rate", "Hz")]
    seconds: Annotated[float, about("duration", "s")]
    peak_dbtp: Annotated[float | None, about("true peak; absent for silence", "dBTP")] = None
    loudness: Annotated[float | None, about("integrated loudness; absent for silence", "LUFS")] = None
    gain_db: Annotated[
        float | None, about("what the model's output was raised by to its level, negative if lowered", "dB")
    ] = None
    seed: Annotated[int | None, about("seed that was used")] = None
    steps: Annotated[int | None, about("number of steps taken")] = None
    intervention: Annotated[
        float | None, about("step at which the original entered, a fraction between two; absent if it did not")
    ] = None
    shift: Annotated[
        float | None,
        about("time by which the reference began later, negative for earlier; absent if align was off", "s"),
    ] = None
    transposition: Annotated[
        int | None, about("what the reference was transposed by; absent if align was off", "semitones")
    ] = None
    model: Annotated[str | None, about("model that was used")] = None
    checkpoint: Annotated[str | None, about("learn: name of the checkpoint, for use as a reference")] = None
    loss: Annotated[float | None, about("learn, preview: loss of the last step")] = None
    learned: Annotated[int | None, about("preview: number of training steps taken so far")] = None
    latents: Annotated[str | None, about("invert: path of the latents, a safetensors file")] = None
    takes: Annotated[
        tuple[TakeInfo, ...] | None, about("morph: all takes, in order; the result's sound is the middle take")
    ] = None
    window: Annotated[
        WindowInfo | None, about("window: the measured curve; the result's sound is the fusion at the equilibrium")
    ] = None
    recall: Annotated[
        str | None, about("path of the recipe, a JSON file with everything needed to make the sound again")
    ] = None
    elapsed: Annotated[float | None, about("running time of the job", "s")] = None
    notes: Annotated[tuple[str, ...], about("sentences on what was converted or limited")] = ()


class Take(Result):
    """One take of a morph is ready, while others are still being made."""

    event: ClassVar[str] = "take"
    job: Annotated[str, about("the job's id")]
    index: Annotated[int, about("number of the take, from 1 at the reference's end to count at the original's")]
    count: Annotated[int, about("number of takes in all")]
    blend: Annotated[float, about("0 is the reference, 1 the original")]


class Done(Result):
    event: ClassVar[str] = "done"
    job: Annotated[str, about("the job's id")]


class ErrorInfo(Payload):
    """A refusal: a code from the list of error codes, a message and a remedy."""

    event: ClassVar[str] = "error"
    code: Annotated[str, about("one of the error codes")]
    message: Annotated[str, about("what is wrong")]
    field: Annotated[str | None, about("the invalid field")] = None
    value: Annotated[Any, about("its value, truncated to 200 characters")] = None
    remedy: Annotated[str | None, about("what to do next")] = None


class Failed(ErrorInfo):
    event: ClassVar[str] = "failed"
    job: Annotated[str, about("the job's id")]


class Cancelled(Payload):
    event: ClassVar[str] = "cancelled"
    job: Annotated[str, about("the job's id")]
    reason: Annotated[str, about("a sentence on who or what cancelled it")] = "Cancelled by request."


EVENTS: dict[str, type[Payload]] = {
    kind.event: kind for kind in (Accepted, Progress, Take, Done, Failed, Cancelled, ErrorInfo)
}
"""Event name to payload, without ``reply``, whose payload depends on the command."""

TERMINAL_EVENTS = frozenset({"done", "failed", "cancelled"})
EVENT_NAMES = ("accepted", "progress", "take", "done", "failed", "cancelled", "reply", "error")
