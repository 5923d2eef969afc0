"""Job submission: idempotent by request id, journalled before it is accepted, refused if the deadline cannot be met."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from tertium.daemon.handlers.registry import Context, Services, handles
from tertium.daemon.jobs.job import TERMINAL, Job
from tertium.daemon.jobs.scheduling import PRIORITIES, Outlook
from tertium.errors import TertiumError
from tertium.job_spec import JobSpec, Pair
from tertium_protocol import messages as m
from tertium_protocol.messages.events import Answer

Specify = Callable[[Services, Any], JobSpec]


def queued(command: str) -> Callable[[Specify], Specify]:
    """Register the handler of a command that takes time, given what turns its requests into specifications."""

    def register(specify: Specify) -> Specify:
        @handles(command)
        async def handler(services: Services, request: m.Making | m.Learn | m.Preview, context: Context) -> None:
            await submit(services, command, request, context, specify)

        return specify

    return register


async def submit(
    services: Services, command: str, request: m.Making | m.Learn | m.Preview, context: Context, specify: Specify
) -> None:
    """Accept a request as a job, or answer a repeated request with the state of its job.

    Args:
        specify: turns the request into the job's specification; runs in a thread, since it may read the disk.

    Raises:
        TertiumError: the request is refused.
    """
    key, digest = json.dumps(context.id), fingerprint(command, request)
    async with services.jobs.claim(key):
        known = services.jobs.known(key, digest)
        if known is not None:
            _answer_repeated(services, known, context)
            return
        _check_accepting(services)
        spec = await asyncio.to_thread(specify, services, request)
        notes = _unused_notes(spec, request)
        spent, deadline = time.monotonic() - context.arrived, getattr(request, "deadline", None)
        if deadline is not None:
            spec, deadline_notes = _outlook(services).in_time(spec, deadline, spent=spent)
            notes += deadline_notes
        job = Job(
            request=key,
            fingerprint=digest,
            spec=spec,
            slot=getattr(request, "slot", None),
            priority=PRIORITIES[command],
            ready_by=None if deadline is None else time.time() + deadline - spent,
            notes=notes,
        )
        services.sessions.follow(job.id, context.session)
        try:
            await services.jobs.accept(job)
        except TertiumError:
            services.sessions.leave(job.id)
            raise


def fingerprint(command: str, request: m.Request) -> str:
    """Return a digest of the request's content: equal for equal requests."""
    content = json.dumps([command, request.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _answer_repeated(services: Services, job: Job, context: Context) -> None:
    if job.state not in TERMINAL:
        services.sessions.follow(job.id, context.session)
    for payload in services.notifier.events_so_far(job):
        context.session.send(Answer.of(payload, id=context.id, command=job.command))


def _check_accepting(services: Services) -> None:
    if services.supervisor.state == "stopping":
        raise TertiumError(
            "busy", "The daemon is stopping.", remedy="Send the request again after the daemon has restarted."
        )
    problem = services.supervisor.problem
    if problem is not None:
        services.supervisor.retry_loading()
        raise TertiumError(
            "model_unavailable", problem.message, field="model", value=services.settings.model, remedy=problem.remedy
        )


def _outlook(services: Services) -> Outlook:
    return Outlook(services.supervisor.costs, services.supervisor.model, services.jobs.waiting, services.jobs.running)


def _unused_notes(spec: JobSpec, request: m.Making | m.Learn | m.Preview) -> list[str]:
    if isinstance(spec, Pair) and request.prompt is not None and spec.prompt is None:
        return ["prompt not used: a reference that is a sound needs no prompt"]
    return []
