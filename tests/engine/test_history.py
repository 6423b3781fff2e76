"""What an engine keeps of the past, and that it says nothing new of itself while nothing happens."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from pushdesk.desk import StatsChanged, SubscriptionChanged
from pushdesk.engine.histogram import RELATIVE_ERROR
from pushdesk.engine.reporting import Reporter
from pushdesk.engine.statistics import utc
from pushdesk.model import Outcome, Span
from tests.engine.cache_bench import soon
from tests.engine.outbox_bench import HELLO, RETRY_S

if TYPE_CHECKING:
    from pushdesk.desk import AnyEvent
    from pushdesk.model import ServiceHealth, Stats
    from tests.engine.outbox_bench import OutboxBench

pytestmark = pytest.mark.usefixtures("quick_looks")


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine looks at itself more often than once a second."""
    monkeypatch.setattr("pushdesk.engine.reporting.TICK_S", 0.01)


async def look(bench: OutboxBench) -> None:
    """Wait until the engine has looked at its queue and its cache once more."""
    recorder = bench.engine._statistics.history
    looked, remember = asyncio.Event(), recorder.looked

    def watched(**figures: Any) -> None:
        remember(**figures)
        looked.set()

    bench.monkeypatch.setattr(recorder, "looked", watched)
    await soon(looked.wait())


async def services(bench: OutboxBench) -> list[ServiceHealth]:
    return list((await bench.engine.stats()).services)


async def test_what_was_sent_and_looked_up_is_in_the_history_of_every_span(bench: OutboxBench) -> None:
    # Their test pushes are in the first ten minutes.
    await bench.subscribe("ada", "phone")
    await bench.subscribe("ada", "laptop")
    await look(bench)
    bench.clock.advance(900)
    bench.service.answer("phone", 410)
    for _ in range(2):
        await bench.engine.notify("ada", HELLO, wait_s=10)
    await look(bench)
    bench.clock.advance(300)
    for span in Span:
        history = await bench.engine.history(span)
        later = slice(-round(600 / history.step_s), None)
        assert sum(history.sends[later]) == 3
        assert (sum(history.cache_hits[later]), sum(history.cache_lookups[later])) == (1, 2)
        assert {outcome: sum(series[later]) for outcome, series in history.outcomes.items()} == {
            Outcome.ACCEPTED: 2,
            Outcome.GONE: 1,
        }
        assert sum(history.sends) == (3 if span is Span.MINUTES else 5)


async def test_the_history_has_how_long_a_push_service_took(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    bench.clock.advance(2)
    bench.service.hold = asyncio.Event()
    bench.service.pushes.clear()
    sending = asyncio.create_task(bench.engine.notify("ada", HELLO, wait_s=10))
    await soon(bench.service.wait_for_pushes(1))
    bench.clock.advance(0.25)
    bench.service.hold.set()
    await soon(sending)
    bench.clock.advance(2)
    history = await bench.engine.history(Span.MINUTES)
    assert history.p50_ms[-1] == history.p95_ms[-1] == pytest.approx(250.0, rel=RELATIVE_ERROR)


async def test_the_history_has_how_much_was_waiting_at_most(bench: OutboxBench) -> None:
    for device in ("phone", "laptop", "tablet"):
        await bench.subscribe("ada", device)
    bench.clock.advance(2)
    bench.service.hold = asyncio.Event()
    bench.service.pushes.clear()
    sending = asyncio.create_task(bench.engine.notify("ada", HELLO, wait_s=10))
    await soon(bench.service.wait_for_pushes(3))
    await look(bench)
    bench.service.hold.set()
    await soon(sending)
    await look(bench)
    bench.clock.advance(2)
    await look(bench)
    bench.clock.advance(2)
    assert (await bench.engine.history(Span.MINUTES)).queue[-2:] == (3, 0)


async def test_the_queue_is_looked_at_while_the_database_does_not_answer(bench: OutboxBench) -> None:
    asked, answers = asyncio.Event(), asyncio.Event()
    totals = bench.store.subscriptions.totals

    async def hang() -> tuple[int, int]:
        asked.set()
        await answers.wait()
        return await totals()

    bench.monkeypatch.setattr(bench.store.subscriptions, "totals", hang)
    await bench.subscribe("ada", "phone")
    await soon(asked.wait())
    await look(bench)
    await look(bench)
    answers.set()


async def test_an_idle_engine_has_nothing_to_tell_of_its_state(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    await bench.engine.notify("ada", HELLO, wait_s=10)
    # What is told of the last minute is told until it is over.
    bench.clock.advance(60)
    looked: asyncio.Queue[Stats] = asyncio.Queue()
    stats = Reporter.stats

    async def watched(reporter: Reporter) -> Stats:
        looked.put_nowait(found := await stats(reporter))
        return found

    bench.monkeypatch.setattr(Reporter, "stats", watched)
    first = await soon(looked.get())
    # The next one is there when this one was told of.
    await soon(looked.get())
    async with aclosing(bench.engine.events()) as events:
        await anext(events)
        for seconds in (1, 1, 30, 3600):
            bench.clock.advance(seconds)
            while (found := await soon(looked.get())).time != utc(bench.clock):
                pass
            assert structs.replace(found, time=first.time) == first
        await soon(looked.get())
        await bench.subscribe("bob", "laptop")
        told: list[AnyEvent] = []
        while not any(isinstance(event, SubscriptionChanged) for event in told):
            told += await soon(anext(events))
    kinds = [type(event) for event in told if isinstance(event, StatsChanged | SubscriptionChanged)]
    assert kinds[0] is SubscriptionChanged


async def test_a_service_that_throttles_says_when_it_is_tried_again(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    assert [service.retry_at for service in await services(bench)] == [None]
    bench.service.answer("phone", 429, headers={"Retry-After": str(RETRY_S)})
    now = (await bench.engine.stats()).time
    dispatch = await bench.engine.notify("ada", HELLO)
    await bench.delivery(dispatch, lambda delivery: delivery.outcome is Outcome.THROTTLED)
    assert [service.retry_at for service in await services(bench)] == [now + timedelta(seconds=RETRY_S)]
    bench.service.answers.clear()
    await bench.later(RETRY_S)
    await bench.done(dispatch)
    assert [service.retry_at for service in await services(bench)] == [None]
