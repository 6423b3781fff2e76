"""How long the subscription cache serves what was read, who reads it for whom, and who is failed.

tests/schedules has what happens when these meet.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pushdesk.engine.subscriptions import BATCH, JOIN_AGE_S, NEGATIVE_TTL_S, TRIES
from pushdesk.errors import DatabaseError
from pushdesk.model import CacheChange
from tests.engine.cache_bench import NOBODY, ONE, TTL_S, Bench, answers, devices, settle, soon

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_the_ttl_counts_from_the_start_of_the_read() -> None:
    bench = Bench()
    waiter = bench.ask()
    read = await bench.read()
    bench.clock.advance(3)
    read.give()
    await soon(waiter)
    (entry,) = bench.entries()
    assert (entry.age_s, entry.time_left_s) == (3, TTL_S - 3)
    bench.clock.advance(TTL_S - 3.001)
    assert await bench.cache.get("ada") is ONE
    bench.clock.advance(0.001)
    later = bench.ask()
    (await bench.read()).give(devices(2, "phone"))
    assert await soon(later) == devices(2, "phone")


async def test_a_read_that_was_queued_is_as_old_as_its_statement() -> None:
    bench = Bench()
    first, second = bench.ask("ada"), bench.ask("bob")
    read = await bench.read()
    third = bench.ask("cyd")
    await settle()
    bench.clock.advance(4)
    read.give()
    (await bench.read()).give()
    await answers(first, second, third)
    assert {entry.user: entry.age_s for entry in bench.entries()} == {"ada": 4, "bob": 4, "cyd": 0}


@pytest.mark.parametrize(("jitter", "lives_s"), [(min, TTL_S), (max, TTL_S * 0.9)])
async def test_jitter_shortens_an_entry_by_a_tenth_at_most(
    jitter: Callable[[float, float], float], lives_s: float
) -> None:
    bench = Bench(jitter=jitter)
    await bench.hold()
    assert bench.entries()[0].time_left_s == pytest.approx(lives_s)


@pytest.mark.parametrize(("ttl_s", "lives_s"), [(TTL_S, NEGATIVE_TTL_S), (7.0, 7.0)])
async def test_that_a_user_has_no_devices_is_believed_for_half_a_minute_at_most(ttl_s: float, lives_s: float) -> None:
    bench = Bench(ttl_s=ttl_s)
    await bench.hold(targets=NOBODY)
    assert (bench.cache.stats().entries, bench.cache.stats().negative) == (0, 1)
    bench.clock.advance(lives_s - 0.001)
    assert await bench.cache.get("ada") is NOBODY
    bench.clock.advance(0.001)
    later = bench.ask()
    (await bench.read()).give()
    assert await soon(later) is ONE
    assert (bench.cache.stats().entries, bench.cache.stats().negative) == (1, 0)


async def test_what_was_read_too_long_ago_is_not_given_to_those_who_waited_for_it() -> None:
    bench = Bench(ttl_s=1)
    waiter = bench.ask()
    late = await bench.read()
    bench.clock.advance(1 + JOIN_AGE_S + 0.001)
    late.give(devices(1, "phone"))
    (await bench.read()).give(devices(2, "phone"))
    assert await soon(waiter) == devices(2, "phone")


async def test_a_cache_that_is_off_stores_nothing_and_still_joins_and_batches() -> None:
    bench = Bench(ttl_s=0)
    alone = bench.ask("ada")
    first = await bench.read()
    together = [bench.ask(user) for user in ("ada", "bob", "cyd", "bob")]
    await settle()
    first.give()
    second = await bench.read()
    second.give()
    await answers(alone, *together)
    assert [first.users, second.users] == [{"ada"}, {"bob", "cyd"}]
    assert bench.entries() == ()
    again = bench.ask("ada")
    (await bench.read()).give()
    await soon(again)
    assert bench.cache.stats().counts == {CacheChange.MISS: 4, CacheChange.JOINED: 2}


async def test_all_who_missed_while_a_read_ran_are_read_by_the_next_one() -> None:
    bench = Bench()
    waiters = [bench.ask("ada")]
    first = await bench.read()
    waiters += [bench.ask(user) for user in ("bob", "cyd", "dan")]
    await settle()
    assert bench.cache.stats().loading == 4
    first.give()
    second = await bench.read()
    second.give()
    await answers(*waiters)
    assert [first.users, second.users] == [{"ada"}, {"bob", "cyd", "dan"}]
    assert (bench.cache.stats().reads, bench.cache.stats().loading) == (2, 0)


async def test_more_users_than_one_statement_takes_are_read_by_several() -> None:
    bench = Bench(answer=ONE)
    found = await bench.cache.get_many({f"user-{number}": 0 for number in range(2 * BATCH + 1)})
    assert list(map(len, bench.read_users)) == [BATCH, BATCH, 1]
    assert set(found) == set().union(*bench.read_users)
    assert all(targets is ONE for targets in found.values())


async def test_many_are_served_from_the_cache_or_from_a_read_and_each_fails_alone() -> None:
    bench = Bench()
    await bench.hold("held", devices(3, "phone"))
    await bench.hold("outdated", devices(3, "phone"))
    joined = bench.ask("joined")
    under_way = await bench.read()
    floors = {"held": 3, "outdated": 4, "joined": 0, "new": 0, "behind": 9}
    many = asyncio.create_task(bench.cache.get_many(floors))
    await settle()
    under_way.give(devices(1, "laptop"))
    following = await bench.read()
    following.give(devices(4, "tablet"))
    for _ in range(TRIES - 1):
        (await bench.read()).give(devices(4, "tablet"))
    found = await soon(many)
    failure = found.pop("behind")
    assert following.users == {"outdated", "new", "behind"}
    assert found == {
        "held": devices(3, "phone"),
        "outdated": devices(4, "tablet"),
        "joined": devices(1, "laptop"),
        "new": devices(4, "tablet"),
    }
    assert isinstance(failure, DatabaseError)
    assert await soon(joined) == devices(1, "laptop")


async def test_a_read_that_is_young_is_joined_and_one_that_takes_too_long_is_not() -> None:
    bench = Bench()
    first = bench.ask()
    old = await bench.read()
    bench.clock.advance(JOIN_AGE_S)
    joining = bench.ask()
    await settle()
    bench.clock.advance(0.001)
    later = bench.ask()
    new = await bench.read()
    new.give(devices(2, "laptop"))
    assert await soon(later) == devices(2, "laptop")
    old.give(devices(1, "phone"))
    assert await answers(first, joining) == [devices(1, "phone")] * 2
    assert bench.changes[-1] == (CacheChange.DISCARDED, "ada", 2)


async def test_a_read_that_hangs_for_ever_is_overtaken_for_everybody() -> None:
    bench = Bench()
    stuck = bench.ask("ada")
    hanging = await bench.read()
    behind = bench.ask("bob")
    await settle()
    bench.clock.advance(JOIN_AGE_S + 0.001)
    again = bench.ask("ada")
    new = await bench.read()
    new.give()
    assert await answers(behind, again) == [ONE, ONE]
    assert new.users == {"ada", "bob"}
    assert not stuck.done()
    # Nothing else is held up by it.
    await bench.hold("cyd")
    hanging.give()
    await soon(stuck)
    await soon(bench.cache.aclose())


async def test_closing_waits_for_the_reads_that_are_under_way() -> None:
    bench = Bench()
    waiter = bench.ask()
    read = await bench.read()
    closing = asyncio.create_task(bench.cache.aclose())
    await settle()
    assert not closing.done()
    read.give()
    await soon(closing)
    assert await soon(waiter) is ONE


async def test_an_error_is_told_to_each_who_waits_in_a_copy_of_its_own_and_is_not_cached() -> None:
    bench = Bench()
    waiters = [bench.ask(), bench.ask()]
    error = DatabaseError("The database failed: disk I/O error.", hint="Look at the disk.")
    (await bench.read()).fail(error)
    failures = []
    for waiter in waiters:
        with pytest.raises(DatabaseError) as raised:
            await soon(waiter)
        failures.append(raised.value)
    assert [(failure.detail, failure.hint) for failure in failures] == [(error.detail, error.hint)] * 2
    assert len({id(failure) for failure in (*failures, error)}) == 3
    later = bench.ask()
    (await bench.read()).give()
    assert await soon(later) is ONE


async def test_a_failing_read_fails_nobody_who_is_read_by_the_next_one() -> None:
    bench = Bench()
    first = bench.ask("ada")
    read = await bench.read()
    second = bench.ask("bob")
    await settle()
    read.fail(DatabaseError("The database failed."))
    (await bench.read()).give()
    assert await soon(second) is ONE
    with pytest.raises(DatabaseError):
        await soon(first)


async def test_who_stops_waiting_takes_the_read_from_nobody() -> None:
    bench = Bench()
    first, second = bench.ask(), bench.ask()
    read = await bench.read()
    first.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await bench.cache.get("ada")
    await settle()
    read.give()
    assert await soon(second) is ONE
    assert first.cancelled()
    assert bench.cache.stats().entries == 1


async def test_a_read_that_nobody_waits_for_any_more_is_stored() -> None:
    bench = Bench()
    waiter = bench.ask()
    read = await bench.read()
    waiter.cancel()
    await settle()
    read.give()
    await settle()
    assert await bench.cache.get("ada") is ONE
    assert len(bench.read_users) == 1
