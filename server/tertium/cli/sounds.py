"""The commands ``sounds`` and its actions (list, keep, delete), and ``clean``."""

import os
from typing import Any

from tertium.cli.connect import Wanted, running
from tertium.cli.output import Output, counted
from tertium.storage import home
from tertium_protocol.commands import parse_request
from tertium_protocol.messages import CleanReply, SoundInfo


def checked_fields(command: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Validate the request's fields. A sound that names an existing file is made an absolute path.

    Raises:
        ProtocolError: a field is invalid.
    """
    named = fields.get("sound")
    if named is not None and os.path.exists(os.path.expanduser(named)):
        fields = fields | {"sound": os.path.abspath(os.path.expanduser(named))}
    parse_request(command, fields)
    return fields


def sounds(command: str, fields: dict[str, Any], wanted: Wanted, output: Output) -> None:
    """List the sounds of the running daemon, or keep or delete one of them, and print the outcome. No daemon is started.

    Raises:
        NoDaemon: none runs.
        RemoteError: the daemon refused.
    """
    with running(wanted) as client:
        reply = client.ask(command, **fields)
    if command == "sounds":
        lines = [line for one in reply.sounds for line in _lines(one)]
        output.result(reply.wire(), [*lines, f"({len(reply.sounds)} of {counted(reply.total, 'sound')})"])
    elif command == "keep":
        done = "is kept" if reply.kept else "is not kept any longer"
        output.result(reply.wire(), [f"{reply.name} {done}."])
    else:
        output.result(reply.wire(), [f"Deleted {reply.name}: {_size(reply.bytes / 1e9)} are free."])


def clean(fields: dict[str, Any], wanted: Wanted, output: Output) -> None:
    """Remove what exceeds the budget, or say what would be removed: by the running daemon, or in its folder if none runs.

    Raises:
        TertiumError: the folder cannot be used.
        RemoteError: the daemon refused.
    """
    parse_request("clean", fields)
    if home.find(wanted.folder) is not None:
        with running(wanted) as client:
            reply = client.ask("clean", timeout=600.0, **fields)
    else:
        reply = _clean_alone(fields, wanted)
    output.result(reply.wire(), _clean_lines(reply, planned=bool(fields.get("dry_run"))))


def _clean_alone(fields: dict[str, Any], wanted: Wanted) -> CleanReply:
    from tertium.daemon import housekeeper

    act = housekeeper.preview if fields.get("dry_run") else housekeeper.remove
    with housekeeper.alone(wanted.folder) as (library, needed):
        budget = housekeeper.budget_bytes(wanted.folder, library.catalogue.bytes(), None)
        return act(library, budget, needed).reply


def _clean_lines(reply: CleanReply, *, planned: bool) -> list[str]:
    done = "would be removed" if planned else "removed"
    removed = f"{counted(reply.sounds, 'sound')} {done}, {_size(reply.freed)}."
    held = f"The library {'would then hold' if planned else 'holds'} {_size(reply.held)}; " + (
        f"its budget is {_size(reply.budget)}." if reply.budget else "it has no budget."
    )
    return [removed, held, *([reply.message] if reply.message else [])]


def _lines(sound: SoundInfo) -> list[str]:
    kept = "  kept" if sound.kept else ""
    return [f"{sound.sound[:12]}  {sound.seconds:8.2f} s  {sound.name}{kept}", f"  {sound.path}"]


def _size(gigabytes: float) -> str:
    """Return a size in words."""
    return f"{gigabytes:.2f} GB" if gigabytes >= 1 else f"{1e3 * gigabytes:.1f} MB"
