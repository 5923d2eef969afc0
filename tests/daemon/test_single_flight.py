"""Single flight: concurrent requests for the same work share one execution."""

import asyncio
import threading

import pytest

from tertium.daemon import cancellation
from tertium.daemon.single_flight import SingleFlight
from tertium.errors import TertiumError


async def test_running_work_is_joined_and_finished_work_is_done_again():
    flights, go, runs = SingleFlight(), threading.Event(), []

    def work():
        runs.append(1)
        assert go.wait(20)
        return len(runs)

    waiting = [asyncio.create_task(flights.join("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    assert await flights.join("a", work) == 2
    assert await flights.join("b", lambda: "other") == "other"


async def test_a_caller_that_stops_waiting_does_not_stop_the_work():
    flights, go = SingleFlight(), threading.Event()
    first = asyncio.create_task(flights.join("a", lambda: go.wait(20)))
    second = asyncio.create_task(flights.join("a", lambda: pytest.fail("begun twice")))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    go.set()
    assert await second is True


async def test_a_failure_is_shared_and_not_cached():
    flights, go = SingleFlight(), threading.Event()

    def fail():
        assert go.wait(20)
        raise OSError("no disk")

    waiting = [asyncio.create_task(flights.join("a", fail)) for _ in range(2)]
    await asyncio.sleep(0)
    go.set()
    for one in waiting:
        with pytest.raises(OSError, match="no disk"):
            await one
    assert await flights.join("a", lambda: 1) == 1


async def test_a_cancelled_caller_leaves_and_the_last_one_ends_the_work():
    flights, ended = SingleFlight(), threading.Event()

    def work():
        with cancellation.current().ending(ended.set):
            assert ended.wait(20)
        cancellation.current().check()

    async def ask(request, work):
        cancellation.enter(request)
        return await flights.join("a", work)

    requests = [cancellation.Cancellation() for _ in range(2)]
    first, second = (asyncio.create_task(ask(request, work)) for request in requests)
    await asyncio.sleep(0.05)
    requests[0].cancel()
    with pytest.raises(TertiumError, match="Cancelled by request"):
        await first
    assert not second.done() and not ended.is_set() and requests[0].effective
    requests[1].cancel()
    with pytest.raises(TertiumError, match="Cancelled by request"):
        await second
    assert ended.wait(20)
    assert await ask(cancellation.Cancellation(), lambda: "anew") == "anew"
