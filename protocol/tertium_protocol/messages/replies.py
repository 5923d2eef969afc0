"""The replies to immediate commands, as frozen models."""

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
    message: Annotated[str | None, about("remark on the model, as in status")] = None
    osc: Annotated[str | None, about("host:port for OSC")] = None
    zmq: Annotated[str | None, about("ZeroMQ endpoint for requests")] = None
    events: Annotated[str | None, about("ZeroMQ endpoint that publishes all events")] = None


class StatusReply(Payload):
    state: Annotated[str, about("loading, ready, busy, failed or stopping")]
    model: Annotated[str, about("model that is loaded or loading")]
    message: Annotated[
        str | None,
        about(
            "why the model is not available, what its loading is waiting for, or what was assumed when it was loaded; else whether the library exceeds its budget"
        ),
    ] = None
    device: Annotated[str | None, about("cpu, cuda or mps")] = None
    precision: Annotated[str | None, about("fp32, fp16 or bf16")] = None
    sample_rate: Annotated[int | None, about("sample rate of the model", "Hz")] = None
    channels: Annotated[int | None, about("number of channels of the model")] = None
    max_seconds: Annotated[float | None, about("longest sound that the model accepts", "s")] = None
    job: Annotated[str | None, about("the running job's id")] = None
    fraction: Annotated[float | None, about("share of the job that is done, 0 … 1")] = None
    queued: Annotated[int, about("number of waiting jobs")] = 0
    done: Annotated[int, about("number of jobs done since the start")] = 0
    failed: Annotated[int, about("number of jobs failed since the start")] = 0
    uptime: Annotated[float, about("time since the start", "s")] = 0.0
    version: Annotated[str, about("version of the daemon")] = ""
    library: Annotated[float, about("size of all sounds and results, as of some seconds ago", "GB")] = 0.0
    budget: Annotated[float, about("size beyond which sounds that are not kept are removed; 0 for none", "GB")] = 0.0


class Parameter(Payload):
    """The description of one field of a command, for a client that builds a user interface."""

    name: Annotated[str, about("the field's name")]
    type: Annotated[str, about("integer, number, text or choice")]
    required: Annotated[bool, about("whether it must be sent")]
    default: Annotated[int | float | str | None, about("value of an absent field")] = None
    absent: Annotated[str | None, about("description of the default where it is not a fixed value")] = None
    minimum: Annotated[int | float | None, about("smallest value")] = None
    maximum: Annotated[int | float | None, about("largest value")] = None
    choices: Annotated[tuple[str, ...] | None, about("the words of a choice")] = None
    longest: Annotated[int | None, about("largest length of a text", "characters")] = None
    unit: Annotated[str, about("unit")] = ""
    help: Annotated[str, about("meaning of the field")] = ""


class CommandInfo(Payload):
    name: Annotated[str, about("the command's name")]
    summary: Annotated[str, about("what the command does")]
    kind: Annotated[str, about("queued or immediate")]
    transports: Annotated[tuple[str, ...], about("osc, zeromq")]
    parameters: Annotated[tuple[Parameter, ...], about("its fields")] = ()


class CommandsReply(Payload):
    protocol: Annotated[str, about("protocol version of the daemon")]
    commands: Annotated[tuple[CommandInfo, ...], about("all commands, or the requested one")] = ()


class SubscribeReply(Payload):
    seconds: Annotated[float, about("time for which events are sent", "s")]
    events: Annotated[str | None, about("ZeroMQ endpoint that publishes all events")] = None


class SoundInfo(Payload):
    sound: Annotated[str, about("id: SHA-256 of the samples, 64 hex digits")]
    name: Annotated[str, about("the sound's name")]
    path: Annotated[str, about("absolute path of the daemon's own copy")]
    frames: Annotated[int, about("length", "samples per channel")]
    channels: Annotated[int, about("number of channels")]
    sample_rate: Annotated[int, about("sample rate", "Hz")]
    seconds: Annotated[float, about("duration", "s")]
    notes: Annotated[tuple[str, ...], about("sentences on what was converted")] = ()
    kept: Annotated[int, about("1 if it stays when the library exceeds its budget, else 0")] = 0


class DeleteSoundReply(Payload):
    sound: Annotated[str, about("id of the sound that was deleted")]
    name: Annotated[str, about("the sound's name")]
    bytes: Annotated[int, about("room that became free", "bytes")]


class CleanReply(Payload):
    sounds: Annotated[int, about("number of sounds and results that were removed, or would be")]
    freed: Annotated[float, about("room that became free, or would", "GB")]
    held: Annotated[float, about("size of the library after that", "GB")]
    budget: Annotated[float, about("size that it may have; 0 for any", "GB")]
    message: Annotated[str | None, about("why it is above its budget nevertheless")] = None


class SoundsReply(Payload):
    total: Annotated[int, about("number of sounds in all")]
    sounds: Annotated[tuple[SoundInfo, ...], about("the requested page, newest first")] = ()


class ModelInfo(Payload):
    name: Annotated[str, about("the model's name, or its folder")]
    loaded: Annotated[bool, about("whether it is loaded now")]
    available: Annotated[bool, about("whether it could be loaded")]
    sample_rate: Annotated[int | None, about("sample rate", "Hz")] = None
    max_seconds: Annotated[float | None, about("longest sound that the model accepts", "s")] = None
    message: Annotated[str | None, about("why it is not available, and what to do")] = None


class ModelsReply(Payload):
    models: Annotated[tuple[ModelInfo, ...], about("all models known by name, and the loaded one")] = ()


class CheckpointInfo(Payload):
    name: Annotated[str, about("the checkpoint's name")]
    model: Annotated[str | None, about("model that it was trained on")] = None
    prompt: Annotated[str | None, about("text that its reference answers to")] = None
    path: Annotated[str | None, about("absolute path of its folder, or of the file just exported")] = None
    reference: Annotated[str | None, about("id of the sound that was learned")] = None
    method: Annotated[str | None, about("lora or full")] = None
    rank: Annotated[int | None, about("rank of the LoRA")] = None
    steps: Annotated[int | None, about("number of training steps")] = None
    loss: Annotated[float | None, about("loss of the last step")] = None
    seconds: Annotated[float | None, about("length of the trained pieces", "s")] = None
    bytes: Annotated[int | None, about("size on disk", "bytes")] = None
    created: Annotated[str | None, about("time of training, ISO 8601, UTC")] = None
    usable: Annotated[
        bool | None, about("whether it was trained on the loaded model; absent while a model is loading")
    ] = None


class CheckpointsReply(Payload):
    checkpoints: Annotated[tuple[CheckpointInfo, ...], about("all checkpoints in the daemon's folder")] = ()


class JobInfo(Payload):
    job: Annotated[str, about("the job's id")]
    command: Annotated[str, about("the command that created it")]
    state: Annotated[str, about("queued, running, done, failed or cancelled")]
    stage: Annotated[str | None, about("what is being done")] = None
    fraction: Annotated[float, about("share of the job that is done, 0 … 1")] = 0.0
    seconds_left: Annotated[float | None, about("estimate of the remaining time", "s")] = None
    slot: Annotated[str | None, about("the job's slot")] = None
    created: Annotated[str | None, about("time at which it was accepted, ISO 8601, UTC")] = None
    finished: Annotated[str | None, about("time at which it ended, ISO 8601, UTC")] = None
    reason: Annotated[str | None, about("why it was cancelled")] = None
    takes: Annotated[
        tuple[TakeInfo, ...] | None, about("morph: the takes that are ready so far, while it is running")
    ] = None
    result: Annotated[Result | None, about("result of a job that is done")] = None
    error: Annotated[ErrorInfo | None, about("error of a job that failed")] = None


class JobsReply(Payload):
    total: Annotated[int, about("number of jobs in all")]
    jobs: Annotated[tuple[JobInfo, ...], about("the requested page, newest first")] = ()


class CancelReply(Payload):
    job: Annotated[str | None, about("the job's id")] = None
    request: Annotated[str | None, about("the request's id")] = None
    state: Annotated[
        str,
        about(
            "its present state; a running job stops within one step and then sends cancelled; of a request, cancelled, or answered if it was done first"
        ),
    ]


class AllowReply(Payload):
    path: Annotated[str, about("the folder, with symbolic links resolved")]
    walls: Annotated[int, about("1 if reading is restricted to certain folders, 0 if any file may be read")]


class ShutdownReply(Payload):
    pid: Annotated[int, about("process id of the daemon that is stopping")]
