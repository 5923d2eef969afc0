"""How a request becomes a job: once for each request id, on the disk before it is accepted, and in time or not at all."""

import asyncio
import hashlib
import json
import math
import secrets
import time
from collections.abc import Callable
from typing import Any

from tertium import cost_model
from tertium.daemon.handlers.registry import Context, House
from tertium.daemon.jobs.queue import PAUSABLE, TERMINAL, Job
from tertium.errors import TertiumError
from tertium_protocol import messages as m
from tertium_protocol.messages.events import Answer, Payload

PRIORITIES = {"fuse": 0, "vary": 1, "generate": 1, "invert": 1, "morph": 1, "window": 1, "preview": 1, "learn": 2}
Resolve = Callable[[House, Any], dict[str, Any]]


async def queue(
    house: House, command: str, request: m.Making | m.Learn | m.Preview, context: Context, resolve: Resolve
) -> None:
    """Accept a request as a job, or answer a repeated one with how its job stands.

    Args:
        resolve: makes a job's fields of a request; it may read the disk, in a thread.

    Raises:
        TertiumError: the request is refused.
    """
    key, print_ = json.dumps(context.id), fingerprint(command, request)
    async with house.jobs.claim(key):
        known = house.jobs.known(key, print_)
        if known is not None:
            if known.state not in TERMINAL:
                house.sessions.follow(known.id, context.session)
            for said in repeated(house, known):
                context.session.send(Answer.of(said, id=context.id, command=command))
            return
        _must_be_open(house)
        fields = await asyncio.to_thread(resolve, house, request)
        spent = time.monotonic() - context.arrived
        notes = _choose(house, fields, request, PRIORITIES[command], spent)
        deadline = getattr(request, "deadline", None)
        job = Job(
            request=key,
            fingerprint=print_,
            command=command,
            fields=fields,
            slot=getattr(request, "slot", None),
            priority=PRIORITIES[command],
            ready_by=None if deadline is None else time.time() + deadline - spent,
            notes=notes,
        )
        house.sessions.follow(job.id, context.session)
        try:
            await house.jobs.accept(job)
        except TertiumError:
            house.sessions.leave(job.id)
            raise


def announce(house: House, job: Job, event: str) -> Answer:
    """An event of a job as the answer that its audience gets."""
    return Answer.of(payload(house, job, event), id=json.loads(job.request), command=job.command)


def payload(house: House, job: Job, event: str) -> Payload:
    """What an event of a job says."""
    if event == "accepted":
        position = house.jobs.waiting.index(job) if job in house.jobs.waiting else 0
        running = house.jobs.running
        position += running not in (None, job) and not _makes_room(running, job.priority)
        return m.Accepted(job=job.id, position=position, seed=job.fields["seed"], steps=job.fields["steps"])
    if event == "progress":
        return m.Progress(
            job=job.id, stage=job.stage, fraction=job.fraction, seconds_left=job.seconds_left, loss=job.loss
        )
    if event == "take":
        return m.Take(job=job.id, **job.takes[-1])
    if event == "done":
        return m.Done(job=job.id, **job.result)
    if event == "failed":
        return m.Failed(job=job.id, **job.error)
    return m.Cancelled(job=job.id, reason=job.reason)


def repeated(house: House, job: Job) -> list[Payload]:
    """What a client that asks again is told."""
    accepted = payload(house, job, "accepted")
    if job.state == "queued":
        return [accepted]
    if job.state != "running":
        return [accepted, payload(house, job, job.state)]
    return [accepted, *(m.Take(job=job.id, **take) for take in job.takes), payload(house, job, "progress")]


def fingerprint(command: str, request: m.Request) -> str:
    """Digest of what is asked: equal for equal requests."""
    asked = json.dumps([command, request.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def _must_be_open(house: House) -> None:
    if house.worker.state == "stopping":
        raise TertiumError("busy", "The daemon is stopping.", remedy="Send it again when it has been started anew.")
    if house.worker.problem is not None:
        problem = house.worker.problem
        house.worker.ask_again()
        raise TertiumError(
            "model_unavailable",
            problem["message"],
            field="model",
            value=house.settings.model,
            remedy=problem.get("remedy"),
        )


def _choose(
    house: House, fields: dict[str, Any], request: m.Making | m.Learn | m.Preview, priority: int, spent: float
) -> list[str]:
    """Settle the seed, and the steps that fit into the deadline. Returns what there is to say of it."""
    if fields["seed"] is None:
        fields["seed"] = secrets.randbelow(2**31)
    if fields.get("guidance", 1.0) is None:
        fields["guidance"] = house.worker.model.get("default_guidance")
    notes = _unused(fields, request)
    if getattr(request, "deadline", None) is None:
        return notes
    if house.worker.pace is None:
        raise TertiumError(
            "deadline", "How long a job takes is not known yet: the model is still loading.", field="deadline",
            value=request.deadline, remedy="Send it without a deadline, or again when status says ready.",
        )  # fmt: skip
    ahead = spent + backlog(house, priority)
    steps = cost_model.steps_within(house.worker.pace, fields, house.worker.model, request.deadline - ahead)
    if steps == 0:
        few = {**fields, "steps": min(cost_model.FEWEST_STEPS, fields["steps"])}
        least = (
            math.ceil(
                10 * (ahead + cost_model.MARGIN * cost_model.estimate(house.worker.pace, few, house.worker.model))
            )
            / 10
        )
        raise TertiumError(
            "deadline", f"The job cannot be done in {request.deadline:g} s: it takes at least {least:g} s.", field="deadline",
            value=request.deadline, remedy=f"Give it {least:g} s, a shorter sound, or no deadline.",
        )  # fmt: skip
    if steps == fields["steps"]:
        return notes
    note = f"{steps} steps instead of {fields['steps']}, to be done in {request.deadline:g} s"
    if "reconstruct_from" in fields:
        fields["reconstruct_from"] = round(fields["reconstruct_from"] * steps / fields["steps"])
    fields["steps"] = steps
    return [*notes, note]


def _unused(fields: dict[str, Any], request: m.Making | m.Learn | m.Preview) -> list[str]:
    if isinstance(request, m.Fuse | m.Morph | m.Window) and request.prompt is not None and fields["prompt"] is None:
        return ["prompt not used: a reference that is a sound leads without one"]
    return []


def backlog(house: House, priority: int) -> float:
    """Seconds until a new job of a priority could begin, as far as can be told."""
    speed, about, jobs = house.worker.pace, house.worker.model, house.jobs
    ahead = sum(cost_model.estimate(speed, job.fields, about) for job in jobs.waiting if job.priority <= priority)
    if jobs.running is not None and not _makes_room(jobs.running, priority):
        whole = cost_model.estimate(speed, jobs.running.fields, about)
        left = jobs.running.seconds_left
        ahead += whole * (1 - jobs.running.fraction) if left is None else left
    return ahead


def _makes_room(running: Job, priority: int) -> bool:
    """Whether a running job is paused for a new one of a priority."""
    return running.command in PAUSABLE and priority < running.priority
