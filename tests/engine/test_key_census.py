"""What is counted of keys, how often, and when a retirement will end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pushdesk.engine.events import EventBus
from pushdesk.engine.key_census import AT_ONCE_S, FEW, SHARE, KeyCensus, end_of
from pushdesk.engine.publisher import Publisher
from pushdesk.engine.statistics import Statistics
from pushdesk.errors import DatabaseError
from pushdesk.model import KeyState, PageQuery, Service
from pushdesk.storage.records import KeyCounts, StoredKey
from pushdesk.storage.store import Store
from tests.clocks import FrozenClock
from tests.contract.storing import put, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("before", "left", "passed", "ends_in"),
    [
        (100, 50, DAY, DAY),
        (100, 75, DAY, 3 * DAY),
        (100, 1, 99 * HOUR, HOUR),
        (100, 100, DAY, None),
        (100, 130, DAY, None),
        (100, 0, DAY, None),
        (0, 0, DAY, None),
        (100, 50, timedelta(0), None),
        # A clock that was set back.
        (100, 50, -DAY, None),
        # After the end of the calendar.
        (10**9, 10**9 - 1, 300 * DAY, None),
    ],
)
def test_a_retirement_ends_when_all_have_moved_at_the_pace_of_those_who_did(
    before: int, left: int, passed: timedelta, ends_in: timedelta | None
) -> None:
    expected = None if ends_in is None else NOON + ends_in
    assert end_of(NOON - passed, before, left, now=NOON) == expected


class Slow:
    """Counts what there is to be counted, and takes its time."""

    def __init__(self, store: Store, clock: FrozenClock) -> None:
        self._bindings = store.key_bindings
        self._clock = clock
        self.takes_s = 0.0
        self.fails = False
        self.counted = 0
        self.others = FEW
        """Subscriptions of a key that is none of the listed ones, counted with the rest."""

    async def count(self) -> KeyCounts:
        self.counted += 1
        self._clock.advance(self.takes_s)
        if self.fails:
            raise DatabaseError("The disk is full.")
        counts = await self._bindings.count()
        return KeyCounts({**counts.bound, "another": {Service.OTHER: self.others}}, counts.users_left)


class Bench:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = FrozenClock()
        self.publisher = Publisher(EventBus(self.clock, "epoch"), Statistics(self.clock))
        self.bindings = Slow(store, self.clock)
        self.census = KeyCensus(
            listings=store.listings,
            count=self.bindings.count,
            publisher=self.publisher,
            clock=self.clock,
        )

    async def subscribe(self, name: str, user: str = "ada", key: str = "old") -> None:
        self.publisher.subscriptions_changed([(await put(self.store, subscription(name, user, key))).subscription])

    async def counted(self, key: str = "old") -> int:
        (found,) = (await self.census.page(PageQuery(filter=key))).items
        return found.subscriptions


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Store(tmp_path / "pushdesk.db") as store:
        made = Bench(store)
        await made.store.keys.make_current(_key("old", made.clock))
        yield made


def _key(name: str, clock: FrozenClock) -> StoredKey:
    return StoredKey(name, f"public {name}", b"pem", KeyState.CURRENT, round(clock.now * 1000))


async def test_what_changes_is_counted_at_once_where_that_is_quick(bench: Bench) -> None:
    bench.bindings.takes_s = AT_ONCE_S
    for number in range(3):
        await bench.subscribe(f"{number}")
        assert await bench.counted() == number + 1


async def test_nothing_is_counted_while_nothing_changes(bench: Bench) -> None:
    for _ in range(3):
        await bench.census.keys()
        bench.clock.advance(3600)
    assert bench.bindings.counted == 1


async def test_a_count_that_took_long_is_used_for_longer(bench: Bench) -> None:
    bench.bindings.takes_s = 1.0
    await bench.subscribe("one")
    assert await bench.counted() == 1
    await bench.subscribe("two")
    bench.clock.advance(SHARE - 0.1)
    assert await bench.counted() == 1
    bench.clock.advance(0.1)
    assert await bench.counted() == 2
    assert bench.bindings.counted == 2


async def test_few_are_counted_at_once_however_busy_the_machine_is(bench: Bench) -> None:
    bench.bindings.takes_s, bench.bindings.others = 1.0, FEW - 3
    for number in range(3):
        await bench.subscribe(f"{number}")
        assert await bench.counted() == number + 1


async def test_before_something_is_decided_it_is_counted_anew(bench: Bench) -> None:
    bench.bindings.takes_s = 1.0
    await bench.census.counts()
    await bench.subscribe("one")
    assert sum((await bench.census.counts(anew=True)).bound["old"].values()) == 1
    bench.census.forget()
    await bench.census.counts()
    assert bench.bindings.counted == 3


async def test_a_count_that_fails_is_made_again(bench: Bench) -> None:
    await bench.subscribe("one")
    bench.bindings.fails = True
    with pytest.raises(DatabaseError):
        await bench.census.page(PageQuery())
    # A command that was done is told of all the same.
    assert [(key.id, key.subscriptions) for key in await bench.census.keys()] == [("old", 0)]
    bench.bindings.fails = False
    assert await bench.counted() == 1


async def test_a_retirement_is_told_as_it_goes_on(bench: Bench) -> None:
    for user in ("ada", "bo", "cy", "di"):
        await bench.subscribe(f"old {user}", user)
    bench.clock.advance(60)
    await bench.store.keys.make_current(_key("new", bench.clock))
    bench.census.forget()
    new, old = await bench.census.keys()
    assert (new.subscriptions, new.retiring_at, new.before, new.users_left) == (0, None, {}, 0)
    assert (old.subscriptions, old.before, old.users_left, old.expected_end) == (4, {Service.MOZILLA: 4}, 4, None)
    bench.clock.advance(3600)
    await bench.store.subscriptions.remove_ids(["id-old ada"])
    await bench.subscribe("new ada", "ada", "new")
    await bench.subscribe("new bo", "bo", "new")
    _, old = await bench.census.keys()
    assert old.retiring_at is not None
    assert (old.subscriptions, old.services, old.users_left) == (3, {Service.MOZILLA: 3}, 2)
    assert old.expected_end == old.retiring_at + timedelta(hours=4)


async def test_all_keys_are_told_however_many_there_are(bench: Bench) -> None:
    for number in range(205):
        bench.clock.advance(1)
        await bench.store.keys.make_current(_key(f"{number:03}", bench.clock))
    assert len({key.id for key in await bench.census.keys()}) == 206
