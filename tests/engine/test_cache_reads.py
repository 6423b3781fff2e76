"""The cache's reads, beyond one that ends well: what hangs, what brings a mistake, and what follows them."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pushdesk.engine.subscriptions import JOIN_AGE_S, SubscriptionCache
from pushdesk.errors import DatabaseError
from pushdesk.log import bound
from pushdesk.log_fields import Id
from pushdesk.model import CacheChange
from tests.engine.cache_bench import ONE, Bench, answers, devices, settle, soon

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from pushdesk.storage.records import Targets
    from tests.logs import Log


def cache_over(read: Callable[[Collection[str]], Awaitable[Mapping[str, Targets]]]) -> SubscriptionCache:
    return SubscriptionCache(
        read,
        ttl_s=180,
        max_size=10**6,
        monotonic=time.monotonic,
        now=partial(datetime.now, UTC),
        uniform=random.uniform,
        observer=lambda *_: None,
    )


def forgets_bob(users: Collection[str]) -> Mapping[str, Targets]:
    return {user: ONE for user in users if user != "bob"}


def does_not_understand_bob(users: Collection[str]) -> Mapping[str, Targets]:
    if "bob" in users:
        raise ValueError("x is no service")
    return dict.fromkeys(users, ONE)


@pytest.mark.parametrize(
    ("reader", "mistake"), [(does_not_understand_bob, ValueError), (forgets_bob, KeyError)], ids=["raises", "forgets"]
)
async def test_a_mistake_in_reading_many_fails_only_the_one_it_is_about(
    reader: Callable[[Collection[str]], Mapping[str, Targets]], mistake: type[Exception]
) -> None:
    statements: list[set[str]] = []
    asked_late: list[asyncio.Task[Targets]] = []

    async def read(users: Collection[str]) -> Mapping[str, Targets]:
        statements.append(set(users))
        if len(statements) == 1:
            # These miss meanwhile.
            asked_late.extend(asyncio.create_task(cache.get(user)) for user in ("dan", "eve"))
        await settle()
        return reader(users)

    cache = cache_over(read)
    found = await soon(cache.get_many({"ada": 0, "bob": 0, "cyd": 0}))
    assert (found["ada"], found["cyd"]) == (ONE, ONE)
    assert isinstance(found["bob"], mistake)
    assert await answers(*asked_late) == [ONE, ONE]
    assert statements[0] == {"ada", "bob", "cyd"}
    assert sorted(map(sorted, statements[1:4])) == [["ada"], ["bob"], ["cyd"]]
    assert statements[4:] == [{"dan", "eve"}]
    assert await soon(cache.get_many({"fay": 0, "gus": 0})) == {"fay": ONE, "gus": ONE}
    assert statements[5:] == [{"fay", "gus"}]
    stats = cache.stats()
    assert (stats.entries, stats.loading, stats.counts[CacheChange.FAILED]) == (6, 0, 1)


async def test_a_database_that_fails_is_not_asked_again_for_each() -> None:
    bench = Bench()
    many = asyncio.create_task(bench.cache.get_many({"ada": 0, "bob": 0}))
    (await bench.read()).fail(DatabaseError("The database failed."))
    found = await soon(many)
    assert {user: type(error) for user, error in found.items()} == {"ada": DatabaseError, "bob": DatabaseError}
    assert bench.read_users == [{"ada", "bob"}]


async def test_the_place_of_a_mistake_is_told_to_each_who_waits() -> None:
    bench = Bench()
    waiter = bench.ask()
    error = ValueError("x is no service")
    (await bench.read()).fail(error)
    with pytest.raises(ValueError, match="no service") as raised:
        await soon(waiter)
    assert raised.value.__cause__ is error


async def test_who_hangs_among_many_is_waited_for_no_longer_than_asked_and_is_read_on() -> None:
    bench = Bench()
    await bench.hold("held")
    many = asyncio.create_task(bench.cache.get_many({"held": 1, "hung": 0}, timeout_s=0.01))
    hanging = await bench.read()
    joining = bench.ask("hung")
    found = await soon(many)
    assert found["held"] is ONE
    assert isinstance(found["hung"], TimeoutError)
    assert not joining.done()
    hanging.give(devices(2, "phone"))
    assert await soon(joining) == devices(2, "phone")
    assert await bench.cache.get("hung") == devices(2, "phone")
    assert bench.read_users == [{"held"}, {"hung"}]


async def test_many_that_nobody_waits_for_any_longer_leave_nothing_behind_but_the_read() -> None:
    bench = Bench()
    before = asyncio.all_tasks()
    many = asyncio.create_task(bench.cache.get_many({"ada": 0, "bob": 0}, timeout_s=3600))
    read = await bench.read()
    joining = bench.ask("ada")
    await settle()
    many.cancel()
    await settle()
    assert many.cancelled()
    assert {task.get_name() for task in asyncio.all_tasks() - before - {joining}} == {"subscription cache"}
    read.give()
    assert await soon(joining) is ONE
    await settle()
    assert asyncio.all_tasks() == before
    assert bench.cache.stats().entries == 2


async def test_a_reader_that_was_followed_by_another_takes_nothing_from_it() -> None:
    bench = Bench()
    first = bench.ask("ada")
    slow = await bench.read()
    bench.clock.advance(JOIN_AGE_S + 0.001)
    second = bench.ask("bob")
    following = await bench.read()
    queued = bench.ask("cyd")
    await settle()
    slow.give()
    assert await soon(first) is ONE
    later = bench.ask("dan")
    await settle()
    # It neither reads what is queued for the other, nor makes it look as if there were none.
    assert bench.begun.empty()
    following.give()
    last = await bench.read()
    last.give()
    assert await answers(second, queued, later) == [ONE] * 3
    assert bench.read_users == [{"ada"}, {"bob"}, {"cyd", "dan"}]


async def test_a_read_that_fails_after_it_lost_its_right_leaves_that_of_the_next_one() -> None:
    bench = Bench()
    doomed = bench.ask()
    failing = await bench.read()
    bench.cache.invalidate("ada")
    second = bench.ask()
    await settle()
    failing.fail(DatabaseError("The database failed."))
    with pytest.raises(DatabaseError):
        await soon(doomed)
    third = bench.ask()
    (await bench.read()).give(devices(2, "phone"))
    assert await answers(second, third) == [devices(2, "phone")] * 2
    assert bench.read_users == [{"ada"}, {"ada"}]
    assert [change for change, _, _ in bench.changes] == [
        CacheChange.MISS,
        CacheChange.MISS,
        CacheChange.FAILED,
        CacheChange.JOINED,
        CacheChange.STORED,
    ]


async def test_a_read_is_no_part_of_the_request_that_asked_first(log: Log) -> None:
    async def read(users: Collection[str]) -> Mapping[str, Targets]:
        logging.getLogger("library").warning("reading")
        return dict.fromkeys(users, ONE)

    cache = cache_over(read)
    with bound(request=Id("0b")):
        await cache.get("ada")
        logging.getLogger("library").warning("answering")
    reading, answering = log.lines
    assert ("request" in reading, answering["request"]) == (False, "0b")
