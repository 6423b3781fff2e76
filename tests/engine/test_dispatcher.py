"""How long somebody waits for outcomes, and what is left behind when he no longer does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import DispatchState, Outcome, PageQuery
from tests.engine.cache_bench import soon
from tests.engine.outbox_bench import HELLO

if TYPE_CHECKING:
    from tests.engine.outbox_bench import OutboxBench
    from tests.logs import Log


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a test is not waited for."""
    monkeypatch.setattr("pushdesk.engine.engine.TEST_WAIT_S", 0.01)
    monkeypatch.setattr("pushdesk.engine.dispatcher.ANSWER_S", 0.01)


@pytest.mark.usefixtures("impatient")
async def test_a_test_that_cannot_be_stored_in_time_is_answered_and_sent_later(bench: OutboxBench, log: Log) -> None:
    device = await bench.subscribe("ada", "phone")
    bench.service.pushes.clear()
    bench.clock.advance(1)
    accept = bench.watch("accept")
    accept.hold = asyncio.Event()
    with pytest.raises(DatabaseError, match="may be sent later"):
        await soon(bench.engine.test("ada", device.id))
    assert accept.begun.qsize() == 1
    assert bench.service.pushes == []
    accept.hold.set()
    await soon(bench.service.wait_for_pushes(1))
    dispatch = (await bench.engine.dispatches(PageQuery(limit=1))).items[0]
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert dispatch.id in [line["dispatch"] for line in log.of("dispatch_accepted")]


@pytest.mark.usefixtures("impatient")
async def test_a_test_of_devices_that_cannot_be_read_in_time_is_answered_and_not_sent(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    await bench.engine.invalidate_cache("ada")
    accept = bench.watch("accept")
    bench.reads.hanging.add("ada")
    with pytest.raises(DatabaseError, match="could not be read in time"):
        await soon(bench.engine.test("ada"))
    assert accept.begun.empty()


async def test_a_test_of_another_users_device_finds_none_and_is_no_dispatch(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    others = await bench.subscribe("bob", "laptop")
    bench.service.pushes.clear()
    accept = bench.watch("accept")
    with pytest.raises(PushdeskError) as missing:
        await bench.engine.test("ada", others.id)
    assert missing.value.code == "subscription_not_found"
    assert accept.begun.empty()
    assert bench.service.pushes == []


async def test_waiting_counts_from_the_call(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.hold = asyncio.Event()
    accept = bench.watch("accept")
    accept.hold = asyncio.Event()
    waiting = asyncio.create_task(bench.engine.notify("ada", HELLO, wait_s=3600))
    await soon(accept.begun.get())
    bench.clock.advance(3600)
    accept.hold.set()
    assert (await soon(waiting)).state is not DispatchState.DONE
    bench.service.hold.set()


async def test_who_no_longer_waits_leaves_nothing_behind(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.hold = asyncio.Event()
    assert (await bench.engine.notify("ada", HELLO, wait_s=0.01)).state is not DispatchState.DONE
    assert len(bench.engine._outbox._waiters) == 0
    accept = bench.watch("accept")
    accept.fails = True
    with pytest.raises(DatabaseError):
        await bench.engine.notify("ada", HELLO, wait_s=0.01)
    assert len(bench.engine._outbox._waiters) == 0
    accept.fails = False
    bench.service.hold.set()
    await bench.engine.notify("ada", HELLO, wait_s=10)
    assert len(bench.engine._outbox._waiters) == 0
