"""What the daemon says: the events of jobs and the replies of commands as frozen models, and the envelope they travel in.

Fields that a newer daemon adds are ignored. Fields that are None are left out of the wire.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tertium_protocol.messages.fields import about

RequestId = int | float | str


def _kinds(annotation: Any) -> set[Any]:
    """The classes that an annotation such as ``tuple[str, ...] | None`` is made of."""
    return {get_origin(part) or part for part in (annotation, *get_args(annotation))}


class Payload(BaseModel):
    """The fields of one answer; frozen, unknown fields ignored. Lists may come as JSON text, which is how OSC carries them."""

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
        """The fields as they travel: plain values, None left out."""
        return self.model_dump(mode="json", exclude_none=True)


class Answer(BaseModel):
    """The envelope of everything the daemon sends.

    Args:
        id: the request's id, unchanged; None when a refused message's id could not be read.
        event: accepted, progress, take, done, failed, cancelled, reply or error.
        command: the command that is answered; None when it could not be read.
        fields: the fields of the payload, without those that are None.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: RequestId | None
    event: str
    command: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, payload: Payload, *, id: RequestId | None, command: str | None) -> Answer:
        """The envelope for a payload, whose class knows its event."""
        return cls(id=id, event=payload.event, command=command, fields=payload.wire())


class Accepted(Payload):
    """The job would survive a crash from here on."""

    event: ClassVar[str] = "accepted"
    job: Annotated[str, about("the job's id")]
    position: Annotated[int, about("how many jobs come before it")] = 0
    seed: Annotated[int | None, about("the seed that will be used")] = None
    steps: Annotated[int | None, about("the steps that will be taken, as the deadline allows")] = None


class Progress(Payload):
    event: ClassVar[str] = "progress"
    job: Annotated[str, about("the job's id")]
    stage: Annotated[str, about("what is being done, a word or two")]
    fraction: Annotated[float, about("how much of the job is done, 0 … 1, never falling")]
    seconds_left: Annotated[float | None, about("estimate of the time that is left", "s")] = None
    loss: Annotated[float | None, about("learn: of the last step")] = None


class TakeInfo(Payload):
    """One take of a morph, in short."""

    index: Annotated[int, about("number of the take: 1 is the reference's end, the count of the morph the original's")]
    blend: Annotated[float, about("0 is the reference, 1 the original")]
    intervention: Annotated[int | None, about("step at which the original entered; absent for none")] = None
    sound: Annotated[str, about("id of the sound")]
    path: Annotated[str, about("absolute path of the file, complete")]


class WindowPoint(Payload):
    """One fusion of a measured window, compared with the round trips of the two sounds."""

    intervention: Annotated[int | None, about("step at which the original entered; absent for the reference alone")] = (
        None
    )
    noise_to_signal: Annotated[float | None, about("sigma / alpha at that step; absent at the two ends")] = None
    position: Annotated[float, about("how far from reference (0) to original (1), never falling")]
    original: Annotated[float, about("log-mel correlation with the original, -1 … 1")]
    reference: Annotated[float, about("log-mel correlation with the reference, -1 … 1")]
    latent_original: Annotated[float, about("correlation of latents with the original's, -1 … 1")]
    latent_reference: Annotated[float, about("correlation of latents with the reference's, -1 … 1")]
    unexplained: Annotated[float, about("part that no mix of the two sounds explains, 0 … 1")]


class WindowInfo(Payload):
    """The measured window of a pair: from which intervention to which the result moves from one sound to the other."""

    steps: Annotated[int, about("steps that it was measured with")]
    begin: Annotated[float, about("intervention at which a tenth of the way is done, with a fraction")]
    equilibrium: Annotated[float, about("intervention at which the result is equally like both, with a fraction")]
    end: Annotated[float, about("intervention at which nine tenths of the way are done, with a fraction")]
    points: Annotated[tuple[WindowPoint, ...], about("the curve, from the reference alone to the original alone")]
    ratios: Annotated[
        tuple[float, ...], about("sigma / alpha at evenly spaced blends from 0 to 1: what blend goes by from now on")
    ]
    path: Annotated[str, about("absolute path of the curve, JSON")]


class Result(Payload):
    """A sound that a job made, and what is needed to make it again."""

    sound: Annotated[str, about("id of the sound")]
    path: Annotated[str, about("absolute path of the file, complete")]
    frames: Annotated[int, about("length", "samples a channel")]
    channels: Annotated[int, about("channels")]
    sample_rate: Annotated[int, about("sample rate", "Hz")]
    seconds: Annotated[float, about("length", "s")]
    peak_dbtp: Annotated[float | None, about("true peak; absent for silence", "dBTP")] = None
    seed: Annotated[int | None, about("seed used")] = None
    steps: Annotated[int | None, about("steps taken")] = None
    intervention: Annotated[int | None, about("step at which the original entered; absent for none")] = None
    model: Annotated[str | None, about("model used")] = None
    checkpoint: Annotated[str | None, about("learn: name of the checkpoint, to be given as a reference")] = None
    loss: Annotated[float | None, about("learn, preview: of the last step")] = None
    learned: Annotated[int | None, about("preview: steps of the learning that were taken by then")] = None
    latents: Annotated[str | None, about("invert: path of the latents, safetensors")] = None
    takes: Annotated[
        tuple[TakeInfo, ...] | None, about("morph: all takes, in order; the sound is the take in the middle")
    ] = None
    window: Annotated[
        WindowInfo | None, about("window: the measured curve; the sound is the fusion at the equilibrium")
    ] = None
    recall: Annotated[str | None, about("path of the JSON file with all that is needed to make the sound again")] = None
    elapsed: Annotated[float | None, about("time the job ran", "s")] = None
    notes: Annotated[tuple[str, ...], about("what was converted or limited, sentences")] = ()


class Take(Result):
    """One take of a morph is ready. The next are still being made."""

    event: ClassVar[str] = "take"
    job: Annotated[str, about("the job's id")]
    index: Annotated[int, about("number of the take: 1 is the reference's end, count the original's")]
    count: Annotated[int, about("how many takes there will be")]
    blend: Annotated[float, about("0 is the reference, 1 the original")]


class Done(Result):
    event: ClassVar[str] = "done"
    job: Annotated[str, about("the job's id")]


class ErrorInfo(Payload):
    """A refusal: a code from the closed list, a sentence, and what to do next."""

    event: ClassVar[str] = "error"
    code: Annotated[str, about("one of the error codes")]
    message: Annotated[str, about("what is wrong")]
    field: Annotated[str | None, about("the field at fault")] = None
    value: Annotated[Any, about("what it held, cut to 200 characters")] = None
    remedy: Annotated[str | None, about("what to do next")] = None


class Failed(ErrorInfo):
    event: ClassVar[str] = "failed"
    job: Annotated[str, about("the job's id")]


class Cancelled(Payload):
    event: ClassVar[str] = "cancelled"
    job: Annotated[str, about("the job's id")]
    reason: Annotated[str, about("who or what cancelled it, a sentence")] = "Cancelled by request."


EVENTS: dict[str, type[Payload]] = {
    kind.event: kind for kind in (Accepted, Progress, Take, Done, Failed, Cancelled, ErrorInfo)
}
"""Event name to payload, but for ``reply``, whose payload depends on the command."""

TERMINAL_EVENTS = frozenset({"done", "failed", "cancelled"})
EVENT_NAMES = ("accepted", "progress", "take", "done", "failed", "cancelled", "reply", "error")
