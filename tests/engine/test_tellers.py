"""Changes of the cache and lines of the log as events: each told, none able to flood the bus."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pushdesk.config import Config
from pushdesk.desk import CacheChanged, Hello, LogWritten
from pushdesk.engine.events import EventBus
from pushdesk.engine.opening import open_engine
from pushdesk.engine.tellers import CHANGES_TOLD, LINES_TOLD, CacheTeller, LogTeller
from pushdesk.log_ring import LogRing
from pushdesk.model import CacheChange, CacheEntry, LogLevel
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from pushdesk.desk import AnyEvent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def bus() -> EventBus:
    return EventBus(FrozenClock(), "epoch")


@pytest.fixture
async def stream(bus: EventBus) -> AsyncIterator[AsyncIterator[Sequence[AnyEvent]]]:
    async with aclosing(bus.follow()) as events:
        (hello,) = await anext(events)
        assert isinstance(hello, Hello)
        yield events


async def changes(stream: AsyncIterator[Sequence[AnyEvent]]) -> list[tuple[CacheChange, str, CacheEntry | None, int]]:
    async with asyncio.timeout(10):
        batch = await anext(stream)
    found = [event for event in batch if isinstance(event, CacheChanged)]
    assert len(found) == len(batch)
    return [(event.change, event.user, event.entry, event.count) for event in found]


def held(generation: int) -> CacheEntry:
    return CacheEntry("anna", generation, 1, 0.0, 180.0, 800)


async def test_what_happens_to_a_user_often_is_told_once_with_a_count_and_the_latest_entry(
    bus: EventBus, stream: AsyncIterator[Sequence[AnyEvent]]
) -> None:
    teller = CacheTeller(bus)
    for generation in range(1000):
        teller.changed(CacheChange.HIT, "anna", held(generation))
    assert await changes(stream) == [(CacheChange.HIT, "anna", held(999), 1000)]


async def test_the_last_event_of_a_user_says_what_is_held(
    bus: EventBus, stream: AsyncIterator[Sequence[AnyEvent]]
) -> None:
    teller = CacheTeller(bus)
    teller.changed(CacheChange.HIT, "anna", held(1))
    teller.changed(CacheChange.INVALIDATED, "anna", None)
    teller.changed(CacheChange.MISS, "anna", None)
    teller.changed(CacheChange.STORED, "anna", held(2))
    teller.changed(CacheChange.HIT, "anna", held(2))
    teller.changed(CacheChange.CLEARED, "", None)
    teller.changed(CacheChange.MISS, "anna", None)
    assert await changes(stream) == [
        (CacheChange.INVALIDATED, "anna", None, 1),
        (CacheChange.STORED, "anna", held(2), 1),
        (CacheChange.HIT, "anna", held(2), 2),
        (CacheChange.CLEARED, "", None, 1),
        (CacheChange.MISS, "anna", None, 2),
    ]


async def test_what_happens_later_is_told_later(bus: EventBus, stream: AsyncIterator[Sequence[AnyEvent]]) -> None:
    teller = CacheTeller(bus)
    for generation in (1, 2):
        teller.changed(CacheChange.STORED, "anna", held(generation))
        assert await changes(stream) == [(CacheChange.STORED, "anna", held(generation), 1)]


async def test_what_happens_to_more_users_than_are_told_of_is_summed_up_before_the_rest(
    bus: EventBus, stream: AsyncIterator[Sequence[AnyEvent]]
) -> None:
    teller = CacheTeller(bus)
    for number in range(5000):
        for change in (CacheChange.MISS, CacheChange.STORED):
            teller.changed(change, f"user-{number}", None)
    told = await changes(stream)
    summed = 5000 - CHANGES_TOLD // 2
    assert told[:2] == [(CacheChange.MISS, "", None, summed), (CacheChange.STORED, "", None, summed)]
    assert len(told) == 2 + CHANGES_TOLD
    assert told[-1] == (CacheChange.STORED, "user-4999", None, 1)


async def test_lines_from_any_thread_are_told_in_their_order(
    bus: EventBus, stream: AsyncIterator[Sequence[AnyEvent]]
) -> None:
    ring = LogRing()
    teller = LogTeller(bus)

    def write(name: str) -> None:
        for _ in range(LINES_TOLD // 5):
            ring.add(NOON, LogLevel.INFO, name, "test", {})

    seen: list[AnyEvent] = []
    with ring.listen(teller.written):
        threads = [threading.Thread(target=write, args=(name,)) for name in "abcde"]
        for thread in threads:
            thread.start()
        async with asyncio.timeout(10):
            while len(seen) < LINES_TOLD:
                seen += await anext(stream)
        for thread in threads:
            thread.join()
    assert [event.entry for event in seen if isinstance(event, LogWritten)] == list(ring.entries())


async def test_of_a_flood_of_lines_the_latest_are_told(
    bus: EventBus, stream: AsyncIterator[Sequence[AnyEvent]]
) -> None:
    ring = LogRing()
    teller = LogTeller(bus)
    with ring.listen(teller.written):
        for _ in range(10 * LINES_TOLD):
            ring.add(NOON, LogLevel.DEBUG, "noise", "test", {})
        async with asyncio.timeout(10):
            batch = await anext(stream)
    numbers = [event.entry.seq for event in batch if isinstance(event, LogWritten)]
    assert numbers == list(range(9 * LINES_TOLD + 1, 10 * LINES_TOLD + 1))


async def test_nothing_is_told_after_the_end(bus: EventBus, stream: AsyncIterator[Sequence[AnyEvent]]) -> None:
    ring, ours, theirs = LogRing(), CacheTeller(bus), CacheTeller(bus)
    lines = LogTeller(bus)
    ours.changed(CacheChange.HIT, "anna", None)
    with ring.listen(lines.written):
        ring.add(NOON, LogLevel.INFO, "last", "test", {})
    # The loop was woken: what is left is to tell it.
    await asyncio.sleep(0)
    ours.stop()
    lines.stop()
    # Would be told after both of them.
    theirs.changed(CacheChange.HIT, "bert", None)
    assert await changes(stream) == [(CacheChange.HIT, "bert", None, 1)]


async def test_an_engine_listens_to_the_log_while_it_runs_and_no_longer(tmp_path: Path) -> None:
    ring = LogRing()
    async with open_engine(Config(data_dir=tmp_path), access_url="http://localhost:8484", log_ring=ring) as engine:
        ring.add(NOON, LogLevel.INFO, "heard", "test", {})
        async with asyncio.timeout(10), aclosing(engine.events()) as events:
            async for batch in events:
                if any(isinstance(event, LogWritten) and event.entry.event == "heard" for event in batch):
                    break
    assert ring._listeners == []
