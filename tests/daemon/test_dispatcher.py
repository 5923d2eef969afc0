"""The dispatcher: whatever a handler does, the client gets an answer and the daemon continues."""

import asyncio

import pytest

from tertium.daemon import dispatcher as dispatching
from tertium.daemon.dispatcher import Call, Dispatcher, error_info
from tertium.daemon.handlers import registry
from tertium.daemon.sessions import Session
from tertium.errors import TertiumError
from tertium_protocol import messages as m
from tertium_protocol.codecs import osc_requests

registry.handlers()  # registers all handlers before some are replaced


@pytest.fixture
def answers():
    return []


@pytest.fixture
def session(answers):
    return Session("osc", "s", local=True, trusted=True, put=lambda answer, buffers: answers.append(answer))


@pytest.fixture
def exchanged(monkeypatch):
    """exchanged(command, handler) -> a dispatcher in which the handler of a command is replaced."""

    def exchange(command, handler):
        monkeypatch.setitem(registry._HANDLERS, command, handler)
        return Dispatcher(None, token="t")

    return exchange


async def until_answered(dispatcher):
    while dispatcher._tasks:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (ZeroDivisionError("secret"), "internal"),
        (MemoryError(), "out_of_memory"),
        (TertiumError("disk_full", "No room.", remedy="Make some."), "disk_full"),
        (RecursionError(), "internal"),
    ],
)
async def test_an_exception_becomes_an_error_that_tells_no_secrets(exchanged, session, answers, problem, code):
    async def fails(services, request, context):
        raise problem

    dispatcher = exchanged("status", fails)
    dispatcher.dispatch(session, Call("status", 5, {}))
    await until_answered(dispatcher)
    assert (answers[0].id, answers[0].event, answers[0].command, answers[0].fields["code"]) == (
        5,
        "error",
        "status",
        code,
    )
    assert "secret" not in str(answers[0])
    assert answers[0].fields["remedy"]


async def test_one_peer_s_flood_is_refused_and_no_other_s_request(exchanged, session, answers):
    gate, others = asyncio.Event(), []

    async def waits(services, request, context):
        await gate.wait()
        return m.SoundsReply(total=0, sounds=())

    dispatcher = exchanged("sounds", waits)
    other = Session("osc", "other", local=True, trusted=True, put=lambda answer, buffers: others.append(answer))
    for number in range(dispatching.MOST_OF_A_PEER + 3):
        dispatcher.dispatch(session, Call("sounds", number, {}))
    assert [answer.fields["code"] for answer in answers] == ["busy"] * 3
    assert "256 requests of this client are being answered already." in answers[0].fields["message"]
    dispatcher.dispatch(session, Call("commands", "never refused", {}))
    dispatcher.dispatch(other, Call("sounds", "mine", {}))
    gate.set()
    await until_answered(dispatcher)
    assert [answer.event for answer in others] == ["reply"]
    assert len([answer for answer in answers if answer.event == "reply"]) == dispatching.MOST_OF_A_PEER + 1
    assert not dispatcher._waiting


@pytest.mark.parametrize("command", sorted(registry.AT_ONCE))
def test_what_is_never_refused_never_waits(command):
    """A handler that awaits nothing ends at its first step."""
    handler = registry.handlers()[command]
    assert not [name for name in ("to_thread", "submit", "join") if name in handler.__code__.co_names]


async def test_what_never_waits_is_answered_before_the_dispatcher_returns(exchanged, session, answers):
    async def at_once(services, request, context):
        return m.ShutdownReply(pid=1)

    dispatcher = exchanged("status", at_once)
    for number in range(20):
        dispatcher.dispatch(session, Call("status", number, {}))
        assert [answer.id for answer in answers] == list(range(number + 1))


async def test_what_one_peer_queues_is_handled_in_its_order_and_immediate_commands_overtake_it(
    exchanged, session, answers
):
    order = []

    async def slow_first(services, request, context):
        await asyncio.sleep(0.05 if context.id == "first" else 0)
        order.append(context.id)

    async def at_once(services, request, context):
        order.append(context.id)
        return m.CommandsReply(protocol="1.0")

    exchanged("generate", slow_first)
    dispatcher = exchanged("commands", at_once)
    for command, id, fields in (
        ("generate", "first", {"prompt": "x"}),
        ("generate", "second", {"prompt": "x"}),
        ("commands", "now", {}),
    ):
        dispatcher.dispatch(session, Call(command, id, fields))
    await until_answered(dispatcher)
    assert order == ["now", "first", "second"]


async def test_an_invalid_message_is_refused_with_its_id_if_it_has_one(exchanged, session, answers):
    async def never(services, request, context):
        raise AssertionError

    dispatcher = exchanged("status", never)
    dispatcher.datagram(session, b"\0\1\2")
    dispatcher.datagram(session, osc_requests.encode_message("/tertium/status", [9, "left over"]))
    dispatcher.message(session, [b"{"])
    dispatcher.datagram(
        session, osc_requests.encode_message("/tertium/reply", [9])
    )  # an answer itself, so it gets none
    assert [(answer.id, answer.event, answer.fields["code"]) for answer in answers] == [
        (None, "error", "bad_message"), (9, "error", "bad_message"), (None, "error", "bad_message"),
    ]  # fmt: skip


async def test_an_answer_that_cannot_be_encoded_does_not_stop_the_dispatcher(exchanged):
    def put(answer, buffers):
        osc_requests.encode_message("/x", [object()])

    session = Session("osc", "s", local=True, trusted=True, put=put)

    async def replies(services, request, context):
        return m.CommandsReply(protocol="1.0")

    dispatcher = exchanged("commands", replies)
    dispatcher.dispatch(session, Call("commands", 1, {}))
    await until_answered(dispatcher)


def test_an_error_code_outside_the_protocol_is_sent_as_internal():
    assert error_info(TertiumError("made_up", "x")).code == "internal"
