"""Where a daemon lives, and how a client finds it: the file ``daemon.json`` in its folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

VARIABLE = "TERTIUM_HOME"
FILE = "daemon.json"


class NoDaemon(ConnectionError):
    """No daemon runs in the folder, or what it left there cannot be read. The text says what to do."""


@dataclass(frozen=True)
class Daemon:
    """What ``daemon.json`` says of a running daemon.

    Args:
        home: its folder.
        pid: its process id.
        zmq: ZeroMQ endpoint for requests, None when it has none.
        events: ZeroMQ endpoint that publishes all events, None when it has none.
        osc: host and port for OSC, None when it has none.
        token: what every ZeroMQ request must carry, None when none is asked for.
        model: model that it was started with.
        version: its version.
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
    """The folder in TERTIUM_HOME, else the user's data folder of this platform."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("tertium", appauthor=False))


def find_daemon(home: str | os.PathLike[str] | None = None) -> Daemon:
    """The daemon of a folder.

    Args:
        home: its folder, or its ``daemon.json``; None means :func:`default_home`.

    Raises:
        NoDaemon: when there is none.
    """
    folder = default_home() if home is None else Path(home).expanduser()
    folder = folder.parent if folder.name == FILE else folder
    try:
        said = json.loads((folder / FILE).read_text(encoding="utf-8"))
        osc = said.get("osc")
        return Daemon(
            home=folder,
            pid=int(said["pid"]),
            zmq=said.get("zmq"),
            events=said.get("events"),
            osc=None if not osc else (str(osc[0]), int(osc[1])),
            token=said.get("token"),
            model=said.get("model"),
            version=said.get("version"),
        )
    except FileNotFoundError:
        raise NoDaemon(f"No daemon runs in {folder}. Start one with: tertium serve") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
        remedy = "Stop the daemon, delete that file, and start the daemon again."
        raise NoDaemon(f"{folder / FILE} cannot be read ({problem!r}). {remedy}") from None
