"""The commands about the daemon itself, its models and its jobs."""

import asyncio
import os
import time
from datetime import UTC, datetime

from tertium import __version__
from tertium.daemon.handlers.registry import Context, Services, handles
from tertium.daemon.jobs.queue import Job
from tertium.errors import TertiumError
from tertium.storage.retention import GIGABYTE
from tertium_protocol import messages as m
from tertium_protocol.commands import describe


@handles("hello", at_once=True)
async def hello(services: Services, request: m.Hello, context: Context) -> m.HelloReply:
    if request.reply_port is not None:
        context.session.answer_at(request.reply_port)
    return m.HelloReply(
        protocol=m.PROTOCOL_VERSION,
        version=__version__,
        pid=os.getpid(),
        home=str(services.home.folder),
        model=services.settings.model,
        state=services.state,
        message=services.message,
        **services.endpoints,
    )


@handles("status", at_once=True)
async def status(services: Services, request: m.Status, context: Context) -> m.StatusReply:
    worker, running = services.supervisor, services.jobs.running
    about = {name: worker.model.get(name) for name in ("device", "precision", "sample_rate", "channels", "max_seconds")}
    return m.StatusReply(
        state=services.state,
        model=services.settings.model,
        message=services.message,
        job=running.id if running else None,
        fraction=running.fraction if running else None,
        queued=len(services.jobs.waiting),
        done=services.jobs.counts["done"],
        failed=services.jobs.counts["failed"],
        uptime=time.monotonic() - services.started,
        version=__version__,
        library=services.housekeeper.held / GIGABYTE,
        budget=services.housekeeper.budget / GIGABYTE,
        **about,
    )


@handles("commands", at_once=True)
async def commands(services: Services, request: m.Commands, context: Context) -> m.CommandsReply:
    return describe(request.command)


@handles("subscribe", at_once=True)
async def subscribe(services: Services, request: m.Subscribe, context: Context) -> m.SubscribeReply:
    services.sessions.subscribe(context.session, request.seconds)
    return m.SubscribeReply(seconds=request.seconds, events=services.endpoints.get("events"))


@handles("models", at_once=True)
async def models(services: Services, request: m.Models, context: Context) -> m.ModelsReply:
    worker, own = services.supervisor, services.settings.model
    known = {model["name"]: m.ModelInfo(loaded=False, **model) for model in worker.models}
    loaded = worker.state in ("ready", "busy")
    known[own] = m.ModelInfo(
        name=own,
        loaded=loaded,
        available=loaded or worker.problem is None,
        sample_rate=worker.model.get("sample_rate"),
        max_seconds=worker.model.get("max_seconds"),
        message=worker.message,
    )
    return m.ModelsReply(models=tuple(known.values()))


@handles("job", at_once=True)
async def job(services: Services, request: m.Job, context: Context) -> m.JobInfo:
    return job_info(services.jobs.get(request.job))


@handles("jobs", at_once=True)
async def jobs(services: Services, request: m.Jobs, context: Context) -> m.JobsReply:
    found = services.jobs.all(request.state)
    page = found[request.offset : request.offset + request.limit]
    return m.JobsReply(total=len(found), jobs=tuple(job_info(one) for one in page))


@handles("cancel")
async def cancel(services: Services, request: m.Cancel, context: Context) -> m.CancelReply:
    if request.request is not None:
        return await _cancel_request(request.request, context)
    found = services.jobs.get(request.job)
    await services.jobs.cancel(found, "Cancelled by request.")
    return m.CancelReply(job=found.id, state=found.state)


async def _cancel_request(id: str, context: Context) -> m.CancelReply:
    """Cancel the client's own requests with this id, of which there are several if it was repeated, and wait until they are answered."""
    found = {task: one for task, (known, one) in context.session.under_way.items() if str(known) == id}
    if not found:
        raise TertiumError(
            "unknown_job", f"No request '{id}' of this client is being answered.", field="request", value=id,
            remedy="It has been answered, or was sent by another client. Cancel a job by its own id, with job.",
        )  # fmt: skip
    for one in found.values():
        one.cancel()
    await asyncio.wait(found)
    return m.CancelReply(request=id, state="cancelled" if any(one.effective for one in found.values()) else "answered")


@handles("shutdown", at_once=True)
async def shutdown(services: Services, request: m.Shutdown, context: Context) -> m.ShutdownReply:
    if not context.session.local:
        raise TertiumError(
            "not_allowed", "Only a client on the daemon's own machine may stop it.", field="shutdown",
            remedy="Stop it there, with Ctrl-C in its terminal.",
        )  # fmt: skip
    services.stop(f"asked by {context.session.name}")
    return m.ShutdownReply(pid=os.getpid())


def job_info(job: Job) -> m.JobInfo:
    """Return the protocol's description of a job."""
    return m.JobInfo(
        job=job.id,
        command=job.command,
        state=job.state,
        stage=job.stage,
        fraction=job.fraction,
        seconds_left=job.seconds_left,
        slot=job.slot,
        created=_iso(job.created),
        finished=_iso(job.finished),
        reason=job.reason,
        takes=tuple(job.takes) if job.state == "running" and job.takes else None,
        result=job.result,
        error=job.error,
    )


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
