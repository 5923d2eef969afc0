"""The command ``checkpoints`` and its actions: list, rename, delete, export and import."""

import os
from typing import Any

from tertium.cli.connect import Wanted, running_or_started
from tertium.cli.output import Output, counted
from tertium_protocol.commands import parse_request
from tertium_protocol.messages import CheckpointInfo

DONE = {
    "rename_checkpoint": "Renamed to {name}.",
    "delete_checkpoint": "Deleted {name}.",
    "export_checkpoint": "{path}",
    "import_checkpoint": "Imported as {name}.",
}


def checked_fields(command: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Validate the request's fields and make paths absolute.

    Raises:
        ProtocolError: a field is invalid.
    """
    if "path" in fields:
        fields = fields | {"path": os.path.abspath(os.path.expanduser(fields["path"]))}
    parse_request(command, fields)
    return fields


def checkpoints(command: str, fields: dict[str, Any], wanted: Wanted, output: Output) -> None:
    """List the checkpoints, or carry out an action on one of them, and print the outcome.

    Raises:
        RemoteError: the daemon refused.
    """
    with running_or_started(wanted, output) as client:
        reply = client.ask(command, **fields)
        if command == "checkpoints":
            lines = [line for one in reply.checkpoints for line in _lines(one)]
            output.result(
                reply.wire(), lines or ["No checkpoints. Learn one with: tertium learn REFERENCE --prompt TEXT"]
            )
        else:
            output.result(reply.wire(), [DONE[command].format(name=reply.name, path=reply.path)])


def _lines(checkpoint: CheckpointInfo) -> list[str]:
    """Return lines with a checkpoint's name, prompt and properties."""
    kind = f"LoRA of rank {checkpoint.rank}" if checkpoint.rank else "full weights"
    other = "" if checkpoint.usable is not False else "; belongs to another model than the loaded one"
    facts = [
        f"{kind} on {checkpoint.model}",
        counted(checkpoint.steps, "step"),
        f"{checkpoint.seconds:.2f} s",
        f"{(checkpoint.bytes or 0) / 1e6:.1f} MB",
    ]
    facts += [f"loss {checkpoint.loss:.4f}"] if checkpoint.loss is not None else []
    return [f"{checkpoint.name}: {checkpoint.prompt!r}", f"  {', '.join(facts)}{other}"]
