"""Turns a request into a job: idempotent by request id, journalled before it is accepted, refused if its deadline cannot be met."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from tertium.daemon.handlers.registry import Context, Services
from tertium.daemon.jobs.job import TERMINAL, Job
from tertium.daemon.jobs.scheduling import PRIORITIES, Outlook
from tertium.errors import TertiumError
from tertium.job_spec import JobSpec, Pair
from tertium_protocol import messages as m
from tertium_protocol.messages.events import Answer

Specify = Callable[[Services, Any], JobSpec]


async def submit(
    services: Services, request: m.Making | m.Learn | m.Preview, context: Context, specify: Specify
) -> None:
    """Accept a request as a job, or answer a repeated one with how its job stands.

    Args:
        specify: makes the job's specification of the request; it may read the disk, in a thread.

    Raises:
        TertiumError: the request is refused.
    """
    command = type(request).__name__.lower()
    key, print_ = json.dumps(context.id), fingerprint(command, request)
    async with services.jobs.claim(key):
        known = services.jobs.known(key, print_)
        if known is not None:
            _answer_again(services, known, context)
            return
        _must_be_open(services)
        spec = await asyncio.to_thread(specify, services, request)
        notes = _unused(spec, request)
        spent, deadline = time.monotonic() - context.arrived, getattr(request, "deadline", None)
        if deadline is not None:
            spec, fewer = _outlook(services).in_time(spec, deadline, spent=spent)
            notes += fewer
        job = Job(
            request=key,
            fingerprint=print_,
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
    """Digest of what is asked: equal for equal requests."""
    asked = json.dumps([command, request.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def _answer_again(services: Services, job: Job, context: Context) -> None:
    if job.state not in TERMINAL:
        services.sessions.follow(job.id, context.session)
    for payload in services.notifier.so_far(job):
        context.session.send(Answer.of(payload, id=context.id, command=job.command))


def _must_be_open(services: Services) -> None:
    if services.supervisor.state == "stopping":
        raise TertiumError("busy", "The daemon is stopping.", remedy="Send it again when it has been started anew.")
    problem = services.supervisor.problem
    if problem is not None:
        services.supervisor.ask_again()
        raise TertiumError(
            "model_unavailable", problem.message, field="model", value=services.settings.model, remedy=problem.remedy
        )


def _outlook(services: Services) -> Outlook:
    return Outlook(services.supervisor.costs, services.supervisor.model, services.jobs.waiting, services.jobs.running)


def _unused(spec: JobSpec, request: m.Making | m.Learn | m.Preview) -> list[str]:
    if isinstance(spec, Pair) and request.prompt is not None and spec.prompt is None:
        return ["prompt not used: a reference that is a sound leads without one"]
    return []
