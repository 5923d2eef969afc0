"""The notifier: the events of a job, and their recipients."""

import dataclasses
import math
import types

from tertium.daemon.jobs.job import Job
from tertium.daemon.notifier import Notifier
from tertium.daemon.sessions import Sessions, ZeroMqSession
from tertium_protocol.codecs import zeromq
from tests.specs import spec


def test_an_event_that_cannot_be_encoded_ends_neither_the_daemon_nor_the_wait():
    """``done`` becomes ``failed``, for the requesting session and for subscribers; an event that another one follows is omitted."""
    sent, published = [], []
    session = ZeroMqSession(
        (b"peer",), lambda parts, peer: not sent.append(zeromq.decode_answer(parts)[0]), trusted=True
    )
    sessions = Sessions()
    sessions.subscribe(session, 60)
    jobs = types.SimpleNamespace(on_event=lambda listener: None)
    one = Notifier(jobs, sessions, lambda parts: published.append(zeromq.decode_event(parts)))
    job = Job(request='"mine"', fingerprint="f", spec=spec("learn"), id="j", stage="learn", loss=math.nan)
    one.notify(job, "progress")
    assert (sent, published) == ([], [])
    facts = {"sound": "s", "path": "/p", "frames": 1, "channels": 1, "sample_rate": 8000, "seconds": 1.0}
    for wrong in (
        {"loss": math.nan},
        {"steps": math.nan},
    ):  # the first cannot be encoded, the second is not even a valid payload
        job.result = facts | wrong
        one.notify(job, "done")
    one.notify(dataclasses.replace(job, loss=0.5), "progress")
    assert [(answer.id, answer.event) for answer in sent] == [("mine", "failed")] * 2 + [("mine", "progress")]
    assert {(a.fields["job"], a.fields["code"]) for a in sent[:2]} == {("j", "internal")}
    assert [answer for answer, _ in published] == sent
    assert [sequence for _, sequence in published] == [1, 2, 3], "the sequence has no gap"
