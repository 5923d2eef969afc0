"""Sessions and the audience of jobs, with their bounds; and the registry of handlers."""

import time

import pytest

from tertium.daemon import sessions
from tertium.daemon.handlers import registry
from tertium.daemon.handlers.render import file_stem
from tertium.daemon.sessions import OscSession, Session, Sessions
from tertium.errors import TertiumError
from tertium_protocol import COMMANDS
from tertium_protocol import messages as m
from tertium_protocol.codecs import zeromq
from tertium_protocol.messages.events import Answer


def a_session(name="s"):
    return Session("zeromq", name, local=True, trusted=True, put=lambda answer, buffers: None)


def test_a_session_that_follows_and_subscribes_is_in_the_audience_once():
    peers, one, two = Sessions(), a_session("one"), a_session("two")
    peers.follow("job", one)
    peers.follow("job", one)
    peers.subscribe(one, 60)
    peers.subscribe(two, 60)
    assert peers.audience("job") == [one, two]
    assert peers.audience("another") == [one, two]
    peers.leave("job")
    peers.subscribe(one, 0)
    assert peers.audience("job") == [two]


def test_a_subscription_expires():
    peers, one = Sessions(), a_session()
    peers.subscribe(one, 0.01)
    time.sleep(0.02)
    assert peers.audience("job") == []


def test_subscribers_are_bounded_and_may_renew():
    peers = Sessions()
    subscribed = [a_session(str(number)) for number in range(sessions.MOST_SUBSCRIBERS)]
    for one in subscribed:
        peers.subscribe(one, 60)
    with pytest.raises(TertiumError) as refused:
        peers.subscribe(a_session(), 60)
    assert refused.value.code == "busy"
    peers.subscribe(subscribed[0], 60)


def test_the_least_recently_active_peers_are_evicted():
    peers = Sessions()
    first = peers.of(0, a_session)
    for peer in range(1, sessions.MOST_SESSIONS):
        peers.of(peer, a_session)
    assert peers.of(0, a_session) is first
    peers.of("one more", a_session)
    assert peers.of(0, a_session) is first
    assert len(peers._sessions) == sessions.MOST_SESSIONS


def test_osc_answers_go_to_the_sender_until_hello_names_a_port():
    sent = []
    session = OscSession(("127.0.0.1", 5), ("127.0.0.1", 7700), lambda data, address: sent.append(address), local=True)
    session.send(Answer(id=1, event="reply", command="status", fields={}))
    session.answer_at(6)
    session.send(Answer(id=2, event="reply", command="status", fields={}))
    assert sent == [("127.0.0.1", 5), ("127.0.0.1", 6)]
    with pytest.raises(TertiumError, match="daemon's own"):
        session.answer_at(7700)


def test_an_answer_that_cannot_be_sent_is_replaced_by_an_error():
    sent = []
    session = sessions.ZeroMqSession(
        (b"peer",), lambda parts, peer: not sent.append(zeromq.decode_answer(parts)[0]), trusted=True
    )
    session.send(Answer(id=1, event="reply", command="checkpoints", fields={"loss": float("nan")}))
    session.send(Answer(id=1, event="progress", command="learn", fields={"loss": float("nan")}))  # another follows
    session.send(Answer(id=2, event="done", command="learn", fields={"job": "j", "loss": float("nan")}))
    answer, ended = sent
    assert (ended.id, ended.event, ended.command) == (2, "failed", "learn"), "it ends the wait"
    failed = m.Failed.model_validate(ended.fields)
    assert (failed.job, failed.code) == ("j", "internal")
    assert failed.message == "The daemon produced an answer that cannot be encoded."
    assert (answer.id, answer.event, answer.command, answer.fields["code"]) == (1, "error", "checkpoints", "internal")
    assert answer.fields["message"] == "The daemon produced an answer that cannot be encoded."


def test_a_peer_that_does_not_read_is_told_how_much_it_lost():
    sent, room = [], [3]

    def put(parts, peer):
        room[0] -= 1
        return room[0] >= 0 and not sent.append(zeromq.decode_answer(parts)[0])

    session = sessions.ZeroMqSession((b"peer",), put, trusted=True)
    for number in range(8):
        session.send(Answer(id=number, event="reply", command="status", fields={}))
    room[0] = 10
    session.send(Answer(id=8, event="reply", command="status", fields={}))
    session.send(Answer(id=9, event="reply", command="status", fields={}))
    assert [answer.id for answer in sent] == [0, 1, 2, None, 8, 9]
    assert (sent[3].event, sent[3].fields["code"]) == ("error", "busy")
    assert sent[3].fields["message"] == "5 answers were lost, because they were not read."


def test_reply_port_has_no_meaning_over_zeromq():
    with pytest.raises(TertiumError) as refused:
        a_session().answer_at(6)
    assert (refused.value.code, refused.value.field) == ("not_allowed", "reply_port")


async def test_only_local_clients_may_stop_the_daemon():
    far = Session("osc", "far", local=False, trusted=True, put=lambda answer, buffers: None)
    with pytest.raises(TertiumError) as refused:
        await registry.handlers()["shutdown"](None, None, registry.Context(far, 1))
    assert refused.value.code == "not_allowed"


def test_every_command_has_one_handler(monkeypatch):
    assert registry.handlers().keys() == COMMANDS.keys()
    monkeypatch.setitem(registry._HANDLERS, "sing", None)
    with pytest.raises(LookupError, match="sing"):
        registry.handlers()
    with pytest.raises(ValueError, match="already"):
        registry.handles("fuse")(lambda: None)


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("a/b:c", "a b c"),
        ("..hidden", "hidden"),
        ("///", "result"),
        ("x" * 200, "x" * 80),
        ("🥁" * 80, "🥁" * 40),
        ("tab\there", "tab here"),
        (". .hidden", "hidden"),
        ("\u202evaw.exe", "vaw.exe"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_a_file_is_named_after_its_request(text, stem):
    assert file_stem(text) == stem
    assert m.Generate(prompt="x", name=file_stem(text)).name == stem, "what it records can be asked for"
    with pytest.raises(ValueError, match="nothing invisible"):
        m.Generate(prompt="x", name="\u202evaw.exe")


def test_a_port_for_answers_outlives_a_thousand_other_peers():
    known = Sessions()

    def make(port):
        return OscSession(("127.0.0.1", port), ("127.0.0.1", 7700), lambda data, address: None, local=True)

    mine = known.of("mine", lambda: make(5))
    mine.answer_at(6)
    for port in range(1, 3 * sessions.MOST_SESSIONS):
        known.of(port, lambda port=port: make(port))
    assert known.of("mine", lambda: make(5)) is mine
    assert len(known._sessions) <= sessions.MOST_SESSIONS + 1


def test_a_subscriber_that_has_gone_gives_way_to_a_new_one():
    known = Sessions()
    subscribed = [a_session() for _ in range(sessions.MOST_SUBSCRIBERS)]
    for one in subscribed:
        known.subscribe(one, 86_400)
    with pytest.raises(TertiumError, match="clients are subscribed already"):
        known.subscribe(a_session(), 60)
    subscribed[3].active -= 1000
    known.subscribe(new := a_session(), 60)
    assert new in known.audience("job") and subscribed[3] not in known.audience("job")
