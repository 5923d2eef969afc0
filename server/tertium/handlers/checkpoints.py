"""The learned references in the daemon's folder: ``checkpoints/<name>/checkpoint.json`` says what each is."""

import asyncio
import json
from pathlib import Path

from tertium.handlers.registry import Context, House, handles
from tertium_protocol import messages as m


@handles("checkpoints")
async def checkpoints(house: House, request: m.Checkpoints, context: Context) -> m.CheckpointsReply:
    return m.CheckpointsReply(checkpoints=tuple(await asyncio.to_thread(found, house.home.checkpoints)))


def found(folder: Path) -> list[m.CheckpointInfo]:
    """Every checkpoint in a folder, by name. What cannot be read is passed over."""
    infos = []
    for about in sorted(folder.glob("*/checkpoint.json")):
        try:
            said = json.loads(about.read_text(encoding="utf-8"))
            infos.append(
                m.CheckpointInfo(
                    name=about.parent.name, path=str(about.parent), model=said.get("model"), prompt=said.get("prompt")
                )
            )
        except (OSError, ValueError, AttributeError):
            continue
    return infos
