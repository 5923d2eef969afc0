"""The commands ``status``, ``jobs``, ``models`` and ``allow``."""

import os
from collections import deque
from pathlib import Path
from typing import Any

from tertium.cli.connect import Wanted, running, running_or_started
from tertium.cli.output import Output
from tertium.errors import TertiumError
from tertium.storage.home import Home
from tertium_protocol.messages import JobInfo, ModelInfo, StatusReply


def status(fields: dict[str, Any], wanted: Wanted, output: Output) -> None:
    """Print the state of the running daemon. No daemon is started.

    Raises:
        NoDaemon: none runs.
    """
    with running(wanted) as client:
        reply = client.ask("status", **fields)
        where = client.daemon
        endpoints = {"osc": ":".join(map(str, where.osc)) if where.osc else None, "zmq": where.zmq, "pid": where.pid}
        output.result(
            reply.wire() | endpoints | {"home": str(where.home)}, _status_lines(reply, endpoints, str(where.home))
        )


def jobs(fields: dict[str, Any], wanted: Wanted, output: Output) -> None:
    """Print the jobs of the running daemon, newest first. No daemon is started, since that would start waiting jobs.

    Raises:
        NoDaemon: none runs.
    """
    with running(wanted) as client:
        reply = client.ask("jobs", **fields)
        output.result(reply.wire(), [line for job in reply.jobs for line in _job_lines(job)] or ["No jobs."])


def models(fields: dict[str, Any], wanted: Wanted, output: Output) -> None:
    """Print the models, and what the unavailable ones need."""
    with running_or_started(wanted, output) as client:
        reply = client.ask("models", **fields)
        output.result(reply.wire(), [line for model in reply.models for line in _model_lines(model)])


def log(folder: Path, lines: int, output: Output) -> None:
    """Print the end of the daemon's log, whether it runs or not.

    Raises:
        TertiumError: path_refused if there is none.
    """
    path = Home(folder).log
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            last = [line.rstrip("\n") for line in deque(file, maxlen=max(0, lines))]
    except OSError as error:
        raise TertiumError(
            "path_refused", f"There is no log at '{path}'.", field="home", value=str(folder),
            remedy="Name the daemon's folder with --home, or start a daemon first.",
        ) from error  # fmt: skip
    output.result({"path": str(path), "lines": last}, [*last, f"({path})"])


def _status_lines(reply: StatusReply, endpoints: dict[str, Any], home: str) -> list[str]:
    device = f" on {reply.device}" if reply.device else ""
    precision = f" in {reply.precision}" if reply.precision else ""
    lines = [
        f"{reply.state}: {reply.model}{device}{precision}, {reply.queued} waiting, {reply.done} done, {reply.failed} failed"
    ]
    if reply.message:
        lines.append(f"  {reply.message}")
    if reply.job:
        lines.append(f"  job {reply.job}: {(reply.fraction or 0) * 100:.0f} %")
    if reply.sample_rate and reply.max_seconds:
        lines.append(f"  {reply.sample_rate} Hz, {reply.channels} channels, up to {reply.max_seconds:g} s")
    lines += [f"  {name}: {value}" for name, value in endpoints.items() if value is not None]
    budget = f" of {reply.budget:.3g} GB" if reply.budget else ""
    lines.append(f"  library: {reply.library:.2f} GB{budget}")
    return [*lines, f"  home: {home}", f"  up {reply.uptime:.0f} s, version {reply.version}"]


def _job_lines(job: JobInfo) -> list[str]:
    state = f"{job.state} {job.fraction * 100:.0f} %" if job.state == "running" else job.state
    lines = [f"{job.job}  {job.command:8}  {state:12}  {job.created or ''}"]
    if job.result:
        lines.append(f"  {job.result.path}")
    if job.error:
        lines.append(f"  {job.error.message} {job.error.remedy or ''}".rstrip())
    if job.reason:
        lines.append(f"  {job.reason}")
    return lines


def _model_lines(model: ModelInfo) -> list[str]:
    state = "loaded" if model.loaded else "available" if model.available else "not available"
    limits = (
        f", {model.sample_rate} Hz, up to {model.max_seconds:g} s" if model.sample_rate and model.max_seconds else ""
    )
    return [f"{model.name}: {state}{limits}"] + ([f"  {model.message}"] if model.message else [])


def allow(fields: dict[str, Any], wanted: Wanted, output: Output) -> None:
    """Allow clients to name files in another folder. Raises RemoteError."""
    path = os.path.abspath(os.path.expanduser(fields["path"]))
    with running(wanted) as client:
        reply = client.ask("allow", path=path)
    note = (
        ""
        if reply.walls
        else " The daemon already reads any file that you may read; this takes effect when it is started with --roots."
    )
    output.result(reply.wire(), [f"Clients may name files in {reply.path}.{note}"])
