"""What is kept no longer goes in the background: with rests, until the end, and again after a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import pytest
from sqlalchemy import text

from pushdesk.config import RetentionConfig
from pushdesk.engine.retention import EVERY_S, UNUSED, Trimming
from pushdesk.errors import DatabaseError
from pushdesk.model import PageQuery
from pushdesk.storage import retention, space
from pushdesk.storage.records import IDEMPOTENCY_MS, IdempotencyKey
from pushdesk.storage.retention import INVITATION_MS, Removed, Retention
from pushdesk.storage.store import Store
from tests.clocks import FrozenClock
from tests.contract.storing import NOW, message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path

    from tests.logs import Log

DAY_S = 24 * 3600
NUMBER = 7


class SlowRetention(Retention):
    """That of a real database, whose batches take their time; one of a negative time fails."""

    def __init__(self, store: Store, clock: FrozenClock) -> None:
        super().__init__(store._database)
        self._clock = clock
        self.takes_s: list[float] = []

    async def remove(self, ids: Collection[str]) -> Removed:
        takes_s = self.takes_s.pop(0) if self.takes_s else 0.0
        if takes_s < 0:
            raise DatabaseError("The disk is full.")
        self._clock.advance(takes_s)
        return await super().remove(ids)


class Bench(NamedTuple):
    store: Store
    retention: SlowRetention
    clock: FrozenClock

    async def run(self, config: RetentionConfig, *, rounds: int = 1, rests: int | None = None) -> list[float]:
        """Run some rounds, or until it has rested so often; returns how long it rested between batches."""
        rested: list[float] = []
        begun = 0

        async def wait(seconds: float, _ending: asyncio.Event) -> None:
            nonlocal begun
            if seconds == EVERY_S:
                begun += 1
                if begun > rounds:
                    trimming.end()
                return
            rested.append(seconds)
            if len(rested) == rests:
                trimming.end()

        trimming = Trimming(self.retention, self.store.space, config=config, clock=self.clock, wait=wait)
        async with asyncio.timeout(20):
            await trimming.run()
        return rested

    async def left(self) -> list[str]:
        return sorted(item.id for item in (await self.store.listings.dispatches(PageQuery(limit=200))).items)


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """Seven dispatches that are done, of which three go at once."""
    monkeypatch.setattr(retention, "BATCH", 3)
    clock = FrozenClock(NOW / 1000)
    async with Store(tmp_path / "pushdesk.db") as store:
        names = [f"m{number}" for number in range(NUMBER)]
        await store.outbox.accept([message(name, user="nobody") for name in names])
        await store.outbox.spread([], names, {})
        yield Bench(store, SlowRetention(store, clock), clock)


async def test_what_is_old_goes_with_a_rest_after_each_batch_as_long_as_it_took(bench: Bench, log: Log) -> None:
    bench.clock.advance(30 * DAY_S + 1)
    bench.retention.takes_s = [0.5, 0.0, 0.25, 0.0, 2.0]
    assert await bench.run(RetentionConfig(days=30)) == [0.5, 0.25, 2.0]
    assert await bench.left() == []
    (line,) = log.of("history_trimmed")
    assert (line["dispatches"], line["deliveries"]) == (NUMBER, 0)


@pytest.mark.parametrize(
    ("config", "stays"),
    [
        (RetentionConfig(days=30, rows=0), NUMBER),
        (RetentionConfig(days=29, rows=0), 0),
        (RetentionConfig(days=0, rows=0), NUMBER),
        (RetentionConfig(days=0, rows=2), 2),
        (RetentionConfig(days=29, rows=2), 0),
    ],
)
async def test_what_is_kept_is_what_is_set(bench: Bench, log: Log, config: RetentionConfig, stays: int) -> None:
    bench.clock.advance(30 * DAY_S)
    await bench.run(config)
    assert len(await bench.left()) == stays
    assert len(log.of("history_trimmed")) == (stays < NUMBER)


async def test_it_ends_while_it_rests_and_goes_on_another_time(bench: Bench) -> None:
    bench.clock.advance(31 * DAY_S)
    await bench.run(RetentionConfig(), rests=1)
    assert len(await bench.left()) == NUMBER - 3
    await bench.run(RetentionConfig())
    assert await bench.left() == []


async def test_a_failure_is_told_and_the_next_round_goes_on(bench: Bench, log: Log) -> None:
    bench.clock.advance(31 * DAY_S)
    bench.retention.takes_s = [0.0, -1.0]
    await bench.run(RetentionConfig(), rounds=2)
    assert await bench.left() == []
    (line,) = log.of("trimming_failed")
    assert line["reason"] == "The disk is full."


async def test_keys_and_invitations_go_after_their_time_whatever_is_kept(bench: Bench) -> None:
    key = IdempotencyKey("admin", "one", b"d" * 32)
    await bench.store.outbox.accept([message("keyed", key=key)])
    await bench.store.invitations.add("ada", b"c" * 32, now_ms=NOW, expires_at_ms=NOW)
    for_ever = RetentionConfig(days=0, rows=0)
    await bench.run(for_ever)
    bench.clock.advance(max(IDEMPOTENCY_MS, INVITATION_MS) / 1000 + 1)
    now_ms = round(bench.clock.time() * 1000)
    await bench.run(for_ever)
    assert await bench.retention.forget_keys(now_ms) == await bench.retention.forget_invitations(now_ms) == 0
    assert len(await bench.left()) == NUMBER + 1


async def test_a_file_of_which_much_is_unused_is_made_smaller(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "STEP", 5)
    async with bench.store._database.write() as transaction:
        await transaction.execute(text("CREATE TABLE filler (content BLOB)"))
        await transaction.execute(text("INSERT INTO filler VALUES (zeroblob(4000000))"))
    await bench.run(RetentionConfig())
    before = await bench.store.space.look()
    async with bench.store._database.write() as transaction:
        await transaction.execute(text("DELETE FROM filler"))
    await bench.run(RetentionConfig())
    after = await bench.store.space.look()
    assert after.pages < before.pages // 2
    assert 0 < after.unused <= after.pages // UNUSED
