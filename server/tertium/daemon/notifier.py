"""The notifier: sends a job's events to the clients that requested the job, to subscribers, and to the ZeroMQ publisher."""

import json
from collections.abc import Callable

from tertium.daemon import log
from tertium.daemon.jobs import scheduling
from tertium.daemon.jobs.job import TERMINAL, Job
from tertium.daemon.jobs.queue import JobQueue
from tertium.daemon.sessions import Sessions, substitute
from tertium_protocol import messages as m
from tertium_protocol.codecs import zeromq
from tertium_protocol.errors import ProtocolError
from tertium_protocol.messages.events import Answer, Payload


class Notifier:
    """The sender of job events.

    Args:
        jobs: the queue whose events are sent.
        sessions: provides the audience of each job.
        publish: sends the frames of an event to the publisher's subscribers.
    """

    def __init__(self, jobs: JobQueue, sessions: Sessions, publish: Callable[[list[bytes]], None]):
        self._jobs, self._sessions, self._send = jobs, sessions, publish
        self._sequence = 0
        jobs.on_event(self.notify)

    def notify(self, job: Job, event: str) -> None:
        """Send an event of a job to its audience and to the publisher's subscribers."""
        answer = self._answer(job, event)
        if answer is None:
            return
        for session in self._sessions.audience(job.id):
            session.send(answer)
        self._publish(answer)
        if event in TERMINAL:
            self._sessions.leave(job.id)

    def events_so_far(self, job: Job) -> list[Payload]:
        """Return the events that bring a client up to date when it repeats a request."""
        accepted = self.payload(job, "accepted")
        if job.state == "queued":
            return [accepted]
        if job.state != "running":
            return [accepted, self.payload(job, job.state)]
        return [accepted, *(m.Take(job=job.id, **take) for take in job.takes), self.payload(job, "progress")]

    def payload(self, job: Job, event: str) -> Payload:
        """Return the payload of an event."""
        match event:
            case "accepted":
                position = scheduling.position(self._jobs.waiting, self._jobs.running, job)
                return m.Accepted(job=job.id, position=position, seed=job.spec.seed, steps=job.spec.steps)
            case "progress":
                left = job.seconds_left
                return m.Progress(job=job.id, stage=job.stage, fraction=job.fraction, seconds_left=left, loss=job.loss)
            case "take":
                return m.Take(job=job.id, **job.takes[-1])
            case "done":
                return m.Done(job=job.id, **job.result)
            case "failed":
                return m.Failed(job=job.id, **job.error)
            case "cancelled":
                return m.Cancelled(job=job.id, reason=job.reason)
        raise ValueError(f"an event without a payload: {event}")

    def _answer(self, job: Job, event: str) -> Answer | None:
        """Return an event as an answer; if its payload is invalid, the substitute that a session would send."""
        id = json.loads(job.request)
        try:
            return Answer.of(self.payload(job, event), id=id, command=job.command)
        except Exception as problem:
            log.exception("event not sent", problem, job=job.id, job_event=event)
            return substitute(Answer(id=id, event=event, command=job.command, fields={"job": job.id}))

    def _publish(self, answer: Answer) -> None:
        for one in (answer, substitute(answer)):
            if one is None:
                return
            try:
                frames = zeromq.encode_event(one, self._sequence + 1)
            except ProtocolError as problem:
                log.exception("event not published", problem, answer=one.event, request=one.id)
                continue
            self._sequence += 1
            self._send(frames)
            return
