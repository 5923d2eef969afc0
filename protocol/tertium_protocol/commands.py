"""The command table, and the validation of requests against it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages import replies, requests, sound_requests, training_requests
from tertium_protocol.messages.events import Done, Payload
from tertium_protocol.messages.fields import Choice, Integer, Number, Spec, Text, nearest

Kind = Literal["queued", "immediate"]
Transport = Literal["osc", "zeromq"]
BOTH: tuple[Transport, ...] = ("osc", "zeromq")


@dataclass(frozen=True)
class Command:
    """A row of the command table.

    Args:
        name: the command's name, and the last part of its OSC address.
        summary: a sentence on what the command does.
        request: the model of its fields.
        reply: the payload of its ``reply``; for a queued command, of its ``done``.
        kind: immediate commands get one reply; queued ones get accepted, progress and one terminal event.
        transports: the transports that carry it.
        items: the field of the reply that is a list, whose elements OSC sends one by one.
        buffers: the number of audio buffers that a request may carry, 0 or 1.
        guarded: whether the command requires the daemon's token over OSC as well, since UDP does not reveal the sender's user account.
    """

    name: str
    summary: str
    request: type[requests.Request]
    reply: type[Payload]
    kind: Kind = "immediate"
    transports: tuple[Transport, ...] = BOTH
    items: str | None = None
    buffers: int = 0
    guarded: bool = False

    @property
    def address(self) -> str:
        """The OSC address."""
        return f"/tertium/{self.name}"


_TABLE = (
    Command(
        "hello",
        "Returns versions, model and endpoints, and sets the port for answers.",
        requests.Hello,
        replies.HelloReply,
    ),
    Command("status", "Returns the state of the daemon.", requests.Status, replies.StatusReply),
    Command(
        "commands",
        "Describes the commands and their parameters, for user interfaces and help.",
        requests.Commands,
        replies.CommandsReply,
        items="commands",
    ),
    Command(
        "subscribe",
        "Sends the client the events of all jobs, including those of other clients.",
        requests.Subscribe,
        replies.SubscribeReply,
    ),
    Command(
        "add_sound", "Adds a file or a buffer to the library.", sound_requests.AddSound, replies.SoundInfo, buffers=1
    ),
    Command("sound", "Describes one sound.", sound_requests.Sound, replies.SoundInfo),
    Command("sounds", "Lists the sounds of the library.", sound_requests.Sounds, replies.SoundsReply, items="sounds"),
    Command(
        "sound_audio",
        "Sends the samples of a sound as a buffer.",
        sound_requests.SoundAudio,
        replies.SoundInfo,
        transports=("zeromq",),
    ),
    Command(
        "keep",
        "Keeps a sound when the library exceeds its budget, and all sounds that its recipe names.",
        sound_requests.Keep,
        replies.SoundInfo,
    ),
    Command(
        "delete_sound",
        "Deletes a sound permanently, with its recipe and latents. Refused if it is kept, or if a job needs it.",
        sound_requests.DeleteSound,
        replies.DeleteSoundReply,
        guarded=True,
    ),
    Command(
        "clean",
        "Removes sounds that are not kept, the longest unused first, until the library is within its budget.",
        sound_requests.Clean,
        replies.CleanReply,
        guarded=True,
    ),
    Command(
        "models",
        "Lists the models and whether they can be loaded.",
        requests.Models,
        replies.ModelsReply,
        items="models",
    ),
    Command(
        "checkpoints",
        "Lists the learned references.",
        training_requests.Checkpoints,
        replies.CheckpointsReply,
        items="checkpoints",
    ),
    Command(
        "import_checkpoint",
        "Imports an exported checkpoint.",
        training_requests.ImportCheckpoint,
        replies.CheckpointInfo,
    ),
    Command(
        "export_checkpoint",
        "Exports a checkpoint to a single file.",
        training_requests.ExportCheckpoint,
        replies.CheckpointInfo,
        guarded=True,
    ),
    Command(
        "rename_checkpoint",
        "Gives a checkpoint another name.",
        training_requests.RenameCheckpoint,
        replies.CheckpointInfo,
        guarded=True,
    ),
    Command(
        "delete_checkpoint",
        "Deletes a checkpoint permanently.",
        training_requests.DeleteCheckpoint,
        replies.CheckpointInfo,
        guarded=True,
    ),
    Command(
        "learn",
        "Trains the model on a reference under a prompt and saves a checkpoint. All other kinds of job go first.",
        training_requests.Learn,
        Done,
        kind="queued",
    ),
    Command(
        "preview",
        "Renders the prompt of a training job with its present weights. The training is not affected.",
        training_requests.Preview,
        Done,
        kind="queued",
    ),
    Command(
        "generate",
        "Generates a sound from a prompt, or from a learned reference.",
        requests.Generate,
        Done,
        kind="queued",
    ),
    Command("vary", "Generates a variation of a sound.", requests.Vary, Done, kind="queued"),
    Command(
        "invert", "Inverts a sound and reconstructs it from one of the steps.", requests.Invert, Done, kind="queued"
    ),
    Command("fuse", "Fuses two sounds into a third.", requests.Fuse, Done, kind="queued"),
    Command(
        "morph",
        "Fuses two sounds at several interventions, into a series of takes from the reference to the original.",
        requests.Morph,
        Done,
        kind="queued",
    ),
    Command(
        "window",
        "Measures where the fusion of a pair moves from the reference to the original, and calibrates blend for the pair.",
        requests.Window,
        Done,
        kind="queued",
    ),
    Command("job", "Returns the state of a job, with its result or error.", requests.Job, replies.JobInfo),
    Command("jobs", "Lists the jobs.", requests.Jobs, replies.JobsReply, items="jobs"),
    Command(
        "cancel",
        "Cancels a job, or a request that is being answered; a running job stops within one step.",
        requests.Cancel,
        replies.CancelReply,
    ),
    Command(
        "allow",
        "Allows clients to name files in one more folder, now and after a restart.",
        requests.Allow,
        replies.AllowReply,
        guarded=True,
    ),
    Command(
        "shutdown",
        "Stops the daemon; queued jobs wait for its next start. Local clients only.",
        requests.Shutdown,
        replies.ShutdownReply,
        guarded=True,
    ),
)

COMMANDS: dict[str, Command] = {command.name: command for command in _TABLE}
"""Name to command, in the order of the documentation."""


def parse_request(
    command: str, fields: Mapping[str, Any], *, transport: Transport | None = None, buffers: int = 0
) -> requests.Request:
    """Validate a request.

    Args:
        command: the command's name.
        fields: its fields; a field that is None counts as absent.
        transport: the transport that carried the request; None skips the check whether it may carry this command.
        buffers: the number of audio buffers sent with the request.

    Raises:
        ProtocolError: with the invalid field, its value and a remedy.
    """
    row = find_command(command, transport=transport)
    given = {name: value for name, value in fields.items() if value is not None}
    for name in given:
        if name not in row.request.model_fields:
            raise _unknown_field(row, name, given[name])
    try:
        request = row.request.model_validate(given)
    except ValidationError as problem:
        raise _explained(row, problem) from None
    _check_buffers(row, given, buffers)
    return request


def find_command(name: str, *, transport: Transport | None = None) -> Command:
    """Return the row of a command.

    Raises:
        ProtocolError: unknown_command, with the nearest valid name.
    """
    row = COMMANDS.get(name) if isinstance(name, str) else None
    if row is None:
        near = nearest(name, COMMANDS) if isinstance(name, str) else None
        remedy = f"Did you mean {near}?" if near else f"The commands are {', '.join(COMMANDS)}."
        raise ProtocolError("unknown_command", f"There is no command “{str(name)[:60]}”.", "command", name, remedy)
    if transport is not None and transport not in row.transports:
        other = {"osc": "OSC", "zeromq": "ZeroMQ"}[row.transports[0]]
        raise ProtocolError(
            "unknown_command", f"{name} is not carried here.", "command", name, f"Send it over {other}."
        )
    return row


@functools.lru_cache
def describe(name: str | None = None) -> replies.CommandsReply:
    """Return the reply to the command ``commands``, which is derived from the request models.

    Args:
        name: the only command to describe; None describes all.

    Raises:
        ProtocolError: unknown_command, with the nearest valid name.
    """
    rows = COMMANDS.values() if name is None else [find_command(name)]
    return replies.CommandsReply(protocol=requests.PROTOCOL_VERSION, commands=tuple(_info(row) for row in rows))


def specs(request: type[requests.Request]) -> dict[str, Spec]:
    """Return field name to specification (kind, range, help) for all fields of a request."""
    return {
        name: next(m for m in field.metadata if isinstance(m, Integer | Number | Text | Choice))
        for name, field in request.model_fields.items()
    }


def _info(row: Command) -> replies.CommandInfo:
    fields = row.request.model_fields
    parameters = [
        replies.Parameter(
            name=name,
            type=spec.kind,
            required=fields[name].is_required(),
            default=_default(fields[name], spec),
            absent=spec.absent if isinstance(spec.absent, str) else None,
            minimum=getattr(spec, "minimum", None),
            maximum=getattr(spec, "maximum", None),
            choices=spec.choices if isinstance(spec, Choice) else None,
            longest=getattr(spec, "longest", None),
            unit=spec.unit,
            help=spec.help,
        )
        for name, spec in specs(row.request).items()
    ]
    return replies.CommandInfo(
        name=row.name, summary=row.summary, kind=row.kind, transports=row.transports, parameters=tuple(parameters)
    )


def _default(field: FieldInfo, spec: Spec) -> int | float | str | None:
    if field.is_required():
        return None
    return spec.absent if field.default is None and isinstance(spec.absent, int | float) else field.default


def _unknown_field(row: Command, name: str, value: Any) -> ProtocolError:
    names = list(row.request.model_fields)
    near = nearest(name, names)
    listed = f"Its fields are {', '.join(names)}." if names else "It takes none."
    remedy = f"Did you mean {near}?" if near else listed
    return ProtocolError("unknown_field", f"{row.name} has no field “{name[:60]}”.", name[:60], value, remedy)


def _explained(row: Command, problem: ValidationError) -> ProtocolError:
    """Convert pydantic's errors to one ProtocolError: for the first missing field, else for the first invalid one."""
    faults = sorted(
        problem.errors(include_url=False, include_input=False), key=lambda fault: fault["type"] != "missing"
    )
    fault = faults[0]
    context = fault.get("ctx", {})
    field = context.get("field") or str(fault["loc"][0])
    if fault["type"] == "missing":
        spec = specs(row.request)[field]
        return ProtocolError("missing_field", f"{row.name} needs {field}.", field, None, f"Send {field}: {spec.help}.")
    return ProtocolError(fault["type"], f"{field} {context['problem']}", field, context["value"], context["remedy"])


def _check_buffers(row: Command, given: Mapping[str, Any], buffers: int) -> None:
    if buffers > row.buffers:
        takes = f"at most {row.buffers}" if row.buffers else "none"
        remedy = "Send buffers to add_sound, one a sound, and refer to the sound by its id."
        raise ProtocolError(
            "conflict", f"{row.name} takes {takes} of audio buffers; got {buffers}.", "buffers", buffers, remedy
        )
    if row.name == "add_sound" and ("path" in given) == (buffers == 1):
        if buffers:
            raise ProtocolError(
                "conflict", "add_sound got both a path and a buffer.", "path", given["path"], "Send one of the two."
            )
        remedy = "Send path, the absolute path of an audio file; or, over ZeroMQ, a buffer."
        raise ProtocolError("missing_field", "add_sound needs a path or a buffer.", "path", None, remedy)
