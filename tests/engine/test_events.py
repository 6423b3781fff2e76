"""The event bus: numbered, bounded, and honest about what it no longer holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pushdesk.desk import Gap, Hello, Position, SubscriptionRemoved
from pushdesk.engine.events import BATCH, HELD, EventBus
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pushdesk.desk import AnyEvent


def bus_with(count: int) -> EventBus:
    bus = EventBus(FrozenClock(), "epoch")
    for number in range(count):
        bus.publish(SubscriptionRemoved, f"s{number}", "ada")
    return bus


async def take(stream: AsyncIterator[Sequence[AnyEvent]], batches: int) -> list[AnyEvent]:
    return [event for _ in range(batches) for event in await anext(stream)]


async def test_a_stream_begins_with_hello_and_goes_on_from_now() -> None:
    bus = bus_with(3)
    stream = bus.follow()
    (hello,) = await anext(stream)
    assert isinstance(hello, Hello)
    assert (hello.seq, hello.epoch) == (3, "epoch")
    bus.publish(SubscriptionRemoved, "next", "ada")
    assert [event.seq for event in await anext(stream)] == [4]


async def test_a_stream_goes_on_where_a_reader_stopped() -> None:
    events = await take(bus_with(5).follow(Position("epoch", 3)), 2)
    assert [(type(event), event.seq) for event in events] == [
        (Hello, 5),
        (SubscriptionRemoved, 4),
        (SubscriptionRemoved, 5),
    ]


async def test_another_epoch_is_a_gap() -> None:
    hello, gap = await anext(bus_with(5).follow(Position("before the restart", 3)))
    assert (type(hello), type(gap), gap.seq) == (Hello, Gap, 5)


async def test_what_is_no_longer_held_is_a_gap_and_the_rest_follows() -> None:
    bus = bus_with(HELD + 10)
    events = await take(bus.follow(Position("epoch", 5)), 2 + HELD // BATCH)
    assert [type(event) for event in events[:3]] == [Hello, Gap, SubscriptionRemoved]
    assert [event.seq for event in events[2:]] == list(range(11, HELD + 11))


async def test_every_waiting_reader_is_woken() -> None:
    bus = bus_with(0)
    streams = [bus.follow() for _ in range(3)]
    for stream in streams:
        await anext(stream)
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0)
    bus.publish(SubscriptionRemoved, "one", "ada")
    assert [[event.seq for event in batch] for batch in await asyncio.gather(*waiting)] == [[1], [1], [1]]
