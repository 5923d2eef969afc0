"""The daemon's settings, validated before anything is opened."""

import ipaddress
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tertium import path_spelling
from tertium.errors import TertiumError
from tertium.storage.home import LONGEST_SOCKET_PATH
from tertium_protocol.client.discovery import default_home

DEFAULT_OSC = "127.0.0.1:7700"
DEVICES = r"auto|cpu|mps|cuda(:\d{1,2})?"
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
ENGINE = "tertium.worker.torch_engine"
LONGEST_WRITE_EVERY = 86400.0
LARGEST_BUDGET = 1e6  # GB


@dataclass(frozen=True)
class Settings:
    """The options of ``tertium serve``. Create them with :func:`settings`, which validates.

    Args:
        home: the daemon's folder.
        osc: host and port for OSC; port 0 lets the system choose.
        zmq: ZeroMQ endpoint for requests; ``ipc://`` with an empty path means a socket in the home.
        model: name or folder of the model.
        device, precision: passed to the engine.
        roots: folders whose files clients may name; None for any file that the user may read.
        engine: module that lists and loads models in the worker; see :mod:`tertium.worker.torch_engine`.
        log_json: whether the log consists of JSON objects.
        queue: how many jobs may wait.
        write_every: seconds of training between two saved training states.
        trajectory_disk: MiB of reference phases to keep on disk; 0 for none.
        budget: GB that the library may hold before sounds that nobody keeps are removed; 0 to remove none; None for
            :func:`tertium.storage.retention.default_budget`.
    """

    home: Path
    osc: tuple[str, int]
    zmq: str
    model: str
    device: str
    precision: str
    roots: tuple[Path, ...] | None
    engine: str
    log_json: bool
    queue: int
    write_every: float
    trajectory_disk: int
    budget: float | None


def _model(text: str) -> str:
    """Return a model's name unchanged and a folder as an absolute path, since the worker may have another current folder."""
    if not text.strip():
        raise TertiumError(
            "out_of_range", "The model's name is empty.", field="model", value=text, remedy="Give pocket."
        )
    is_path = "/" in text or os.sep in text or text.startswith("~")
    return str(Path(text).expanduser().absolute()) if is_path else text


def default_roots(home: Path) -> tuple[Path, ...]:
    """Return the folders that usually hold clients' sounds: the user's home, the daemon's, the temporary and the current one."""
    return (Path.home(), home, Path(tempfile.gettempdir()), Path.cwd())


def settings(
    *,
    home: str | Path | None = None,
    osc: str = DEFAULT_OSC,
    zmq: str = "ipc://",
    model: str = "pocket",
    device: str = "auto",
    precision: str = "auto",
    roots: tuple[str | Path, ...] = (),
    allow: tuple[str | Path, ...] = (),
    engine: str = ENGINE,
    log_json: bool = False,
    queue: int = 256,
    write_every: float = 10.0,
    trajectory_disk: int = 0,
    budget: float | None = None,
) -> Settings:
    """Return validated settings.

    Args:
        roots: the only folders, besides the daemon's own, whose files clients may name; empty for no restriction.
        allow: like ``roots``, but in addition to :func:`default_roots`.

    The other arguments are described at :class:`Settings`.

    Raises:
        TertiumError: out_of_range, bad_type, path_refused or not_allowed, with the option as its field.
    """
    folder = (Path(home).expanduser() if home else default_home()).absolute()
    _check_engine_options(device, precision)
    _check_limits(queue, write_every, trajectory_disk)
    _check_budget(budget)
    return Settings(
        home=folder,
        osc=osc_address(osc),
        zmq=zmq_endpoint(zmq),
        model=_model(model),
        device=device,
        precision=precision,
        roots=_allowed_roots(roots, allow, folder),
        engine=engine,
        log_json=log_json,
        queue=queue,
        write_every=write_every,
        trajectory_disk=trajectory_disk,
        budget=budget,
    )


def _check_engine_options(device: str, precision: str) -> None:
    if not re.fullmatch(DEVICES, device):
        raise TertiumError(
            "out_of_range", f"Unknown device '{device}'.", field="device", value=device,
            remedy="Give auto, cpu, cuda, cuda:1 or mps.",
        )  # fmt: skip
    if precision not in PRECISIONS:
        listed = ", ".join(PRECISIONS)
        raise TertiumError(
            "out_of_range", f"precision must be one of {listed}; got '{precision}'.", field="precision", value=precision,
            remedy=f"Choose one of {listed}.",
        )  # fmt: skip


def _check_limits(queue: int, write_every: float, trajectory_disk: int) -> None:
    if queue < 1:
        raise TertiumError("out_of_range", f"queue must be at least 1; got {queue}.", field="queue", value=queue)
    if not 0 <= write_every <= LONGEST_WRITE_EVERY:
        raise TertiumError(
            "out_of_range", f"write-every must lie between 0 and {LONGEST_WRITE_EVERY:g} s; got {write_every:g}.",
            field="write_every", value=write_every, remedy="Give 10, or more if the disk is slow.",
        )  # fmt: skip
    if trajectory_disk < 0:
        raise TertiumError(
            "out_of_range", f"trajectory-disk must be 0 or more; got {trajectory_disk}.", field="trajectory_disk", value=trajectory_disk,
            remedy="Give the MiB that reference phases may take on disk, or 0 for none.",
        )  # fmt: skip


def _check_budget(budget: float | None) -> None:
    if budget is not None and not 0 <= budget <= LARGEST_BUDGET:
        raise TertiumError(
            "out_of_range", f"budget must lie between 0 and {LARGEST_BUDGET:g} GB; got {budget:g}.", field="budget", value=budget,
            remedy="Give the GB that sounds and results may take, or 0 to have none removed.",
        )  # fmt: skip


def _allowed_roots(roots: tuple[str | Path, ...], allow: tuple[str | Path, ...], home: Path) -> tuple[Path, ...] | None:
    if not roots and not allow:
        return None
    usual = default_roots(home) if allow else (home,)
    return (*usual, *(_folder(entry, "roots") for entry in roots), *(_folder(entry, "allow") for entry in allow))


def _folder(entry: str | Path, option: str) -> Path:
    folder = Path(path_spelling.spelled(entry)).absolute()
    if not folder.is_dir():
        raise TertiumError(
            "path_refused", f"--{option} does not name a folder: '{entry}'.", field=option, value=str(entry),
            remedy="Create it, or correct the path.",
        )  # fmt: skip
    return folder


def osc_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, ``[HOST]:PORT`` or ``PORT``; the host must be a loopback address.

    Raises:
        TertiumError: bad_type, out_of_range or not_allowed.
    """
    return _host_port(text, field="osc", example=DEFAULT_OSC)


def zmq_endpoint(text: str) -> str:
    """Validate a ZeroMQ endpoint: ``ipc://`` (a socket in the home), ``ipc://PATH``, or ``tcp://HOST:PORT`` on a loopback address.

    Raises:
        TertiumError: bad_type, out_of_range or not_allowed.
    """
    scheme, separator, rest = text.partition("://")
    if scheme == "ipc" and separator:
        if len(os.fsencode(rest)) > LONGEST_SOCKET_PATH:
            raise TertiumError(
                "out_of_range", f"The socket's path is longer than {LONGEST_SOCKET_PATH} bytes.", field="zmq",
                value=text, remedy="Choose a shorter one, or tcp://127.0.0.1:7701.",
            )  # fmt: skip
        return text
    if scheme == "tcp" and separator:
        host, port = _host_port(rest, field="zmq", example="tcp://127.0.0.1:7701")
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
    raise TertiumError(
        "bad_type", f"'{text}' is not a supported ZeroMQ endpoint.", field="zmq", value=text,
        remedy="Give ipc://, ipc:///path/of/socket or tcp://127.0.0.1:PORT.",
    )  # fmt: skip


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _host_port(text: str, *, field: str, example: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    host = "127.0.0.1" if host == "localhost" else host
    if not (port.isascii() and port.isdecimal()):
        raise TertiumError(
            "bad_type",
            f"'{text}' has no port number.",
            field=field,
            value=text,
            remedy=f"Give HOST:PORT, such as {example}.",
        )
    if int(port) > 65535:
        raise TertiumError(
            "out_of_range", f"The port must lie between 0 and 65535; got {port[:12]}.", field=field, value=text,
            remedy=f"Give HOST:PORT, such as {example}.",
        )  # fmt: skip
    if not is_loopback(host):
        raise TertiumError(
            "not_allowed", f"{host} can be reached by other machines, and the daemon trusts every client that reaches it.",
            field=field, value=text, remedy=f"Bind a loopback address, such as {example}; reach it from elsewhere through an SSH tunnel.",
        )  # fmt: skip
    return host, int(port)
