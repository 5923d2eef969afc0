"""``checkpoints``: the learned references, and what can be done with them."""

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
    """The request's fields as they will be sent, paths made absolute.

    Raises:
        ProtocolError: what is wrong with which field.
    """
    if "path" in fields:
        fields = fields | {"path": os.path.abspath(os.path.expanduser(fields["path"]))}
    parse_request(command, fields)
    return fields


def checkpoints(command: str, fields: dict[str, Any], wanted: Wanted, output: Output) -> None:
    """List them, or do one thing with one of them.

    Raises:
        RemoteError: it could not be done.
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
    """What it is called, what it answers to, and what it is."""
    kind = f"LoRA of rank {checkpoint.rank}" if checkpoint.rank else "full weights"
    other = "" if checkpoint.usable is not False else "; not of the model that is loaded"
    facts = [
        f"{kind} on {checkpoint.model}",
        counted(checkpoint.steps, "step"),
        f"{checkpoint.seconds:.2f} s",
        f"{(checkpoint.bytes or 0) / 1e6:.1f} MB",
    ]
    facts += [f"loss {checkpoint.loss:.4f}"] if checkpoint.loss is not None else []
    return [f"{checkpoint.name}: {checkpoint.prompt!r}", f"  {', '.join(facts)}{other}"]
