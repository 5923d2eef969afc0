"""What immediate commands reply, as frozen models."""

from __future__ import annotations

from typing import Annotated

from tertium_protocol.messages.events import ErrorInfo, Payload, Result, TakeInfo
from tertium_protocol.messages.fields import about


class HelloReply(Payload):
    protocol: Annotated[str, about("protocol version of the daemon")]
    version: Annotated[str, about("version of the daemon")]
    pid: Annotated[int, about("process id of the daemon")]
    home: Annotated[str, about("the daemon's folder")]
    model: Annotated[str, about("model that is loaded or loading")]
    state: Annotated[str, about("loading, ready, busy, failed or stopping")]
    message: Annotated[str | None, about("as in status: a word on the model, if there is one to say")] = None
    osc: Annotated[str | None, about("host:port for OSC")] = None
    zmq: Annotated[str | None, about("ZeroMQ endpoint for requests")] = None
    events: Annotated[str | None, about("ZeroMQ endpoint that publishes all events")] = None


class StatusReply(Payload):
    state: Annotated[str, about("loading, ready, busy, failed or stopping")]
    model: Annotated[str, about("model that is loaded or loading")]
    message: Annotated[
        str | None,
        about("why the model is not available, what its loading waits for, or what was assumed in loading it"),
    ] = None
    device: Annotated[str | None, about("cpu, cuda or mps")] = None
    precision: Annotated[str | None, about("fp32, fp16 or bf16")] = None
    sample_rate: Annotated[int | None, about("sample rate of the model", "Hz")] = None
    channels: Annotated[int | None, about("channels of the model")] = None
    max_seconds: Annotated[float | None, about("longest sound that the model takes", "s")] = None
    job: Annotated[str | None, about("the running job's id")] = None
    fraction: Annotated[float | None, about("how much of it is done, 0 … 1")] = None
    queued: Annotated[int, about("jobs waiting")] = 0
    done: Annotated[int, about("jobs done since the start")] = 0
    failed: Annotated[int, about("jobs failed since the start")] = 0
    uptime: Annotated[float, about("time since the start", "s")] = 0.0
    version: Annotated[str, about("version of the daemon")] = ""


class Parameter(Payload):
    """One field of a command, described for a client that builds a panel."""

    name: Annotated[str, about("the field's name")]
    type: Annotated[str, about("integer, number, text or choice")]
    required: Annotated[bool, about("whether it must be sent")]
    default: Annotated[int | float | str | None, about("the value that an absent field stands for")] = None
    absent: Annotated[str | None, about("what an absent field stands for where that is no fixed value")] = None
    minimum: Annotated[int | float | None, about("least value")] = None
    maximum: Annotated[int | float | None, about("greatest value")] = None
    choices: Annotated[tuple[str, ...] | None, about("the words of a choice")] = None
    longest: Annotated[int | None, about("greatest length of a text", "characters")] = None
    unit: Annotated[str, about("unit")] = ""
    help: Annotated[str, about("what it does")] = ""


class CommandInfo(Payload):
    name: Annotated[str, about("the command's name")]
    summary: Annotated[str, about("what it does")]
    kind: Annotated[str, about("queued or immediate")]
    transports: Annotated[tuple[str, ...], about("osc, zeromq")]
    parameters: Annotated[tuple[Parameter, ...], about("its fields")] = ()


class CommandsReply(Payload):
    protocol: Annotated[str, about("protocol version of the daemon")]
    commands: Annotated[tuple[CommandInfo, ...], about("every command, or the one asked for")] = ()


class SubscribeReply(Payload):
    seconds: Annotated[float, about("how long events are sent", "s")]
    events: Annotated[str | None, about("ZeroMQ endpoint that publishes all events")] = None


class SoundInfo(Payload):
    sound: Annotated[str, about("id: SHA-256 of the samples, 64 hex digits")]
    name: Annotated[str, about("what it is called")]
    path: Annotated[str, about("absolute path of the daemon's own copy")]
    frames: Annotated[int, about("length", "samples a channel")]
    channels: Annotated[int, about("channels")]
    sample_rate: Annotated[int, about("sample rate", "Hz")]
    seconds: Annotated[float, about("length", "s")]
    notes: Annotated[tuple[str, ...], about("what was converted, sentences")] = ()


class SoundsReply(Payload):
    total: Annotated[int, about("how many sounds there are in all")]
    sounds: Annotated[tuple[SoundInfo, ...], about("the page asked for, newest first")] = ()


class ModelInfo(Payload):
    name: Annotated[str, about("name, or folder")]
    loaded: Annotated[bool, about("whether it is loaded now")]
    available: Annotated[bool, about("whether it could be loaded")]
    sample_rate: Annotated[int | None, about("sample rate", "Hz")] = None
    max_seconds: Annotated[float | None, about("longest sound it takes", "s")] = None
    message: Annotated[str | None, about("why it is not available, and what to do")] = None


class ModelsReply(Payload):
    models: Annotated[tuple[ModelInfo, ...], about("every model known by name, and the loaded one")] = ()


class CheckpointInfo(Payload):
    name: Annotated[str, about("name")]
    model: Annotated[str | None, about("model that it belongs to")] = None
    prompt: Annotated[str | None, about("text that its reference answers to")] = None
    path: Annotated[str | None, about("absolute path of its folder, or of the file just exported")] = None
    reference: Annotated[str | None, about("id of the sound that was learned")] = None
    method: Annotated[str | None, about("lora or full")] = None
    rank: Annotated[int | None, about("rank of a LoRA")] = None
    steps: Annotated[int | None, about("steps of the optimiser that it took")] = None
    loss: Annotated[float | None, about("of the last step")] = None
    seconds: Annotated[float | None, about("length that was learned at a time", "s")] = None
    bytes: Annotated[int | None, about("size on disk", "bytes")] = None
    created: Annotated[str | None, about("when it was learned, ISO 8601, UTC")] = None
    usable: Annotated[
        bool | None, about("whether it was learned on the model that is loaded; absent while loading")
    ] = None


class CheckpointsReply(Payload):
    checkpoints: Annotated[tuple[CheckpointInfo, ...], about("every checkpoint in the daemon's folder")] = ()


class JobInfo(Payload):
    job: Annotated[str, about("the job's id")]
    command: Annotated[str, about("the command that it carries out")]
    state: Annotated[str, about("queued, running, done, failed or cancelled")]
    stage: Annotated[str | None, about("what is being done")] = None
    fraction: Annotated[float, about("how much of it is done, 0 … 1")] = 0.0
    seconds_left: Annotated[float | None, about("estimate of the time that is left", "s")] = None
    slot: Annotated[str | None, about("its slot")] = None
    created: Annotated[str | None, about("when it was accepted, ISO 8601, UTC")] = None
    finished: Annotated[str | None, about("when it ended, ISO 8601, UTC")] = None
    reason: Annotated[str | None, about("why it was cancelled")] = None
    takes: Annotated[tuple[TakeInfo, ...] | None, about("morph: the takes that are ready, while it runs")] = None
    result: Annotated[Result | None, about("of a job that is done")] = None
    error: Annotated[ErrorInfo | None, about("of a job that failed")] = None


class JobsReply(Payload):
    total: Annotated[int, about("how many jobs there are in all")]
    jobs: Annotated[tuple[JobInfo, ...], about("the page asked for, newest first")] = ()


class CancelReply(Payload):
    job: Annotated[str, about("the job's id")]
    state: Annotated[str, about("its state now; a running job stops within one step and then says cancelled")]


class AllowReply(Payload):
    path: Annotated[str, about("the folder, symlinks followed")]
    walls: Annotated[int, about("1 where only some folders may be read, 0 where any file may be anyway")]


class ShutdownReply(Payload):
    pid: Annotated[int, about("process id of the daemon that is stopping")]
