"""The sweep rests as long as it works, tells how far it got, and stops when it is told to, also while it rests."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pushdesk.engine.events import EventBus
from pushdesk.engine.key_sweep import KeySweep
from pushdesk.engine.publisher import Publisher
from pushdesk.engine.rest import wait_at_most
from pushdesk.engine.statistics import Statistics
from pushdesk.errors import DatabaseError
from pushdesk.model import KeyState
from pushdesk.storage.key_bindings import KeyBindings
from pushdesk.storage.records import StoredKey
from pushdesk.storage.store import Store
from tests.clocks import FrozenClock
from tests.contract.storing import NOW, put, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from pushdesk.storage.records import Swept
    from tests.logs import Log

DEVICES: Final = 7
BATCHES_S: Final = (0.5, 0.25, 2.0, 0.0)
"""How long each batch takes; the last finds nothing."""


class SlowBindings(KeyBindings):
    """Those of a real database, whose batches take their time; one of a negative time fails."""

    def __init__(self, store: Store, clock: FrozenClock) -> None:
        super().__init__(store._database)
        self._clock = clock
        self.takes_s = list(BATCHES_S)

    async def sweep(self, limit: int, now_ms: int) -> Swept:
        takes_s = self.takes_s.pop(0)
        if takes_s < 0:
            raise DatabaseError("The disk is full.")
        self._clock.advance(takes_s)
        return await super().sweep(limit, now_ms)


class Bench(NamedTuple):
    bindings: SlowBindings
    make: Callable[[Callable[[float, asyncio.Event], Awaitable[None]]], KeySweep]
    ended: asyncio.Event
    """Set after a round that has changed something."""


async def nothing() -> None:
    pass


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A sweep of seven devices of a revoked key, three at a time."""
    monkeypatch.setattr("pushdesk.engine.key_sweep.BATCH", 3)
    clock, ended = FrozenClock(), asyncio.Event()
    async with Store(tmp_path / "pushdesk.db") as store:
        old = StoredKey("old", "public old", b"pem", KeyState.CURRENT, NOW)
        await store.keys.make_current(old)
        for number in range(DEVICES):
            await put(store, subscription(f"{number}", f"user-{number}", "old"))
        await store.keys.revoke_all(replace(old, id="new", public_key="public new"))
        bindings = SlowBindings(store, clock)

        async def after() -> None:
            ended.set()

        def make(wait: Callable[[float, asyncio.Event], Awaitable[None]]) -> KeySweep:
            publisher = Publisher(EventBus(clock, epoch="e"), Statistics(clock))
            return KeySweep(bindings=bindings, publisher=publisher, before=nothing, after=after, clock=clock, wait=wait)

        yield Bench(bindings, make, ended)


async def sweep_to_the_end(bench: Bench, rest: Callable[[float, asyncio.Event], Awaitable[None]]) -> None:
    sweep = bench.make(rest)
    running = asyncio.create_task(sweep.run())
    sweep.wake()
    async with asyncio.timeout(10):
        await bench.ended.wait()
        sweep.end()
        await running


async def test_it_rests_after_each_batch_for_as_long_as_that_took(bench: Bench, log: Log) -> None:
    rests: list[float] = []

    async def rest(seconds: float, _event: asyncio.Event) -> None:
        rests.append(seconds)

    await sweep_to_the_end(bench, rest)
    assert rests == [0.5, 0.25, 2.0]
    (line,) = log.of("key_sweep_ended")
    assert (line["removed"], line["disabled"], line["restored"]) == (DEVICES, 0, 0)
    assert log.of("key_sweep_stopped") == []


async def test_it_is_stopped_while_it_rests_and_tells_how_far_it_got(bench: Bench, log: Log) -> None:
    bench.bindings.takes_s[:] = [1000.0]
    resting = asyncio.Event()

    async def rest(seconds: float, event: asyncio.Event) -> None:
        resting.set()
        await wait_at_most(seconds, event)

    sweep = bench.make(rest)
    running = asyncio.create_task(sweep.run())
    sweep.wake()
    async with asyncio.timeout(10):
        await resting.wait()
        # Something else to be done is no reason to rest less.
        sweep.wake()
        await asyncio.sleep(0)
        assert not running.done()
        sweep.end()
        await running
    (line,) = log.of("key_sweep_stopped")
    assert (line["removed"], line["disabled"], line["restored"]) == (3, 0, 0)
    assert log.of("key_sweep_ended") == []


async def test_what_was_done_before_a_failure_is_counted_with_the_rest(bench: Bench, log: Log) -> None:
    bench.bindings.takes_s[:] = [0.0, -1.0, 0.0, 0.0, 0.0]

    async def rest(_seconds: float, _event: asyncio.Event) -> None:
        pass

    await sweep_to_the_end(bench, rest)
    assert len(log.of("key_sweep_failed")) == 1
    assert [line["removed"] for line in log.of("key_sweep_ended")] == [DEVICES]


async def test_a_wait_ends_with_the_event_or_the_time() -> None:
    event = asyncio.Event()
    await wait_at_most(0, event)
    assert not event.is_set()
    event.set()
    await wait_at_most(1000, event)
