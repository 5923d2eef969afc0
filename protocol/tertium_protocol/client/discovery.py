"""Finding the daemon through the file ``daemon.json`` in its folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

VARIABLE = "TERTIUM_HOME"
FILE = "daemon.json"


class NoDaemon(ConnectionError):
    """No daemon runs in the folder, or its ``daemon.json`` cannot be read. The message says what to do."""


@dataclass(frozen=True)
class Daemon:
    """A running daemon as its ``daemon.json`` describes it.

    Args:
        home: the daemon's folder.
        pid: its process id.
        zmq: ZeroMQ endpoint for requests, or None.
        events: ZeroMQ endpoint that publishes all events, or None.
        osc: host and port for OSC, or None.
        token: the token that every ZeroMQ request must carry; None if the daemon requires none.
        model: the model that the daemon was started with.
        version: the daemon's version.
    """

    home: Path
    pid: int
    zmq: str | None = None
    events: str | None = None
    osc: tuple[str, int] | None = None
    token: str | None = None
    model: str | None = None
    version: str | None = None


def default_home() -> Path:
    """Return the folder in TERTIUM_HOME, else the user's data folder on this platform."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("tertium", appauthor=False))


def find_daemon(home: str | os.PathLike[str] | None = None) -> Daemon:
    """Read ``daemon.json`` and return the daemon that it describes.

    Args:
        home: the daemon's folder, or its ``daemon.json``; None means :func:`default_home`.

    Raises:
        NoDaemon: the file does not exist or cannot be read.
    """
    folder = default_home() if home is None else Path(home).expanduser()
    folder = folder.parent if folder.name == FILE else folder
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        osc = content.get("osc")
        return Daemon(
            home=folder,
            pid=int(content["pid"]),
            zmq=content.get("zmq"),
            events=content.get("events"),
            osc=None if not osc else (str(osc[0]), int(osc[1])),
            token=content.get("token"),
            model=content.get("model"),
            version=content.get("version"),
        )
    except FileNotFoundError:
        raise NoDaemon(f"No daemon runs in {folder}. Start one with: tertium serve") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
        remedy = "Stop the daemon, delete that file, and start the daemon again."
        raise NoDaemon(f"{folder / FILE} cannot be read ({problem!r}). {remedy}") from None
