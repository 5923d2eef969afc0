"""Who is there, what is going on, and the jobs."""

import os
import time
from datetime import UTC, datetime

from tertium import __version__
from tertium.daemon.handlers.registry import Context, House, handles
from tertium.daemon.jobs.queue import Job
from tertium.errors import TertiumError
from tertium_protocol import messages as m
from tertium_protocol.commands import describe


@handles("hello")
async def hello(house: House, request: m.Hello, context: Context) -> m.HelloReply:
    if request.reply_port is not None:
        context.session.answer_at(request.reply_port)
    return m.HelloReply(
        protocol=m.PROTOCOL_VERSION,
        version=__version__,
        pid=os.getpid(),
        home=str(house.home.folder),
        model=house.settings.model,
        state=house.state,
        message=house.worker.message,
        **house.endpoints,
    )


@handles("status")
async def status(house: House, request: m.Status, context: Context) -> m.StatusReply:
    worker, running = house.worker, house.jobs.running
    about = {name: worker.model.get(name) for name in ("device", "precision", "sample_rate", "channels", "max_seconds")}
    return m.StatusReply(
        state=house.state,
        model=house.settings.model,
        message=worker.message,
        job=running.id if running else None,
        fraction=running.fraction if running else None,
        queued=len(house.jobs.waiting),
        done=house.jobs.counts["done"],
        failed=house.jobs.counts["failed"],
        uptime=time.monotonic() - house.started,
        version=__version__,
        **about,
    )


@handles("commands")
async def commands(house: House, request: m.Commands, context: Context) -> m.CommandsReply:
    return describe(request.command)


@handles("subscribe")
async def subscribe(house: House, request: m.Subscribe, context: Context) -> m.SubscribeReply:
    house.sessions.subscribe(context.session, request.seconds)
    return m.SubscribeReply(seconds=request.seconds, events=house.endpoints.get("events"))


@handles("models")
async def models(house: House, request: m.Models, context: Context) -> m.ModelsReply:
    worker, own = house.worker, house.settings.model
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


@handles("job")
async def job(house: House, request: m.Job, context: Context) -> m.JobInfo:
    return job_info(house.jobs.get(request.job))


@handles("jobs")
async def jobs(house: House, request: m.Jobs, context: Context) -> m.JobsReply:
    found = house.jobs.all(request.state)
    page = found[request.offset : request.offset + request.limit]
    return m.JobsReply(total=len(found), jobs=tuple(job_info(one) for one in page))


@handles("cancel")
async def cancel(house: House, request: m.Cancel, context: Context) -> m.CancelReply:
    found = house.jobs.get(request.job)
    await house.jobs.cancel(found, "Cancelled by request.")
    return m.CancelReply(job=found.id, state=found.state)


@handles("shutdown")
async def shutdown(house: House, request: m.Shutdown, context: Context) -> m.ShutdownReply:
    if not context.session.local:
        raise TertiumError(
            "not_allowed", "Only a client on the daemon's own machine may stop it.", field="shutdown",
            remedy="Stop it there, with Ctrl-C or tertium shutdown.",
        )  # fmt: skip
    house.stop(f"asked by {context.session.name}")
    return m.ShutdownReply(pid=os.getpid())


def job_info(job: Job) -> m.JobInfo:
    """A job as the protocol tells it."""
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
